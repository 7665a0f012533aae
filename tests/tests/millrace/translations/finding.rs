//! A difference between both servers, and what the plan had said of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Result;
use serde_json::Value;

use super::subject::{Purpose, Row, Subject, Use};

/// What the plan says, as far as a difference may be covered by it.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// `kind name` of what is not carried.
    not_carried: BTreeSet<String>,
    /// Table by table, notes and the reasons of its columns' mappings.
    notes: BTreeMap<String, Vec<String>>,
    /// Table by table, the target's statements.
    statements: BTreeMap<String, Vec<String>>,
}

impl Told {
    /// Reads `plan.json`.
    pub(super) fn read(text: &str) -> Result<Self> {
        let plan: Value = serde_json::from_str(text)?;
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut told = Self::default();
        for entry in list(&plan["not_carried"]) {
            told.not_carried.insert(format!("{} {}", text(&entry["kind"]), text(&entry["name"])));
        }
        for table in list(&plan["tables"]) {
            let name = text(&table["source"]["name"]);
            let reasons = list(&table["mappings"]);
            let reasons = reasons.iter().map(|decision| {
                let sources: Vec<String> = list(&decision["mapping"]["sources"]).iter().map(text).collect();
                format!("column {}: {}", sources.join(", "), text(&decision["mapping"]["note"]))
            });
            let notes = list(&table["notes"]);
            told.notes.insert(name.clone(), notes.iter().map(text).chain(reasons).collect());
            let statements = list(&table["create"]).into_iter().chain(list(&table["complete"]));
            told.statements.insert(name, statements.map(|statement| text(&statement["sql"])).collect());
        }
        Ok(told)
    }

    pub(super) fn not_carried(&self, planned: &str) -> bool {
        self.not_carried.contains(planned)
    }

    fn notes(&self, table: &str) -> &[String] {
        self.notes.get(table).map_or(&[], Vec::as_slice)
    }

    fn statements(&self, table: &str) -> &[String] {
        self.statements.get(table).map_or(&[], Vec::as_slice)
    }

    /// Whether the plan says of this check, key or column that it is less or more strict in the target, or that its
    /// values are others.
    fn says(&self, table: &str, used: &Use) -> bool {
        let words: &[&str] = match used.purpose {
            Purpose::UniqueKey | Purpose::PartialKey { .. } => {
                &["strict", "apart", "are one", "is one", "blank", "once at the source", "duplicate"]
            }
            _ => &["strict", "round"],
        };
        let object = used.object(table);
        self.notes(table).iter().any(|note| names(note, &object) && words.iter().any(|word| note.contains(word)))
    }

    /// Whether the plan says of a column that this key has that its values are kept apart, or made one, otherwise.
    fn says_of_its_columns(&self, subject: &Subject, used: &Use) -> bool {
        let is_key = matches!(used.purpose, Purpose::UniqueKey | Purpose::PartialKey { .. });
        let of_column = |note: &String, column: &str| {
            note.starts_with(&format!("column {column}:"))
                && (note.contains("less strict") || note.contains("and the target keeps it"))
                || note.starts_with("texts in keys (")
                    && note.split(')').next().is_some_and(|columns| names(columns, column))
        };
        let has = |column: &str| {
            names(&used.expression.sql, column) && self.notes(&subject.name).iter().any(|note| of_column(note, column))
        };
        is_key && subject.columns.iter().any(|column| has(&column.name))
    }

    /// Whether the plan says of a column that its values are not those that are written.
    fn says_of_column(&self, table: &str, column: &str) -> bool {
        let notes = self.notes.get(table);
        notes.is_some_and(|notes| {
            notes.iter().any(|note| !column.is_empty() && names(note, column) && note.contains("round"))
        })
    }
}

/// Whether a note has this name as a word of its own.
fn names(note: &str, name: &str) -> bool {
    let part_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
    note.match_indices(name)
        .any(|(at, _)| !note[..at].ends_with(part_of_a_word) && !note[at + name.len()..].starts_with(part_of_a_word))
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nobody spoke of it.
    Silent,
    /// The plan spoke of it.
    Said,
    /// The plan could not be carried out.
    Late,
}

/// A difference.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    pub(super) subject: Subject,
    /// The use that differs. None: a column, or a whole table.
    pub(super) used: Option<Use>,
    /// The row that shows it. None: no row does.
    pub(super) row: Option<Row>,
    statements: Vec<String>,
    notes: Vec<String>,
    /// What each side says.
    pub(super) answers: String,
    /// The smallest part of the expression that differs by itself.
    pub(super) smallest: Option<String>,
}

impl Finding {
    /// Of a use.
    pub(super) fn of_use(subject: &Subject, used: &Use, told: &Told, row: &Row, answers: String) -> Self {
        let is_said = told.says(&subject.name, used) || told.says_of_its_columns(subject, used);
        let kind = if is_said { Kind::Said } else { Kind::Silent };
        Self { kind, used: Some(used.clone()), row: Some(row.clone()), ..Self::about(subject, told, answers) }
    }

    /// Of a column that was written.
    pub(super) fn of_column(subject: &Subject, column: &str, told: &Told, row: &Row, answers: String) -> Self {
        let kind = if told.says_of_column(&subject.name, column) { Kind::Said } else { Kind::Silent };
        Self { kind, row: Some(row.clone()), ..Self::about(subject, told, answers) }
    }

    /// Of a table that broke a run.
    pub(super) fn late(subject: Subject, told: Option<&Told>, failure: String) -> Self {
        let nothing = Told::default();
        Self { kind: Kind::Late, ..Self::about(&subject, told.unwrap_or(&nothing), failure) }
    }

    fn about(subject: &Subject, told: &Told, answers: String) -> Self {
        Self {
            kind: Kind::Silent,
            subject: subject.clone(),
            used: None,
            row: None,
            statements: told.statements(&subject.name).to_vec(),
            notes: told.notes(&subject.name).to_vec(),
            answers,
            smallest: None,
        }
    }

    /// What the target was given for the use: the lines that have its name.
    fn at_target(&self) -> String {
        let lines = self.statements.iter().flat_map(|statement| statement.lines());
        let Some(used) = &self.used else { return lines.map(|line| format!("\n    {line}")).collect() };
        let object = used.object(&self.subject.name);
        // The names of checks have the run's stamp behind them.
        lines
            .filter(|line| names(&line.replace(&format!("{object}_"), &format!("{object} ")), &object))
            .map(|line| format!("\n    {}", line.trim()))
            .collect()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, subject, used, row, answers, smallest, .. } = self;
        writeln!(f, "{kind:?}: {answers}")?;
        writeln!(f, "  source: {}", subject.create())?;
        match used {
            Some(used) => writeln!(f, "    {}", used.statement(&subject.name))?,
            None => {
                for used in &subject.uses {
                    writeln!(f, "    {}", used.statement(&subject.name))?;
                }
            }
        }
        writeln!(f, "  target:{}", self.at_target())?;
        for note in &self.notes {
            writeln!(f, "  said: {note}")?;
        }
        if let Some(row) = row {
            writeln!(f, "  row: {:?}", row.iter().map(|v| v.as_ref().map(|v| v.source.as_str())).collect::<Vec<_>>())?;
        }
        if let Some(smallest) = smallest {
            writeln!(f, "  smallest: {smallest}")?;
        }
        Ok(())
    }
}
