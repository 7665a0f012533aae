//! Expressions, compared by what they mean.
//!
//! A server prints an expression otherwise than it was written: brackets around everything, `between` as two
//! comparisons, `mod(a, b)` as `%`, `true` as `(1 = 1)`, `else NULL` where nothing was said. Both sides are read by
//! [`grammar`] and printed in one form, with brackets around every operation. What that does not know is compared as
//! text.

mod grammar;

use crate::declared::Declared;
use crate::spelling::{self, one_spelling};

/// The one form of an expression.
pub(crate) fn normal(text: &str) -> String {
    grammar::read(&spelling::tokens(text)).unwrap_or_else(|| one_spelling(text))
}

/// The one form of a default of a column of this type. None: NULL.
pub(crate) fn default(text: &str, declared: &Declared) -> Option<String> {
    let form = normal(text);
    if form == "null" {
        return None;
    }
    Some(match literal_text(&form) {
        Some(literal) if declared.is_bit() => bits(&literal).unwrap_or(form),
        Some(literal) if declared.is_number() => number(&literal),
        Some(literal) if declared.is_time() => format!("'{}'", without_zero_fraction(&literal)),
        _ => form,
    })
}

/// The value of a literal in its one form, without quotes. None: no literal.
fn literal_text(form: &str) -> Option<String> {
    match form {
        "true" => Some("1".to_owned()),
        "false" => Some("0".to_owned()),
        _ if form.starts_with("b'") => Some(form.to_owned()),
        _ if plain_number(form).is_some() => Some(form.to_owned()),
        _ => {
            let quoted = form.strip_prefix('\'')?.strip_suffix('\'')?;
            Some(quoted.replace("''", "'").replace(r"\\", r"\"))
        }
    }
}

fn bits(text: &str) -> Option<String> {
    let digits = text.strip_prefix("b'").and_then(|rest| rest.strip_suffix('\''));
    let value = match digits {
        Some(digits) => u64::from_str_radix(digits, 2).ok()?,
        None => text.parse().ok()?,
    };
    Some(value.to_string())
}

fn without_zero_fraction(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b == b'0') => whole,
        Some(_) => text.trim_end_matches('0'),
        None => text,
    }
}

/// A number without exponent, leading and trailing zeros; any other text as it is.
fn number(text: &str) -> String {
    plain_number(text).unwrap_or_else(|| text.to_owned())
}

fn plain_number(text: &str) -> Option<String> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || exponent.abs() > 400 {
        return None;
    }
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let padded = format!("{}{digits}{}", zeros(-point), zeros(point - i32::try_from(digits.len()).ok()?));
    let (whole, fraction) = padded.split_at(usize::try_from(point.max(0)).ok()?);
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if negative && (whole != "0" || !fraction.is_empty()) { "-" } else { "" };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// As the server knows the type of a cast.
fn cast_type(spelled: &str) -> String {
    match spelled {
        "signed integer" | "integer" => "signed".to_owned(),
        "unsigned integer" => "unsigned".to_owned(),
        _ if spelled.starts_with("decimal") || spelled.starts_with("datetime") => Declared::read(spelled).to_string(),
        _ => spelled.to_owned(),
    }
}

/// The name by which the server knows a function.
fn synonym(name: &str) -> &str {
    match name {
        "now" | "localtime" | "localtimestamp" | "current_timestamp" => "current_timestamp",
        "curdate" => "current_date",
        "lcase" => "lower",
        "ucase" => "upper",
        "character_length" => "char_length",
        "substring" | "mid" => "substr",
        "ceil" => "ceiling",
        "octet_length" => "length",
        "pow" => "power",
        other => other,
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod trees;
