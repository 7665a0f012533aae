//! Ranges come as JSON objects, multiranges as arrays of them; they leave as JSON, as the source's text, or as columns.

use millrace_plugin_sdk::build::{BytesBuilder, Int32Builder, Int64Builder, TextBuilder};
use millrace_plugin_sdk::columnar::{Array, calendar, decimal};
use millrace_plugin_sdk::kind::Converted;
use millrace_plugin_sdk::model::{Column, Failure, Layout};
use serde::Deserialize;
use serde_json::Value;

use super::Checked;
use super::outcome::{Outcome, shortened};
use super::temporal;

/// One range, as the host reads it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Range {
    empty: bool,
    lower: Option<Value>,
    upper: Option<Value>,
    lower_inc: bool,
    upper_inc: bool,
}

impl Range {
    /// `[)`, `empty` …
    fn bounds(&self) -> String {
        if self.empty {
            return "empty".to_owned();
        }
        let lower = if self.lower_inc { '[' } else { '(' };
        let upper = if self.upper_inc { ']' } else { ')' };
        format!("{lower}{upper}")
    }

    /// As PostgreSQL prints it.
    fn text(&self) -> String {
        if self.empty {
            return "empty".to_owned();
        }
        let mut out = String::from(if self.lower_inc { '[' } else { '(' });
        push_bound(self.lower.as_ref(), &mut out);
        out.push(',');
        push_bound(self.upper.as_ref(), &mut out);
        out.push(if self.upper_inc { ']' } else { ')' });
        out
    }
}

fn bound_text(bound: &Value) -> String {
    match bound {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn push_bound(bound: Option<&Value>, out: &mut String) {
    let Some(bound) = bound else { return };
    let text = bound_text(bound);
    let is_special = |c: char| c.is_ascii_whitespace() || matches!(c, '"' | '\\' | '(' | ')' | '[' | ']' | ',');
    if !text.is_empty() && !text.contains(is_special) {
        out.push_str(&text);
        return;
    }
    out.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            out.push(character);
        }
        out.push(character);
    }
    out.push('"');
}

fn read<'a, T: Deserialize<'a>>(input: &'a Array, row: usize, column: &Checked) -> Result<Option<T>, Failure> {
    if input.is_null(row) {
        return Ok(None);
    }
    serde_json::from_slice(input.bytes(row)).map(Some).map_err(|e| {
        Failure::internal("convert.layout-mismatch", format!("column {} holds no range: {e}", column.name))
            .with("column", column.name.clone())
    })
}

/// The source's text of ranges.
pub(crate) fn texts(input: &Array, column: &Checked) -> Result<Converted, Failure> {
    let mut builder = TextBuilder::with_capacity(input.rows, input.rows * 24);
    for row in 0..input.rows {
        let range: Option<Range> = read(input, row, column)?;
        builder.push_option(range.map(|range| range.text()).as_deref());
    }
    Ok(Converted { outputs: vec![builder.finish()], rejects: Vec::new() })
}

/// The source's text of multiranges.
pub(crate) fn multirange_texts(input: &Array, column: &Checked) -> Result<Converted, Failure> {
    let mut builder = TextBuilder::with_capacity(input.rows, input.rows * 24);
    for row in 0..input.rows {
        let ranges: Option<Vec<Range>> = read(input, row, column)?;
        let text = ranges.map(|ranges| {
            let texts: Vec<String> = ranges.iter().map(Range::text).collect();
            format!("{{{}}}", texts.join(","))
        });
        builder.push_option(text.as_deref());
    }
    Ok(Converted { outputs: vec![builder.finish()], rejects: Vec::new() })
}

/// Makes one column of bounds.
enum Bounds {
    Integers(Int64Builder),
    Days(Int32Builder),
    Instants(Int64Builder),
    Decimals(BytesBuilder),
    Texts(BytesBuilder),
}

impl Bounds {
    fn of(column: &Column, rows: usize) -> Self {
        match (column.logical.name.as_str(), column.logical.layout) {
            ("integer", Layout::Int64) => Self::Integers(Int64Builder::with_capacity(rows)),
            ("date", Layout::Int32) => Self::Days(Int32Builder::with_capacity(rows)),
            ("timestamp", Layout::Int64) => Self::Instants(Int64Builder::with_capacity(rows)),
            ("decimal", Layout::Varlen) => Self::Decimals(BytesBuilder::default()),
            _ => Self::Texts(BytesBuilder::default()),
        }
    }

