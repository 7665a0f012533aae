//! Values at the borders of every type, as each server is given them.

use millrace_tests::Chance;

use super::choices::Choices;

/// What an expression gives, as far as the grammar tells types apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Integer,
    Decimal,
    Float,
    Boolean,
    Text,
    Enum,
    Date,
    Timestamp,
    TimestampTz,
    Time,
    Interval,
    Uuid,
    Bytes,
    Json,
    Bits,
    Inet,
    Integers,
    Texts,
}

/// A value: what stands between quotes at the source, and the target's literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) source: String,
    pub(super) target: String,
}

impl Sample {
    pub(super) fn new(source: &str, target: &str) -> Self {
        Self { source: source.to_owned(), target: target.to_owned() }
    }

    /// A value that both servers read alike.
    pub(super) fn same(family: Family, text: &str) -> Self {
        let target = match family {
            Family::Integer | Family::Decimal | Family::Float => text.to_owned(),
            Family::Boolean => if text == "true" { "1" } else { "0" }.to_owned(),
            Family::Bytes => format!("x'{}'", text.trim_start_matches("\\x")),
            Family::Bits => format!("b'{text}'"),
            _ => target_text(text),
        };
        Self::new(text, &target)
    }
}

/// A text literal of the source, standard strings being on.
pub(super) fn source_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A text literal of the target, backslashes being escapes.
pub(super) fn target_text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A column's type at the source, with values that it holds.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) declared: String,
    pub(super) family: Family,
    pub(super) required: bool,
    /// A few of the type's values: rows have them, and literals are drawn from them.
    pub(super) samples: Vec<Sample>,
}

/// One type that columns may have.
struct Type {
    family: Family,
    declared: &'static [&'static str],
    /// How often it is drawn.
    weight: u64,
    values: &'static [&'static str],
}

const TEXTS: &[&str] = &[
    "",
    " ",
    "  ",
    "a",
    "A",
    "a ",
    " a",
    "ab",
    "AB",
    "abc",
    "ABC",
    "abcdef",
    "x",
    "x ",
    "x\t",
    "x\n",
    "\n",
    "\t",
    "a\nb",
    "a\r\n",
    "é",
    "É",
    "e\u{301}",
    "E\u{301}",
    "ß",
    "ẞ",
    "SS",
    "straße",
    "STRASSE",
    "𐐀",
    "𐐨",
    "\u{212a}",
    "k",
    "K",
    "İ",
    "ı",
    "i",
    "I",
    "ﬁ",
    "Σ",
    "σ",
    "ς",
    "ǆ",
    "ǅ",
    "\u{2126}",
    "ω",
    "Ω",
    "١٢",
    "12",
    "-5",
    "0",
    "1.5",
    "5 ",
    " 5",
    "1e3",
    "NaN",
    "true",
    "t",
    "yes",
    "YES",
    "on",
    "off",
    "\u{a0}",
    "\u{85}",
    "\u{2028}",
    "\u{3000}x",
    "%",
    "_",
    "a%b",
    "a_b",
    "\\",
    "a\\b",
    "'",
    "\"",
    "$",
    "+",
    "^",
    "[a]",
    "{",
    "&&",
    "a.b",
    "a-b",
    "a,b",
    "a@b.co",
    "sad",
    "happy",
    "2020-01-01",
    "10.0.0.1",
    "😀",
    "a😀b",
    "\u{1}",
    "null",
    "foo bar",
    "Foo Bar",
    "foo",
    "FOO",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
];
const SHORT_TEXTS: &[&str] = &[
    "", "a", "A", "ab", "AB", "abc", "x", "é", "É", "ß", "K", "\u{212a}", "k", "x\n", "12", "-5", "0", "a b", "%",
    "\\", "𐐀", "𐐨",
];
const SMALL: &[&str] = &["0", "1", "-1", "2", "3", "7", "10", "-5", "100", "32767", "-32768", "32766", "255", "256"];
const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "5",
    "7",
    "10",
    "-5",
    "-7",
    "100",
    "32768",
    "65536",
    "2147483647",
    "-2147483648",
    "46341",
];
const BIGS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "10",
    "-7",
    "1000000",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "3037000500",
];
const DECIMALS: &[&str] = &[
    "0",
    "0.5",
    "-0.5",
    "1.5",
    "2.5",
    "-2.5",
    "0.1",
    "0.3",
    "1.01",
    "-1.99",
    "99999999.99",
    "-99999999.99",
    "10",
    "3",
];
const LONG_DECIMALS: &[&str] = &[
    "0",
    "0.000000000000000001",
    "-0.000000000000000001",
    "0.1",
    "0.333333333333333333",
    "1.5",
    "-2.5",
    "999999999999.5",
    "999999999999.999999999999999999",
    "1",
];
const DOUBLES: &[&str] = &[
    "0",
    "0.1",
    "0.3",
    "0.5",
    "-0.5",
    "1.5",
    "2.5",
    "-2.5",
    "0.7",
    "1e20",
    "1e-07",
    "16777217",
    "9007199254740992",
    "1e308",
    "-1e308",
    "1e-300",
    "3",
    "-1",
    "0.30000000000000004",
    "100",
];
const REALS: &[&str] = &["0", "0.1", "0.7", "0.5", "-0.5", "1.5", "2.5", "16777216", "3e+38", "1e-20", "-1", "100"];
const DATES: &[&str] = &[
    "2020-01-01",
    "2019-12-31",
    "2020-02-29",
    "2021-02-28",
    "0001-01-01",
    "9999-12-31",
    "1970-01-01",
    "1900-02-28",
    "2024-12-30",
    "2023-01-01",
    "2024-03-31",
    "2000-01-31",
];
const INSTANTS: &[&str] = &[
    "2020-01-01 00:00:00",
    "2019-12-31 23:59:59.999999",
    "2020-01-01 23:59:59.6",
    "2020-02-29 12:34:56.789",
    "0001-01-01 00:00:00",
    "9999-12-31 23:59:59",
    "1970-01-01 00:00:00",
    "1969-12-31 23:59:59.5",
    "2024-03-31 01:00:00",
    "2024-03-31 02:30:00",
    "2024-10-27 01:30:00",
    "2017-01-01 00:00:00",
    "2000-02-28 10:00:00.000001",
];
const TIMES: &[&str] =
    &["00:00:00", "23:59:59.999999", "12:00:00", "12:34:56.789", "00:00:00.000001", "24:00:00", "01:00:00.5"];
