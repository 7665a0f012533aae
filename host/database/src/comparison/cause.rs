//! What two values tell of how the one became the other: a pure function of both, as the canonical form spells them.
//!
//! It is asked only of values that differ. The first thing that explains the whole difference is its cause; where
//! nothing does, the cause is that the value is another one.

use std::collections::BTreeSet;

use millrace_columnar::{CanonicalKind, calendar, decimal, json};
use millrace_model::comparison::Cause;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Texts longer than this are only looked at for what needs no second copy of them.
const LOOKED_AT_BYTES: usize = 1 << 20;

const QUARTER_HOUR: i64 = 15 * 60 * 1_000_000;
const DAY: i64 = 24 * 60 * 60 * 1_000_000;
/// From the earliest zone to the latest one.
const FARTHEST_ZONES: i64 = 26 * 60 * 60 * 1_000_000;

/// The cause of a difference between a source's value and a target's, of a column of this kind; both as
/// [`millrace_columnar::display::text`] spells them, None is NULL.
pub(crate) fn cause(kind: CanonicalKind, source: Option<&str>, target: Option<&str>) -> Cause {
    match (source, target) {
        (Some(""), None) | (None, Some("" | "\\x")) => Cause::NullAgainstEmpty,
        (Some("\\x"), None) if kind == CanonicalKind::Bytes => Cause::NullAgainstEmpty,
        (Some(_), None) => Cause::NullForValue,
        (None, Some(target)) if is_zero(kind, target) => Cause::ZeroForNull,
        (None, Some(_)) => Cause::ValueForNull,
        (None, None) => Cause::Value,
        (Some(source), Some(target)) => of_values(kind, source, target),
    }
}

fn is_zero(kind: CanonicalKind, text: &str) -> bool {
    match kind {
        CanonicalKind::Boolean => text == "false",
        CanonicalKind::Vector => false,
        CanonicalKind::Integer | CanonicalKind::Unsigned | CanonicalKind::Decimal | CanonicalKind::Float => {
            number(text).is_some_and(|number| number == 0.0)
        }
        CanonicalKind::Text | CanonicalKind::FixedText | CanonicalKind::Json | CanonicalKind::Other => text == "0",
        CanonicalKind::Time => text.starts_with("00:00:00"),
        CanonicalKind::Date | CanonicalKind::Timestamp => text.starts_with("0000-") || text.starts_with("1970-01-01"),
        CanonicalKind::Bytes => !text.is_empty() && text.trim_start_matches("\\x").bytes().all(|b| b == b'0'),
        CanonicalKind::Uuid => text.bytes().all(|b| matches!(b, b'0' | b'-')),
    }
}

