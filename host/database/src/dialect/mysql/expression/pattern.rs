//! Regular expressions: PostgreSQL's advanced ones, as ICU's and PCRE's say the same.
//!
//! Whether a text matches is all that is asked, so that what is lazy and what is greedy is one. A pattern is read into
//! its parts, and each part is printed in the one way in which both sides read it:
//!
//! - `$` is `\z`: there it also stands before a last line end. `.` is `[\s\S]`: there it takes no line end.
//! - Letter case is spelled out for ASCII: there `k` is the Kelvin sign's, and `ss` is `ß`.
//! - Classes of letters, digits and blanks depend on the source's locale. They are spelled out where that says which
//!   characters they have: all of them in the locale "C", digits in those of the operating system. Others are refused.

use super::Untranslatable;
use super::scope::Letters;
use super::translate::refuse;

/// How letters are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Sensitive,
    Insensitive,
}

/// The pattern as the target reads it.
pub(super) fn translated(pattern: &str, case: Case, letters: Letters) -> Result<String, Untranslatable> {
    if pattern.starts_with("***") {
        return refuse("its regular expression sets options");
    }
    let mut reader = Reader { rest: pattern.chars().collect(), at: 0, case, letters, depth: 0 };
    let said = reader.branches()?;
    if reader.at < reader.rest.len() {
        return refuse("a parenthesis closes in its regular expression that was not opened");
    }
    Ok(if said.is_empty() { "(?:)".to_owned() } else { said })
}

