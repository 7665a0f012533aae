//! What the target's collations take for equal.
//!
//! `utf8mb4_bin` tells every character apart and still takes no notice of blanks at the end. `utf8mb4_general_ci` gives
//! each character of the basic plane one weight, and all others the same one: the server is asked for them, so
//! that its own idea of equality is what keys are grouped by.

use std::collections::HashMap;

use millrace_model::{Failure, Fault};

use super::{MySql, read_rows};
use crate::dialect::mysql::quote_text;

/// Characters of one question; the answer has two bytes for each.
const CHARACTERS: usize = 4000;

/// Which characters a collation takes for which others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folding {
    /// Characters that stand for another one, in ascending order.
    pub from: String,
    /// The others, each at the place of the one that stands for it.
    pub to: String,
}

impl Folding {
    /// Makes one text of all those that the collation takes for one.
    pub fn folder(&self) -> impl Fn(&str) -> String + use<> {
        let others: HashMap<char, char> = self.from.chars().zip(self.to.chars()).collect();
        move |text| {
            let folded = |character: char| match character {
                '\u{10000}'.. => '\u{fffd}',
                character => others.get(&character).copied().unwrap_or(character),
            };
            text.trim_end_matches(' ').chars().map(folded).collect()
        }
    }
}

impl MySql {
    /// The characters that `utf8mb4_general_ci` takes for others. Beyond the basic plane all are one, and are not in it.
    ///
    /// # Errors
    /// What the database says; `database.statement-failed` when its answer is not one weight a character.
    pub async fn general_ci_folding(&self) -> Result<Folding, Failure> {
        self.bridge.run(folding(self)).await
    }
}

async fn folding(target: &MySql) -> Result<Folding, Failure> {
    let doing = "ask for the weights of utf8mb4_general_ci";
    let all: Vec<char> = ('\u{1}'..='\u{ffff}').collect();
    let mut folding = Folding::default();
    let mut connection = target.acquire().await?;
    for characters in all.chunks(CHARACTERS) {
        let text: String = characters.iter().collect();
        // Without its own name the column would have the text's, cut within a character.
        let question =
            format!("SELECT HEX(WEIGHT_STRING({} COLLATE utf8mb4_general_ci)) AS weights", quote_text(&text));
        let rows = read_rows(&mut connection, question).await.map_err(|e| target.place.failure(doing, &e))?;
        let answer = rows.into_iter().flatten().flatten().next().unwrap_or_default();
        // `quote_text` escapes for this server, and what is escaped comes back as one character.
        if answer.len() != characters.len() * 4 || !answer.is_ascii() {
            let words = format!("{} digits for {} characters", answer.len(), characters.len());
            return Err(target.place.said(Fault::Unsupported, "database.statement-failed", doing, &words));
        }
        for (at, character) in characters.iter().enumerate() {
            let weight = u32::from_str_radix(&answer[at * 4..at * 4 + 4], 16).ok().and_then(char::from_u32);
            let weight = weight.filter(|w| *w != '\0').unwrap_or(char::REPLACEMENT_CHARACTER);
            if weight != *character {
                folding.from.push(*character);
                folding.to.push(weight);
            }
        }
    }
    connection.give_back();
    Ok(folding)
}