    /// False: the bound is no value of the target's; a NULL stands in its place.
    fn push(&mut self, bound: Option<&Value>) -> bool {
        let text = bound.map(bound_text);
        let text = text.as_deref();
        match self {
            Self::Integers(to) => push(to, text, |t| t.parse().ok(), Int64Builder::push_option),
            Self::Days(to) => push(
                to,
                text,
                |t| calendar::read_date(t.as_bytes()).filter(|days| temporal::is_day(*days)),
                Int32Builder::push_option,
            ),
            Self::Instants(to) => push(
                to,
                text,
                |t| {
                    let (smallest, largest) = temporal::range("datetime(6)");
                    let text = t.strip_suffix("+00").unwrap_or(t);
                    calendar::read_timestamp(text.as_bytes()).filter(|i| (smallest..=largest).contains(i))
                },
                Int64Builder::push_option,
            ),
            Self::Decimals(to) => push(
                to,
                text,
                |t| decimal::digits(t.as_bytes()).filter(|d| d.integer <= 35 && d.scale <= 30).map(|_| t.to_owned()),
                |to, text| to.push_option(text.as_deref().map(str::as_bytes)),
            ),
            Self::Texts(to) => push(
                to,
                text,
                |t| Some(t.to_owned()),
                |to, text| {
                    to.push_option(text.as_deref().map(str::as_bytes));
                },
            ),
        }
    }

    fn finish(self) -> Array {
        match self {
            Self::Integers(to) | Self::Instants(to) => to.finish(),
            Self::Days(to) => to.finish(),
            Self::Decimals(to) | Self::Texts(to) => to.finish(),
        }
    }
}

fn push<B, T>(
    to: &mut B,
    text: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
    push: impl Fn(&mut B, Option<T>),
) -> bool {
    let value = text.and_then(read);
    let known = value.is_some() == text.is_some();
    push(to, value);
    known
}

/// Two columns of bounds, and one of which of them belong to the range.
pub(crate) fn columns(input: &Array, targets: &[Column], column: &Checked) -> Result<Converted, Failure> {
    let [lower, upper, _] = targets else {
        return Err(Failure::internal(
            "convert.unknown-conversion",
            format!("column {} does not become three columns", column.name),
        ));
    };
    let mut bounds = [Bounds::of(lower, input.rows), Bounds::of(upper, input.rows)];
    let mut flags = TextBuilder::with_capacity(input.rows, input.rows * 2);
    let mut outcome = Outcome::new(input, column);
    for row in 0..input.rows {
        let range: Option<Range> = read(input, row, column)?;
        let ends = range.as_ref().map_or((None, None), |range| (range.lower.as_ref(), range.upper.as_ref()));
        let known = [bounds[0].push(ends.0), bounds[1].push(ends.1)];
        flags.push_option(range.as_ref().map(Range::bounds).as_deref());
        if let (Some(range), true) = (&range, known.contains(&false)) {
            let value = range.text();
            let message = format!(
                "column {}: {} has a bound that is no value of {} in the target",
                column.name,
                shortened(&value),
                column.declared
            );
            outcome.reject(row, "convert.out-of-range", message, &value);
        }
    }
    let [lower, upper] = bounds.map(Bounds::finish);
    Ok(Converted { outputs: vec![lower, upper, flags.finish()], rejects: outcome.into_rejects() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_spelled_as_its_database_prints_it() {
        let spelled = |json: &str| serde_json::from_str::<Range>(json).expect("a range").text();
        assert_eq!(spelled(r#"{"empty":true}"#), "empty");
        assert_eq!(spelled(r#"{"lower":1,"upper":5,"lower_inc":true,"upper_inc":false}"#), "[1,5)");
        assert_eq!(spelled(r#"{"lower":null,"upper":"1.50","lower_inc":false,"upper_inc":true}"#), "(,1.50]");
        assert_eq!(
            spelled(r#"{"lower":"2024-01-01 00:00:00","upper":null,"lower_inc":true,"upper_inc":false}"#),
            r#"["2024-01-01 00:00:00",)"#
        );
        assert_eq!(spelled(r#"{"lower":"","upper":"a\"b\\","lower_inc":true,"upper_inc":true}"#), r#"["","a""b\\"]"#);
    }
}