const INTERVALS: &[&str] = &["PT0S", "P1D", "PT24H", "P1M", "P30D", "P1Y2M3DT4H5M6.5S", "PT1H", "P-1D", "PT0.000001S"];
const UUIDS: &[&str] = &[
    "00000000-0000-0000-0000-000000000000",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
];
const BYTES: &[&str] = &["\\x", "\\x00", "\\xff", "\\x61", "\\x41", "\\x6120", "\\x616263", "\\xe9", "\\x5c27"];
const JSONS: &[&str] = &[
    "{}",
    "[]",
    "{\"a\": 1}",
    "{\"a\": \"x\"}",
    "null",
    "\"x\"",
    "1",
    "{\"a\": null}",
    "{\"a\": \"X \"}",
    "[1, 2]",
    "true",
];
const NETWORKS: &[&str] = &["10.0.0.1", "10.0.0.2", "::1", "192.168.0.0/16", "255.255.255.255"];

const TYPES: &[Type] = &[
    Type {
        family: Family::Text,
        declared: &[
            "text",
            "varchar(40)",
            "text COLLATE \"C\"",
            "varchar(40) COLLATE \"C\"",
            "text COLLATE \"pg_c_utf8\"",
        ],
        weight: 26,
        values: TEXTS,
    },
    Type {
        family: Family::Text,
        declared: &["char(5)", "char(3)", "varchar(3)", "name", "domain_text"],
        weight: 10,
        values: SHORT_TEXTS,
    },
    Type { family: Family::Text, declared: &["\"char\""], weight: 1, values: &["a", "A", "x", "0"] },
    Type { family: Family::Integer, declared: &["smallint"], weight: 5, values: SMALL },
    Type { family: Family::Integer, declared: &["integer", "integer", "domain_integer"], weight: 16, values: INTEGERS },
    Type { family: Family::Integer, declared: &["bigint"], weight: 6, values: BIGS },
    Type { family: Family::Decimal, declared: &["numeric(10,2)", "numeric(12,4)"], weight: 8, values: DECIMALS },
    Type { family: Family::Decimal, declared: &["numeric(30,18)"], weight: 4, values: LONG_DECIMALS },
    Type {
        family: Family::Decimal,
        declared: &["numeric(5,0)"],
        weight: 1,
        values: &["0", "1", "-1", "99999", "-99999", "12"],
    },
    Type {
        family: Family::Decimal,
        declared: &["numeric(5,-2)"],
        weight: 1,
        values: &["0", "100", "-100", "12300", "9999900"],
    },
    Type { family: Family::Float, declared: &["float8"], weight: 7, values: DOUBLES },
    Type { family: Family::Float, declared: &["real"], weight: 4, values: REALS },
    Type { family: Family::Boolean, declared: &["boolean"], weight: 8, values: &["true", "false"] },
    Type { family: Family::Enum, declared: &["mood"], weight: 6, values: &["sad", "ok", "happy", "Z", "a"] },
    Type { family: Family::Date, declared: &["date"], weight: 8, values: DATES },
    Type { family: Family::Timestamp, declared: &["timestamp", "timestamp(6)"], weight: 7, values: INSTANTS },
    Type {
        family: Family::Timestamp,
        declared: &["timestamp(0)"],
        weight: 1,
        values: &["2020-01-01 00:00:00", "2019-12-31 23:59:59"],
    },
    Type { family: Family::TimestampTz, declared: &["timestamptz"], weight: 6, values: INSTANTS },
    Type { family: Family::Time, declared: &["time", "time(6)"], weight: 3, values: TIMES },
    Type { family: Family::Interval, declared: &["interval"], weight: 2, values: INTERVALS },
    Type { family: Family::Uuid, declared: &["uuid"], weight: 4, values: UUIDS },
    Type { family: Family::Bytes, declared: &["bytea"], weight: 2, values: BYTES },
    Type { family: Family::Json, declared: &["jsonb"], weight: 2, values: JSONS },
    Type { family: Family::Bits, declared: &["bit(4)"], weight: 1, values: &["0000", "1010", "1111", "0001"] },
    Type { family: Family::Inet, declared: &["inet"], weight: 1, values: NETWORKS },
    Type {
        family: Family::Integers,
        declared: &["integer[]"],
        weight: 2,
        values: &["{}", "{1,2}", "{NULL}", "{2,1}", "{1}"],
    },
    Type {
        family: Family::Texts,
        declared: &["text[]"],
        weight: 1,
        values: &["{}", "{a,b}", "{NULL}", "{\"a \",\"\"}"],
    },
];

