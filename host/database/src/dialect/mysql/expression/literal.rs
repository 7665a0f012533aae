//! Literals, as the type that PostgreSQL prints behind them reads their text.

use super::Untranslatable;
use super::cast::Wanted;
use super::number;
use super::printed::{Printed, Width};
use super::scope::Kind;
use super::text::cut;
use super::translate::refuse;
use crate::dialect::mysql::name::quote_text;

/// `'text'::type`. Times are spelled as what they are: as texts they would be compared letter by letter somewhere.
pub(super) fn literal(text: &str, wanted: &Wanted) -> Result<Printed, Untranslatable> {
    let unclear = || refuse(format!("the literal {} of type {} has no counterpart", quote_text(text), wanted.spelled));
    let typed = |text: &str, as_type: &str| Printed {
        literal: Some(text.to_owned()),
        ..Printed::new(format!("cast({} as {as_type})", quote_text(text)), wanted.kind)
    };
    let seconds = |text: &str| match wanted.length {
        Some(digits) if fraction(text) > digits => None,
        _ => Some(fraction(text)),
    };
    Ok(match wanted.kind {
        Kind::Text => {
            let text = Printed::quoted(text);
            let cut = wanted.length.map_or_else(|| text.clone(), |length| cut(text.clone(), length));
            match wanted.is_fixed {
                true => {
                    let trimmed = Printed::quoted(cut.literal.as_deref().unwrap_or_default().trim_end_matches(' '));
                    Printed { fixed: Some(wanted.length.unwrap_or(0)), ..trimmed }
                }
                false => cut,
            }
        }
        // The labels of a type are its own: it cannot be compared with anything else.
        Kind::Other if wanted.is_named => Printed { kind: Kind::Enum, ..Printed::quoted(text) },
        Kind::Uuid => {
            let text = text.to_ascii_lowercase();
            Printed { literal: Some(text.clone()), ..Printed::new(quote_text(&text), Kind::Uuid) }
        }
        Kind::Integer => match (number::literal(text.trim()), wanted.width) {
            (Some(found), Some(width)) if fits(&found, width) => Printed { width: Some(width), ..found },
            _ => return unclear(),
        },
        Kind::Decimal => match (number::literal(text.trim()), wanted.digits) {
            (Some(found), None) => Printed { kind: Kind::Decimal, width: None, ..found },
            (Some(found), Some((precision, scale))) => match rounded(&found.sql, precision, scale) {
                Some(sql) => match number::literal(&sql) {
                    Some(found) => Printed { kind: Kind::Decimal, width: None, ..found },
                    None => return unclear(),
                },
                None => return unclear(),
            },
            _ => return unclear(),
        },
        Kind::Float => match plain_float(text.trim()) {
            Some(_) if wanted.is_single => {
                let sql = format!("cast({} as float)", text.trim());
                Printed { is_single: true, ..Printed::new(sql, Kind::Float) }
            }
            Some(sql) => Printed { is_exact: true, literal: Some(sql.clone()), ..Printed::new(sql, Kind::Float) },
            None => return unclear(),
        },
        Kind::Boolean => match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "yes" | "on" | "1" => Printed::boolean("1"),
            "f" | "false" | "no" | "off" | "0" => Printed::boolean("0"),
            _ => return unclear(),
        },
        Kind::Date if is_date(text) => typed(text, "date"),
        Kind::Timestamp if is_stamp(text) => match seconds(text) {
            Some(digits) => Printed { seconds: Some(digits), ..typed(text, "datetime(6)") },
            None => return refuse(format!("the cast to {} rounds", wanted.spelled)),
        },
        Kind::TimestampTz => match text.strip_suffix("+00").or_else(|| text.strip_suffix('Z')) {
            Some(utc) if is_stamp(utc) => match seconds(utc) {
                Some(digits) => Printed { seconds: Some(digits), ..typed(utc, "datetime(6)") },
                None => return refuse(format!("the cast to {} rounds", wanted.spelled)),
            },
            _ => return refuse(format!("the instant {} is not printed in UTC", quote_text(text))),
        },
        Kind::Time if is_clock(&format!(" {text}")) => match seconds(text) {
            Some(digits) => Printed { seconds: Some(digits), ..typed(text, "time(6)") },
            None => return refuse(format!("the cast to {} rounds", wanted.spelled)),
        },
        Kind::Bytes => match text.strip_prefix("\\x") {
            Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => Printed::new(format!("x'{hex}'"), Kind::Bytes),
            _ => return unclear(),
        },
        _ => return unclear(),
    })
}