struct Reader {
    rest: Vec<char>,
    at: usize,
    case: Case,
    letters: Letters,
    depth: u32,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn takes(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    fn branches(&mut self) -> Result<String, Untranslatable> {
        let mut said = self.branch()?;
        while self.takes('|') {
            said.push('|');
            said.push_str(&self.branch()?);
        }
        Ok(said)
    }

    fn branch(&mut self) -> Result<String, Untranslatable> {
        let mut said = String::new();
        while let Some(next) = self.peek().filter(|next| !matches!(next, '|' | ')')) {
            if matches!(next, '*' | '+' | '?') {
                return refuse(format!("{next} repeats nothing in its regular expression"));
            }
            self.at += 1;
            let is_anchor = matches!(next, '^' | '$');
            said.push_str(&self.atom(next)?);
            let repeats = self.repeats()?;
            if is_anchor && !repeats.is_empty() {
                return refuse("an anchor is repeated in its regular expression");
            }
            said.push_str(&repeats);
        }
        Ok(said)
    }

    fn atom(&mut self, first: char) -> Result<String, Untranslatable> {
        Ok(match first {
            '^' => "^".to_owned(),
            '$' => "\\z".to_owned(),
            '.' => "[\\s\\S]".to_owned(),
            '[' => self.class()?,
            '(' => self.group()?,
            '\\' => match self.peek() {
                None => return refuse("its regular expression ends in a backslash"),
                Some(shorthand @ ('d' | 'w' | 's' | 'D' | 'W' | 'S')) => {
                    self.at += 1;
                    let opening = if shorthand.is_ascii_uppercase() { "[^" } else { "[" };
                    format!("{opening}{}]", self.named(shorthand_of(shorthand))?)
                }
                Some(escaped) if escaped.is_alphanumeric() => return refuse_escape(escaped),
                Some(escaped) => {
                    self.at += 1;
                    self.plain(escaped)?
                }
            },
            // A brace that no digit follows is one.
            '{' if self.peek().is_some_and(|next| next.is_ascii_digit()) => {
                return refuse("a count repeats nothing in its regular expression");
            }
            plain => self.plain(plain)?,
        })
    }

    fn group(&mut self) -> Result<String, Untranslatable> {
        let mut opening = "(";
        if self.takes('?') {
            if !self.takes(':') {
                return refuse("groups with options are read otherwise in regular expressions there");
            }
            opening = "(?:";
        }
        if self.depth == 50 {
            return refuse("the groups of its regular expression are too deep");
        }
        self.depth += 1;
        let inside = self.branches()?;
        self.depth -= 1;
        if !self.takes(')') {
            return refuse("a parenthesis is not closed in its regular expression");
        }
        Ok(format!("{opening}{inside})"))
    }

    /// `*`, `+`, `?` and counts; how eager they are does not matter.
    fn repeats(&mut self) -> Result<String, Untranslatable> {
        let said = match self.peek() {
            Some(sign @ ('*' | '+' | '?')) => {
                self.at += 1;
                sign.to_string()
            }
            Some('{') if self.peek_at(1).is_some_and(|next| next.is_ascii_digit()) => self.count()?,
            _ => return Ok(String::new()),
        };
        self.takes('?');
        if matches!(self.peek(), Some('*' | '+' | '?'))
            || (self.peek() == Some('{') && self.peek_at(1).is_some_and(|next| next.is_ascii_digit()))
        {
            return refuse("something is repeated twice in its regular expression");
        }
        Ok(said)
    }

    fn count(&mut self) -> Result<String, Untranslatable> {
        let from = self.at;
        while self.peek().is_some_and(|next| next != '}') {
            self.at += 1;
        }
        let inside: String = self.rest[from + 1..self.at].iter().collect();
        let is_count = |part: &str| part.parse::<u16>().is_ok_and(|count| count <= 255);
        let good = match inside.split_once(',') {
            None => is_count(&inside),
            Some((least, "")) => is_count(least),
            Some((least, most)) => {
                is_count(least) && is_count(most) && least.parse::<u16>().ok() <= most.parse::<u16>().ok()
            }
        };
        if !self.takes('}') || !good {
            return refuse("a count in its regular expression is not understood");
        }
        Ok(format!("{{{inside}}}"))
    }

    /// What stands between brackets.
    fn class(&mut self) -> Result<String, Untranslatable> {
        let mut said = String::from(if self.takes('^') { "[^" } else { "[" });
        let mut is_first = true;
        loop {
            let Some(next) = self.peek() else {
                return refuse("a bracket is not closed in its regular expression");
            };
            self.at += 1;
            if next == ']' && !is_first {
                break;
            }
            is_first = false;
            if let Some(members) = self.class_within(next)? {
                said.push_str(members);
                continue;
            }
            let low = self.member(next)?;
            let is_range = self.peek() == Some('-') && self.peek_at(1).is_some_and(|after| after != ']');
            if !is_range {
                said.push_str(&self.members(low, low)?);
                continue;
            }
            self.at += 1;
            let next = self.peek().unwrap_or_default();
            self.at += 1;
            let high = self.member(next)?;
            if high < low {
                return refuse("a range in its regular expression runs backwards");
            }
            said.push_str(&self.members(low, high)?);
        }
        said.push(']');
        Ok(said)
    }

    /// A class within brackets: `\d`, `[:digit:]`. None: it is a character.
    fn class_within(&mut self, next: char) -> Result<Option<&'static str>, Untranslatable> {
        let name = match (next, self.peek()) {
            ('\\', Some(shorthand @ ('d' | 'w' | 's'))) => {
                self.at += 1;
                shorthand_of(shorthand).to_owned()
            }
            ('[', Some(':')) => {
                let from = self.at + 1;
                let length = self.rest[from..].iter().take_while(|c| c.is_ascii_lowercase()).count();
                self.at = from + length;
                if !self.takes(':') || !self.takes(']') {
                    return refuse("a class in its regular expression is not understood");
                }
                self.rest[from..from + length].iter().collect()
            }
            _ => return Ok(None),
        };
        if self.peek() == Some('-') && self.peek_at(1) != Some(']') {
            return refuse("a range in its regular expression begins with a class");
        }
        self.named(&name).map(Some)
    }