/// The types that the source needs beside its own.
pub(super) const SOURCE_TYPES: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'Z', 'a');
    CREATE TYPE pair AS (x integer, y integer);
    CREATE DOMAIN domain_text AS varchar(5) CHECK (VALUE <> 'zz');
    CREATE DOMAIN domain_integer AS integer CHECK (VALUE > -2147483648);";

/// One of these, any as likely as another.
pub(super) fn pick<'a, T>(chance: &mut Chance, from: &'a [T]) -> &'a T {
    let at = usize::try_from(chance.below(from.len() as u64)).expect("small");
    &from[at]
}

/// A column of a random type.
pub(super) fn draw_column(chance: &mut Chance, name: &str, choices: Choices) -> Column {
    let total: u64 = TYPES.iter().map(|kind| kind.weight).sum();
    let mut left = chance.below(total);
    let kind = TYPES.iter().find(|kind| {
        let found = left < kind.weight;
        left = left.saturating_sub(kind.weight);
        found
    });
    let kind = kind.expect("weights add up to their sum");
    let declared = *pick(chance, kind.declared);
    let mut values: Vec<&str> = kind.values.iter().copied().filter(|value| fits(declared, value, choices)).collect();
    chance.shuffle(&mut values);
    values.truncate(7);
    let samples = values.iter().map(|value| sample(kind.family, declared, value, choices)).collect();
    Column {
        name: name.to_owned(),
        declared: declared.to_owned(),
        family: kind.family,
        required: chance.once_in(3),
        samples,
    }
}

fn fits(declared: &str, value: &str, choices: Choices) -> bool {
    match declared {
        // From 1970 to 2038.
        "timestamptz" if choices.timestamp => value.starts_with("20"),
        // Neither months nor years have a length.
        "interval" if choices.interval_as_microseconds => microseconds(value).is_some(),
        "domain_integer" => value != "-2147483648",
        "char(3)" | "varchar(3)" => value.chars().count() <= 3,
        _ => true,
    }
}

/// A value of a type as both servers are given it.
pub(super) fn sample(family: Family, declared: &str, value: &str, choices: Choices) -> Sample {
    match family {
        Family::TimestampTz if choices.timestamp => {
            Sample::new(&format!("{value}+00"), &format!("CONVERT_TZ('{value}', '+00:00', @@session.time_zone)"))
        }
        Family::Uuid if choices.uuid_as_bytes => Sample::new(value, &format!("x'{}'", value.replace('-', ""))),
        Family::Bits if choices.bits_as_text => Sample::new(value, &target_text(value)),
        Family::Interval if choices.interval_as_microseconds => Sample::new(value, microseconds(value).unwrap_or("0")),
        Family::TimestampTz => Sample::new(&format!("{value}+00"), &target_text(value)),
        Family::Interval => Sample::new(value, &target_text(value)),
        Family::Integers | Family::Texts => Sample::new(value, &target_text(&as_json(value))),
        _ if declared.starts_with("char(") => Sample::new(value, &target_text(value.trim_end_matches(' '))),
        _ => Sample::same(family, value),
    }
}

/// The JSON of an array without commas or braces in its elements.
fn as_json(array: &str) -> String {
    array.replace('{', "[").replace('}', "]").replace("NULL", "null").replace("a,b", "\"a\",\"b\"")
}

/// An interval's length. None: it has none.
fn microseconds(interval: &str) -> Option<&'static str> {
    Some(match interval {
        "PT0S" => "0",
        "P1D" | "PT24H" => "86400000000",
        "P30D" => "2592000000000",
        "PT1H" => "3600000000",
        "P-1D" => "-86400000000",
        "PT0.000001S" => "1",
        _ => return None,
    })
}
