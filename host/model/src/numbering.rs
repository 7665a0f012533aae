//! How columns that number themselves go on: what the source's sequence gives next, and what the target's AUTO_INCREMENT
//! does, which counts up by one and gives no number below 1 nor one that is there.

use crate::schema::Column;

/// A sequence behind a column, as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Where it stands.
    pub value: i64,
    /// Whether that number was given. False: it is the next one.
    pub is_given: bool,
    /// From one number to the next; below 0 it counts down.
    pub increment: i64,
    /// No number below.
    pub smallest: i64,
    /// No number above.
    pub largest: i64,
    /// Whether it begins again after the last number.
    pub cycles: bool,
}

impl Sequence {
    /// What it gives next. None: it has given its last number.
    pub fn next(&self) -> Option<i64> {
        if !self.is_given {
            return Some(self.value);
        }
        let next = self.value.checked_add(self.increment).filter(|next| (self.smallest..=self.largest).contains(next));
        let again = if self.increment < 0 { self.largest } else { self.smallest };
        next.or_else(|| self.cycles.then_some(again))
    }

    /// As a model of the source says it of a column. None: the column has no sequence of its own.
    pub fn of(column: &Column) -> Option<Self> {
        let said = |name: &str| column.properties.get(name).map(String::as_str);
        let number = |name: &str| said(name).and_then(|text| text.parse::<i64>().ok());
        if !column.identity {
            return None;
        }
        said("sequence")?;
        let last = number("sequence-last-value");
        let first = number("sequence-restart").or_else(|| number("sequence-start")).unwrap_or(1);
        Some(Self {
            value: last.unwrap_or(first),
            is_given: last.is_some(),
            increment: number("sequence-increment").unwrap_or(1),
            smallest: number("sequence-smallest").unwrap_or(i64::MIN),
            largest: number("sequence-largest").unwrap_or(i64::MAX),
            cycles: said("sequence-cycles") == Some("true"),
        })
    }
}

/// What a table's own numbering goes on from: what its source gives next, behind the largest number that it has and
/// behind all that was `given` by the table whose place it takes.
pub fn next_number(source: Option<i64>, largest: Option<i128>, given: Option<u64>) -> u64 {
    let behind = largest.map_or(1, |largest| largest.saturating_add(1));
    let next = behind.max(source.map_or(1, i128::from)).max(given.map_or(1, i128::from)).max(1);
    u64::try_from(next).unwrap_or(u64::MAX)
}

/// The largest number that a column of the target holds. None: it is no integer.
pub fn largest_held(column: &Column) -> Option<u64> {
    let declared = column.declared.trim().to_ascii_lowercase();
    let base = declared.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let bits = match base {
        "tinyint" => 8,
        "smallint" => 16,
        "mediumint" => 24,
        "int" | "integer" => 32,
        "bigint" => 64,
        _ => return None,
    };
    let unsigned = u64::MAX >> (64 - bits);
    Some(if declared.contains("unsigned") { unsigned } else { unsigned >> 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Sequence =
        Sequence { value: 1, is_given: false, increment: 1, smallest: 1, largest: i64::MAX, cycles: false };

    #[test]
    fn a_sequence_gives_what_it_was_set_to_and_then_goes_on() {
        assert_eq!(Sequence { value: 1000, ..USUAL }.next(), Some(1000));
        assert_eq!(Sequence { value: 1000, is_given: true, ..USUAL }.next(), Some(1001));
        assert_eq!(Sequence { value: 21, is_given: true, increment: 10, ..USUAL }.next(), Some(31));
        let down = Sequence { value: -3, is_given: true, increment: -1, smallest: i64::MIN, largest: -1, ..USUAL };
        assert_eq!(down.next(), Some(-4));
    }

    #[test]
    fn a_sequence_at_its_end_gives_nothing_or_begins_again() {
        let full = Sequence { value: 9, is_given: true, largest: 9, ..USUAL };
        assert_eq!(full.next(), None);
        assert_eq!(Sequence { cycles: true, ..full }.next(), Some(1));
        assert_eq!(Sequence { value: 1, increment: -1, cycles: true, ..full }.next(), Some(9));
        assert_eq!(Sequence { value: i64::MAX, is_given: true, ..USUAL }.next(), None);
    }

    #[test]
    fn a_model_says_only_what_is_not_as_usual() {
        let column = |properties: &[(&str, &str)]| Column {
            identity: true,
            properties: properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..Column::default()
        };
        let next = |properties: &[(&str, &str)]| Sequence::of(&column(properties)).and_then(|s| s.next());
        assert_eq!(next(&[("sequence", "s")]), Some(1));
        assert_eq!(next(&[("sequence", "s"), ("sequence-start", "1000")]), Some(1000));
        assert_eq!(next(&[("sequence", "s"), ("sequence-start", "1000"), ("sequence-restart", "7")]), Some(7));
        assert_eq!(next(&[("sequence", "s"), ("sequence-last-value", "41"), ("sequence-start", "9")]), Some(42));
        assert_eq!(next(&[]), None);
    }

    #[test]
    fn auto_increment_goes_on_where_no_number_is_given_twice() {
        assert_eq!(next_number(Some(1000), None, None), 1000);
        assert_eq!(next_number(Some(4), Some(100), None), 101);
        assert_eq!(next_number(Some(4), Some(100), Some(5002)), 5002);
        assert_eq!(next_number(Some(-8), None, None), 1);
        assert_eq!(next_number(None, None, None), 1);
    }

    #[test]
    fn a_column_holds_what_its_type_does() {
        let of = |declared: &str| largest_held(&Column { declared: declared.to_owned(), ..Column::default() });
        assert_eq!(of("smallint(6)"), Some(32_767));
        assert_eq!(of("int(10) unsigned"), Some(u64::from(u32::MAX)));
        assert_eq!(of("bigint(20)"), Some(i64::MAX.unsigned_abs()));
        assert_eq!(of("varchar(9)"), None);
    }
}
