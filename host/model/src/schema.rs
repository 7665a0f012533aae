//! A database's schema at one instant.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Facts by name, for what the types have no field for.
pub type Properties = BTreeMap<String, String>;

/// The schema of a database at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseModel {
    /// `postgres`, `oceanbase`, `mysql`, `mariadb`.
    pub dialect: String,
    /// As the server says it: `18.4`, `5.7.25-OceanBase seekdb-v1.4.0.0`.
    pub version: String,
    /// In order of schema and name.
    pub tables: Vec<Table>,
    /// What is no table: views, sequences, routines, triggers, extensions, enum and domain types.
    pub objects: Vec<Object>,
}

impl DatabaseModel {
    /// The table of this name.
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.tables.iter().find(|t| t.name == *name)
    }
}

/// A table's name within its database. In MySQL's dialects, whose schema is the database itself, the
/// schema is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// Empty where the dialect has none below the database.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub schema: String,
    /// As the catalog spells it, unquoted.
    pub name: String,
}

impl TableName {
    /// `schema` may be empty.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// A name in a dialect without schemas.
    pub fn bare(name: impl Into<String>) -> Self {
        Self::new("", name)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.schema.is_empty() { f.write_str(&self.name) } else { write!(f, "{}.{}", self.schema, self.name) }
    }
}

/// One table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// In their order.
    pub columns: Vec<Column>,
    /// The primary key among them.
    #[serde(default)]
    pub indexes: Vec<Index>,
    /// Those that this table declares.
    #[serde(default)]
    pub foreign_keys: Vec<ForeignKey>,
    /// Those of table and columns alike; NOT NULL is a column's.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// None: no comment.
    #[serde(default)]
    pub comment: Option<String>,
    /// The catalog's estimate.
    #[serde(default)]
    pub estimated_rows: u64,
    /// The catalog's estimate, without indexes.
    #[serde(default)]
    pub estimated_bytes: u64,
    /// `partition-by` (`RANGE (created_at)`), `partitions` (JSON list of names and bounds) …
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub properties: Properties,
}

impl Table {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The primary key.
    pub fn primary_key(&self) -> Option<&Index> {
        self.indexes.iter().find(|i| i.kind == IndexKind::Primary)
    }

    /// The columns of the key that identifies a row: the primary key's, else those of the first unique index
    /// that is total (no predicate, no expression, no prefix) and has no nullable column. Empty: there is none.
    pub fn key_columns(&self) -> Vec<String> {
        let total = |index: &&Index| {
            index.predicate.is_none()
                && index.parts.iter().all(|part| {
                    part.is_column
                        && part.prefix.is_none()
                        && self
                            .column(&part.expression)
                            .is_some_and(|c| !c.nullable && c.generated_expression.is_none())
                })
        };
        self.primary_key()
            .or_else(|| self.indexes.iter().filter(|i| i.kind == IndexKind::Unique).find(total))
            .map(|i| i.parts.iter().map(|p| p.expression.clone()).collect())
            .unwrap_or_default()
    }
}

/// How values of a column lie in memory. Closed and final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// One bit a row, least significant first.
    Bits,
    /// Two bytes a row.
    Int16,
    /// Four bytes a row.
    Int32,
    /// Eight bytes a row.
    Int64,
    /// IEEE 754 single.
    Float32,
    /// IEEE 754 double.
    Float64,
    /// So many bytes a row.
    Fixed,
    /// Offsets and bytes.
    #[default]
    Varlen,
}

/// What the values of a column mean, and how they lie in memory.
///
/// | name | layout | a value is |
/// |---|---|---|
/// | `boolean` | bits | true or false |
/// | `integer` | int16, int32, int64 | two's complement; params `bits`, `unsigned` (`true`) |
/// | `float` | float32, float64 | IEEE 754 |
/// | `decimal` | varlen | decimal text without exponent: `-12.50`, also `NaN`, `Infinity`, `-Infinity`; params `precision`, `scale` when declared |
/// | `text` | varlen | UTF-8; params `length` (characters) when declared, `fixed` (`true`) for `char(n)` |
/// | `bytes` | varlen | bytes; params `length` when declared |
/// | `date` | int32 | days since 1970-01-01; the largest and smallest value are ±infinity |
/// | `time` | int64 | microseconds since midnight (24:00 allowed) |
/// | `timestamp` | int64 | microseconds since 1970-01-01 00:00 of no zone; the largest and smallest value are ±infinity |
/// | `timestamp-tz` | int64 | microseconds since 1970-01-01 00:00 UTC; infinities as above |
/// | `time-tz`, `interval` | varlen | text as the source database prints it |
/// | `uuid` | fixed (16) | the sixteen bytes |
/// | `json` | varlen | JSON text; params `binary` (`true`) for `jsonb` |
/// | `enum` | varlen | the label; params `labels` (JSON list), `type` |
/// | `array` | varlen | JSON text, nested for several dimensions; params `element` (a logical name) |
/// | any other | varlen | the text that the source database prints |
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogicalType {
    /// One of the table above, or any other name: the set is open.
    pub name: String,
    /// Facts by name; `domain` names the domain that a base type came from.
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub params: Properties,
    /// How the values lie in memory.
    pub layout: Layout,
}