fn fits(integer: &Printed, width: Width) -> bool {
    let (least, largest) = width.bounds();
    integer.kind == Kind::Integer && integer.range.is_some_and(|(low, high)| low >= least && high <= largest)
}

/// A decimal number as `numeric(precision, scale)` keeps it: halves are rounded away from zero. None: it has no room.
pub(super) fn rounded(number: &str, precision: u32, scale: i32) -> Option<String> {
    let (sign, plain) = number.strip_prefix('-').map_or(("", number), |plain| ("-", plain));
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|digit| digit.wrapping_sub(b'0')).collect();
    if digits.iter().any(|digit| *digit > 9) || digits.is_empty() {
        return None;
    }
    // How many digits stay: those before the point, and as many behind it as the scale says.
    let kept = i32::try_from(whole.len()).ok()?.checked_add(scale)?;
    let rounds_up = usize::try_from(kept).ok().and_then(|kept| digits.get(kept)).is_some_and(|digit| *digit >= 5);
    let kept = usize::try_from(kept.max(0)).ok()?;
    digits.resize(kept, 0);
    let mut carry = rounds_up;
    for digit in digits.iter_mut().rev() {
        if carry {
            carry = *digit == 9;
            *digit = if carry { 0 } else { *digit + 1 };
        }
    }
    if carry {
        digits.insert(0, 1);
    }
    let leading = digits.iter().take_while(|digit| **digit == 0).count();
    if digits.len() - leading > precision as usize {
        return None;
    }
    let mut text: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
    match usize::try_from(scale) {
        Ok(0) => {}
        Ok(scale) => {
            let missing = (scale + 1).saturating_sub(text.len());
            text = format!("{}{text}", "0".repeat(missing));
            text.insert(text.len() - scale, '.');
        }
        Err(_) => text.push_str(&"0".repeat(scale.unsigned_abs() as usize)),
    }
    let significant = text.trim_start_matches('0');
    let text = match significant.starts_with('.') || significant.is_empty() {
        true => format!("0{significant}"),
        false => significant.to_owned(),
    };
    let is_zero = text.bytes().all(|b| matches!(b, b'0' | b'.'));
    Some(if is_zero { text } else { format!("{sign}{text}") })
}

/// A binary number as a decimal one of at most thirty digits on either side, which the target prints back unchanged.
fn plain_float(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().ok().filter(|exponent: &i32| exponent.abs() <= 22)?;
    number::literal(mantissa)?;
    if exponent == 0 {
        return Some(mantissa.to_owned());
    }
    let (sign, plain) = mantissa.strip_prefix('-').map_or(("", mantissa), |plain| ("-", plain));
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let digits = format!("{whole}{fraction}");
    let before = usize::try_from((-point).max(0)).ok()?;
    let after = usize::try_from((point - i32::try_from(digits.len()).ok()?).max(0)).ok()?;
    let digits = format!("{}{digits}{}", "0".repeat(before), "0".repeat(after));
    let (whole, fraction) = digits.split_at(usize::try_from(point.max(0)).ok()?);
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// The digits of a time's seconds after the point that are not zero.
fn fraction(text: &str) -> u32 {
    let digits = text.rsplit_once('.').map_or(0, |(_, digits)| digits.trim_end_matches('0').len());
    u32::try_from(digits).unwrap_or(u32::MAX)
}

/// `yyyy-mm-dd`.
fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() })
}

/// A date, with a time of day or without.
fn is_stamp(text: &str) -> bool {
    text.len() >= 10 && text.is_char_boundary(10) && is_date(&text[..10]) && is_clock(&text[10..])
}

/// Nothing, or ` hh:mm:ss` with a fraction.
fn is_clock(text: &str) -> bool {
    text.is_empty()
        || (text.starts_with(' ')
            && text.len() >= 6
            && text[1..].bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'.'))
}
