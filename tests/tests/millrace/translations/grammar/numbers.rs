//! Numbers.

use super::{Expression, Family, Grammar, pick};

const I: Family = Family::Integer;
const D: Family = Family::Decimal;
const F: Family = Family::Float;
const T: Family = Family::Text;
const B: Family = Family::Boolean;

impl Grammar<'_> {
    /// An integer.
    pub(super) fn integer(&mut self, depth: u32) -> Expression {
        match self.chance.below(10) {
            0..4 => self.integer_sum(depth),
            4..7 => self.measured(depth),
            7 => self.general(I, depth),
            8 => self.cast_to_integer(depth),
            _ => self.one_of(
                I,
                depth,
                &[
                    ("({} & {})", &[I, I]),
                    ("({} | {})", &[I, I]),
                    ("({} # {})", &[I, I]),
                    ("(~ {})", &[I]),
                    ("({} << 2)", &[I]),
                    ("({} >> 1)", &[I]),
                    ("cardinality({})", &[Family::Integers]),
                    ("({})[1]", &[Family::Integers]),
                    ("({})[2]", &[Family::Integers]),
                ],
            ),
        }
    }

    fn integer_sum(&mut self, depth: u32) -> Expression {
        let number = *pick(self.chance, &["1", "2", "3", "10", "1000", "0"]);
        let templates = [
            format!("({{}} * {number})"),
            format!("({{}} + {number})"),
            format!("({{}} % {number})"),
            format!("({{}} / {number})"),
        ];
        if self.chance.once_in(3) {
            let part = self.draw(I, depth - 1);
            return Expression::of(I, pick::<String>(self.chance, &templates), vec![part]);
        }
        self.one_of(
            I,
            depth,
            &[
                ("({} + {})", &[I, I]),
                ("({} - {})", &[I, I]),
                ("({} * {})", &[I, I]),
                ("({} / {})", &[I, I]),
                ("({} % {})", &[I, I]),
                ("mod({}, {})", &[I, I]),
                ("(- {})", &[I]),
                ("abs({})", &[I]),
                ("({} + {} * {})", &[I, I, I]),
            ],
        )
    }

    fn measured(&mut self, depth: u32) -> Expression {
        self.one_of(
            I,
            depth,
            &[
                ("length({})", &[T]),
                ("length({})", &[T]),
                ("char_length({})", &[T]),
                ("octet_length({})", &[T]),
                ("bit_length({})", &[T]),
                ("octet_length({})", &[Family::Bytes]),
                ("length({})", &[Family::Bytes]),
                ("strpos({}, {})", &[T, T]),
                ("position({} in {})", &[T, T]),
                ("ascii({})", &[T]),
                ("({} - {})", &[Family::Date, Family::Date]),
                ("extract(year FROM {})::integer", &[Family::Timestamp]),
                ("extract(epoch FROM {})::bigint", &[Family::Timestamp]),
                ("date_part('month', {})::integer", &[Family::Date]),
                ("extract(isodow FROM {})::integer", &[Family::Date]),
            ],
        )
    }

    fn cast_to_integer(&mut self, depth: u32) -> Expression {
        self.one_of(
            I,
            depth,
            &[
                ("({})::integer", &[D]),
                ("({})::integer", &[F]),
                ("({})::integer", &[B]),
                ("({})::integer", &[T]),
                ("({})::bigint", &[I]),
                ("({})::smallint", &[I]),
                ("({})::bigint", &[D]),
                ("({})::bigint", &[T]),
                ("sign({})::integer", &[D]),
            ],
        )
    }

    /// A decimal.
    pub(super) fn decimal(&mut self, depth: u32) -> Expression {
        let places = *pick(self.chance, &["0", "1", "2", "-1", "5"]);
        let templates = [format!("round({{}}, {places})"), format!("trunc({{}}, {places})")];
        match self.chance.below(10) {
            0..4 => self.one_of(
                D,
                depth,
                &[
                    ("({} + {})", &[D, D]),
                    ("({} - {})", &[D, D]),
                    ("({} * {})", &[D, D]),
                    ("({} * {})", &[D, I]),
                    ("({} / {})", &[D, D]),
                    ("({} / {})", &[D, I]),
                    ("({} % {})", &[D, D]),
                    ("({} * 1.19)", &[D]),
                    ("({} / 100.0)", &[I]),
                    ("(- {})", &[D]),
                    ("({} * (1 + {}))", &[D, D]),
                ],
            ),
            4..6 => {
                let part = self.draw(D, depth - 1);
                Expression::of(D, pick::<String>(self.chance, &templates), vec![part])
            }
            6 => self.general(D, depth),
            7..9 => self.one_of(
                D,
                depth,
                &[
                    ("abs({})", &[D]),
                    ("round({})", &[D]),
                    ("floor({})", &[D]),
                    ("ceil({})", &[D]),
                    ("ceiling({})", &[D]),
                    ("trunc({})", &[D]),
                    ("sign({})", &[D]),
                    ("mod({}, {})", &[D, D]),
                    ("power({}, 2)", &[D]),
                    ("sqrt({})", &[D]),
                    ("exp({})", &[D]),
                    ("ln({})", &[D]),
                    ("log({})", &[D]),
                    ("extract(year FROM {})", &[Family::Date]),
                    ("extract(second FROM {})", &[Family::Timestamp]),
                    ("extract(epoch FROM {})", &[Family::TimestampTz]),
                    ("extract(hour FROM {})", &[Family::Time]),
                    ("extract(week FROM {})", &[Family::Date]),
                    ("extract(quarter FROM {})", &[Family::Timestamp]),
                ],
            ),
            _ => self.one_of(
                D,
                depth,
                &[
                    ("({})::numeric", &[I]),
                    ("({})::numeric(10,2)", &[D]),
                    ("({})::numeric(5,1)", &[D]),
                    ("({})::numeric", &[F]),
                    ("({})::numeric", &[T]),
                    ("({})::numeric(10,2)", &[T]),
                    ("({})::numeric(10,2)", &[I]),
                ],
            ),
        }
    }

    /// A double.
    pub(super) fn float(&mut self, depth: u32) -> Expression {
        match self.chance.below(8) {
            0..3 => self.one_of(
                F,
                depth,
                &[
                    ("({} + {})", &[F, F]),
                    ("({} - {})", &[F, F]),
                    ("({} * {})", &[F, F]),
                    ("({} / {})", &[F, F]),
                    ("({} / {})", &[F, I]),
                    ("({} * {})", &[F, D]),
                    ("(({})::float8 / {})", &[I, I]),
                    ("({} * 100)", &[F]),
                ],
            ),
            3..5 => self.one_of(
                F,
                depth,
                &[
                    ("({})::float8", &[I]),
                    ("({})::float8", &[D]),
                    ("({})::real", &[D]),
                    ("({})::real", &[F]),
                    ("({})::float8", &[T]),
                    ("({})::float8", &[F]),
                ],
            ),
            5 => self.general(F, depth),
            _ => self.one_of(
                F,
                depth,
                &[
                    ("sqrt({})", &[F]),
                    ("abs({})", &[F]),
                    ("floor({})", &[F]),
                    ("ceil({})", &[F]),
                    ("round({})", &[F]),
                    ("trunc({})", &[F]),
                    ("exp({})", &[F]),
                    ("ln({})", &[F]),
                    ("power({}, {})", &[F, F]),
                    ("sign({})", &[F]),
                    ("radians({})", &[F]),
                    ("sin({})", &[F]),
                    ("date_part('epoch', {})", &[Family::Timestamp]),
                ],
            ),
        }
    }
}
