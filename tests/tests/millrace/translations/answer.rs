//! Values as both servers show them, brought into one form in which only their meaning counts.

use serde_json::Value;

use super::choices::Choices;
use super::sample::Family;

/// How a column of a declared type is read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) name: String,
    family: Family,
    declared: String,
    choices: Choices,
}

impl Reading {
    /// `family` is the expression's; the declared type has the last word.
    pub(super) fn of(name: &str, declared: &str, family: Family, choices: Choices) -> Self {
        Self { name: name.to_owned(), family: shown_as(declared, family), declared: declared.to_owned(), choices }
    }

    /// The source's select item.
    pub(super) fn at_source(&self) -> String {
        let name = &self.name;
        match self.family {
            Family::Json if self.declared == "pair" => format!("row_to_json({name})::text"),
            Family::Integers | Family::Texts => format!("to_json({name})::text"),
            Family::Bytes => format!("encode({name}, 'hex')"),
            Family::Uuid => format!("replace({name}::text, '-', '')"),
            // As a text it would have its netmask, as a value it has none.
            Family::Inet => name.clone(),
            Family::Interval if self.choices.interval_as_microseconds => {
                format!("(extract(epoch FROM {name}) * 1000000)::bigint::text")
            }
            Family::TimestampTz => format!("({name} AT TIME ZONE 'UTC')::text"),
            _ => format!("{name}::text"),
        }
    }

    /// The target's select item.
    pub(super) fn at_target(&self) -> String {
        let name = &self.name;
        match self.family {
            Family::Bytes => format!("LOWER(HEX({name}))"),
            Family::Uuid if self.choices.uuid_as_bytes => format!("LOWER(HEX({name}))"),
            Family::Uuid => format!("REPLACE({name}, '-', '')"),
            Family::TimestampTz if self.choices.timestamp => {
                format!("CONVERT_TZ({name}, @@session.time_zone, '+00:00')")
            }
            Family::Bits if !self.choices.bits_as_text => format!("LPAD(BIN({name} + 0), 4, '0')"),
            _ => name.clone(),
        }
    }

    /// The value in one form for both. None: NULL.
    pub(super) fn canonical(&self, text: Option<&str>) -> Option<String> {
        let text = text?;
        Some(match self.family {
            Family::Integer | Family::Decimal => number(text),
            Family::Float => {
                text.parse::<f64>().map_or_else(|_| text.to_owned(), |double| format!("{:e}", double + 0.0))
            }
            Family::Boolean => match text {
                "t" | "true" => "1".to_owned(),
                "f" | "false" => "0".to_owned(),
                other => other.to_owned(),
            },
            Family::Timestamp | Family::TimestampTz | Family::Time => without_zeros(text),
            Family::Json | Family::Integers | Family::Texts => {
                serde_json::from_str::<Value>(text).map_or_else(|_| text.to_owned(), |value| sorted(&value))
            }
            // The server takes either case.
            Family::Uuid => text.to_lowercase(),
            Family::Text if self.declared.starts_with("char(") => text.trim_end_matches(' ').to_owned(),
            _ => text.to_owned(),
        })
    }
}

/// The family of a declared type; a text where it has none of its own.
pub(super) fn family_of(declared: &str) -> Family {
    shown_as(declared, Family::Text)
}

fn shown_as(declared: &str, family: Family) -> Family {
    let base = declared.split([' ', '(']).next().unwrap_or_default();
    match base {
        "integer[]" => Family::Integers,
        "text[]" => Family::Texts,
        "smallint" | "integer" | "bigint" | "domain_integer" => Family::Integer,
        "numeric" => Family::Decimal,
        "float8" | "real" => Family::Float,
        "boolean" => Family::Boolean,
        "text" | "varchar" | "char" | "name" | "domain_text" | "\"char\"" => Family::Text,
        "mood" => Family::Enum,
        "date" => Family::Date,
        "timestamp" => Family::Timestamp,
        "timestamptz" => Family::TimestampTz,
        "time" => Family::Time,
        "interval" => Family::Interval,
        "uuid" => Family::Uuid,
        "bytea" => Family::Bytes,
        "json" | "jsonb" | "pair" => Family::Json,
        "bit" => Family::Bits,
        "inet" => Family::Inet,
        _ => family,
    }
}

/// A number without zeros that say nothing.
fn number(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return text.to_owned();
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    match (whole, fraction) {
        ("0", "") => "0".to_owned(),
        (whole, "") => format!("{sign}{whole}"),
        (whole, fraction) => format!("{sign}{whole}.{fraction}"),
    }
}

fn without_zeros(text: &str) -> String {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    }
}

/// A document with its keys in order.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), sorted(value))).collect();
            entries.sort();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(sorted).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_meaning_counts() {
        let of = |declared: &str, text: &str| {
            Reading::of("a", declared, Family::Text, Choices::default()).canonical(Some(text)).unwrap()
        };
        assert_eq!(of("numeric(9,2)", "-01.50"), of("numeric(9,2)", "-1.5"));
        assert_eq!(of("numeric(9,2)", "-0.00"), of("numeric(9,2)", "0"));
        assert_ne!(of("numeric(9,2)", "1.51"), of("numeric(9,2)", "1.5"));
        assert_eq!(of("float8", "1e+20"), of("float8", "100000000000000000000"));
        assert_eq!(of("float8", "-0"), of("float8", "0"));
        assert_ne!(of("float8", "0.3333333333333333"), of("float8", "0.333333333"));
        assert_eq!(of("boolean", "true"), of("boolean", "1"));
        assert_eq!(of("timestamp", "2020-01-01 00:00:00.5"), of("timestamp", "2020-01-01 00:00:00.500000"));
        assert_eq!(of("timestamp", "2020-01-01 00:00:00"), of("timestamp", "2020-01-01 00:00:00.000000"));
        assert_eq!(of("jsonb", "{\"b\": 1, \"a\": 2}"), of("jsonb", "{\"a\":2,\"b\":1}"));
        assert_eq!(of("char(3)", "a  "), of("char(3)", "a"));
        assert_ne!(of("text", "a  "), of("text", "a"));
    }
}
