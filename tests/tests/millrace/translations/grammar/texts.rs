//! Texts.

use super::{Expression, Family, Grammar, pick};

const T: Family = Family::Text;
const I: Family = Family::Integer;

impl Grammar<'_> {
    /// A text.
    pub(super) fn text(&mut self, depth: u32) -> Expression {
        match self.chance.below(12) {
            0..3 => self.folded(depth),
            3..6 => self.cut(depth),
            6..8 => self.joined(depth),
            8 => self.general(T, depth),
            9..11 => self.spelled(depth),
            _ => self.rare(depth),
        }
    }

    fn folded(&mut self, depth: u32) -> Expression {
        self.one_of(
            T,
            depth,
            &[
                ("lower({})", &[T]),
                ("lower({})", &[T]),
                ("upper({})", &[T]),
                ("btrim({})", &[T]),
                ("trim({})", &[T]),
                ("ltrim({})", &[T]),
                ("rtrim({})", &[T]),
                ("btrim({}, 'x ')", &[T]),
                ("trim(both 'a' from {})", &[T]),
                ("lower(btrim({}))", &[T]),
                ("({}) COLLATE \"C\"", &[T]),
            ],
        )
    }

    fn cut(&mut self, depth: u32) -> Expression {
        let number = *pick(self.chance, &["1", "2", "3", "0", "-1", "-2", "100"]);
        let length = *pick(self.chance, &["1", "2", "3", "0", "100"]);
        let templates = [
            format!("substring({{}} from {number} for {length})"),
            format!("substr({{}}, {number}, {length})"),
            format!("substr({{}}, {number})"),
            format!("substring({{}} from {number})"),
            format!("left({{}}, {number})"),
            format!("right({{}}, {number})"),
            format!("split_part({{}}, ' ', {number})"),
            format!("lpad({{}}, {length}, '0')"),
            format!("rpad({{}}, {length})"),
            format!("repeat({{}}, {number})"),
            format!("({{}})::varchar({})", 1 + self.chance.below(4)),
            format!("({{}})::char({})", 1 + self.chance.below(5)),
        ];
        if self.chance.once_in(6) {
            let columns: &[(&str, &[Family])] = &[
                ("substr({}, {}, 1)", &[T, I]),
                ("left({}, {})", &[T, I]),
                ("right({}, {})", &[T, I]),
                ("lpad({}, {}, 'x')", &[T, I]),
            ];
            return self.one_of(T, depth, columns);
        }
        let template = pick(self.chance, &templates).clone();
        let part = self.draw(T, depth - 1);
        Expression::of(T, &template, vec![part])
    }

    fn joined(&mut self, depth: u32) -> Expression {
        self.one_of(
            T,
            depth,
            &[
                ("({} || {})", &[T, T]),
                ("({} || ' ' || {})", &[T, T]),
                ("({} || '-')", &[T]),
                ("concat({}, {})", &[T, T]),
                ("({}::text || {})", &[I, T]),
                ("({} || {})", &[T, I]),
                ("replace({}, {}, {})", &[T, T, T]),
                ("replace({}, 'x', '')", &[T]),
                ("concat_ws(',', {}, {})", &[T, T]),
                ("translate({}, 'abc', 'xy')", &[T]),
                ("(coalesce({}, '') || coalesce({}, ''))", &[T, T]),
            ],
        )
    }

    /// A value of another type as a text.
    fn spelled(&mut self, depth: u32) -> Expression {
        let family = self.family();
        let family = if matches!(family, Family::Integers | Family::Texts) { I } else { family };
        self.one_of(
            T,
            depth,
            &[
                ("({})::text", &[family]),
                ("({})::text", &[family]),
                ("({})::varchar(10)", &[family]),
                ("({})::text", &[Family::Boolean]),
                ("md5({})", &[T]),
                ("({} ->> 'a')", &[Family::Json]),
                ("({})::name", &[T]),
                ("({})::\"char\"", &[T]),
            ],
        )
    }

    fn rare(&mut self, depth: u32) -> Expression {
        self.one_of(
            T,
            depth,
            &[
                ("initcap({})", &[T]),
                ("reverse({})", &[T]),
                ("regexp_replace({}, '[^a-z]', '', 'g')", &[T]),
                ("regexp_replace({}, '\\s+', ' ')", &[T]),
                ("overlay({} placing 'x' from 2 for 1)", &[T]),
                ("chr(abs({}) % 1000 + 1)", &[I]),
                ("to_hex({})", &[I]),
                ("encode({}, 'hex')", &[Family::Bytes]),
                ("normalize({})", &[T]),
                ("quote_literal({})", &[T]),
                ("split_part({}, '@', 2)", &[T]),
                ("substring({} from '[a-z]+')", &[T]),
                ("host({})", &[Family::Inet]),
            ],
        )
    }
}
