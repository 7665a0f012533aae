//! Types that the pipeline gives to columns: `cast = { "public.t.c" = "DECIMAL(30,8)" }`.
//!
//! A cast says what the target's column is; whether each value fits is looked at row by row ([`crate::convert`]), so that
//! a cast that narrows rejects what it would change and changes nothing. Casts between types of which no value could be
//! read as the other are refused while planning.

use millrace_plugin_sdk::model::{Column, Failure, Layout, LogicalType, TableName};

use crate::map::Decision;

/// The property of a target column that says that its values are cast, and not converted as usual.
pub(crate) const FORM: (&str, &str) = ("convert", "cast");

/// What the target's type holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Boolean,
    Integer {
        bits: u32,
        unsigned: bool,
    },
    Decimal {
        precision: u32,
        scale: u32,
    },
    Double,
    /// Characters; or bytes in UTF-8, where there is no length.
    Text {
        characters: Option<u32>,
        bytes: u64,
    },
    Bytes {
        at_most: u64,
    },
    Date,
    /// Digits of the fraction of a second.
    Datetime {
        digits: u32,
    },
    Timestamp {
        digits: u32,
    },
    Time {
        digits: u32,
    },
    Json,
    Vector {
        dimensions: u32,
    },
}

/// A type as a person writes it: `DECIMAL(30, 8)`, `bigint unsigned`.
struct Written {
    word: String,
    arguments: Vec<u32>,
    unsigned: bool,
}

/// None: it is not written like a type.
fn read(declared: &str) -> Option<Written> {
    let declared = declared.trim().to_ascii_lowercase();
    let end = declared.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(declared.len());
    let (word, rest) = declared.split_at(end);
    let rest = rest.trim_start();
    let (arguments, rest) = match rest.strip_prefix('(') {
        None => (Vec::new(), rest),
        Some(inside) => {
            let (inside, rest) = inside.split_once(')')?;
            let numbers: Result<Vec<u32>, _> = inside.split(',').map(|n| n.trim().parse()).collect();
            (numbers.ok()?, rest)
        }
    };
    let unsigned = match rest.trim() {
        "" => false,
        "unsigned" => true,
        _ => return None,
    };
    Some(Written { word: word.to_owned(), arguments, unsigned })
}

/// The type, its spelling as the target reads it back, and what it means. None: it is no type that values are cast to.
fn target(written: &Written) -> Option<(Holds, String, LogicalType)> {
    let varlen = |name: &str| LogicalType::new(name, Layout::Varlen);
    let first = written.arguments.first().copied();
    let unsigned = written.unsigned;
    let integer = |bits: u32, word: &str| {
        let logical = LogicalType::new("integer", Layout::Int64).with("bits", bits.to_string());
        let (declared, logical) = match unsigned {
            true => (format!("{word} unsigned"), logical.with("unsigned", "true")),
            false => (word.to_owned(), logical),
        };
        (Holds::Integer { bits, unsigned }, declared, logical)
    };
    let large = |word: &str, bytes: u64| {
        let logical =
            if bytes == u64::from(u32::MAX) { varlen("text") } else { varlen("text").with("bytes", bytes.to_string()) };
        (Holds::Text { characters: None, bytes }, word.to_owned(), logical)
    };
    let blob = |word: &str, bytes: u64| (Holds::Bytes { at_most: bytes }, word.to_owned(), varlen("bytes"));
    let digits = first.unwrap_or(0);
    if digits > 6 && matches!(written.word.as_str(), "datetime" | "timestamp" | "time") {
        return None;
    }
    Some(match written.word.as_str() {
        "bool" | "boolean" => (Holds::Boolean, "tinyint(1)".to_owned(), LogicalType::new("boolean", Layout::Bits)),
        "tinyint" if first == Some(1) && !unsigned => {
            (Holds::Boolean, "tinyint(1)".to_owned(), LogicalType::new("boolean", Layout::Bits))
        }
        "tinyint" => integer(8, "tinyint"),
        "smallint" => integer(16, "smallint"),
        "mediumint" => integer(24, "mediumint"),
        "int" | "integer" => integer(32, "int"),
        "bigint" => integer(64, "bigint"),
        "decimal" | "numeric" if !unsigned => {
            let (precision, scale) = (first.unwrap_or(10), written.arguments.get(1).copied().unwrap_or(0));
            if !(1..=65).contains(&precision) || scale > 30 || scale > precision {
                return None;
            }
            let logical = varlen("decimal").with("precision", precision.to_string()).with("scale", scale.to_string());
            (Holds::Decimal { precision, scale }, format!("decimal({precision},{scale})"), logical)
        }
        "double" => (Holds::Double, "double".to_owned(), LogicalType::new("float", Layout::Float64)),
        "varchar" => {
            let characters = first.filter(|n| (1..=262_144).contains(n))?;
            let logical = varlen("text").with("length", characters.to_string());
            let bytes = u64::from(characters) * 4;
            (Holds::Text { characters: Some(characters), bytes }, format!("varchar({characters})"), logical)
        }
        "text" => large("text", 65_535),
        "mediumtext" => large("mediumtext", 16_777_215),
        "longtext" => large("longtext", u64::from(u32::MAX)),
        "varbinary" => {
            let bytes = first.filter(|n| *n >= 1)?;
            let logical = varlen("bytes").with("length", bytes.to_string());
            (Holds::Bytes { at_most: bytes.into() }, format!("varbinary({bytes})"), logical)
        }
        "blob" => blob("blob", 65_535),
        "mediumblob" => blob("mediumblob", 16_777_215),
        "longblob" => blob("longblob", u64::from(u32::MAX)),
        "date" => (Holds::Date, "date".to_owned(), LogicalType::new("date", Layout::Int32)),
        "datetime" => (Holds::Datetime { digits }, with_digits("datetime", digits), instant("timestamp", digits)),
        "timestamp" => (Holds::Timestamp { digits }, with_digits("timestamp", digits), instant("timestamp-tz", digits)),
        "time" => (Holds::Time { digits }, with_digits("time", digits), instant("time", digits)),
        "json" => (Holds::Json, "json".to_owned(), varlen("json").with("binary", "true")),
        "vector" => {
            let dimensions = first.filter(|n| (1..=16_000).contains(n))?;
            let logical = varlen("vector").with("dimensions", dimensions.to_string());
            (Holds::Vector { dimensions }, format!("vector({dimensions})"), logical)
        }
        _ => return None,
    })
}