    /// The characters of a class, within brackets.
    fn named(&self, class: &str) -> Result<&'static str, Untranslatable> {
        let is_known = self.letters == Letters::Ascii || (self.letters == Letters::AsciiDigits && class == "digit");
        let is_cased = self.case == Case::Insensitive && matches!(class, "lower" | "upper");
        let members = match class {
            "digit" => "0-9",
            "alpha" => "A-Za-z",
            "alnum" => "A-Za-z0-9",
            "word" => "A-Za-z0-9_",
            "upper" => "A-Z",
            "lower" => "a-z",
            "xdigit" => "0-9A-Fa-f",
            "space" => "\\t-\\r\\x20",
            "blank" => "\\t\\x20",
            "punct" => "!-/:-@\\[-`\\{-~",
            _ => return refuse(format!("there is no class [[:{class}:]] in regular expressions there")),
        };
        match is_known && !is_cased {
            true => Ok(members),
            false => refuse(format!("which characters the class [[:{class}:]] has depends on the source's locale")),
        }
    }

    fn member(&mut self, next: char) -> Result<char, Untranslatable> {
        match next {
            '[' if matches!(self.peek(), Some(':' | '.' | '=')) => {
                refuse("a collating element of its regular expression depends on the source's locale")
            }
            '\\' => match self.peek() {
                None => refuse("a bracket is not closed in its regular expression"),
                Some(escaped) if escaped.is_alphanumeric() => refuse_escape(escaped),
                Some(escaped) => {
                    self.at += 1;
                    Ok(escaped)
                }
            },
            plain => Ok(plain),
        }
    }

    /// A range within brackets, with the other case of its letters.
    fn members(&self, low: char, high: char) -> Result<String, Untranslatable> {
        let mut said = range(low, high);
        if self.case == Case::Insensitive {
            self.require_ascii(low)?;
            self.require_ascii(high)?;
            for (from, to, shift) in [('a', 'z', -32), ('A', 'Z', 32)] {
                let (from, to) = (low.max(from), high.min(to));
                let other = |c: char| u32::from(c).checked_add_signed(shift).and_then(char::from_u32);
                if let (true, Some(from), Some(to)) = (from <= to, other(from), other(to)) {
                    said.push_str(&range(from, to));
                }
            }
        }
        Ok(said)
    }

    /// One character outside of brackets.
    fn plain(&self, letter: char) -> Result<String, Untranslatable> {
        if self.case == Case::Sensitive {
            return Ok(escaped(letter));
        }
        self.require_ascii(letter)?;
        Ok(match letter.is_ascii_alphabetic() {
            true => format!("[{}{}]", letter.to_ascii_lowercase(), letter.to_ascii_uppercase()),
            false => escaped(letter),
        })
    }

    /// Letters beyond ASCII have other cases on either side.
    fn require_ascii(&self, letter: char) -> Result<(), Untranslatable> {
        let is_turkic = self.letters == Letters::Turkic && letter.is_ascii_alphabetic();
        if letter.is_ascii() && !is_turkic {
            return Ok(());
        }
        refuse(format!("the letter case of {letter} is another one in regular expressions there"))
    }
}

/// The class that an escape is short for.
fn shorthand_of(escaped: char) -> &'static str {
    match escaped.to_ascii_lowercase() {
        'd' => "digit",
        's' => "space",
        _ => "word",
    }
}

/// A range within brackets; ICU reads more there than PostgreSQL: `&&`, `--`, `[`, `[:`.
fn range(low: char, high: char) -> String {
    let member = |letter: char| match letter {
        '-' | '&' | ':' | '~' | '#' => format!("\\{letter}"),
        other => escaped(other),
    };
    if low == high { member(low) } else { format!("{}-{}", member(low), member(high)) }
}

/// A character that means itself.
fn escaped(letter: char) -> String {
    match letter {
        '\\' | '^' | '$' | '.' | '[' | ']' | '|' | '(' | ')' | '*' | '+' | '?' | '{' | '}' => format!("\\{letter}"),
        plain => plain.to_string(),
    }
}

fn refuse_escape<T>(escaped: char) -> Result<T, Untranslatable> {
    refuse(format!("\\{escaped} is read otherwise in regular expressions there"))
}
