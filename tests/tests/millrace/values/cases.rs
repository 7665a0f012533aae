//! The types, their extremes, and how each is known to have come back.

use super::random::Random;

/// What must become of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is in the target, and comes back equal.
    Arrives,
    /// Its row is in quarantine with this code.
    Rejected(&'static str),
    /// One of the two: the target's own arithmetic decides.
    Either(&'static str),
}

/// One type of the source, and one way to carry it over.
pub(crate) struct Case {
    /// The row of the table of types that it stands for.
    pub(crate) row: &'static str,
    /// Its table.
    pub(crate) name: &'static str,
    /// Its type at the source.
    pub(crate) declared: &'static str,
    /// A question to the source whose answer is empty where its server does not have the type. Empty: every one has it.
    pub(crate) needs: &'static str,
    /// What the type needs.
    pub(crate) setup: &'static str,
    /// Choices of the converter for the column, as TOML.
    pub(crate) choices: &'static str,
    /// What the pipeline casts it to. Empty: nothing.
    pub(crate) cast: &'static str,
    /// The target's text of the value, in the target's SQL.
    pub(crate) target: &'static str,
    /// Whether the target's text `w` is the value `v`, in the source's SQL, without a word of Millrace.
    pub(crate) same: &'static str,
    /// The value's text by which its fate is known, in the source's SQL.
    pub(crate) shown: &'static str,
    pub(crate) fate: fn(&str) -> Fate,
    /// Values in SQL that are always tried.
    pub(crate) extremes: &'static [&'static str],
    /// A value in SQL.
    pub(crate) random: fn(&mut Random) -> String,
    /// The target itself is asked whether it holds the value that `shown` says: its text does not say all.
    pub(crate) asked_in_target: bool,
}

pub(crate) const fn case(row: &'static str, name: &'static str, declared: &'static str) -> Case {
    Case {
        row,
        name,
        declared,
        needs: "",
        setup: "",
        choices: "",
        cast: "",
        target: "v",
        same: "",
        shown: "v::text",
        fate: |_| Fate::Arrives,
        extremes: &[],
        random: |_| "NULL".to_owned(),
        asked_in_target: false,
    }
}

/// A text literal.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn finite(text: &str) -> Fate {
    match text {
        "NaN" | "Infinity" | "-Infinity" => Fate::Rejected("convert.out-of-range"),
        _ => Fate::Arrives,
    }
}

/// Years 1 to 9999.
fn common_era(text: &str) -> Fate {
    let is_common = text.as_bytes().get(4) == Some(&b'-') && !text.ends_with("BC") && !text.contains("infinity");
    if is_common { Fate::Arrives } else { Fate::Rejected("convert.out-of-range") }
}

fn date(random: &mut Random) -> String {
    match random.below(5) {
        0 => format!("date '2000-01-01' + {}", random.between(-2_400_000, 2_145_000_000 / 1000)),
        _ => format!("date '2000-01-01' + {}", random.between(-730_000, 2_921_939)),
    }
}

fn timestamp(random: &mut Random) -> String {
    let day = date(random);
    format!("({day}) + interval '{} microseconds'", random.between(0, 86_399_999_999))
}

