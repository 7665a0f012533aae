//! JSON documents: what OceanBase's JSON would change is rejected.
//!
//! It keeps an object's members in its own order and of equal names the last, numbers as whole numbers of 64 bits or
//! doubles, and no surrogate alone. `jsonb` and arrays have unique names already; `json` is the text as it was written.

use millrace_plugin_sdk::columnar::{Array, Values};
use millrace_plugin_sdk::kind::Converted;
use millrace_plugin_sdk::model::Failure;

use super::Checked;
use super::number::survives;
use super::outcome::{Outcome, unchanged, wrong_layout};

/// Arrays and objects within each other that the target takes.
const DEPTH_AT_MOST: usize = 500;

/// Whether an object's names are known to be unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    AreUnique,
    MayRepeat,
}

/// Which arrays of the source are JSON arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Those of several dimensions too.
    pub(crate) nested: bool,
    /// The elements' own JSON may begin like an array.
    pub(crate) elements_nest: bool,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wrong {
    Number(String),
    DuplicateKey(String),
    Unsupported(&'static str),
    Shape(&'static str),
}

/// Arrays, which come as JSON: those whose indexes do not begin with 1 as an object with their bounds.
pub(crate) fn arrays(input: &Array, shape: Shape, column: &Checked) -> Result<Converted, Failure> {
    each(input, column, |scan, text| {
        if text.first() == Some(&b'{') {
            return Err(Wrong::Shape("its indexes do not begin with 1, or it has several dimensions of documents"));
        }
        if text.starts_with(b"[[") && !shape.nested && !shape.elements_nest {
            return Err(Wrong::Shape("it has several dimensions"));
        }
        scan.document(text, Names::AreUnique)
    })
}

pub(crate) fn documents(input: &Array, names: Names, column: &Checked) -> Result<Converted, Failure> {
    each(input, column, |scan, text| scan.document(text, names))
}

fn each(
    input: &Array,
    column: &Checked,
    check: impl Fn(&mut Scan, &[u8]) -> Result<(), Wrong>,
) -> Result<Converted, Failure> {
    let Values::Varlen { offsets, data } = &input.values else { return Err(wrong_layout(&column.name, "varlen")) };
    let mut scan = Scan::default();
    let mut outcome = None;
    for row in 0..input.rows {
        if input.is_null(row) {
            continue;
        }
        let text = &data[offsets[row] as usize..offsets[row + 1] as usize];
        if let Err(wrong) = check(&mut scan, text) {
            let value = String::from_utf8_lossy(text);
            let (code, what) = match wrong {
                Wrong::Number(number) => {
                    ("convert.json-number", format!("the number {number} loses digits in JSON there"))
                }
                Wrong::DuplicateKey(key) => {
                    ("convert.json-duplicate-key", format!("the key {key} stands twice in one object"))
                }
                Wrong::Unsupported(what) => ("convert.json-unsupported", what.to_owned()),
                Wrong::Shape(what) => ("convert.array-shape", format!("the array is no list: {what}")),
            };
            let message = format!("column {}: {what}", column.name);
            outcome.get_or_insert_with(|| Outcome::new(input, column)).reject(row, code, message, &value);
        }
    }
    Ok(match outcome {
        None => unchanged(input),
        Some(outcome) => outcome.finish(input.values.clone()),
    })
}

/// Buffers that documents share.
#[derive(Default)]
struct Scan {
    /// For each open bracket: None for an array, else where its names begin in `names`.
    open: Vec<Option<usize>>,
    names: Vec<Vec<u8>>,
}

impl Scan {
    /// One pass. The source guarantees that the text is JSON; what is not is refused all the same where it is seen.
    fn document(&mut self, text: &[u8], names: Names) -> Result<(), Wrong> {
        self.open.clear();
        self.names.clear();
        let mut at = 0;
        while at < text.len() {
            match text[at] {
                b'"' => {
                    let end = string_end(text, at)?;
                    if names == Names::MayRepeat {
                        self.name(text, at, end);
                    }
                    at = end;
                }
                b'-' | b'0'..=b'9' => {
                    let end = number_end(text, at);
                    if !survives(&text[at..end]) {
                        return Err(Wrong::Number(String::from_utf8_lossy(&text[at..end]).into_owned()));
                    }
                    at = end;
                }
                bracket @ (b'{' | b'[') => {
                    if self.open.len() == DEPTH_AT_MOST {
                        return Err(Wrong::Unsupported("it is nested deeper than JSON may be there"));
                    }
                    self.open.push((bracket == b'{').then_some(self.names.len()));
                    at += 1;
                }
                b'}' | b']' => {
                    if let Some(Some(first)) = self.open.pop() {
                        self.unique_from(first)?;
                    }
                    at += 1;
                }
                _ => at += 1,
            }
        }
        if text.is_empty() { Err(Wrong::Unsupported("an empty text is no JSON")) } else { Ok(()) }
    }

    /// Keeps a string that a colon follows.
    fn name(&mut self, text: &[u8], start: usize, end: usize) {
        let follows = text[end..].iter().find(|b| !b.is_ascii_whitespace());
        if follows == Some(&b':') && matches!(self.open.last(), Some(Some(_))) {
            self.names.push(unescaped(&text[start + 1..end - 1]));
        }
    }

    fn unique_from(&mut self, first: usize) -> Result<(), Wrong> {
        self.names[first..].sort_unstable();
        let repeated = self.names[first..].windows(2).find(|pair| pair[0] == pair[1]);
        let wrong = repeated.map(|pair| Wrong::DuplicateKey(String::from_utf8_lossy(&pair[0]).into_owned()));
        self.names.truncate(first);
        wrong.map_or(Ok(()), Err)
    }
}

/// The place after the closing quote.
fn string_end(text: &[u8], start: usize) -> Result<usize, Wrong> {
    let mut at = start + 1;
    loop {
        let plain = text[at..].iter().position(|b| matches!(b, b'"' | b'\\'));
        at += plain.ok_or(Wrong::Unsupported("a string in it does not end"))?;
        if text[at] == b'"' {
            return Ok(at + 1);
        }
        match unit(text, at) {
            None => at += 2,
            Some(high @ 0xd800..0xdc00) => {
                if !matches!(unit(text, at + 6), Some(0xdc00..0xe000)) {
                    return Err(lone_surrogate(high));
                }
                at += 12;
            }
            Some(low @ 0xdc00..0xe000) => return Err(lone_surrogate(low)),
            Some(_) => at += 6,
        }
        if at > text.len() {
            return Err(Wrong::Unsupported("a string in it does not end"));
        }
    }
}

fn lone_surrogate(_unit: u32) -> Wrong {
    Wrong::Unsupported("a surrogate stands alone in a string, which is no character")
}

/// The code unit of an escape `\uXXXX` at this place.
fn unit(text: &[u8], at: usize) -> Option<u32> {
    let escape = text.get(at..at + 6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn number_end(text: &[u8], start: usize) -> usize {
    let length = text[start..].iter().position(|b| !matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    length.map_or(text.len(), |length| start + length)
}

/// A name without its escapes: `a` and `\u0061` are one.
fn unescaped(name: &[u8]) -> Vec<u8> {
    if !name.contains(&b'\\') {
        return name.to_vec();
    }
    let quoted = [b"\"", name, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => text.into_bytes(),
        Err(_) => name.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str, names: Names) -> Result<(), Wrong> {
        Scan::default().document(text.as_bytes(), names)
    }

    #[test]
    fn documents_that_survive_pass() {
        for text in [
            "null",
            "{}",
            r#"{"a": [1, 2.50, {"a": -0.1e3}], "b": "1e999"}"#,
            r#""\ud83d\ude00 \\ \" \u0001""#,
            r#"{"a": {"a": {"a": 1}}, "b": {"a": 1}}"#,
        ] {
            assert_eq!(scan(text, Names::MayRepeat), Ok(()), "{text}");
        }
    }

    #[test]
    fn repeated_names_are_found_within_one_object_only() {
        let repeated = |key: &str| Err(Wrong::DuplicateKey(key.to_owned()));
        assert_eq!(scan(r#"{"a":1,"a":2}"#, Names::MayRepeat), repeated("a"));
        assert_eq!(scan(r#"[{"x":{"b":1,"a":3,"\u0062":2}}]"#, Names::MayRepeat), repeated("b"));
        assert_eq!(scan(r#"[{"a":"a"},{"a":"a"}]"#, Names::MayRepeat), Ok(()));
        assert_eq!(scan(r#"{"a":1,"a":2}"#, Names::AreUnique), Ok(()));
    }

    #[test]
    fn what_json_there_would_change_is_refused() {
        assert!(matches!(scan("[12345678901234567890123]", Names::AreUnique), Err(Wrong::Number(_))));
        assert!(matches!(scan(r#""\ud83d""#, Names::AreUnique), Err(Wrong::Unsupported(_))));
        assert!(matches!(scan(r#""\ud83dx""#, Names::AreUnique), Err(Wrong::Unsupported(_))));
        assert!(matches!(scan(r#""\udc00""#, Names::AreUnique), Err(Wrong::Unsupported(_))));
        assert!(matches!(scan("\"open", Names::AreUnique), Err(Wrong::Unsupported(_))));
        assert!(matches!(scan("\"open\\", Names::AreUnique), Err(Wrong::Unsupported(_))));
        assert!(matches!(scan(&"[".repeat(501), Names::AreUnique), Err(Wrong::Unsupported(_))));
    }
}
