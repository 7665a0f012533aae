//! What once meant something else in the target, or broke a run, as data: each is tried every time.

use super::answer::family_of;
use super::choices::Choices;
use super::expression::Expression;
use super::sample::{Column, Sample, sample};
use super::subject::{Purpose, Row, Subject, Use};

/// What the expression is for.
#[derive(Clone, Copy)]
enum For {
    Check,
    /// A generated column of this type.
    Stored(&'static str),
    Key,
    /// The predicate of a unique key of this column.
    Within(&'static str),
    /// Of a column of this type.
    Default(&'static str),
}

/// An expression that was translated wrongly, with the rows that showed it.
struct Known {
    columns: &'static str,
    purpose: For,
    sql: &'static str,
    /// The values of each row, as the source is given them between quotes.
    rows: &'static [&'static [&'static str]],
}

const NULL: &str = "\u{0}";

const fn known(
    columns: &'static str,
    purpose: For,
    sql: &'static str,
    rows: &'static [&'static [&'static str]],
) -> Known {
    Known { columns, purpose, sql, rows }
}

use For::{Check, Default, Key, Stored, Within};

/// Generated columns whose values were others in the target.
const GENERATED: &[Known] = &[
    known("a integer, b integer", Stored("float8"), "a::float8 / b", &[&["1", "3"], &["2", "3"]]),
    known("a numeric(10,2)", Stored("float8"), "a::float8 * 3", &[&["0.1"]]),
    known("b boolean", Stored("varchar(10)"), "b", &[&["true"], &["false"]]),
    known("n float8", Stored("varchar(30)"), "n", &[&["1e+20"], &["1e-07"]]),
    known("s timestamp", Stored("timestamp(0)"), "s", &[&["2020-01-01 23:59:59.6"]]),
    known("f float8", Stored("real"), "f", &[&["16777217"], &["0.1"]]),
    known("a numeric(20,18)", Stored("numeric"), "a * a", &[&["1.000000000000000001"]]),
    known("a text", Stored("text"), "lower(a)", &[&["ẞ"], &["𐐀"], &["É"], &["İ"]]),
    known("a text", Stored("varchar"), "substring(a from -1 for 3)", &[&["abc"]]),
    known("a text", Stored("varchar"), "substring(a from 0 for 2)", &[&["abc"]]),
];

/// Keys that kept other rows apart.
const KEYS: &[Known] = &[
    known("a text COLLATE \"C\"", Key, "lower(a)", &[&["é"], &["É"]]),
    known("a text", Key, "lower(a)", &[&["ß"], &["ẞ"], &["𐐀"], &["𐐨"]]),
    known("a text", Key, "upper(a)", &[&["ß"], &["SS"], &["ı"], &["i"]]),
    known("n integer", Key, "CASE WHEN n > 0 THEN 'a' ELSE 'A' END", &[&["1"], &["-1"]]),
    known("d timestamp", Key, "coalesce(d, '2020-01-01'::timestamp)", &[&[NULL], &["2020-01-01 00:00:00"]]),
    known(
        "d timestamptz",
        Key,
        "coalesce(d, '2020-01-01 00:00:00+00'::timestamptz)",
        &[&[NULL], &["2020-01-01 00:00:00"]],
    ),
    known("d time", Key, "coalesce(d, '00:00:00'::time)", &[&[NULL], &["00:00:00"]]),
    known("a integer, b integer", Key, "a::float8 / b", &[&["1", "3"], &["10001", "30002"]]),
    known("a varchar(20)", Key, "a", &[&["ab"], &["ab "]]),
    known("a varchar(20)", Within("a"), "a <> ''", &[&[" "], &[" "]]),
    known("a varchar(20), n integer", Within("n"), "a ~ '^x$'", &[&["x\n", "1"], &["x\n", "1"]]),
    known("v uuid", Key, "v", &[&["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], &["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"]]),
    known("v inet", Key, "v", &[&["10.0.0.1"], &["10.0.0.1/32"]]),
    known("v interval", Key, "v", &[&["P1D"], &["PT24H"]]),
    known("v numeric(80,40)", Key, "v", &[&["1.0"], &["1.00"]]),
    known("v numrange", Key, "v", &[&["[1.0,2)"], &["[1.00,2)"]]),
    known("v int4range", Key, "v", &[&["[1,3)"], &["[1,2]"]]),
    known("v numeric(5,-2)", Key, "v", &[&["12345"], &["12300"]]),
    known("v timestamp(0)", Key, "v", &[&["2020-01-01 00:00:00.4"], &["2020-01-01 00:00:00"]]),
    known("v time(0)", Key, "v", &[&["10:00:00.4"], &["10:00:00"]]),
    known("v timestamptz(3)", Key, "v", &[&["2020-01-01 00:00:00.0004"], &["2020-01-01 00:00:00"]]),
];

/// Checks that took other rows.
const CHECKS: &[Known] = &[
    known("a text", Check, "a = btrim(a)", &[&["x "], &["x"]]),
    known("a text", Check, "a = rtrim(a)", &[&["x "], &["x"]]),
    known("a text", Check, "a IN ('on', 'off')", &[&["on "], &["on"]]),
    known("a text", Check, "replace(a, 'x', '') = 'b'", &[&["xb "], &["xb"]]),
    known("a text", Check, "a <> ''", &[&[" "], &[""]]),
    known("a text", Check, "a <> 'x'", &[&["x "], &["x"]]),
    known("a text, b text", Check, "a <> b", &[&["x", "x "], &["x", "x"]]),
    known("a text", Check, "a > 'x'", &[&["x "], &["x\t"], &["x"]]),
    known("a text", Check, "starts_with(a, 'ab ')", &[&["ab"], &["ab c"]]),
    known("a text", Check, "a ~ '^[a-z]+$'", &[&["abc\n"], &["abc"]]),
    known("a text", Check, "a ~ '^[^@\\s]+@[^@\\s]+\\.[a-z]+$'", &[&["a@b.c\n"], &["a@b.c"]]),
    known("a text", Check, "a ~ '^.+$'", &[&["a\nb"], &["ab"]]),
    known("a text", Check, "a ~ '^\\d+$'", &[&["١٢"], &["12"]]),
    known("a text", Check, "a !~ '\\s'", &[&["\u{a0}"], &["\u{85}"], &["a b"]]),
    known("a text", Check, "a ~ '[[:punct:]]'", &[&["$"], &["+"], &["."], &["a"]]),
    known("a text", Check, "a ~* '^[k]$'", &[&["\u{212a}"], &["K"]]),
    known("a text", Check, "a ~* '^strasse$'", &[&["straße"], &["Strasse"]]),
    known("a text", Check, "a ~ '[a&&b]'", &[&["&"], &["a"]]),
    known("a text", Check, "a ~ '[[a]'", &[&["["], &["a"], &["b"]]),
    known("a text", Check, "a ~ '^{a$'", &[&["{a"], &["a"]]),
    known("a text", Check, "a ~ ''", &[&["any"]]),
    known("c char(5)", Check, "c LIKE 'ab %'", &[&["ab"], &["abcde"]]),
    known("c char(5)", Check, "octet_length(c) = 5", &[&["ab"]]),
    known("c char(5)", Check, "c ~ '^[A-Z]+$'", &[&["AB"], &["ABCDE"]]),
    known("c char(5)", Check, "c NOT LIKE '% '", &[&["AB"], &["ABCDE"]]),
    known("n integer", Check, "100 / n >= 1", &[&["0"], &["1"]]),
    known("n integer", Check, "100 % n >= 0", &[&["0"], &["1"]]),
    known("n integer", Check, "mod(100, n) >= 0", &[&["0"], &["1"]]),
    known("g float8", Check, "1::float8 / g > 0", &[&["0"], &["1"]]),
    known("g float8", Check, "sqrt(g) < 10", &[&["-1"], &["1"]]),
    known("n integer", Check, "n * 1000 > 0", &[&["2147483647"], &["1"]]),
    known("n smallint", Check, "n + 1::smallint > 0", &[&["32767"], &["1"]]),
    known("p integer", Check, "p::smallint > 0", &[&["40000"], &["1"]]),
    known(
        "p numeric(30,18), q numeric(30,18)",
        Check,
        "p * q > 0",
        &[&["0.000000000000000001", "0.000000000000000001"]],
    ),
    known("r real", Check, "r >= 0.7", &[&["0.7"], &["0.8"]]),
    known("r real", Check, "r <> 0.1", &[&["0.1"]]),
    known("g float8", Check, "g <> 0.1::float8 + 0.2::float8", &[&["0.3"], &["0.30000000000000004"]]),
    known("p numeric(10,2), q numeric(10,2)", Check, "p::float8 * 3 <> q::float8", &[&["0.1", "0.3"]]),
    known("b boolean", Check, "b = ANY ('{t}'::boolean[])", &[&["true"], &["false"]]),
    known("m mood, n mood", Check, "greatest(m, n) = 'happy'", &[&["sad", "happy"]]),
    known("m mood, n mood", Check, "least(m, n) = 'sad'", &[&["sad", "happy"]]),
    known("a text", Check, "substring(a from -1 for 3) = 'a'", &[&["abc"]]),
    known("a text", Check, "substring(a from 0 for 2) = 'a'", &[&["abc"]]),
    known("a text, n integer", Check, "substr(a, n, 1) = ''", &[&["abc", "-1"], &["abc", "1"]]),
    known("a text, n integer", Check, "left(a, n) = 'ab'", &[&["abc", "-1"], &["abc", "2"]]),
    known("a text, n integer", Check, "right(a, n) = 'bc'", &[&["abc", "-1"], &["abc", "2"]]),
    known("a text", Check, "a <> 'abcdef'::varchar(3)", &[&["abcdef"], &["abc"]]),
    known("a text", Check, "a IN ('abc'::varchar(2))", &[&["abc"], &["ab"]]),
    known("a text", Check, "a::\"char\" = 'x'", &[&["xyz"], &["y"]]),
    known(
        "a text",
        Check,
        "a::name = a",
        &[&["xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"], &["x"]],
    ),
    known("a text", Check, "a::json IS NOT NULL", &[&["junk"], &["{}"]]),
    known("a text", Check, "a::integer IS NOT NULL", &[&["junk"], &["1"]]),
    known("a text", Check, "a::mood <> 'ok'", &[&["junk"], &["sad"]]),
    known("a text", Check, "a::domain_text <> 'X'", &[&["zz"], &["a"]]),
    known("a text", Check, "a = (a::inet)::text", &[&["junk"], &["10.0.0.1"]]),
    known("a text", Check, "(a::interval)::text = a", &[&["junk"], &["1 day"], &["24 hours"]]),
    known("n integer", Check, "(CASE WHEN n > 0 THEN 'y' ELSE 'Y' END) = 'y'", &[&["1"], &["-1"]]),
    known("n integer", Check, "n::text || 'a' <> '5A'", &[&["5"]]),
    known("a text", Check, "upper(md5(a)) <> md5(a)", &[&["x"]]),
    known("a text COLLATE \"C\"", Check, "a = lower(a)", &[&["É"], &["A"]]),
    known("a text COLLATE \"pg_c_utf8\"", Check, "a = lower(a)", &[&["É"], &["𐐀"], &["ẞ"]]),
    known("p pair", Check, "p IS NULL", &[&["(,)"], &["(1,)"], &[NULL]]),
];

/// Defaults whose values were others, or which the target refused.
const DEFAULTS: &[Known] = &[
    known("", Default("varchar(20)"), "'abcdef'::varchar(3)", &[]),
    known("", Default("numeric(5,-2)"), "12345", &[]),
    known("", Default("integer"), "2.5", &[]),
    known("", Default("integer"), "3.5", &[]),
    known("", Default("numeric(10,2)"), "1.239", &[]),
    known("", Default("varchar(20)"), "5", &[]),
    known("", Default("varchar(20)"), "true", &[]),
    known("", Default("varchar(20)"), "1.50", &[]),
    known("", Default("varchar(20)"), "1e20::float8", &[]),
    known("", Default("date"), "'2020-01-01 10:00:00'::timestamp", &[]),
    known("", Default("timestamp"), "'2020-01-01'::date", &[]),
    known("", Default("bit(4)"), "B'1010'", &[]),
    known("", Default("integer"), "7 / 2", &[]),
];

/// Tables with one expression each, a name for each.
pub(super) fn subjects() -> Vec<Subject> {
    let all = GENERATED.iter().chain(KEYS).chain(CHECKS).chain(DEFAULTS);
    all.enumerate().map(|(at, known)| known.subject(format!("tab{at}"))).collect()
}

impl Known {
    fn subject(&self, name: String) -> Subject {
        let columns: Vec<Column> = self.columns().collect();
        let row = |values: &&[&str]| -> Row {
            columns.iter().zip(*values).map(|(column, value)| value_of(column, value)).collect()
        };
        let rows = if self.rows.is_empty() { vec![Vec::new()] } else { self.rows.iter().map(row).collect() };
        let purpose = match self.purpose {
            Check => Purpose::Check,
            Stored(declared) => {
                Purpose::Generated { declared: declared.to_owned(), family: family_of(declared), how: "STORED" }
            }
            Key => Purpose::UniqueKey,
            Within(column) => Purpose::PartialKey { column: column.to_owned() },
            Default(declared) => Purpose::Default { declared: declared.to_owned(), family: family_of(declared) },
        };
        let family = purpose_family(&purpose);
        let expression = Expression::leaf(family, self.sql);
        Subject {
            name,
            columns,
            uses: vec![Use { number: 1, purpose, expression, selected: false }],
            rows,
            choices: Choices::default(),
            filled: false,
        }
    }

    fn columns(&self) -> impl Iterator<Item = Column> {
        // A comma within brackets belongs to a type.
        self.columns.split(", ").filter(|part| !part.is_empty()).map(|part| {
            let (name, declared) = part.split_once(' ').expect("a name and a type");
            Column {
                name: name.to_owned(),
                declared: declared.to_owned(),
                family: family_of(declared),
                required: false,
                samples: Vec::new(),
            }
        })
    }
}

fn purpose_family(purpose: &Purpose) -> super::sample::Family {
    match purpose {
        Purpose::Generated { family, .. } | Purpose::Default { family, .. } => *family,
        _ => super::sample::Family::Boolean,
    }
}

fn value_of(column: &Column, value: &str) -> Option<Sample> {
    match (column.declared.as_str(), value) {
        (_, NULL) => None,
        ("pair", "(,)") => Some(Sample::new(value, "'{\"x\": null, \"y\": null}'")),
        ("pair", _) => Some(Sample::new(value, "'{\"x\": 1, \"y\": null}'")),
        (declared, value) => Some(sample(column.family, declared, value, Choices::default())),
    }
}
