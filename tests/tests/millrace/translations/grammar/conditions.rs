//! Conditions: comparisons, lists, patterns, and what connects them.

use super::{Expression, Family, Grammar, is_number, pick, source_text};

const COMPARISONS: &[&str] = &["=", "=", "<>", "<", "<=", ">", ">="];

const LIKES: &[&str] = &[
    "a%", "%a", "%a%", "a_", "_", "", "%", "ab %", "% ", "x%", "%x ", "a\\%b", "a\\_%", "\\\\%", "É%", "é%", "ß",
    "%\n", "_%_", "A%", "%B", "foo%", "a%b%c", "%'%", "𐐀%", "%.%", "[a]%",
];

const PATTERNS: &[&str] = &[
    "^[a-z]+$",
    "^[A-Z]+$",
    "^[a-z0-9_-]+$",
    "^\\d+$",
    "^[0-9]+$",
    "\\d",
    "\\s",
    "\\w",
    "^\\w+$",
    "^\\s*$",
    "^.+$",
    "^.*$",
    ".",
    "^.$",
    "^a.c$",
    "a.b",
    "^a",
    "a$",
    "x$",
    "^x$",
    "^$",
    "",
    "[[:punct:]]",
    "[[:alpha:]]",
    "^[[:alnum:]]+$",
    "[[:space:]]",
    "[[:digit:]]",
    "[[:upper:]]",
    "[[:lower:]]",
    "^[^@\\s]+@[^@\\s]+\\.[a-z]+$",
    "^[k]$",
    "^strasse$",
    "^é$",
    "[a&&b]",
    "[[a]",
    "^{a$",
    "(a|b)",
    "^(foo|bar)",
    "a{2}",
    "a{1,2}",
    "^a+?$",
    "^[^a]*$",
    "[^a-z]",
    "\\.",
    "\\$",
    "\\+",
    "^-?\\d+(\\.\\d+)?$",
    "\\yfoo\\y",
    "\\mfoo",
    "(?i)a",
    "^[é]$",
    "[À-ÿ]",
    "^(a)\\1$",
    "a b",
    "[.]",
    "[]a]",
    "^😀$",
    "^[\\w.+-]+@[\\w-]+\\.[\\w.]+$",
    "^#[0-9a-fA-F]{6}$",
    "^\\+?[0-9]{7,15}$",
    "^[A-Z]{2}$",
    "^[a-z]{2}-[A-Z]{2}$",
    "\\\\",
    "\\n",
    "\\t",
    "[\\n]",
    "^abc",
    "c$",
    "b",
];

