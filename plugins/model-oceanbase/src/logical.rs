//! What MySQL's types mean, read from how a column is declared: `decimal(12,2) unsigned`, `enum('a','b')`.

use millrace_plugin_sdk::model::{Layout, LogicalType};
use millrace_plugin_sdk::serde_json::json;

use crate::Server;

/// A declared type, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Declared<'a> {
    /// In small letters: `decimal`.
    word: String,
    /// What stands in its parentheses: `12,2`.
    arguments: Option<&'a str>,
    /// What follows them: `unsigned zerofill`.
    rest: &'a str,
}

impl<'a> Declared<'a> {
    fn parse(declared: &'a str) -> Self {
        let end = declared.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(declared.len());
        let (word, after) = declared.split_at(end);
        let inside = after.trim_start().strip_prefix('(');
        let (arguments, rest) = match inside.and_then(|inside| Some((inside, inside.rfind(')')?))) {
            Some((inside, close)) => (Some(inside[..close].trim()), &inside[close + 1..]),
            None => (None, after),
        };
        Self { word: word.to_lowercase(), arguments, rest: rest.trim() }
    }

    fn is_unsigned(&self) -> bool {
        self.rest.split_whitespace().any(|word| word.eq_ignore_ascii_case("unsigned"))
    }

    /// The first argument as a number.
    fn number(&self) -> Option<u32> {
        self.arguments?.split(',').next()?.trim().parse().ok()
    }
}

/// What a column declared like this means. `server` says how labels are quoted.
pub(crate) fn of_declared(declared: &str, server: Server) -> LogicalType {
    let parsed = Declared::parse(declared);
    let length = |logical: LogicalType| match parsed.number() {
        Some(length) => logical.with("length", length.to_string()),
        None => logical,
    };
    let precision = |logical: LogicalType| logical.with("precision", parsed.number().unwrap_or(0).to_string());
    match parsed.word.as_str() {
        "tinyint" if parsed.number() == Some(1) && !parsed.is_unsigned() => LogicalType::new("boolean", Layout::Bits),
        "tinyint" => integer(&parsed, 8),
        "smallint" => integer(&parsed, 16),
        "mediumint" => integer(&parsed, 24),
        "int" | "integer" => integer(&parsed, 32),
        "bigint" => integer(&parsed, 64),
        "decimal" | "numeric" => decimal(&parsed),
        "float" => LogicalType::new("float", Layout::Float32),
        "double" | "real" => LogicalType::new("float", Layout::Float64),
        "varchar" => length(varlen("text")),
        "char" => length(varlen("text")).with("fixed", "true"),
        "tinytext" => varlen("text").with("bytes", "255"),
        "text" => varlen("text").with("bytes", "65535"),
        "mediumtext" => varlen("text").with("bytes", "16777215"),
        "longtext" => varlen("text"),
        "varbinary" => length(varlen("bytes")),
        "binary" => length(varlen("bytes")).with("fixed", "true"),
        "tinyblob" => varlen("bytes").with("bytes", "255"),
        "blob" => varlen("bytes").with("bytes", "65535"),
        "mediumblob" => varlen("bytes").with("bytes", "16777215"),
        "longblob" => varlen("bytes"),
        "date" => LogicalType::new("date", Layout::Int32),
        "datetime" => precision(LogicalType::new("timestamp", Layout::Int64)),
        "timestamp" => precision(LogicalType::new("timestamp-tz", Layout::Int64)),
        "time" => precision(LogicalType::new("time", Layout::Int64)),
        "uuid" => LogicalType::new("uuid", Layout::Fixed),
        "json" => varlen("json").with("binary", "true"),
        "bit" => varlen("bit").with("length", parsed.number().unwrap_or(1).to_string()),
        "vector" => match parsed.number() {
            Some(dimensions) => varlen("vector").with("dimensions", dimensions.to_string()),
            None => varlen("vector"),
        },
        word @ ("enum" | "set") => {
            let labels = labels(parsed.arguments.unwrap_or_default(), server);
            varlen(word).with("labels", json!(labels).to_string())
        }
        other => varlen(other),
    }
}

fn varlen(name: &str) -> LogicalType {
    LogicalType::new(name, Layout::Varlen)
}

/// As wide as its values, unsigned ones counted: but for 64 bits, which have no wider layout.
fn integer(parsed: &Declared<'_>, bits: u8) -> LogicalType {
    let unsigned = parsed.is_unsigned();
    let layout = match u8::from(unsigned) + bits {
        ..=16 => Layout::Int16,
        17..=32 => Layout::Int32,
        _ => Layout::Int64,
    };
    let integer = LogicalType::new("integer", layout).with("bits", bits.to_string());
    if unsigned { integer.with("unsigned", "true") } else { integer }
}

fn decimal(parsed: &Declared<'_>) -> LogicalType {
    let mut numbers = parsed.arguments.unwrap_or("10,0").split(',').map(str::trim);
    let precision = numbers.next().unwrap_or("10");
    let scale = numbers.next().unwrap_or("0");
    let decimal = varlen("decimal").with("precision", precision).with("scale", scale);
    if parsed.is_unsigned() { decimal.with("unsigned", "true") } else { decimal }
}