fn of_values(kind: CanonicalKind, source: &str, target: &str) -> Cause {
    match kind {
        CanonicalKind::Boolean | CanonicalKind::Vector => Cause::Value,
        CanonicalKind::Integer | CanonicalKind::Unsigned => of_integers(source, target),
        CanonicalKind::Decimal => of_decimals(source, target),
        CanonicalKind::Float => of_floats(source, target),
        CanonicalKind::Date => of_dates(source, target),
        CanonicalKind::Time => of_instants(calendar::read_time, source, target),
        CanonicalKind::Timestamp => of_instants(calendar::read_timestamp, source, target),
        CanonicalKind::Bytes => of_bytes(source, target),
        CanonicalKind::Json => of_json(source, target),
        CanonicalKind::Text | CanonicalKind::FixedText | CanonicalKind::Uuid | CanonicalKind::Other => {
            of_texts(source, target)
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn of_integers(source: &str, target: &str) -> Cause {
    if negated(source) == target { Cause::Sign } else { Cause::Value }
}

fn negated(number: &str) -> String {
    number.strip_prefix('-').map_or_else(|| format!("-{number}"), str::to_owned)
}

/// The spelling that equal decimals share.
fn canonical_decimal(text: &str) -> Option<String> {
    let mut out = Vec::new();
    decimal::normalise(text.as_bytes(), &mut out).then(|| String::from_utf8_lossy(&out).into_owned())
}

fn of_decimals(source: &str, target: &str) -> Cause {
    if differ_in_the_last_digit(source, target) {
        return Cause::Scale;
    }
    let (Some(source), Some(target)) = (plain(source), plain(target)) else { return Cause::Value };
    if negated(&source) == target {
        return Cause::Sign;
    }
    if source.starts_with('-') != target.starts_with('-') && target != "0" {
        return Cause::Value;
    }
    let digits = |text: &str| -> (String, usize) {
        let text = text.trim_start_matches('-');
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        (format!("{whole}{part}"), part.len())
    };
    let ((from, from_scale), (to, to_scale)) = (digits(&source), digits(&target));
    // The point was moved: the same digits.
    let bare = |digits: &str| digits.trim_matches('0').to_owned();
    if !bare(&from).is_empty() && bare(&from) == bare(&to) {
        return Cause::Scale;
    }
    // Fewer digits after the point, cut or rounded: less than one unit of the last digit that is left.
    if to_scale < from_scale {
        let widened = format!("{to}{}", "0".repeat(from_scale - to_scale));
        let unit = 10i128.checked_pow(u32::try_from(from_scale - to_scale).unwrap_or(u32::MAX));
        if let (Ok(from), Ok(to), Some(unit)) = (from.parse::<i128>(), widened.parse::<i128>(), unit)
            && (from - to).abs() < unit
        {
            return Cause::Scale;
        }
    }
    Cause::Value
}

/// Whether two decimals with as many digits after the point, as they are written, differ by one in the last of these.
fn differ_in_the_last_digit(source: &str, target: &str) -> bool {
    let scale = |text: &str| text.split_once('.').map(|(_, part)| part.len());
    let digits = |text: &str| text.replace('.', "").parse::<i128>().ok();
    scale(source).is_some()
        && scale(source) == scale(target)
        && matches!((digits(source), digits(target)), (Some(from), Some(to)) if from.abs_diff(to) == 1)
}

/// A decimal without exponent and without zeros that say nothing. None: not a finite number.
fn plain(text: &str) -> Option<String> {
    canonical_decimal(text)?;
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.trim_start_matches('+')), |rest| ("-", rest));
    if !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let part = part.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if whole == "0" && part.is_empty() { "" } else { sign };
    Some(if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") })
}

fn of_floats(source: &str, target: &str) -> Cause {
    let (Some(from), Some(to)) = (number(source), number(target)) else { return Cause::Value };
    #[allow(clippy::float_cmp)] // the same digits with the other sign
    if from == -to {
        return Cause::Sign;
    }
    // What single precision, or a text of six digits, leaves of a number.
    if (from - to).abs() <= from.abs() * 1e-5 {
        return Cause::Precision;
    }
    let rounded = |digits: i32| (from * 10f64.powi(digits)).round() / 10f64.powi(digits);
    let cut = |digits: i32| (from * 10f64.powi(digits)).trunc() / 10f64.powi(digits);
    let near = |a: f64| (a - to).abs() <= a.abs() * 1e-12;
    if to != 0.0 && (0..6).any(|digits| near(rounded(digits)) || near(cut(digits))) {
        return Cause::Scale;
    }
    Cause::Value
}

fn of_dates(source: &str, target: &str) -> Cause {
    match (calendar::read_date(source.as_bytes()), calendar::read_date(target.as_bytes())) {
        (Some(from), Some(to)) if from.abs_diff(to) == 1 => Cause::Day,
        _ => Cause::Value,
    }
}

fn of_instants(read: fn(&[u8]) -> Option<i64>, source: &str, target: &str) -> Cause {
    let (Some(from), Some(to)) = (read(source.as_bytes()), read(target.as_bytes())) else { return Cause::Value };
    let apart = from.saturating_sub(to).saturating_abs();
    match apart {
        1..1_000_000 => Cause::Microseconds,
        DAY => Cause::Day,
        _ if apart % QUARTER_HOUR == 0 && apart <= FARTHEST_ZONES => Cause::TimeZone,
        // Across midnight, where there is no date to be carried to.
        _ => Cause::Value,
    }
}

fn of_bytes(source: &str, target: &str) -> Cause {
    let read = |text: &str| -> Option<Vec<u8>> {
        let digits = text.strip_prefix("\\x")?;
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
    };
    let (Some(from), Some(to)) = (read(source), read(target)) else { return Cause::Value };
    if from.len() == to.len() {
        let bits: u32 = from.iter().zip(&to).map(|(a, b)| (a ^ b).count_ones()).sum();
        return if bits == 1 { Cause::Bit } else { Cause::Value };
    }
    let only_zeros = |longer: &[u8], shorter: &[u8]| {
        longer.starts_with(shorter) && longer[shorter.len()..].iter().all(|b| matches!(b, 0 | b' '))
    };
    if only_zeros(&to, &from) || only_zeros(&from, &to) {
        return Cause::TrailingBlanks;
    }
    if from.starts_with(&to) { Cause::Truncated } else { Cause::Value }
}

fn of_json(source: &str, target: &str) -> Cause {
    let read = |text: &str| -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
        let (mut out, mut numbers) = (Vec::new(), Vec::new());
        json::visit_numbers(text.as_bytes(), &mut out, &mut |number| numbers.push(number.to_vec())).ok()?;
        Some((out, numbers))
    };
    let (Some((from, from_numbers)), Some((to, to_numbers))) = (read(source), read(target)) else {
        return Cause::JsonValue;
    };
    if from == to {
        // A text that holds JSON: the canonical form is the same, the spelling is not.
        return Cause::JsonOrder;
    }
    let sorted = |text: &[u8]| {
        let mut bytes = text.to_vec();
        bytes.sort_unstable();
        bytes
    };
    if sorted(&from) == sorted(&to) && parts(&from) == parts(&to) {
        return Cause::JsonOrder;
    }
    if from_numbers.len() == to_numbers.len() && without_numbers(&from) == without_numbers(&to) {
        return Cause::JsonNumber;
    }
    Cause::JsonValue
}

/// Names and scalars of canonical JSON.
fn parts(text: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut parts = BTreeSet::new();
    each_part(text, |part| {
        parts.insert(part.to_vec());
    });
    parts
}

/// Canonical JSON with every number replaced.
fn without_numbers(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    each_part(text, |part| {
        let start = part.as_ptr().addr() - text.as_ptr().addr();
        out.extend_from_slice(&text[at..start]);
        match part.first() {
            Some(b'-' | b'0'..=b'9') => out.push(b'#'),
            _ => out.extend_from_slice(part),
        }
        at = start + part.len();
    });
    out.extend_from_slice(&text[at..]);
    out
}

/// Calls with every string (quotes included), number and word, in their order.
fn each_part<'t>(text: &'t [u8], mut take: impl FnMut(&'t [u8])) {
    let mut at = 0;
    while at < text.len() {
        let start = at;
        match text[at] {
            b'"' => {
                at += 1;
                while at < text.len() && text[at] != b'"' {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                at = (at + 1).min(text.len());
                take(&text[start..at]);
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => at += 1,
            _ => {
                while at < text.len() && !matches!(text[at], b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"') {
                    at += 1;
                }
                take(&text[start..at]);
            }
        }
    }
}

fn of_texts(source: &str, target: &str) -> Cause {
    if source.trim_end() == target.trim_end() {
        return Cause::TrailingBlanks;
    }
    if source.len() > LOOKED_AT_BYTES || target.len() > LOOKED_AT_BYTES {
        return if source.starts_with(target) { Cause::Truncated } else { Cause::Value };
    }
    let words = |text: &str| text.split_whitespace().collect::<String>();
    if words(source) == words(target) {
        return Cause::WhiteSpace;
    }
    if source.to_lowercase() == target.to_lowercase() {
        return Cause::Case;
    }
    if source.nfd().eq(target.nfd()) {
        return Cause::CombiningMarks;
    }
    let encoded = encoding_lost(source, target);
    if encoded {
        return Cause::Encoding;
    }
    let unmarked = |text: &str| text.nfd().filter(|c| !is_combining_mark(*c)).collect::<String>();
    if unmarked(source) == unmarked(target) {
        return Cause::Accents;
    }
    if !target.is_empty() && source.starts_with(target) {
        return Cause::Truncated;
    }
    if looks_like_json(source) && looks_like_json(target) {
        return of_json(source, target);
    }
    if let (Some(_), Some(_)) = (plain(source), plain(target)) {
        return of_decimals(source, target);
    }
    Cause::Value
}

fn looks_like_json(text: &str) -> bool {
    let text = text.trim();
    (text.starts_with('{') && text.ends_with('}')) || (text.starts_with('[') && text.ends_with(']'))
}

/// UTF-8 that was taken for Latin-1 or Windows-1252 once or twice, the way back from that, or characters that became
/// question marks or replacement characters.
fn encoding_lost(source: &str, target: &str) -> bool {
    if source.is_ascii() && target.is_ascii() {
        return false;
    }
    let misread = |text: &str, character: fn(u8) -> char| text.bytes().map(character).collect::<String>();
    let (mut latin, mut windows) = (source.to_owned(), source.to_owned());
    for _ in 0..2 {
        latin = misread(&latin, char::from);
        windows = misread(&windows, windows_1252);
        if latin == target || windows == target {
            return true;
        }
    }
    if misread(target, char::from) == source || misread(target, windows_1252) == source {
        return true;
    }
    // Every character that is not ASCII became one or several question marks or replacement characters.
    if !target.contains(['?', '\u{fffd}']) {
        return false;
    }
    let mut expected = source.chars().peekable();
    let mut found = target.chars().peekable();
    loop {
        match (expected.peek().copied(), found.peek().copied()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b => {
                expected.next();
                found.next();
            }
            (Some(a), Some('?' | '\u{fffd}')) if !a.is_ascii() => {
                while expected.next_if(|c| !c.is_ascii()).is_some() {}
                while found.next_if(|c| matches!(c, '?' | '\u{fffd}')).is_some() {}
            }
            _ => return false,
        }
    }
}

/// What Windows-1252 makes of a byte.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CanonicalKind::{Boolean, Bytes, Date, Decimal, Float, Integer, Json, Other, Text, Time, Timestamp, Unsigned};

    fn of(kind: CanonicalKind, source: &str, target: &str) -> &'static str {
        cause(kind, Some(source), Some(target)).word()
    }

    #[test]
    fn null_is_told_from_what_stands_for_it() {
        assert_eq!(cause(Text, None, Some("")), Cause::NullAgainstEmpty);
        assert_eq!(cause(Text, Some(""), None), Cause::NullAgainstEmpty);
        assert_eq!(cause(Bytes, None, Some("\\x")), Cause::NullAgainstEmpty);
        assert_eq!(cause(Integer, None, Some("0")), Cause::ZeroForNull);
        assert_eq!(cause(Decimal, None, Some("0.00")), Cause::ZeroForNull);
        assert_eq!(cause(Boolean, None, Some("false")), Cause::ZeroForNull);
        assert_eq!(cause(Timestamp, None, Some("1970-01-01 00:00:00")), Cause::ZeroForNull);
        assert_eq!(cause(Integer, None, Some("7")), Cause::ValueForNull);
        assert_eq!(cause(Integer, Some("7"), None), Cause::NullForValue);
        assert_eq!(cause(Text, Some(" "), None), Cause::NullForValue);
    }

    #[test]
    fn texts_differ_for_a_reason() {
        assert_eq!(of(Text, "a", "a "), "trailing-blanks");
        assert_eq!(of(Text, "a \n", "a"), "trailing-blanks");
        assert_eq!(of(Text, "a b", "a  b"), "white-space");
        assert_eq!(of(Text, "a\r\nb", "a\nb"), "white-space");
        assert_eq!(of(Text, "Ärger", "ärger"), "case");
        assert_eq!(of(Text, "caf\u{e9}", "cafe\u{301}"), "combining-marks");
        assert_eq!(of(Text, "\u{1100}\u{1161}", "\u{ac00}"), "combining-marks");
        assert_eq!(of(Text, "café", "cafe"), "accents");
        assert_eq!(of(Text, "café", "cafÃ©"), "encoding");
        assert_eq!(of(Text, "“x” €", "â€œxâ€\u{9d} â‚¬"), "encoding");
        assert_eq!(of(Text, "中文 ok", "?? ok"), "encoding");
        assert_eq!(of(Text, "😀!", "\u{fffd}!"), "encoding");
        assert_eq!(of(Text, "cafÃ©", "café"), "encoding");
        assert_eq!(of(Text, "a long text", "a long"), "truncated");
        assert_eq!(of(Text, "one", "two"), "value");
        assert_eq!(of(Text, "why?", "why!"), "value");
        assert_eq!(of(Text, "{\"a\": 1, \"b\": 2}", "{\"b\": 2, \"a\": 1}"), "json-order");
        assert_eq!(of(Other, "P1D", "P2D"), "value");
    }

    #[test]
    fn numbers_differ_for_a_reason() {
        assert_eq!(of(Integer, "5", "-5"), "sign");
        assert_eq!(of(Unsigned, "5", "6"), "value");
        assert_eq!(of(Decimal, "12.50", "-12.5"), "sign");
        assert_eq!(of(Decimal, "12.55", "12.5"), "scale");
        assert_eq!(of(Decimal, "12.55", "12.6"), "scale");
        assert_eq!(of(Decimal, "12.55", "12"), "scale");
        assert_eq!(of(Decimal, "12.55", "12.56"), "scale");
        assert_eq!(of(Decimal, "24.00", "24.01"), "scale");
        assert_eq!(of(Decimal, "24", "25"), "value");
        assert_eq!(of(Decimal, "12.55", "1.255"), "scale");
        assert_eq!(of(Decimal, "12.55", "1255"), "scale");
        assert_eq!(of(Decimal, "12.55", "13.55"), "value");
        assert_eq!(of(Decimal, "12.55", "15"), "value");
        assert_eq!(of(Decimal, "0.004", "0"), "scale");
        assert_eq!(of(Decimal, "NaN", "0"), "value");
        assert_eq!(of(Float, "0.1", "0.10000000149011612"), "precision");
        assert_eq!(of(Float, "2.5", "-2.5"), "sign");
        assert_eq!(of(Float, "2.125", "2.13"), "scale");
        assert_eq!(of(Float, "2.5", "7"), "value");
    }

    #[test]
    fn times_differ_for_a_reason() {
        assert_eq!(of(Timestamp, "2024-03-01 00:30:00", "2024-02-29 23:30:00"), "time-zone");
        assert_eq!(of(Timestamp, "2024-03-01 00:30:00", "2024-03-01 06:15:00"), "time-zone");
        assert_eq!(of(Timestamp, "2024-03-01 00:30:00.123456", "2024-03-01 00:30:00.123457"), "microseconds");
        assert_eq!(of(Timestamp, "2024-03-01 00:30:00.9", "2024-03-01 00:30:01"), "microseconds");
        assert_eq!(of(Timestamp, "2024-03-01 00:30:00", "2024-03-02 00:30:00"), "day");
        assert_eq!(of(Timestamp, "2024-03-01 00:30:00", "2024-03-01 00:30:01"), "value");
        assert_eq!(of(Time, "10:00:00", "11:00:00"), "time-zone");
        assert_eq!(of(Date, "2024-02-29", "2024-03-01"), "day");
        assert_eq!(of(Date, "2024-02-28", "2024-03-01"), "value");
    }

    #[test]
    fn bytes_and_json_differ_for_a_reason() {
        assert_eq!(of(Bytes, "\\x00ff", "\\x01ff"), "bit");
        assert_eq!(of(Bytes, "\\x00ff", "\\x03ff"), "value");
        assert_eq!(of(Bytes, "\\x00ff", "\\x00ff00"), "trailing-blanks");
        assert_eq!(of(Bytes, "\\x00ff", "\\x00"), "truncated");
        assert_eq!(of(Json, "[1,2,3]", "[3,2,1]"), "json-order");
        assert_eq!(of(Json, "{\"a\":[\"x\",\"y\"]}", "{\"a\":[\"y\",\"x\"]}"), "json-order");
        assert_eq!(of(Json, "{\"a\":1,\"b\":\"2\"}", "{\"a\":1.5,\"b\":\"2\"}"), "json-number");
        assert_eq!(of(Json, "[12,21]", "[21,13]"), "json-number");
        assert_eq!(of(Json, "{\"a\":1}", "{\"b\":1}"), "json-value");
        assert_eq!(of(Json, "{\"a\":\"1\"}", "{\"a\":1}"), "json-value");
        assert_eq!(of(Json, "[true]", "[false]"), "json-value");
    }
}