impl LogicalType {
    /// A type without parameters.
    pub fn new(name: impl Into<String>, layout: Layout) -> Self {
        Self { name: name.into(), params: Properties::new(), layout }
    }

    /// The same type with one more parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }

    /// A parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    /// A parameter that is a number.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.param(name).and_then(|v| v.parse().ok())
    }
}

/// One column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// As the catalog spells it, unquoted.
    pub name: String,
    /// The type as its database spells it: `numeric(12,2)`, `decimal(12,2) unsigned`.
    pub declared: String,
    /// What the values mean.
    pub logical: LogicalType,
    /// False: NOT NULL.
    pub nullable: bool,
    /// SQL of the column's own dialect. None: no default.
    #[serde(default)]
    pub default_expression: Option<String>,
    /// SQL of the column's own dialect. None: an ordinary column.
    #[serde(default)]
    pub generated_expression: Option<String>,
    /// Numbers itself: identity, serial, AUTO_INCREMENT.
    #[serde(default)]
    pub identity: bool,
    /// None: the database's default, or not a text.
    #[serde(default)]
    pub collation: Option<String>,
    /// None: no comment.
    #[serde(default)]
    pub comment: Option<String>,
    /// `generated` (`stored` or `virtual`), `identity` (`always`, `by-default`, `serial`), `sequence`
    /// (its name), `on-update` (MySQL's) …
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub properties: Properties,
}

impl Column {
    /// Whether a statement may insert into it: its own server computes a generated one.
    pub fn is_written(&self) -> bool {
        self.generated_expression.is_none()
    }
}

/// What an index promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndexKind {
    /// The primary key.
    Primary,
    /// No two rows with the same parts.
    Unique,
    /// Only speed.
    Plain,
}

/// One part of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPart {
    /// A column's name, or an expression in the dialect's SQL.
    pub expression: String,
    /// Which of the two it is.
    pub is_column: bool,
    /// Sorted downwards.
    #[serde(default)]
    pub descending: bool,
    /// Only so many characters or bytes of it (MySQL).
    #[serde(default)]
    pub prefix: Option<u32>,
}

/// One index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name; `PRIMARY` for MySQL's primary keys.
    pub name: String,
    /// What it promises.
    pub kind: IndexKind,
    /// `btree`, `gin`, `hnsw` …
    pub method: String,
    /// In their order.
    pub parts: Vec<IndexPart>,
    /// Of a partial index: SQL of its dialect.
    #[serde(default)]
    pub predicate: Option<String>,
    /// `include` (JSON list of columns), `constraint` (`true` when it belongs to one), `deferrable` …
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub properties: Properties,
}

/// One foreign key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its name.
    pub name: String,
    /// The referring columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub references: TableName,
    /// Its columns, in the order of `columns`.
    pub referenced_columns: Vec<String>,
    /// `NO ACTION`, `RESTRICT`, `CASCADE`, `SET NULL`, `SET DEFAULT`.
    pub on_delete: String,
    /// The same words.
    pub on_update: String,
    /// Checked at the end of a transaction, where asked.
    #[serde(default)]
    pub deferrable: bool,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// SQL of its dialect, without the word CHECK.
    pub expression: String,
}

/// What is no table, carried by name and definition: kind `view`, `materialized-view`, `sequence`, `routine`,
/// `trigger`, `extension`, `enum`, `domain`, `policy`, `rule` …
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// What it is.
    pub kind: String,
    /// Its name; of a trigger: `table.trigger` in its schema.
    pub name: TableName,
    /// Its definition, as the database gives it.
    pub definition: String,
}