fn with_digits(word: &str, digits: u32) -> String {
    if digits == 0 { word.to_owned() } else { format!("{word}({digits})") }
}

fn instant(name: &str, digits: u32) -> LogicalType {
    LogicalType::new(name, Layout::Int64).with("precision", digits.to_string())
}

/// What a target column that [`decide`] made holds.
pub(crate) fn holds(declared: &str) -> Option<Holds> {
    read(declared).and_then(|written| target(&written)).map(|(holds, _, _)| holds)
}

/// The decision about a column that the pipeline gives a type.
///
/// # Errors
/// `convert.cast-unsupported`: the type is none of the target's, or no value of the column could be one.
pub(crate) fn decide(table: &TableName, column: &Column, declared: &str) -> Result<Decision, Failure> {
    let refuse = |why: String| {
        Failure::config("convert.cast-unsupported", format!("the cast of {table}.{} to {declared} {why}", column.name))
            .with("table", table.to_string())
            .with("column", column.name.clone())
    };
    let known = read(declared).and_then(|written| target(&written));
    let (holds, spelled, logical) =
        known.ok_or_else(|| refuse("is not understood: it names no type that values are cast to".to_owned()))?;
    if !is_possible(&column.logical, holds) {
        return Err(refuse(format!("is not possible: no value of {} could be read as one", column.declared)));
    }
    if column.identity && !matches!(holds, Holds::Integer { .. }) {
        return Err(refuse("is not possible: the column numbers itself, and only whole numbers do".to_owned()));
    }
    let decision = Decision::converted(spelled, logical, "asked for; values that would change are rejected");
    Ok(decision.formed(FORM.0, FORM.1))
}

/// Whether some value of the source's type could be one of the target's.
fn is_possible(source: &LogicalType, holds: Holds) -> bool {
    let bytes = matches!(holds, Holds::Bytes { .. });
    match source.name.as_str() {
        "bytes" => bytes,
        "uuid" => bytes || matches!(holds, Holds::Text { .. }),
        "boolean" | "integer" | "decimal" | "money" | "float" => matches!(
            holds,
            Holds::Boolean | Holds::Integer { .. } | Holds::Decimal { .. } | Holds::Double | Holds::Text { .. }
        ),
        "date" | "timestamp" | "timestamp-tz" => {
            matches!(holds, Holds::Date | Holds::Datetime { .. } | Holds::Timestamp { .. } | Holds::Text { .. })
        }
        "time" => matches!(holds, Holds::Time { .. } | Holds::Text { .. }),
        "json" | "array" => matches!(holds, Holds::Json | Holds::Text { .. }),
        "vector" | "halfvec" => matches!(holds, Holds::Vector { .. } | Holds::Json | Holds::Text { .. }),
        // Whatever comes as text may say anything.
        _ => !bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(declared: &str) -> Option<String> {
        read(declared).and_then(|written| target(&written)).map(|(_, spelled, _)| spelled)
    }

    #[test]
    fn types_are_spelled_as_they_are_read_back() {
        for (written, expected) in [
            ("DECIMAL(30,8)", "decimal(30,8)"),
            ("numeric( 30 , 8 )", "decimal(30,8)"),
            ("Int(11)", "int"),
            ("BIGINT UNSIGNED", "bigint unsigned"),
            ("bool", "tinyint(1)"),
            ("datetime", "datetime"),
            ("DATETIME(3)", "datetime(3)"),
            ("varchar(40)", "varchar(40)"),
        ] {
            assert_eq!(spelled(written).as_deref(), Some(expected), "{written}");
        }
        for wrong in [
            "",
            "decimal(66,2)",
            "decimal(3,5)",
            "varchar",
            "datetime(7)",
            "set('a')",
            "int; drop table t",
            "blob(",
            "vector",
        ] {
            assert_eq!(spelled(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn casts_of_which_no_value_comes_true_are_refused_by_name() {
        let column = Column {
            name: "c".to_owned(),
            declared: "bytea".to_owned(),
            logical: LogicalType::new("bytes", Layout::Varlen),
            ..Column::default()
        };
        let refused = decide(&TableName::new("public", "t"), &column, "INT").err().expect("refused");
        assert_eq!(refused.code, "convert.cast-unsupported");
        assert!(refused.message.contains("public.t.c") && refused.message.contains("bytea"), "{refused}");
        assert!(decide(&TableName::new("public", "t"), &column, "VARBINARY(9)").is_ok());
    }
}