impl Grammar<'_> {
    /// A condition.
    pub(super) fn condition(&mut self, depth: u32) -> Expression {
        match self.chance.below(24) {
            0..6 => self.comparison(depth),
            6..8 => self.list(depth),
            8 => self.between(depth),
            9..11 => self.presence(depth),
            11..15 => self.connected(depth),
            15..18 => self.pattern(depth),
            18 => self.truth(depth),
            19 => self.general(Family::Boolean, depth),
            20 => self.beginning(depth),
            21 => self.array_condition(depth),
            22 => self.converted(depth),
            _ => self.usual(),
        }
    }

    fn comparison(&mut self, depth: u32) -> Expression {
        let family = self.family();
        let comparison = *pick(self.chance, COMPARISONS);
        let left = self.draw(family, depth - 1);
        let right = match family {
            // Numbers of different families are compared, and dates with instants.
            _ if is_number(family) && self.chance.once_in(3) => {
                let other = self.number_family();
                self.draw(other, depth - 1)
            }
            Family::Date if self.chance.once_in(6) => self.draw(Family::Timestamp, depth - 1),
            Family::Timestamp if self.chance.once_in(6) => self.draw(Family::Date, depth - 1),
            _ if self.chance.once_in(2) => self.bare(family),
            _ => self.draw(family, depth - 1),
        };
        let comparison = if family == Family::Json { "=" } else { comparison };
        Expression::of(Family::Boolean, &format!("({{}} {comparison} {{}})"), vec![left, right])
    }

    /// A literal without its type, as people write them.
    fn bare(&mut self, family: Family) -> Expression {
        match family {
            Family::Integer | Family::Decimal | Family::Boolean | Family::Bits | Family::Float => self.literal(family),
            _ => Expression::leaf(family, source_text(&self.value(family))),
        }
    }

    fn list(&mut self, depth: u32) -> Expression {
        let family = self.family();
        let tested = self.draw(family, depth - 1);
        let length = 1 + self.chance.below(3);
        let mut parts = vec![tested];
        let array = self.chance.once_in(4);
        for _ in 0..length {
            let literal = if array { self.literal(family) } else { self.bare(family) };
            parts.push(literal);
        }
        let places = vec!["{}"; parts.len() - 1].join(", ");
        let null = if self.chance.once_in(8) && !array { ", NULL" } else { "" };
        let template = match (array, self.chance.below(3)) {
            (true, 0) => format!("({{}} <> ALL (ARRAY[{places}]))"),
            (true, _) => format!("({{}} = ANY (ARRAY[{places}]))"),
            (false, 0) => format!("({{}} NOT IN ({places}{null}))"),
            (false, _) => format!("({{}} IN ({places}{null}))"),
        };
        Expression::of(Family::Boolean, &template, parts)
    }

    fn between(&mut self, depth: u32) -> Expression {
        let family = self.family();
        let family = if family == Family::Json { Family::Integer } else { family };
        let (low, high) = (self.bare(family), self.bare(family));
        let tested = self.draw(family, depth - 1);
        let template = *pick(
            self.chance,
            &[
                "({} BETWEEN {} AND {})",
                "({} BETWEEN {} AND {})",
                "({} NOT BETWEEN {} AND {})",
                "({} BETWEEN SYMMETRIC {} AND {})",
            ],
        );
        Expression::of(Family::Boolean, template, vec![tested, low, high])
    }

    fn presence(&mut self, depth: u32) -> Expression {
        let family = self.family();
        self.one_of(
            Family::Boolean,
            depth,
            &[
                ("({} IS NULL)", &[family]),
                ("({} IS NOT NULL)", &[family]),
                ("({} IS NOT NULL)", &[family]),
                ("({} IS DISTINCT FROM {})", &[family, family]),
                ("({} IS NOT DISTINCT FROM {})", &[family, family]),
                ("(num_nonnulls({}, {}) = 1)", &[family, family]),
            ],
        )
    }

    fn connected(&mut self, depth: u32) -> Expression {
        const B: Family = Family::Boolean;
        self.one_of(
            B,
            depth,
            &[
                ("({} AND {})", &[B, B]),
                ("({} AND {})", &[B, B]),
                ("({} OR {})", &[B, B]),
                ("({} OR {})", &[B, B]),
                ("(NOT {})", &[B]),
                ("({} AND {} OR {})", &[B, B, B]),
                ("(NOT ({} AND {}))", &[B, B]),
                ("({} = {})", &[B, B]),
                ("({} <> {})", &[B, B]),
                ("(({})::integer + ({})::integer = 1)", &[B, B]),
            ],
        )
    }

    fn truth(&mut self, depth: u32) -> Expression {
        const B: Family = Family::Boolean;
        let template = *pick(
            self.chance,
            &[
                "({} IS TRUE)",
                "({} IS NOT TRUE)",
                "({} IS FALSE)",
                "({} IS NOT FALSE)",
                "({} IS UNKNOWN)",
                "({} IS NOT UNKNOWN)",
            ],
        );
        self.one_of(B, depth, &[(template, &[B])])
    }

    fn pattern(&mut self, depth: u32) -> Expression {
        let tested = self.draw(Family::Text, depth - 1);
        let (operator, pattern) = match self.chance.below(8) {
            0..2 => (*pick(self.chance, &["LIKE", "LIKE", "NOT LIKE", "~~"]), *pick(self.chance, LIKES)),
            2 => (*pick(self.chance, &["ILIKE", "NOT ILIKE"]), *pick(self.chance, LIKES)),
            3..7 => (*pick(self.chance, &["~", "~", "!~"]), *pick(self.chance, PATTERNS)),
            _ => (*pick(self.chance, &["~*", "!~*"]), *pick(self.chance, PATTERNS)),
        };
        let pattern = Expression::leaf(Family::Text, source_text(pattern));
        let escape = if operator.ends_with("LIKE") && self.chance.once_in(8) { " ESCAPE '!'" } else { "" };
        Expression::of(Family::Boolean, &format!("({{}} {operator} {{}}{escape})"), vec![tested, pattern])
    }

    fn beginning(&mut self, depth: u32) -> Expression {
        const T: Family = Family::Text;
        self.one_of(
            Family::Boolean,
            depth,
            &[
                ("starts_with({}, {})", &[T, T]),
                ("({} ^@ {})", &[T, T]),
                ("(strpos({}, {}) > 0)", &[T, T]),
                ("(position({} in {}) = 1)", &[T, T]),
                ("({} LIKE {} || '%')", &[T, T]),
                ("(lower({}) = lower({}))", &[T, T]),
            ],
        )
    }

    fn array_condition(&mut self, depth: u32) -> Expression {
        const A: Family = Family::Integers;
        self.one_of(
            Family::Boolean,
            depth,
            &[
                ("({} = ANY ({}))", &[Family::Integer, A]),
                ("(cardinality({}) > 0)", &[A]),
                ("({} @> {})", &[A, A]),
                ("({} = {})", &[A, A]),
                ("(({})[1] = {})", &[A, Family::Integer]),
                ("({} = ANY ({}))", &[Family::Text, Family::Texts]),
            ],
        )
    }

    /// A condition on a value of another type.
    fn converted(&mut self, depth: u32) -> Expression {
        self.one_of(
            Family::Boolean,
            depth,
            &[
                ("(({})::text = {})", &[Family::Integer, Family::Text]),
                ("(({})::boolean)", &[Family::Integer]),
                ("(({})::integer > 0)", &[Family::Text]),
                ("(({})::date IS NOT NULL)", &[Family::Text]),
                ("(({})::uuid = {})", &[Family::Text, Family::Uuid]),
                ("(({})::mood <> {})", &[Family::Text, Family::Enum]),
                ("(({})::jsonb IS NOT NULL)", &[Family::Text]),
                ("(({})::name = {})", &[Family::Text, Family::Text]),
                ("(({})::boolean)", &[Family::Text]),
                ("(({})::numeric > 0)", &[Family::Text]),
                ("(({})::inet = {})", &[Family::Text, Family::Inet]),
            ],
        )
    }

    /// What many schemas have.
    fn usual(&mut self) -> Expression {
        let family = self.family();
        let Some(column) = self.column(family) else { return self.leaf(Family::Boolean) };
        let name = column.sql;
        let templates: &[&str] = match family {
            Family::Text => &[
                "length(btrim({})) > 0",
                "btrim({}) <> ''",
                "{} <> ''",
                "{} = lower({})",
                "{} = upper({})",
                "{} = btrim({})",
                "char_length({}) <= 3",
                "length({}) BETWEEN 1 AND 3",
                "{} ~ '^[A-Z]{2,3}$'",
                "{} LIKE '%@%'",
                "{} IN ('a', 'ab', 'x')",
                "{} IS NULL OR {} <> ''",
                "octet_length({}) = length({})",
                "{} = ANY (ARRAY['on', 'off'])",
            ],
            Family::Integer => &[
                "{} > 0",
                "{} >= 0 AND {} <= 100",
                "{} % 2 = 0",
                "{} <> 0",
                "{} BETWEEN 1 AND 5",
                "{} IN (1, 2, 3)",
                "100 / {} >= 1",
                "{} * {} < 1000",
                "abs({}) < 100",
                "{} & 1 = 1",
            ],
            Family::Decimal => &[
                "{} >= 0",
                "{} > 0 AND {} < 1000000",
                "round({}, 1) = {}",
                "{} * 100 = trunc({} * 100)",
                "{} >= 0.00",
                "{} BETWEEN 0 AND 1",
            ],
            Family::Float => {
                &["{} >= 0", "{} BETWEEN -90 AND 90", "{} <> 'NaN'", "{} > 0.1", "sqrt({}) < 10", "{} = floor({})"]
            }
            Family::Boolean => &["{}", "NOT {}", "{} IS NOT FALSE", "{} = true"],
            Family::Date => {
                &["{} > '1900-01-01'", "{} >= '2020-01-01' AND {} < '2025-01-01'", "extract(dow FROM {}) <> 0"]
            }
            Family::Timestamp | Family::TimestampTz => {
                &["{} > '2000-01-01 00:00:00'", "{} <= '9999-12-31'", "extract(year FROM {}) >= 2000"]
            }
            Family::Enum => &["{} <> 'sad'", "{} IN ('ok', 'happy')", "{} > 'sad'", "{} < 'Z'"],
            _ => &["{} IS NOT NULL", "{} = {}"],
        };
        let condition = pick(self.chance, templates).replace("{}", &name);
        Expression::leaf(Family::Boolean, format!("({condition})"))
    }
}