/// The labels between the parentheses. MySQL and MariaDB double a quote within a label and escape a backslash; OceanBase
/// leaves both as they are, so that there only `','` can be taken for the end of one.
fn labels(list: &str, server: Server) -> Vec<String> {
    let Some(inside) = list.strip_prefix('\'').and_then(|l| l.strip_suffix('\'')) else {
        return Vec::new();
    };
    if server == Server::OceanBase {
        return inside.split("','").map(str::to_owned).collect();
    }
    let mut labels = Vec::new();
    let mut label = String::new();
    let mut characters = inside.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\'' if characters.next_if_eq(&'\'').is_some() => label.push('\''),
            '\\' => label.push(match characters.next() {
                Some('0') => '\0',
                Some('n') => '\n',
                Some('r') => '\r',
                escaped => escaped.unwrap_or('\\'),
            }),
            '\'' => {
                labels.push(std::mem::take(&mut label));
                // The comma and the quote that opens the next label.
                characters.next_if_eq(&',');
                characters.next_if_eq(&'\'');
            }
            c => label.push(c),
        }
    }
    labels.push(label);
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(declared: &str) -> (String, Vec<(String, String)>) {
        let logical = of_declared(declared, Server::OceanBase);
        (logical.name, logical.params.into_iter().collect())
    }

    fn expect(declared: &str, name: &str, expected: &[(&str, &str)]) {
        let expected = expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(params(declared), (name.to_owned(), expected), "{declared}");
    }

    #[test]
    fn integers_have_their_width_and_room_for_what_is_unsigned() {
        expect("tinyint(1)", "boolean", &[]);
        expect("tinyint(4)", "integer", &[("bits", "8")]);
        expect("bigint(20) unsigned", "integer", &[("bits", "64"), ("unsigned", "true")]);
        let layout = |declared| of_declared(declared, Server::MySql).layout;
        assert_eq!(layout("tinyint unsigned"), Layout::Int16);
        assert_eq!(layout("smallint(5) unsigned zerofill"), Layout::Int32);
        assert_eq!(layout("mediumint(9)"), Layout::Int32);
        assert_eq!(layout("int"), Layout::Int32);
        assert_eq!(layout("int(10) unsigned"), Layout::Int64);
    }

    #[test]
    fn numbers_with_a_point_have_precision_and_scale() {
        expect("decimal(12,2)", "decimal", &[("precision", "12"), ("scale", "2")]);
        expect(
            "decimal(5,2) unsigned zerofill",
            "decimal",
            &[("precision", "5"), ("scale", "2"), ("unsigned", "true")],
        );
        expect("float(7,3)", "float", &[]);
    }

    #[test]
    fn texts_and_bytes_say_how_much_fits() {
        expect("varchar(20)", "text", &[("length", "20")]);
        expect("char(36)", "text", &[("fixed", "true"), ("length", "36")]);
        expect("text", "text", &[("bytes", "65535")]);
        expect("longtext", "text", &[]);
        expect("binary(16)", "bytes", &[("fixed", "true"), ("length", "16")]);
        expect("mediumblob", "bytes", &[("bytes", "16777215")]);
    }

    #[test]
    fn times_say_how_exact_they_are() {
        expect("datetime", "timestamp", &[("precision", "0")]);
        expect("datetime(6)", "timestamp", &[("precision", "6")]);
        expect("timestamp(3)", "timestamp-tz", &[("precision", "3")]);
        expect("time(6)", "time", &[("precision", "6")]);
        expect("year(4)", "year", &[]);
    }

    #[test]
    fn the_rest_goes_by_its_name() {
        expect("VECTOR(3)", "vector", &[("dimensions", "3")]);
        expect("bit(5)", "bit", &[("length", "5")]);
        expect("geometry", "geometry", &[]);
        expect("SPARSEVECTOR", "sparsevector", &[]);
    }

    #[test]
    fn labels_may_hold_what_ends_them_elsewhere() {
        let labels_of = |declared, server| of_declared(declared, server).param("labels").map(str::to_owned);
        assert_eq!(labels_of("enum('a','it's','c,d)')", Server::OceanBase).as_deref(), Some(r#"["a","it's","c,d)"]"#));
        assert_eq!(labels_of("enum('ä','','b')", Server::OceanBase).as_deref(), Some(r#"["ä","","b"]"#));
        assert_eq!(labels_of("enum('a','it''s',''',''')", Server::MySql).as_deref(), Some(r#"["a","it's","','"]"#));
        assert_eq!(labels_of(r"enum('a\\b','c')", Server::MariaDb).as_deref(), Some(r#"["a\\b","c"]"#));
        assert_eq!(labels_of("set('x','','y z')", Server::MySql).as_deref(), Some(r#"["x","","y z"]"#));
    }
}
