//! Choices of the converter that none of the other cases makes.

use super::cases::{Case, case, quote};

pub(crate) const CHOICES: &[Case] = &[
    Case {
        choices: "enum = \"text\"",
        setup: "CREATE TYPE weather AS ENUM ('rain', 'Rain ', 'it''s fine', 'a,b', 'back\\slash', '');",
        same: "w = v::text",
        extremes: &["'it''s fine'", "'back\\slash'", "''", "'Rain '"],
        random: |r| format!("{}::weather", quote(r.pick(&["rain", "Rain ", "a,b"]))),
        ..case("enum, domain, composite, range, hstore, array", "v_enum_as_text", "weather")
    },
    Case {
        choices: "composite = \"text\"",
        setup: "CREATE TYPE spot AS (street text, number numeric, tags text[]);",
        same: "w::jsonb = to_jsonb(v)",
        extremes: &["ROW(NULL, NULL, NULL)::spot", "ROW('', 12345678901234567890.123456789012345678901, '{}')::spot"],
        random: |r| format!("ROW({}, {}, ARRAY[{}])::spot", quote(&r.text(9)), r.decimal(30, 20), quote(&r.text(4))),
        ..case("enum, domain, composite, range, hstore, array", "v_composite_as_text", "spot")
    },
    Case {
        choices: "bit = \"text\"",
        same: "w::bit(9) = v",
        extremes: &["B'000000000'", "B'111111111'", "B'000000001'"],
        random: |r| format!("{}::bit(9)", r.below(512)),
        ..case("bit(n), varbit", "v_bit_as_text", "bit(9)")
    },
    Case {
        choices: "numeric = \"text\"",
        same: "w = v::text",
        extremes: &["0", "1.000", "-0.00", "1e100", "1e-100"],
        random: |r| r.decimal(40, 40),
        ..case("numeric", "v_numeric_as_text", "numeric")
    },
    Case {
        choices: "text = \"mediumtext\"",
        same: "w = v",
        extremes: &["''", "' '", "E'\\n'", "repeat('é', 40000)"],
        random: |r| quote(&r.text(60)),
        ..case("varchar(n), text", "v_text_as_mediumtext", "text")
    },
    Case {
        choices: "text = \"longtext\"",
        same: "w = v",
        extremes: &["''", "' '", "E'\\t'", "repeat('😀', 40000)"],
        random: |r| quote(&r.text(60)),
        ..case("varchar(n), text", "v_text_as_longtext", "text")
    },
];
