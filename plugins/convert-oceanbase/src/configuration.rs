//! The stage's `config` table: choices for all columns, other choices for named ones, and casts.

use std::collections::BTreeMap;

use millrace_plugin_sdk::model::{Column, TableName};
use schemars::JsonSchema;
use serde::Deserialize;

/// Writes down each choice once: as a key with a default for all columns, and as one that named columns may override.
macro_rules! choices {
    ($($(#[doc = $doc:literal])+ $name:ident: $choice:ty,)+) => {
        /// What the pipeline chooses. Every key has a default.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct Configuration {
            $($(#[doc = $doc])+ pub $name: $choice,)+
            /// Other choices for single columns, by `schema.table.column` or `table.column`, with `*` for any run of
            /// characters: `{ "public.audit_*.payload" = { json = "text" } }`. The longest name that fits wins.
            pub columns: BTreeMap<String, Overrides>,
            /// The target's type of single columns, by name as in `columns`: `{ "public.t.c" = "DECIMAL(30,8)" }`.
            /// Values that would change are rejected.
            pub cast: BTreeMap<String, String>,
        }

        /// Choices for named columns: what is left out is as for all columns.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct Overrides {
            $($(#[doc = $doc])+ pub $name: Option<$choice>,)+
        }

        impl Configuration {
            /// The choices for one column.
            pub(crate) fn of(&self, table: &TableName, column: &Column) -> Choices {
                let overrides = longest(&self.columns, table, &column.name);
                Choices { $($name: overrides.and_then(|o| o.$name).unwrap_or(self.$name),)+ }
            }
        }

        /// The choices that hold for one column.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Choices {
            $(pub(crate) $name: $choice,)+
        }
    };
}

choices! {
    /// What becomes of NaN, of infinities, and of dates before year 1 or after year 9999.
    infinity: Infinity,
    /// What `numeric` without precision becomes.
    numeric: NumericAs,
    /// What `json` and `jsonb` become.
    json: JsonAs,
    /// What `uuid` becomes.
    uuid: UuidAs,
    /// What `timestamp with time zone` becomes.
    timestamptz: TimestamptzAs,
    /// What texts without a length become that are in no key and no index.
    text: TextAs,
    /// What arrays become.
    array: ArrayAs,
    /// What ranges and multiranges become.
    range: RangeAs,
    /// What `interval` becomes.
    interval: IntervalAs,
    /// What `bit(n)` becomes.
    bit: BitAs,
    /// What enums become.
    r#enum: EnumAs,
    /// What rows within a row, and `hstore`, become.
    composite: CompositeAs,
    /// What becomes of `tsvector` and `tsquery`.
    search: SearchAs,
    /// What generated columns become.
    generated: GeneratedAs,
}

impl Configuration {
    /// The type that the pipeline gives a column. None: it leaves that to the converter.
    pub(crate) fn cast_of(&self, table: &TableName, column: &str) -> Option<&str> {
        longest(&self.cast, table, column).map(String::as_str)
    }
}

/// What is said of a column by the longest name that fits.
fn longest<'a, T>(named: &'a BTreeMap<String, T>, table: &TableName, column: &str) -> Option<&'a T> {
    let short = format!("{}.{column}", table.name);
    let full = format!("{}.{short}", table.schema);
    let fitting = named.iter().filter(|(name, _)| fits(name, &full) || fits(name, &short));
    fitting.max_by_key(|(name, _)| name.len()).map(|(_, said)| said)
}

/// Whether a name, in which `*` stands for any run of characters, fits a text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| fits(rest, &text[at..]))
}

/// Values that the target does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Infinity {
    /// The row is rejected.
    #[default]
    Reject,
    /// NULL; the row is rejected where the column is NOT NULL.
    Null,
    /// The largest or smallest value of the target's type; NaN has no nearest value and is rejected.
    Clamp,
}

/// `numeric` without precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NumericAs {
    /// DECIMAL as wide as the values need, or a text where none is wide enough.
    #[default]
    Profile,
    /// The exact text.
    Text,
}

/// `json` and `jsonb`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JsonAs {
    /// JSON; documents that would not survive it are rejected.
    #[default]
    Json,
    /// LONGTEXT, as the source prints it.
    Text,
}

/// `uuid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UuidAs {
    /// CHAR(36).
    #[default]
    Char,
    /// BINARY(16).
    Binary,
}

/// `timestamp with time zone`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimestamptzAs {
    /// DATETIME(6) that holds UTC.
    #[default]
    Datetime,
    /// TIMESTAMP(6): from 1970 to 2038, shown in the session's time zone.
    Timestamp,
}

