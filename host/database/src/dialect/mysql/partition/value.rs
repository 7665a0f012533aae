//! Values of bounds: what they mean in the target's column, in which order they are, and how the target prints them.

use std::cmp::Ordering;

use millrace_columnar::calendar;

use super::source::Literal;
use crate::dialect::mysql::expression::Untranslatable;

/// What the values of a key's column are, as far as bounds depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Its smallest and largest value.
    Integer(i128, i128),
    Boolean,
    /// Digits after the point.
    Decimal(u32),
    Date,
    Timestamp,
    /// Kept in UTC.
    TimestampTz,
    Time,
    Text,
    /// Blanks at the end do not count.
    FixedText,
    Uuid,
}

/// One value: a number of days, microseconds, units of the last digit, or a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scalar {
    Number(i128),
    Text(String),
}

/// A value's place among all that a column may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Below all of them.
    Below,
    /// At this value.
    At(Scalar),
    /// Above all of them.
    Above,
}

/// 0001-01-01 and 9999-12-31, the days that the target has.
const DAYS: (i32, i32) = (-719_162, 2_932_896);

impl Form {
    /// Where a value of a bound is.
    pub(super) fn place(self, literal: &Literal) -> Result<Place, Untranslatable> {
        let text = match literal {
            Literal::Min => return Ok(Place::Below),
            Literal::Max => return Ok(Place::Above),
            Literal::Null => return Err(Untranslatable("NULL is no bound".to_owned())),
            Literal::Text(text) => text,
        };
        let unclear = || Untranslatable(format!("the value {text} of a bound has no counterpart"));
        let number = |number: i128| Place::At(Scalar::Number(number));
        Ok(match self {
            Self::Integer(smallest, largest) => {
                let value: i128 = text.parse().map_err(|_| unclear())?;
                if !(smallest..=largest).contains(&value) {
                    return Err(unclear());
                }
                number(value)
            }
            Self::Boolean => match text.as_str() {
                "true" | "t" => number(1),
                "false" | "f" => number(0),
                _ => return Err(unclear()),
            },
            Self::Decimal(scale) => match text.as_str() {
                // Above every number, and above infinity.
                "NaN" | "Infinity" => Place::Above,
                "-Infinity" => Place::Below,
                digits => number(scaled(digits, scale).ok_or_else(unclear)?),
            },
            Self::Date => match calendar::read_date(text.as_bytes()).ok_or_else(unclear)? {
                day if day > DAYS.1 => Place::Above,
                day if day < DAYS.0 => Place::Below,
                day => number(day.into()),
            },
            Self::Timestamp => instant(text).ok_or_else(unclear)?,
            Self::TimestampTz => instant(&in_utc(text).ok_or_else(unclear)?).ok_or_else(unclear)?,
            Self::Time => number(calendar::read_time(text.as_bytes()).ok_or_else(unclear)?.into()),
            Self::Text => Place::At(Scalar::Text(plain(text)?.to_owned())),
            Self::FixedText => Place::At(Scalar::Text(plain(text.trim_end_matches(' '))?.to_owned())),
            Self::Uuid if text.len() == 36 => Place::At(Scalar::Text(text.to_ascii_lowercase())),
            Self::Uuid => return Err(unclear()),
        })
    }

    /// The value before this one. None: between any two there are more.
    pub(super) fn before(self, scalar: &Scalar) -> Option<Scalar> {
        match (self, scalar) {
            (Self::Integer(smallest, _), Scalar::Number(number)) => {
                (*number > smallest).then(|| Scalar::Number(number - 1))
            }
            (Self::Date, Scalar::Number(day)) => (*day > DAYS.0.into()).then(|| Scalar::Number(day - 1)),
            _ => None,
        }
    }

    /// As the target prints it.
    pub(super) fn printed(self, scalar: &Scalar) -> String {
        let quoted = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            format!("'{}'", String::from_utf8_lossy(&out))
        };
        match (self, scalar) {
            (Self::Date, Scalar::Number(day)) => {
                let day = i32::try_from(*day).unwrap_or(i32::MAX);
                quoted(&|out| calendar::write_date(day, out))
            }
            (Self::Timestamp | Self::TimestampTz, Scalar::Number(instant)) => {
                let instant = i64::try_from(*instant).unwrap_or(i64::MAX);
                quoted(&|out| calendar::write_timestamp(instant, out))
            }
            (Self::Time, Scalar::Number(time)) => {
                let time = i64::try_from(*time).unwrap_or(i64::MAX);
                quoted(&|out| calendar::write_time(time, out))
            }
            (Self::Decimal(scale), Scalar::Number(units)) => with_point(*units, scale),
            (_, Scalar::Number(number)) => number.to_string(),
            // It holds no quote and no backslash.
            (_, Scalar::Text(text)) => format!("'{text}'"),
        }
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::FixedText)
    }
}

