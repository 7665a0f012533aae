//! A part of an expression: how the target spells it, and what type its values have at the source.
//!
//! What PostgreSQL knows of a type is carried along, since the target computes otherwise wherever it is not said: how
//! wide an integer is, how many digits a number has, whether blanks at a text's end count, whether a text is compared
//! by its code points, whether a double is spelled as one.

use super::Untranslatable;
use super::scope::{Kind, Letters};
use super::translate::refuse;
use crate::dialect::mysql::name::quote_text;

/// The collation that compares texts by their code points.
pub(super) const BY_CODE_POINTS: &str = "collate utf8mb4_bin";

/// The most digits that a DECIMAL has, and the most of them after the point.
pub(super) const DECIMAL_DIGITS: u32 = 65;
pub(super) const DECIMAL_SCALE: u32 = 30;

/// The integers of PostgreSQL, by their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Width {
    Two,
    Four,
    Eight,
}

impl Width {
    /// The least and the largest value.
    pub(super) fn bounds(self) -> (i128, i128) {
        let largest = match self {
            Self::Two => i128::from(i16::MAX),
            Self::Four => i128::from(i32::MAX),
            Self::Eight => i128::from(i64::MAX),
        };
        (-largest - 1, largest)
    }
}

/// A part of an expression in the target's dialect, in brackets where it needs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Printed {
    pub(super) sql: String,
    pub(super) kind: Kind,
    /// Of a text: it is compared by its code points, whatever it is compared with.
    pub(super) bin: bool,
    /// Of a literal: what stands between its quotes, or its digits.
    pub(super) literal: Option<String>,
    /// Of a text: it is a `char(n)`, whose blanks at the end do not count, and has so many characters. Zero: nobody knows.
    pub(super) fixed: Option<u32>,
    /// Of a text: what its locale says of its characters.
    pub(super) letters: Letters,
    /// Of an enum: it is kept as a text.
    pub(super) is_loose: bool,
    /// Of an integer: the source's type. None: not known.
    pub(super) width: Option<Width>,
    /// Of a whole number: the least and the largest value that it can have.
    pub(super) range: Option<(i128, i128)>,
    /// Of a number: its digits before the point, at most. None: nobody knows.
    pub(super) digits: Option<u32>,
    /// Of a number: its digits after the point, at most. None: nobody knows.
    pub(super) scale: Option<u32>,
    /// Of a float: what is spelled is a whole number or a decimal, which must become a double before it is computed with.
    pub(super) is_exact: bool,
    /// Of a float: it is a `real`.
    pub(super) is_single: bool,
    /// Of a time: the digits of its seconds after the point. None: six.
    pub(super) seconds: Option<u32>,
}

impl Printed {
    pub(super) fn new(sql: impl Into<String>, kind: Kind) -> Self {
        Self { sql: sql.into(), kind, ..Self::default() }
    }

    pub(super) fn boolean(sql: impl Into<String>) -> Self {
        Self::new(sql, Kind::Boolean)
    }

    /// A text that was computed from others.
    pub(super) fn text(sql: impl Into<String>, bin: bool) -> Self {
        Self { bin, ..Self::new(sql, Kind::Text) }
    }

    /// An `int4` within a range.
    pub(super) fn integer(sql: impl Into<String>, range: (i128, i128)) -> Self {
        let digits = digits_of(range);
        Self {
            width: Some(Width::Four),
            range: Some(range),
            digits: Some(digits),
            scale: Some(0),
            ..Self::new(sql, Kind::Integer)
        }
    }

    pub(super) fn with_scale(self, scale: Option<u32>) -> Self {
        Self { scale, ..self }
    }

    pub(super) fn with_extent(self, digits: Option<u32>, scale: Option<u32>) -> Self {
        Self { digits, scale, ..self }
    }

    pub(super) fn is_null(&self) -> bool {
        self.kind == Kind::Any && self.literal.is_none() || self.sql == "NULL"
    }