/// Texts without a length, in no key and no index. Those that are in one become VARCHAR as long as the values need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TextAs {
    /// MEDIUMTEXT, or LONGTEXT where a value is longer than that holds.
    #[default]
    Profile,
    /// MEDIUMTEXT: 16 MiB a value.
    Mediumtext,
    /// LONGTEXT: 512 MiB a value.
    Longtext,
}

/// Arrays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArrayAs {
    /// A JSON array. Arrays of several dimensions, and those whose indexes do not begin with 1, are rejected.
    #[default]
    Json,
    /// A JSON array, nested for several dimensions. Those whose indexes do not begin with 1 are rejected.
    Nested,
    /// JSON text in LONGTEXT: nested for several dimensions, an object with `bounds` and `values` where indexes do not
    /// begin with 1.
    Text,
}

/// Ranges and multiranges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RangeAs {
    /// JSON: `{"lower": …, "upper": …, "lower_inc": true, "upper_inc": false}`, or `{"empty": true}`; a bound that is
    /// not there is null. A multirange is an array of them.
    #[default]
    Json,
    /// The text that the source prints, such as `[1,5)`. So are ranges in keys and indexes.
    Text,
    /// Columns `NAME_lower`, `NAME_upper` and `NAME_bounds`, which holds `[)`, `empty` …; multiranges become JSON.
    Columns,
}

/// `interval`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IntervalAs {
    /// VARCHAR in ISO 8601: `P1Y2M3DT4H5M6.5S`.
    #[default]
    Text,
    /// BIGINT microseconds, a day being 24 hours. Intervals with months or years, which have no such length, are
    /// rejected.
    Microseconds,
}

/// `bit(n)`. Longer ones than 64 bits, and `bit varying`, become texts of 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BitAs {
    /// BIT(n).
    #[default]
    Bit,
    /// VARCHAR(n) of 0 and 1.
    Text,
}

/// Enums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EnumAs {
    /// ENUM with the labels in their order.
    #[default]
    Enum,
    /// VARCHAR.
    Text,
}

/// Rows within a row, and `hstore`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CompositeAs {
    /// A JSON object.
    #[default]
    Json,
    /// The JSON object's text in LONGTEXT: numbers of any length survive there.
    Text,
}

/// `tsvector` and `tsquery`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SearchAs {
    /// Dropped: the target searches texts by indexes of its own.
    #[default]
    Drop,
    /// LONGTEXT, as the source prints it.
    Text,
}

/// Generated columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GeneratedAs {
    /// Generated by the same expression, where the target has one that means the same; else plain.
    #[default]
    Generated,
    /// A plain column: the values are copied, and from then on applications write them.
    Plain,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Configuration {
        serde_json::from_str(json).expect("a configuration")
    }

    fn of(configuration: &Configuration, table: &str, column: &str) -> Choices {
        let column = Column { name: column.to_owned(), ..Column::default() };
        configuration.of(&TableName::new("public", table), &column)
    }

    #[test]
    fn named_columns_choose_otherwise_and_the_longest_name_wins() {
        let configuration = parsed(
            r#"{"json": "text", "columns": {"public.*": {"uuid": "binary"}, "public.t.c": {"json": "json"}, "u.d": {"enum": "text"}}}"#,
        );
        assert_eq!(of(&configuration, "t", "c"), Choices { json: JsonAs::Json, ..Choices::default() });
        assert_eq!(of(&configuration, "t", "d").uuid, UuidAs::Binary);
        assert_eq!(of(&configuration, "t", "d").json, JsonAs::Text);
        // `public.*` is longer than `u.d`.
        assert_eq!(of(&configuration, "u", "d").r#enum, EnumAs::Enum);
    }

    #[test]
    fn a_cast_is_named_like_a_column() {
        let configuration = parsed(r#"{"cast": {"public.t.c": "DECIMAL(30,8)", "*.flag": "tinyint(1)"}}"#);
        let table = TableName::new("public", "t");
        assert_eq!(configuration.cast_of(&table, "c"), Some("DECIMAL(30,8)"));
        assert_eq!(configuration.cast_of(&table, "flag"), Some("tinyint(1)"));
        assert_eq!(configuration.cast_of(&table, "d"), None);
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        assert!(fits("*", "a.b") && fits("a*c", "abc") && fits("a*c", "ac") && fits("*ü*", "xüy"));
        assert!(!fits("a*c", "ab") && !fits("a", "ab") && !fits("", "a"));
    }
}
