//! What PostgreSQL's built-in types mean, and what their type modifiers say.

use millrace_plugin_sdk::model::{Layout, LogicalType};

/// Names that have a meaning of their own in a model; a user's type of such a name is called by its schema too.
const RESERVED: &[&str] = &[
    "boolean",
    "integer",
    "float",
    "decimal",
    "text",
    "bytes",
    "date",
    "time",
    "timestamp",
    "timestamp-tz",
    "time-tz",
    "interval",
    "uuid",
    "json",
    "enum",
    "array",
    "bit",
    "money",
];

/// A type of `pg_catalog` by its internal name (`int4`, `bpchar`), with a column's type modifier (-1: none).
pub(crate) fn built_in(name: &str, modifier: i32) -> LogicalType {
    match name {
        "bool" => LogicalType::new("boolean", Layout::Bits),
        "int2" => integer(Layout::Int16, 16),
        "int4" => integer(Layout::Int32, 32),
        "int8" => integer(Layout::Int64, 64),
        "oid" => integer(Layout::Int64, 32).with("unsigned", "true"),
        "float4" => LogicalType::new("float", Layout::Float32),
        "float8" => LogicalType::new("float", Layout::Float64),
        "numeric" => decimal(modifier),
        "text" => varlen("text"),
        "varchar" => with_length(varlen("text"), modifier),
        "bpchar" => with_length(varlen("text"), modifier).with("fixed", "true"),
        "char" => varlen("text").with("length", "1"),
        "name" => varlen("text").with("length", "63"),
        "bytea" => varlen("bytes"),
        "date" => LogicalType::new("date", Layout::Int32),
        "time" => with_precision(LogicalType::new("time", Layout::Int64), modifier),
        "timestamp" => with_precision(LogicalType::new("timestamp", Layout::Int64), modifier),
        "timestamptz" => with_precision(LogicalType::new("timestamp-tz", Layout::Int64), modifier),
        "timetz" => with_precision(varlen("time-tz"), modifier),
        "uuid" => LogicalType::new("uuid", Layout::Fixed),
        "json" => varlen("json"),
        "jsonb" => varlen("json").with("binary", "true"),
        "bit" => with_bits(varlen("bit"), modifier),
        "varbit" => with_bits(varlen("bit"), modifier).with("varying", "true"),
        other => varlen(other),
    }
}

/// A type that is not PostgreSQL's own, by its schema and name: an extension's or a user's.
pub(crate) fn foreign(schema: &str, name: &str, modifier: i32) -> LogicalType {
    match name {
        "citext" => varlen("citext"),
        "vector" | "halfvec" | "sparsevec" => match modifier {
            1.. => varlen(name).with("dimensions", modifier.to_string()),
            _ => varlen(name),
        },
        taken if RESERVED.contains(&taken) => varlen(&format!("{schema}.{taken}")),
        other => varlen(other),
    }
}

fn varlen(name: &str) -> LogicalType {
    LogicalType::new(name, Layout::Varlen)
}

fn integer(layout: Layout, bits: u8) -> LogicalType {
    LogicalType::new("integer", layout).with("bits", bits.to_string())
}

/// Length-limited texts count a header of four bytes into their modifier.
fn with_length(logical: LogicalType, modifier: i32) -> LogicalType {
    match modifier {
        5.. => logical.with("length", (modifier - 4).to_string()),
        _ => logical,
    }
}

/// Bit strings do not.
fn with_bits(logical: LogicalType, modifier: i32) -> LogicalType {
    match modifier {
        1.. => logical.with("length", modifier.to_string()),
        _ => logical,
    }
}

/// Fractional digits of seconds.
fn with_precision(logical: LogicalType, modifier: i32) -> LogicalType {
    match modifier {
        0.. => logical.with("precision", modifier.to_string()),
        _ => logical,
    }
}

/// Precision in the upper half; scale in the lower eleven bits, signed since PostgreSQL 15.
fn decimal(modifier: i32) -> LogicalType {
    let decimal = varlen("decimal");
    if modifier < 4 {
        return decimal;
    }
    let packed = modifier - 4;
    let precision = (packed >> 16) & 0xffff;
    let scale = ((packed & 0x7ff) ^ 1024) - 1024;
    decimal.with("precision", precision.to_string()).with("scale", scale.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(logical: &LogicalType) -> Vec<(&str, &str)> {
        logical.params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
    }

    fn numeric_modifier(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7ff)) + 4
    }

    #[test]
    fn numbers_say_how_wide_they_are() {
        assert_eq!(built_in("int2", -1).layout, Layout::Int16);
        assert_eq!(params(&built_in("int8", -1)), [("bits", "64")]);
        let oid = built_in("oid", -1);
        assert_eq!((oid.name.as_str(), oid.layout), ("integer", Layout::Int64));
        assert_eq!(params(&oid), [("bits", "32"), ("unsigned", "true")]);
    }

    #[test]
    fn a_numeric_has_the_precision_and_scale_that_were_declared() {
        assert!(params(&built_in("numeric", -1)).is_empty());
        assert_eq!(params(&built_in("numeric", numeric_modifier(12, 2))), [("precision", "12"), ("scale", "2")]);
        assert_eq!(
            params(&built_in("numeric", numeric_modifier(1000, 1000))),
            [("precision", "1000"), ("scale", "1000")]
        );
    }

    #[test]
    fn a_numeric_may_round_before_the_point_or_have_more_scale_than_digits() {
        assert_eq!(params(&built_in("numeric", numeric_modifier(3, -2))), [("precision", "3"), ("scale", "-2")]);
        assert_eq!(params(&built_in("numeric", numeric_modifier(3, 5))), [("precision", "3"), ("scale", "5")]);
    }

    #[test]
    fn texts_have_the_length_in_characters() {
        assert_eq!(params(&built_in("varchar", 24)), [("length", "20")]);
        assert!(params(&built_in("varchar", -1)).is_empty());
        assert_eq!(params(&built_in("bpchar", 9)), [("fixed", "true"), ("length", "5")]);
        assert_eq!(params(&built_in("char", -1)), [("length", "1")]);
    }

    #[test]
    fn bits_and_seconds_have_no_header_in_their_modifier() {
        assert_eq!(params(&built_in("bit", 3)), [("length", "3")]);
        assert_eq!(params(&built_in("varbit", 9)), [("length", "9"), ("varying", "true")]);
        assert_eq!(params(&built_in("timestamptz", 0)), [("precision", "0")]);
        assert!(params(&built_in("timestamp", -1)).is_empty());
    }

    #[test]
    fn a_users_type_does_not_pass_for_one_that_has_a_meaning() {
        assert_eq!(foreign("public", "vector", 3).param("dimensions"), Some("3"));
        assert_eq!(foreign("public", "citext", -1).name, "citext");
        assert_eq!(foreign("sales", "uuid", -1).name, "sales.uuid");
        assert_eq!(foreign("public", "hstore", -1).name, "hstore");
    }
}