    /// Digits before and after the point.
    pub(super) fn extent(&self) -> Option<(u32, u32)> {
        self.digits.zip(self.scale)
    }

    /// A text that was computed, bound to be compared by its code points. Columns are by themselves, literals follow what
    /// they are compared with.
    pub(super) fn bound(self) -> Self {
        if self.kind != Kind::Text || self.literal.is_some() { self } else { self.by_code_points() }
    }

    /// The same for everything that is a text there, literals too.
    pub(super) fn by_code_points(self) -> Self {
        // Upper and lower case are one in uuids.
        if self.bin || self.is_null() || !self.kind.is_text() || self.kind == Kind::Uuid {
            return self;
        }
        Self { sql: format!("({} {BY_CODE_POINTS})", self.sql), bin: true, ..self }
    }

    /// A `char(n)` as the text that a cast makes of it, without its blanks at the end. Other texts are themselves.
    pub(super) fn without_padding(self) -> Self {
        match self.fixed {
            None => self,
            Some(_) => match self.literal {
                Some(text) => Self::quoted(text.trim_end_matches(' ')),
                None => Self { sql: format!("rtrim({})", self.sql), fixed: None, literal: None, ..self },
            },
        }
    }

    /// A `char(n)` with all of its blanks. Other texts are themselves.
    pub(super) fn padded(self) -> Result<Self, Untranslatable> {
        match self.fixed {
            None => Ok(self),
            Some(0) => refuse("how many blanks a text of fixed length ends in is not known"),
            Some(length) => {
                let bin = self.bin;
                Ok(Self::text(format!("rpad({},{length},' ')", self.without_padding().sql), bin))
            }
        }
    }

    /// A text literal.
    pub(super) fn quoted(text: &str) -> Self {
        Self { literal: Some(text.to_owned()), ..Self::new(quote_text(text), Kind::Text) }
    }

    /// Spelled so that it is a double, also where it stands alone.
    pub(super) fn into_double(self) -> Self {
        if self.kind == Kind::Float && !self.is_exact {
            return self;
        }
        let sql = format!("cast({} as double)", self.sql);
        // How many digits it has tells that it is neither huge nor next to zero.
        Self { is_single: self.is_single, digits: self.digits, scale: self.scale, ..Self::new(sql, Kind::Float) }
    }

    /// What may be either of two values.
    pub(super) fn or(self, other: &Self) -> Option<Self> {
        if other.is_null() {
            return Some(Self { literal: None, ..self });
        }
        if self.is_null() {
            return Some(Self { sql: self.sql, literal: None, ..other.clone() });
        }
        let is_known = super::translate::comparable(self.kind, other.kind)
            && self.fixed.is_some() == other.fixed.is_some()
            && self.is_single == other.is_single;
        if !is_known {
            return None;
        }
        let range = self.range.zip(other.range).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1)));
        let kind = if self.kind == Kind::Any { other.kind } else { self.kind };
        Some(Self {
            sql: self.sql,
            kind,
            bin: self.bin || other.bin,
            literal: None,
            letters: if self.letters == other.letters { self.letters } else { Letters::Unknown },
            is_loose: self.is_loose || other.is_loose,
            fixed: self.fixed.zip(other.fixed).map(|(a, b)| if a == b { a } else { 0 }),
            width: self.width.zip(other.width).map(|(a, b)| a.max(b)),
            range,
            digits: self.digits.zip(other.digits).map(|(a, b)| a.max(b)),
            scale: self.scale.zip(other.scale).map(|(a, b)| a.max(b)),
            is_exact: self.is_exact && other.is_exact,
            is_single: self.is_single,
            seconds: self.seconds.zip(other.seconds).map(|(a, b)| a.max(b)),
        })
    }
}

/// The digits that the numbers of a range have at most.
pub(super) fn digits_of((least, largest): (i128, i128)) -> u32 {
    let most = least.unsigned_abs().max(largest.unsigned_abs());
    most.checked_ilog10().map_or(1, |log| log + 1)
}