/// A text that the target keeps as a bound, and prints so that it can be read.
fn plain(text: &str) -> Result<&str, Untranslatable> {
    let shown: String = text.chars().take(40).collect::<String>().escape_debug().to_string();
    if text.ends_with(' ') || text.contains(|c: char| c.is_control()) {
        return Err(Untranslatable(format!(
            "the value '{shown}' of a bound ends with a blank or holds a control character, and the target compares texts without regard to the one and orders the other otherwise"
        )));
    }
    // OceanBase prints what is between quotes as it is.
    if text.contains(['\'', '\\']) {
        return Err(Untranslatable(format!(
            "the target prints the value '{shown}' of a bound so that the table could not be made again from that"
        )));
    }
    Ok(text)
}

/// `2024-01-01 00:00:00+00` without its zone, which is UTC's.
fn in_utc(text: &str) -> Option<String> {
    if matches!(text, "infinity" | "-infinity") {
        return Some(text.to_owned());
    }
    let (text, era) = text.strip_suffix(" BC").map_or((text, ""), |text| (text, " BC"));
    Some(format!("{}{era}", text.strip_suffix("+00")?))
}

fn instant(text: &str) -> Option<Place> {
    let instant = calendar::read_timestamp(text.as_bytes())?;
    let day = i128::from(instant.div_euclid(calendar::DAY));
    Some(match (day.cmp(&DAYS.0.into()), day.cmp(&DAYS.1.into())) {
        (Ordering::Less, _) => Place::Below,
        (_, Ordering::Greater) => Place::Above,
        _ => Place::At(Scalar::Number(instant.into())),
    })
}

/// A decimal in units of its last digit. None: it has more digits than that, or is no number.
fn scaled(text: &str, scale: u32) -> Option<i128> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let missing = usize::try_from(scale).ok()?.checked_sub(fraction.len())?;
    let all = format!("{whole}{fraction}{}", "0".repeat(missing));
    let all_digits = !whole.is_empty() && all.bytes().all(|b| b.is_ascii_digit());
    let units: i128 = if all_digits { all.parse().ok()? } else { return None };
    Some(if negative { -units } else { units })
}

fn with_point(units: i128, scale: u32) -> String {
    if scale == 0 {
        return units.to_string();
    }
    let scale = scale as usize;
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{}{whole}.{fraction}", if units < 0 { "-" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_printed_as_the_target_prints_them() {
        let cases = [
            (Form::Integer(-128, 127), "-5", "-5"),
            (Form::Boolean, "true", "1"),
            (Form::Decimal(2), "-3.5", "-3.50"),
            (Form::Decimal(2), "0.05", "0.05"),
            (Form::Decimal(0), "7.000", "7"),
            (Form::Date, "2024-02-29", "'2024-02-29'"),
            (Form::Timestamp, "2024-01-01 00:00:00", "'2024-01-01 00:00:00'"),
            (Form::Timestamp, "2024-01-01 00:00:00.5", "'2024-01-01 00:00:00.500000'"),
            (Form::TimestampTz, "2024-01-01 03:00:00+00", "'2024-01-01 03:00:00'"),
            (Form::Time, "12:00:00", "'12:00:00'"),
            (Form::Text, "a b", "'a b'"),
            (Form::FixedText, "de   ", "'de'"),
            (Form::Uuid, "0A000000-0000-0000-0000-000000000001", "'0a000000-0000-0000-0000-000000000001'"),
        ];
        for (form, text, expected) in cases {
            match form.place(&Literal::Text(text.to_owned())) {
                Ok(Place::At(scalar)) => assert_eq!(form.printed(&scalar), expected),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_the_target_does_not_have_is_beyond_its_values_or_refused() {
        let place = |form: Form, text: &str| form.place(&Literal::Text(text.to_owned()));
        assert_eq!(place(Form::Date, "infinity"), Ok(Place::Above));
        assert_eq!(place(Form::Date, "-infinity"), Ok(Place::Below));
        assert_eq!(place(Form::Timestamp, "12000-01-01 00:00:00"), Ok(Place::Above));
        assert_eq!(place(Form::TimestampTz, "0044-03-15 00:00:00+00 BC"), Ok(Place::Below));
        assert_eq!(place(Form::Decimal(2), "NaN"), Ok(Place::Above));
        for (form, text) in [
            (Form::Integer(0, 255), "-1"),
            (Form::Integer(0, 255), "1.5"),
            (Form::Decimal(2), "0.005"),
            (Form::Decimal(2), "1e5"),
            (Form::Date, "1 May"),
            (Form::TimestampTz, "2024-01-01 00:00:00+02"),
            (Form::Text, "de "),
            (Form::Text, "a\tb"),
            (Form::Text, "it's"),
            (Form::Text, r"a\b"),
            (Form::Uuid, "1"),
            (Form::Boolean, "2"),
        ] {
            assert!(place(form, text).is_err(), "{text}");
        }
    }
}
