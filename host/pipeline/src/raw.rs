//! TOML as it was written: values with their places, read one by one, every mistake noted and none fatal.

use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::Diagnostic;
use crate::suggestion::did_you_mean;

/// The mistakes found so far.
pub(crate) struct Report<'t> {
    pub(crate) text: &'t str,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Report<'_> {
    pub(crate) fn add(&mut self, span: Range<usize>, code: &str, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::new(self.text, span, code, message, None));
    }

    pub(crate) fn add_with_help(
        &mut self,
        span: Range<usize>,
        code: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.diagnostics.push(Diagnostic::new(self.text, span, code, message, Some(help.into())));
    }
}

/// A table with its place.
#[derive(Clone)]
pub(crate) struct Section<'d> {
    entries: &'d DeTable<'d>,
    pub(crate) span: Range<usize>,
    /// How messages call it: `[tables]`, `stage 3`.
    pub(crate) name: String,
}

/// A value with its place.
#[derive(Clone)]
pub(crate) struct Field<'d> {
    value: &'d DeValue<'d>,
    pub(crate) span: Range<usize>,
    /// How messages call it: `include`.
    pub(crate) name: String,
}

impl<'d> Section<'d> {
    pub(crate) fn new(entries: &'d DeTable<'d>, span: Range<usize>, name: impl Into<String>) -> Self {
        Self { entries, span, name: name.into() }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Field<'d>> {
        self.entries.get(key).map(|value| Field::new(value, key))
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&self, key: &str, report: &mut Report<'_>) -> Option<Field<'d>> {
        let field = self.get(key);
        if field.is_none() {
            report.add(self.span.clone(), "pipeline.missing-key", format!("{} has no key `{key}`", self.name));
        }
        field
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (Field<'d>, Range<usize>)> {
        self.entries.iter().map(|(key, value)| (Field::new(value, key.get_ref().as_ref()), key.span()))
    }

    /// Notes every key that is not one of these.
    pub(crate) fn refuse_others(&self, known: &[&str], report: &mut Report<'_>) {
        for key in self.entries.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            report.add_with_help(
                key.span(),
                "pipeline.unknown-key",
                format!("{} has no key `{}`", self.name, key.get_ref()),
                did_you_mean(key.get_ref(), known),
            );
        }
    }
}

impl<'d> Field<'d> {
    fn new(value: &'d Spanned<DeValue<'d>>, name: impl Into<String>) -> Self {
        Self { value: value.get_ref(), span: value.span(), name: name.into() }
    }

    fn wrong_type<T>(&self, wanted: &str, report: &mut Report<'_>) -> Option<T> {
        let message = format!("`{}` must be {wanted}, not {}", self.name, kind(self.value));
        report.add(self.span.clone(), "pipeline.wrong-type", message);
        None
    }

    pub(crate) fn text(&self, report: &mut Report<'_>) -> Option<&'d str> {
        match self.value {
            DeValue::String(text) => Some(text.as_ref()),
            _ => self.wrong_type("a string", report),
        }
    }

    pub(crate) fn boolean(&self, report: &mut Report<'_>) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong_type("true or false", report),
        }
    }

    pub(crate) fn number(&self, report: &mut Report<'_>) -> Option<f64> {
        match self.value {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse().ok(),
            _ => self.wrong_type("a number", report),
        }
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    pub(crate) fn list(&self, report: &mut Report<'_>) -> Option<Vec<Self>> {
        match self.value {
            DeValue::Array(items) => {
                let entry = |(n, item)| Self::new(item, format!("{}[{n}]", self.name));
                Some(items.iter().enumerate().map(entry).collect())
            }
            _ => self.wrong_type("a list", report),
        }
    }

    /// A list of strings; what is none is noted and left out.
    pub(crate) fn texts(&self, report: &mut Report<'_>) -> Option<Vec<(&'d str, Range<usize>)>> {
        let items = match self.value {
            DeValue::Array(_) => self.list(report)?,
            _ => return self.wrong_type("a list of strings", report),
        };
        Some(items.iter().filter_map(|item| Some((item.text(report)?, item.span.clone()))).collect())
    }

    pub(crate) fn section(&self, name: impl Into<String>, report: &mut Report<'_>) -> Option<Section<'d>> {
        match self.value {
            DeValue::Table(entries) => Some(Section::new(entries, self.span.clone(), name)),
            _ => self.wrong_type("a table", report),
        }
    }

    /// The value as JSON, and for every value in it its place under its JSON pointer.
    pub(crate) fn json(
        &self,
        pointer: &str,
        places: &mut Vec<(String, Range<usize>)>,
        report: &mut Report<'_>,
    ) -> Option<Value> {
        places.push((pointer.to_owned(), self.span.clone()));
        match self.value {
            DeValue::String(text) => {
                refuse_variable(text, &self.span, report);
                Some(Value::String(text.as_ref().to_owned()))
            }
            DeValue::Boolean(value) => Some(Value::Bool(*value)),
            DeValue::Datetime(value) => Some(Value::String(value.to_string())),
            DeValue::Integer(integer) => {
                let (digits, radix) = (integer.as_str(), integer.radix());
                let number = i64::from_str_radix(digits, radix)
                    .map(Value::from)
                    .or_else(|_| u64::from_str_radix(digits, radix).map(Value::from));
                number.map_or_else(|_| self.wrong_type("a number that fits 64 bits", report), Some)
            }
            DeValue::Float(float) => {
                let number = float.as_str().parse().ok().and_then(serde_json::Number::from_f64);
                if number.is_none() {
                    let message = format!("`{}` must be a finite number", self.name);
                    report.add(self.span.clone(), "pipeline.wrong-type", message);
                }
                number.map(Value::Number)
            }
            DeValue::Array(items) => items
                .iter()
                .enumerate()
                .map(|(n, item)| {
                    Field::new(item, format!("{}[{n}]", self.name)).json(&format!("{pointer}/{n}"), places, report)
                })
                .collect::<Vec<Option<Value>>>()
                .into_iter()
                .collect::<Option<Vec<Value>>>()
                .map(Value::Array),
            DeValue::Table(entries) => entries
                .iter()
                .map(|(key, item)| {
                    let key = key.get_ref();
                    let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                    let value = Field::new(item, key.as_ref()).json(&pointer, places, report);
                    value.map(|value| (key.as_ref().to_owned(), value))
                })
                .collect::<Vec<Option<_>>>()
                .into_iter()
                .collect::<Option<serde_json::Map<_, _>>>()
                .map(Value::Object),
        }
    }
}

/// Variables are for the URLs of databases, whose values are kept as secrets. Anywhere else one would end up
/// in plans and logs, or not be replaced where its author believes that it is.
pub(crate) fn refuse_variable(text: &str, span: &Range<usize>, report: &mut Report<'_>) {
    if text.contains("${env:") || text.contains("${file:") {
        report.add(
            span.clone(),
            "pipeline.variable-not-allowed",
            "`${env:…}` and `${file:…}` are replaced in the URLs of databases only",
        );
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