/// Documents whose numbers have at most so many digits.
fn document(random: &mut Random, depth: u64) -> String {
    match random.below(if depth == 0 { 5 } else { 7 }) {
        0 => random.pick(&["null", "true", "false", "0", "-0", "1.10", "100000", "\"\""]).to_string(),
        1 => random.between(i64::MIN, i64::MAX).to_string(),
        // JSON has no zeros before a number.
        2 => format!("{}{}", random.between(-99, 99), random.pick(&["", ".5", ".25", ".0001234", "e3", ".50"])),
        3 => format!("{:e}", random.double()),
        4 => serde_json::Value::from(random.text(12)).to_string(),
        5 => {
            let items: Vec<String> = (0..random.below(4)).map(|_| document(random, depth - 1)).collect();
            format!("[{}]", items.join(", "))
        }
        _ => {
            let members: Vec<String> = (0..random.below(4))
                .map(|n| {
                    format!(
                        "{}: {}",
                        serde_json::Value::from(format!("{n}{}", random.text(4))),
                        document(random, depth - 1)
                    )
                })
                .collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

/// A number that needs more digits than a double has for certain, or an exponent, may be one that the target reads as
/// another one.
fn document_fate(text: &str) -> Fate {
    let mut digits = 0;
    let mut in_text = false;
    let mut previous = ' ';
    for character in text.chars() {
        match character {
            '"' if previous != '\\' => in_text = !in_text,
            _ if in_text => {}
            '0'..='9' => {
                digits += 1;
                if digits > 15 {
                    return Fate::Either("convert.json-number");
                }
            }
            'e' | 'E' if previous.is_ascii_digit() => return Fate::Either("convert.json-number"),
            '.' => {}
            _ => digits = 0,
        }
        previous = if previous == '\\' && character == '\\' { ' ' } else { character };
    }
    Fate::Arrives
}

fn interval(random: &mut Random) -> String {
    format!(
        "make_interval(months => {}, days => {}, secs => {}.{:06})",
        random.integer(-100_000, 100_000),
        random.integer(-1_000_000, 1_000_000),
        random.integer(-1_000_000, 1_000_000),
        random.below(1_000_000)
    )
}

fn span(random: &mut Random) -> String {
    let (lower, width) = (random.between(-1000, 1000), random.below(50));
    let bounds = random.pick(&["[)", "[]", "(]", "()"]);
    format!("{lower}, {}, '{bounds}'", lower + i64::try_from(width).expect("small"))
}

const CITEXT: &str = "CREATE TYPE citext;
    CREATE FUNCTION citextin(cstring) RETURNS citext LANGUAGE internal IMMUTABLE STRICT AS 'textin';
    CREATE FUNCTION citextout(citext) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
    CREATE TYPE citext (INPUT = citextin, OUTPUT = citextout, INTERNALLENGTH = VARIABLE, STORAGE = extended,
                        CATEGORY = 'S', COLLATABLE = true);
    CREATE CAST (citext AS text) WITHOUT FUNCTION AS IMPLICIT;";

const RANGE: &str = "w::jsonb = CASE WHEN isempty(v) THEN '{\"empty\": true}' ELSE jsonb_build_object('lower', \
    to_jsonb(lower(v)::text), 'upper', to_jsonb(upper(v)::text), 'lower_inc', lower_inc(v), 'upper_inc', upper_inc(v)) END";

pub(crate) const CASES: &[Case] = &[
    Case {
        same: "w::smallint = v",
        extremes: &["0", "-32768", "32767"],
        random: |r| r.integer(-32_768, 32_767).to_string(),
        ..case("smallint, integer, bigint, oid", "v_smallint", "smallint")
    },
    Case {
        same: "w::integer = v",
        extremes: &["0", "-2147483648", "2147483647"],
        random: |r| r.integer(-2_147_483_648, 2_147_483_647).to_string(),
        ..case("smallint, integer, bigint, oid", "v_integer", "integer")
    },
    Case {
        same: "w::bigint = v",
        extremes: &["0", "-9223372036854775808", "9223372036854775807"],
        random: |r| r.integer(i64::MIN, i64::MAX).to_string(),
        ..case("smallint, integer, bigint, oid", "v_bigint", "bigint")
    },
    Case {
        same: "w::oid = v",
        extremes: &["0", "4294967295", "2147483648"],
        random: |r| r.integer(0, 4_294_967_295).to_string(),
        ..case("smallint, integer, bigint, oid", "v_oid", "oid")
    },
    Case {
        same: "w::numeric = v",
        fate: finite,
        extremes: &["0", "-0.0001", "99999999.9999", "-99999999.9999", "'NaN'"],
        random: |r| r.decimal(8, 6),
        ..case("numeric(p,s)", "v_numeric", "numeric(12,4)")
    },
    Case {
        same: "w::numeric = v",
        extremes: &["0", "12345", "-99949", "100"],
        random: |r| r.between(-99_949, 99_949).to_string(),
        ..case("numeric(p,s)", "v_numeric_negative_scale", "numeric(3,-2)")
    },
    Case {
        same: "w::numeric = v AND w = v::text",
        extremes: &["0", "1e39", "-1e-40", "'NaN'"],
        random: |r| r.decimal(38, 40),
        ..case("numeric(p,s)", "v_numeric_wider_than_decimal", "numeric(80,40)")
    },
    Case {
        same: "w::numeric = v",
        fate: finite,
        extremes: &["0", "1e29", "-1e-20", "0.00000000000000000001", "'NaN'", "'Infinity'", "'-Infinity'"],
        random: |r| r.decimal(30, 20),
        ..case("numeric", "v_numeric_free", "numeric")
    },
    Case {
        same: "w = v::text",
        extremes: &["0", "1e200", "-1e-200", "1.000", "'NaN'", "'Infinity'"],
        random: |r| r.decimal(90, 60),
        ..case("numeric", "v_numeric_enormous", "numeric")
    },
    Case {
        choices: "infinity = \"null\"",
        same: "w::float8 = v",
        shown: "CASE WHEN v::text IN ('NaN', 'Infinity', '-Infinity') THEN NULL ELSE v::text END",
        extremes: &["'NaN'", "'Infinity'", "'-Infinity'", "1"],
        random: |r| format!("'{:e}'", r.double()),
        ..case("NaN, ±infinity; dates ±infinity, BC, after 9999", "v_null_for_infinity", "double precision")
    },
    Case {
        choices: "infinity = \"clamp\"",
        same: "w::date = greatest(least(v, date '9999-12-31'), date '0001-01-01')",
        extremes: &["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'10000-01-01'", "'2024-02-29'"],
        random: date,
        ..case("NaN, ±infinity; dates ±infinity, BC, after 9999", "v_clamped_dates", "date")
    },
    Case {
        same: "w::float4 = v",
        fate: finite,
        extremes: &[
            "0",
            "'-0'",
            "3.4028235e38",
            "1.17549435e-38",
            "1e-45",
            "0.1",
            "16777217",
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
        ],
        random: |r| format!("'{:e}'", r.single()),
        ..case("real, double", "v_real", "real")
    },
    Case {
        same: "w::float8 = v",
        fate: finite,
        extremes: &[
            "0",
            "'-0'",
            "1.7976931348623157e308",
            "2.2250738585072014e-308",
            "'5e-324'",
            "0.1",
            "'NaN'",
            "'-Infinity'",
        ],
        random: |r| format!("'{:e}'", r.double()),
        ..case("real, double", "v_double", "double precision")
    },
    Case {
        same: "w::numeric::money = v",
        extremes: &["'-92233720368547758.08'", "'92233720368547758.07'", "0::money", "'-0.01'"],
        random: |r| format!("'{}'::numeric::money", r.decimal(15, 2)),
        ..case("money", "v_money", "money")
    },
    Case {
        same: "w = CASE WHEN v THEN '1' ELSE '0' END",
        extremes: &["true", "false"],
        random: |r| (r.below(2) == 0).to_string(),
        ..case("boolean", "v_boolean", "boolean")
    },
    Case {
        target: "LOWER(HEX(v))",
        same: "convert_from(decode(w, 'hex'), 'UTF8') = rtrim(v::text, ' ')",
        extremes: &["''", "'   '", "' a '", "'12345'", "'ü☃😀x '"],
        random: |r| quote(&r.text(5)),
        ..case("char(n)", "v_char", "char(5)")
    },
    Case {
        target: "LOWER(HEX(v))",
        same: "decode(w, 'hex') = convert_to(v, 'UTF8')",
        extremes: &["''", "' '", "'ü☃😀x      '", "'it''s \\'", "repeat('😀', 20)"],
        random: |r| quote(&r.text(20)),
        ..case("varchar(n), text", "v_varchar", "varchar(20)")
    },
    Case {
        target: "LOWER(HEX(v))",
        same: "decode(w, 'hex') = convert_to(v, 'UTF8')",
        extremes: &["''", "'   '", "E'\\\\'", "E'\\x01\\x1a'", "repeat('ü☃😀', 30000)", "U&'a\\0301'"],
        random: |r| quote(&r.text(200)),
        ..case("varchar(n), text", "v_text", "text")
    },
    Case {
        setup: CITEXT,
        target: "LOWER(HEX(v))",
        same: "decode(w, 'hex') = convert_to(v::text, 'UTF8')",
        extremes: &["''", "'Straße'", "'STRASSE'"],
        random: |r| format!("{}::citext", quote(&r.text(20))),
        ..case("citext", "v_citext", "citext")
    },
    Case {
        target: "LOWER(HEX(v))",
        same: "decode(w, 'hex') = v",
        extremes: &["''", "'\\x00'", "'\\x005c27220a0d1a'", "decode(repeat('00ff275c', 20000), 'hex')"],
        random: |r| format!("'\\x{}'", r.hex(60)),
        ..case("bytea", "v_bytea", "bytea")
    },
    Case {
        same: "w::date = v",
        fate: common_era,
        extremes: &[
            "'0001-01-01'",
            "'9999-12-31'",
            "'1970-01-01'",
            "'2024-02-29'",
            "'1900-02-28'",
            "'infinity'",
            "'-infinity'",
            "'0001-12-31 BC'",
            "'10000-01-01'",
            "'5874897-12-31'",
            "'4713-01-01 BC'",
        ],
        random: date,
        ..case("date, timestamp, time", "v_date", "date")
    },
    Case {
        same: "w::timestamp = v",
        fate: common_era,
        extremes: &[
            "'0001-01-01'",
            "'9999-12-31 23:59:59.999999'",
            "'2016-12-31 23:59:60'",
            "'1970-01-01 00:00:00.000001'",
            "'infinity'",
            "'-infinity'",
            "'0001-12-31 23:59:59.999999 BC'",
            "'10000-01-01'",
            "'294276-12-31'",
        ],
        random: timestamp,
        ..case("date, timestamp, time", "v_timestamp", "timestamp")
    },
    Case {
        same: "w::time = v",
        extremes: &["'00:00'", "'24:00'", "'23:59:59.999999'", "'12:00:00.000001'"],
        random: |r| format!("time '00:00' + interval '{} microseconds'", r.between(0, 86_399_999_999)),
        ..case("date, timestamp, time", "v_time", "time")
    },
    Case {
        same: "(w || '+00')::timestamptz = v",
        shown: "(v AT TIME ZONE 'UTC')::text",
        fate: common_era,
        extremes: &[
            "'2024-10-27 02:30:00 Europe/Berlin'",
            "'2024-10-27 02:30:00+01'",
            "'2024-03-31 02:30:00 Europe/Berlin'",
            "'2016-12-31 23:59:60+00'",
            "'0001-01-01 00:00:00+14'",
            "'0001-01-01 00:00:00+00'",
            "'9999-12-31 23:59:59.999999+00'",
            "'9999-12-31 23:59:59-12'",
            "'infinity'",
            "'-infinity'",
            "'1883-11-18 12:03:57 America/New_York'",
        ],
        random: |r| format!("({}) AT TIME ZONE 'Pacific/Apia'", timestamp(r)),
        ..case("timestamptz", "v_timestamptz", "timestamptz")
    },
    Case {
        choices: "timestamptz = \"timestamp\"",
        target: "DATE_FORMAT(v, '%Y-%m-%d %H:%i:%s.%f')",
        same: "(w || '+00')::timestamptz = v",
        shown: "extract(epoch FROM v)::text",
        fate: |text| {
            let seconds: f64 = text.parse().expect("seconds");
            if (1.0..2_147_483_648.0).contains(&seconds) {
                Fate::Arrives
            } else {
                Fate::Rejected("convert.out-of-range")
            }
        },
        extremes: &[
            "to_timestamp(0)",
            "to_timestamp(1)",
            "'2038-01-19 03:14:07.999999+00'",
            "'2038-01-19 03:14:08+00'",
        ],
        random: |r| format!("to_timestamp({})", r.between(-10_000, 4_000_000_000)),
        ..case("timestamptz", "v_timestamp_asked_for", "timestamptz")
    },
    Case {
        same: "w::timetz::text = v::text",
        extremes: &["'00:00+00'", "'24:00+14:59'", "'12:34:56.789012-11:30'"],
        random: |r| {
            format!(
                "'{:02}:{:02}:{:02}.{:06}{:+03}'",
                r.below(24),
                r.below(60),
                r.below(60),
                r.below(1_000_000),
                r.between(-12, 14)
            )
        },
        ..case("timetz, interval", "v_timetz", "timetz")
    },
    Case {
        same: "interval_send(w::interval) = interval_send(v)",
        extremes: &[
            "'0'",
            "'-1 year 2 mons -3 days 04:05:06.789'",
            "'178000000 years'",
            "'-0.000001 seconds'",
            "'1 month'",
            "'30 days'",
        ],
        random: interval,
        ..case("timetz, interval", "v_interval", "interval")
    },
    Case {
        choices: "interval = \"microseconds\"",
        same: "w::numeric = extract(epoch FROM v)::numeric * 1000000",
        shown: "CASE WHEN extract(year FROM v) = 0 AND extract(month FROM v) = 0 THEN 'exact' ELSE 'months' END",
        fate: |text| if text == "months" { Fate::Rejected("convert.interval-months") } else { Fate::Arrives },
        extremes: &["'0'", "'1 mon'", "'-1 day 1 microsecond'", "'100000 days'", "'-0.5 seconds'"],
        random: |r| match r.below(3) {
            0 => interval(r),
            _ => format!("make_interval(days => {}, secs => {}.5)", r.between(-9999, 9999), r.between(-99_999, 99_999)),
        },
        ..case("timetz, interval", "v_interval_microseconds", "interval")
    },
    Case {
        same: "w::jsonb = v::jsonb",
        fate: |text| match text {
            "{\"a\": 1, \"a\": 2}" => Fate::Rejected("convert.json-duplicate-key"),
            "\"\\ud800\"" => Fate::Rejected("convert.json-unsupported"),
            _ => document_fate(text),
        },
        extremes: &[
            "'null'",
            "'{}'",
            "'[]'",
            "'\"\"'",
            "'{\"a\": 1, \"a\": 2}'",
            "'\"\\ud800\"'",
            "'\"\\ud83d\\ude00\"'",
            "'[18446744073709551615]'",
            "'[18446744073709551616]'",
            "'{\"\": [[[]]], \" \": \"a \"}'",
            "'[1.0, 1e2, -0.0, 0.1]'",
        ],
        random: |r| quote(&document(r, 3)),
        ..case("json, jsonb", "v_json", "json")
    },
    Case {
        same: "w::jsonb = v",
        fate: document_fate,
        extremes: &[
            "'null'",
            "'{}'",
            "'[1e300, 0.1]'",
            "'{\"b\": 1, \"a\": {\"b\": null}}'",
            "'[123456789012345678901234567890]'",
        ],
        random: |r| quote(&document(r, 3)),
        ..case("json, jsonb", "v_jsonb", "jsonb")
    },
    Case {
        choices: "json = \"text\"",
        same: "w = v::text",
        extremes: &["'{\"a\": 1, \"a\": 2}'", "' [1e1000] '", "'\"\\ud800\\u0000\"'"],
        random: |r| quote(&document(r, 3)),
        ..case("json, jsonb", "v_json_as_text", "json")
    },
    Case {
        same: "w = v::text",
        extremes: &["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
        random: |r| format!("md5('{}')::uuid", r.next()),
        ..case("uuid", "v_uuid", "uuid")
    },
    Case {
        choices: "uuid = \"binary\"",
        target: "LOWER(HEX(v))",
        same: "w::uuid = v",
        extremes: &["'00000000-0000-0000-0000-000000000020'"],
        random: |r| format!("md5('{}')::uuid", r.next()),
        ..case("uuid", "v_uuid_binary", "uuid")
    },
    Case {
        setup: "CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy ☀', 'a,b', 'back\\slash');",
        same: "w = v::text",
        extremes: &["'it''s ok'", "'back\\slash'"],
        random: |r| format!("{}::mood", quote(r.pick(&["sad", "it's ok", "happy ☀", "a,b"]))),
        ..case("enum, domain, composite, range, hstore, array", "v_enum", "mood")
    },
    Case {
        setup: "CREATE DOMAIN small_number AS integer CHECK (VALUE BETWEEN 1 AND 99);",
        same: "w::integer = v",
        extremes: &["1", "99"],
        random: |r| r.between(1, 99).to_string(),
        ..case("enum, domain, composite, range, hstore, array", "v_domain", "small_number")
    },
    Case {
        setup: "CREATE TYPE place AS (street text, number integer, at timestamp, tags text[]);",
        same: "w::jsonb = to_jsonb(v)",
        extremes: &["ROW(NULL, NULL, NULL, NULL)::place", "ROW('', 0, '2024-01-01', '{}')::place"],
        random: |r| {
            format!(
                "ROW({}, {}, now()::timestamp, ARRAY[{}])::place",
                quote(&r.text(9)),
                r.below(1000),
                quote(&r.text(4))
            )
        },
        ..case("enum, domain, composite, range, hstore, array", "v_composite", "place")
    },
    Case {
        same: "w::jsonb = CASE WHEN isempty(v) THEN '{\"empty\": true}' ELSE jsonb_build_object('lower', lower(v), 'upper', upper(v), \
               'lower_inc', lower_inc(v), 'upper_inc', upper_inc(v)) END",
        extremes: &["'empty'", "'(,)'", "'[1,)'", "'[-2147483648,2147483647)'"],
        random: |r| format!("int4range({})", span(r)),
        ..case("enum, domain, composite, range, hstore, array", "v_int4range", "int4range")
    },
    Case {
        same: RANGE,
        extremes: &["'empty'", "'(,)'", "'[1.10,2.000]'", "'(-1e30,1e-30]'"],
        random: |r| format!("numrange({})", span(r)),
        ..case("enum, domain, composite, range, hstore, array", "v_numrange", "numrange")
    },
    Case {
        choices: "range = \"text\"",
        same: "w = v::text",
        extremes: &["'empty'", "'(,)'", "'[2024-01-01,2024-02-29 12:00:00.5]'", "'[-infinity,infinity]'"],
        random: |r| {
            format!(
                "tsrange(timestamp '2024-01-01', timestamp '2024-01-01' + interval '{} seconds', '[]')",
                r.below(99_999)
            )
        },
        ..case("enum, domain, composite, range, hstore, array", "v_tsrange_as_text", "tsrange")
    },
    Case {
        choices: "range = \"columns\"",
        target: "IF(v_bounds IS NULL, NULL, CONCAT_WS('|', v_bounds, IFNULL(v_lower, '-'), IFNULL(v_upper, '-')))",
        same: "w = CASE WHEN isempty(v) THEN 'empty' ELSE CASE WHEN lower_inc(v) THEN '[' ELSE '(' END || CASE WHEN upper_inc(v) \
               THEN ']' ELSE ')' END END || '|' || coalesce(lower(v)::text, '-') || '|' || coalesce(upper(v)::text, '-')",
        fate: |text| if text.contains("infinity") { Fate::Rejected("convert.out-of-range") } else { Fate::Arrives },
        extremes: &["'empty'", "'(,)'", "'[2024-01-01,)'", "'[2024-01-01,infinity]'", "'[0001-01-01,9999-12-31)'"],
        random: |r| format!("daterange(date '2024-01-01', date '2024-01-01' + {})", r.below(9999)),
        ..case("enum, domain, composite, range, hstore, array", "v_daterange_columns", "daterange")
    },
    Case {
        same: "(SELECT array_agg(e->>'lower' || '..' || (e->>'upper') ORDER BY n) FROM jsonb_array_elements(w::jsonb) WITH ORDINALITY AS p(e, n)) \
               IS NOT DISTINCT FROM (SELECT array_agg(lower(r) || '..' || upper(r)) FROM unnest(v) AS r)",
        extremes: &["'{}'", "'{[1,3),[5,9)}'"],
        random: |r| format!("int4multirange(int4range({}), int4range({}))", span(r), span(r)),
        ..case("enum, domain, composite, range, hstore, array", "v_multirange", "int4multirange")
    },
    Case {
        same: "w::jsonb = to_jsonb(v)",
        fate: |text| {
            let shape = text.starts_with('[') || text.starts_with("{{");
            if shape { Fate::Rejected("convert.array-shape") } else { Fate::Arrives }
        },
        extremes: &[
            "'{}'",
            "'{NULL}'",
            "'{1,NULL,-2147483648}'",
            "'{{1,2},{3,4}}'",
            "'[0:1]={1,2}'",
            "'[1:1][-2:-1]={{1,2}}'",
        ],
        random: |r| {
            let numbers: Vec<String> = (0..r.below(9)).map(|_| r.between(-99, 99).to_string()).collect();
            format!("'{{{}}}'", numbers.join(","))
        },
        ..case("enum, domain, composite, range, hstore, array", "v_array", "integer[]")
    },
    Case {
        same: "w::jsonb = to_jsonb(v)",
        extremes: &["ARRAY['', NULL, 'NULL', 'a\"b', 'back\\slash', '☃', '{', ',']", "'{}'"],
        random: |r| format!("ARRAY[{}, {}]", quote(&r.text(9)), quote(&r.text(9))),
        ..case("enum, domain, composite, range, hstore, array", "v_texts", "text[]")
    },
    Case {
        choices: "array = \"nested\"",
        same: "w::jsonb = to_jsonb(v)",
        fate: |text| if text.starts_with('[') { Fate::Rejected("convert.array-shape") } else { Fate::Arrives },
        extremes: &["'{}'", "'{{1,2},{3,4}}'", "'{{{1}},{{2}}}'", "'[0:1]={1,2}'"],
        random: |r| format!("'{{{{{},{}}},{{{},NULL}}}}'", r.below(9), r.below(9), r.below(9)),
        ..case("enum, domain, composite, range, hstore, array", "v_nested_array", "integer[]")
    },
    Case {
        choices: "array = \"text\"",
        same: "CASE WHEN w LIKE '{%' THEN w::jsonb->>'bounds' = array_dims(v) AND w::jsonb->'values' = to_jsonb(v) ELSE w::jsonb = to_jsonb(v) END",
        extremes: &["'{}'", "'{{1,2},{3,4}}'", "'[0:1]={1,2}'", "'[-5:-4][3:3]={{1},{2}}'"],
        random: |r| format!("'[{0}:{0}]={{7}}'", r.between(-9, 9)),
        ..case("enum, domain, composite, range, hstore, array", "v_array_as_text", "integer[]")
    },
    Case {
        needs: "SELECT 1 FROM pg_available_extensions WHERE name = 'hstore'",
        setup: "CREATE EXTENSION hstore;",
        same: "w::jsonb = hstore_to_jsonb(v)",
        extremes: &["''", "'a=>1, b=>NULL, \"\"=>\"\"'"],
        random: |r| format!("hstore({}, {})", quote(&r.text(9)), quote(&r.text(9))),
        ..case("enum, domain, composite, range, hstore, array", "v_hstore", "hstore")
    },
    Case {
        target: "LPAD(BIN(v), 7, '0')",
        same: "w::bit(7) = v",
        extremes: &["B'0000000'", "B'1111111'", "B'0000001'"],
        random: |r| format!("{}::bit(7)", r.below(128)),
        ..case("bit(n), varbit", "v_bit", "bit(7)")
    },
    Case {
        target: "LPAD(BIN(v), 64, '0')",
        same: "w::bit(64) = v",
        extremes: &["repeat('1', 64)::bit(64)", "repeat('0', 64)::bit(64)", "(-9223372036854775808)::bigint::bit(64)"],
        random: |r| format!("({})::bigint::bit(64)", r.between(i64::MIN + 1, i64::MAX)),
        ..case("bit(n), varbit", "v_bit64", "bit(64)")
    },
    Case {
        same: "w::varbit = v",
        extremes: &["B''", "B'0'", "B'1'", "B'0001000'"],
        random: |r| format!("B'{:b}'", r.below(1 << 20)),
        ..case("bit(n), varbit", "v_varbit", "varbit(70)")
    },
    Case {
        same: "w::inet = v AND w = host(v) || CASE WHEN masklen(v) = (CASE WHEN family(v) = 4 THEN 32 ELSE 128 END) THEN '' ELSE '/' || masklen(v) END",
        extremes: &[
            "'0.0.0.0'",
            "'255.255.255.255/0'",
            "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127'",
            "'::ffff:1.2.3.4'",
        ],
        random: |r| format!("'{}.{}.{}.{}/{}'", r.below(256), r.below(256), r.below(256), r.below(256), r.below(33)),
        ..case("inet, cidr, macaddr, xml, tsvector, point…", "v_inet", "inet")
    },
    Case {
        same: "w::cidr = v",
        extremes: &["'0.0.0.0/0'", "'::/0'", "'10.0.0.0/8'"],
        random: |r| format!("'{}.{}.0.0/16'", r.below(256), r.below(256)),
        ..case("inet, cidr, macaddr, xml, tsvector, point…", "v_cidr", "cidr")
    },
    Case {
        same: "w::macaddr8 = v",
        extremes: &["'00:00:00:00:00:00:00:00'", "'ff:ff:ff:ff:ff:ff:ff:ff'"],
        random: |r| format!("substr(md5('{}'), 1, 16)::macaddr8", r.next()),
        ..case("inet, cidr, macaddr, xml, tsvector, point…", "v_macaddr8", "macaddr8")
    },
    Case {
        same: "w = v::text",
        extremes: &["'(0,0)'", "'(1e308,-1e-308)'", "'(NaN,Infinity)'"],
        random: |r| format!("point({}, {})", r.between(-999, 999), r.between(-999, 999)),
        ..case("inet, cidr, macaddr, xml, tsvector, point…", "v_point", "point")
    },
    Case {
        same: "w = v::text",
        extremes: &["'((0,0),(1,1),(2,0))'"],
        random: |r| format!("polygon(circle '<({},0),5>')", r.between(-999, 999)),
        ..case("inet, cidr, macaddr, xml, tsvector, point…", "v_polygon", "polygon")
    },
    Case {
        needs: "SELECT 1 FROM pg_config WHERE name = 'CONFIGURE' AND setting LIKE '%libxml%'",
        same: "w = v::text",
        extremes: &["'<a/>'", "'<a b=\"c\">d &amp; é</a>'"],
        random: |r| format!("'<n>{}</n>'", r.next()),
        ..case("inet, cidr, macaddr, xml, tsvector, point…", "v_xml", "xml")
    },
    Case {
        same: "w = v::text",
        extremes: &["''", "'pg_class'", "repeat('é', 31)::name"],
        random: |r| format!("{}::name", quote(&r.text(15))),
        ..case("inet, cidr, macaddr, xml, tsvector, point…", "v_name", "name")
    },
    Case {
        same: "w = v::text",
        extremes: &["'0/0'", "'FFFFFFFF/FFFFFFFF'"],
        random: |r| format!("'{:X}/{:X}'", r.below(1 << 32), r.below(1 << 32)),
        ..case("inet, cidr, macaddr, xml, tsvector, point…", "v_pg_lsn", "pg_lsn")
    },
    Case {
        same: "w = v::text",
        extremes: &["'0'", "'18446744073709551615'"],
        random: |r| format!("'{}'", r.next()),
        ..case("inet, cidr, macaddr, xml, tsvector, point…", "v_xid8", "xid8")
    },
    Case {
        same: "w = v::text",
        extremes: &["'a'", "''", "'\\377'"],
        random: |r| quote(r.pick(&["x", "Z", "~", "\\200"])),
        ..case("inet, cidr, macaddr, xml, tsvector, point…", "v_one_byte", "\"char\"")
    },
    Case {
        choices: "search = \"text\"",
        same: "w::tsvector = v",
        extremes: &["''", "'a:1 b:2,3A'"],
        random: |r| format!("to_tsvector('simple', {})", quote(&r.text(30))),
        ..case("inet, cidr, macaddr, xml, tsvector, point…", "v_tsvector_as_text", "tsvector")
    },
    Case {
        setup: "CREATE EXTENSION IF NOT EXISTS vector;",
        same: "v IS NOT NULL",
        extremes: &["'[0,-0,1]'", "'[3.4028235e38,1.17549435e-38,1e-45]'", "'[16777217,0.1,123456.79]'"],
        random: |r| format!("'[{},{},{}]'", r.single(), r.single(), r.between(-9, 9)),
        asked_in_target: true,
        ..case("vector(n)", "v_vector", "vector(3)")
    },
    Case {
        setup: "CREATE EXTENSION IF NOT EXISTS vector;",
        cast: "LONGTEXT",
        same: "w = v::text",
        extremes: &["'[1,2.5,-3]'"],
        random: |r| format!("'[{},0.5,1]'", r.between(-99, 99)),
        ..case("vector(n)", "v_halfvec_cast", "halfvec(3)")
    },
    Case {
        cast: "DECIMAL(10,2)",
        same: "w::numeric = v",
        shown: "CASE WHEN v::text IN ('NaN', 'Infinity') OR abs(v) >= 1e8 THEN 'beyond' WHEN scale(trim_scale(v)) > 2 THEN 'narrows' ELSE 'fits' END",
        fate: |text| match text {
            "beyond" => Fate::Rejected("convert.out-of-range"),
            "narrows" => Fate::Rejected("convert.cast-narrows"),
            _ => Fate::Arrives,
        },
        extremes: &["99999999.99", "100000000", "1.100", "1.001", "'NaN'"],
        random: |r| r.decimal(10, 4),
        ..case("numeric", "v_cast_to_decimal", "numeric")
    },
    Case {
        cast: "SMALLINT",
        same: "w::smallint::text = v",
        fate: |text| match text.parse::<i16>() {
            Ok(number) if number.to_string() == text => Fate::Arrives,
            _ if text.parse::<i64>().is_ok() => Fate::Rejected("convert.out-of-range"),
            _ => Fate::Rejected("convert.cast-invalid"),
        },
        extremes: &["'32767'", "'32768'", "'-32768'", "'one'", "'0'"],
        random: |r| format!("'{}'", r.between(-40_000, 40_000)),
        ..case("varchar(n), text", "v_cast_to_smallint", "text")
    },
    Case {
        cast: "VARCHAR(4)",
        target: "LOWER(HEX(v))",
        same: "decode(w, 'hex') = convert_to(v, 'UTF8')",
        fate: |text| if text.chars().count() <= 4 { Fate::Arrives } else { Fate::Rejected("convert.cast-narrows") },
        extremes: &["'ü☃😀x'", "'ü☃😀xy'", "''"],
        random: |r| quote(&r.text(6)),
        ..case("varchar(n), text", "v_cast_to_varchar", "text")
    },
    Case {
        cast: "DATETIME(3)",
        same: "w::timestamp = v",
        shown: "CASE WHEN v = date_trunc('milliseconds', v) THEN 'fits' ELSE 'narrows' END",
        fate: |text| if text == "fits" { Fate::Arrives } else { Fate::Rejected("convert.cast-narrows") },
        extremes: &["'2024-01-01 00:00:00.123'", "'2024-01-01 00:00:00.1234'"],
        random: |r| format!("timestamp '2024-01-01' + interval '{} microseconds'", r.below(1000) * r.pick(&[1, 1000])),
        ..case("date, timestamp, time", "v_cast_to_milliseconds", "timestamp")
    },
];
