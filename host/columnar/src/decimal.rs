//! Decimal numbers as text: one spelling for each value, and how many digits it needs. No arithmetic.

/// Longest run of zeros that the canonical form writes out; beyond it an exponent is used, so that `1e1000000`
/// costs nine bytes and not a million.
const ZEROS_AT_MOST: u64 = 512;

/// A number's digits, as they stand in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal<'a> {
    /// Whether there is a minus sign; also of zero.
    pub negative: bool,
    /// Digits before the point, without leading zeros.
    pub integer: &'a [u8],
    /// Digits after the point, without trailing zeros.
    pub fraction: &'a [u8],
    /// The power of ten that multiplies it.
    pub exponent: i64,
}

/// What a decimal's text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A number.
    Number(Decimal<'a>),
    /// Not a number.
    NaN,
    /// Infinity; true: the negative one.
    Infinity(bool),
}

/// The digits that a column must have to hold a number exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digits {
    /// Before the point, without leading zeros.
    pub integer: u64,
    /// After the point, without trailing zeros.
    pub scale: u64,
}

fn take_digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    digits
}

fn take_byte(text: &mut &[u8], wanted: impl Fn(u8) -> bool) -> Option<u8> {
    match text.split_first() {
        Some((&first, rest)) if wanted(first) => {
            *text = rest;
            Some(first)
        }
        _ => None,
    }
}

fn without_leading_zeros(digits: &[u8]) -> &[u8] {
    let start = digits.iter().position(|&b| b != b'0').unwrap_or(digits.len());
    &digits[start..]
}

fn without_trailing_zeros(digits: &[u8]) -> &[u8] {
    let end = digits.iter().rposition(|&b| b != b'0').map_or(0, |last| last + 1);
    &digits[..end]
}

/// Reads `[+-]digits[.digits][e[+-]digits]`, `NaN`, `[+-]Infinity` or `[+-]inf` in any case. None: it is none of them,
/// or its exponent has more than fifteen digits.
pub fn parse(text: &[u8]) -> Option<Parsed<'_>> {
    let mut rest = text;
    let sign = take_byte(&mut rest, |b| b == b'-' || b == b'+');
    let negative = sign == Some(b'-');
    let integer = take_digits(&mut rest);
    let fraction = if take_byte(&mut rest, |b| b == b'.').is_some() { take_digits(&mut rest) } else { &[] };
    if integer.is_empty() && fraction.is_empty() {
        let word =
            |name: &[u8]| rest.eq_ignore_ascii_case(name) && rest.len() + usize::from(sign.is_some()) == text.len();
        return if sign.is_none() && word(b"nan") {
            Some(Parsed::NaN)
        } else {
            (word(b"infinity") || word(b"inf")).then_some(Parsed::Infinity(negative))
        };
    }
    let mut exponent = 0i64;
    if take_byte(&mut rest, |b| b == b'e' || b == b'E').is_some() {
        let minus = take_byte(&mut rest, |b| b == b'-' || b == b'+') == Some(b'-');
        let digits = take_digits(&mut rest);
        let significant = without_leading_zeros(digits);
        if digits.is_empty() || significant.len() > 15 {
            return None;
        }
        exponent = significant.iter().fold(0, |sum, b| sum * 10 + i64::from(b - b'0'));
        if minus {
            exponent = -exponent;
        }
    }
    rest.is_empty().then_some(Parsed::Number(Decimal {
        negative,
        integer: without_leading_zeros(integer),
        fraction: without_trailing_zeros(fraction),
        exponent,
    }))
}

/// Appends the one spelling that all texts of the same value share: no plus, no leading zeros, no zeros
/// after the last digit behind the point, no minus before zero, `NaN`, `Infinity`, `-Infinity`. False, with nothing
/// appended: the text is no decimal.
pub fn normalise(text: &[u8], out: &mut Vec<u8>) -> bool {
    match parse(text) {
        None => return false,
        Some(Parsed::NaN) => out.extend_from_slice(b"NaN"),
        Some(Parsed::Infinity(false)) => out.extend_from_slice(b"Infinity"),
        Some(Parsed::Infinity(true)) => out.extend_from_slice(b"-Infinity"),
        Some(Parsed::Number(number)) => write(&number, out),
    }
    true
}

/// How many digits the number needs. None: the text is no finite decimal.
pub fn digits(text: &[u8]) -> Option<Digits> {
    let Some(Parsed::Number(number)) = parse(text) else {
        return None;
    };
    let Some((significant, point)) = significant(&number) else {
        return Some(Digits::default());
    };
    let length = i64::try_from(significant.0.len() + significant.1.len()).ok()?;
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    Some(Digits { integer: count(point), scale: count(length - point) })
}

type Runs<'a> = (&'a [u8], &'a [u8]);

/// The digits from the first to the last that is not zero, in two runs, and where the point is: so many digits after
/// the first one's left edge (negative: zeros between the point and the digits). None: zero.
fn significant<'a>(number: &Decimal<'a>) -> Option<(Runs<'a>, i64)> {
    let (integer, fraction) = (number.integer, number.fraction);
    let length = |digits: &[u8]| i64::try_from(digits.len()).unwrap_or(i64::MAX / 4);
    if integer.is_empty() {
        let digits = without_leading_zeros(fraction);
        let zeros = length(fraction) - length(digits);
        return (!digits.is_empty()).then_some(((digits, &[][..]), number.exponent - zeros));
    }
    let point = length(integer) + number.exponent;
    let integer = if fraction.is_empty() { without_trailing_zeros(integer) } else { integer };
    Some(((integer, fraction), point))
}

fn write(number: &Decimal<'_>, out: &mut Vec<u8>) {
    let Some(((first, second), point)) = significant(number) else {
        out.push(b'0');
        return;
    };
    if number.negative {
        out.push(b'-');
    }
    let length = i64::try_from(first.len() + second.len()).unwrap_or(i64::MAX / 4);
    let zeros = if point <= 0 { point.unsigned_abs() } else { u64::try_from(point - length).unwrap_or(0) };
    if number.exponent == 0 && zeros <= ZEROS_AT_MOST {
        // Nearly always: the digits stand as they are.
        out.extend_from_slice(if number.integer.is_empty() { b"0" } else { number.integer });
        if !number.fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(number.fraction);
        }
        return;
    }
    let digits = [first, second].concat();
    let padding = || std::iter::repeat_n(b'0', usize::try_from(zeros).unwrap_or(0));
    if zeros > ZEROS_AT_MOST {
        out.extend_from_slice(&digits);
        out.push(b'e');
        out.extend_from_slice((point - length).to_string().as_bytes());
    } else if point <= 0 {
        out.extend_from_slice(b"0.");
        out.extend(padding());
        out.extend_from_slice(&digits);
    } else if let Some((whole, part)) = usize::try_from(point).ok().and_then(|p| digits.split_at_checked(p)) {
        out.extend_from_slice(whole);
        if !part.is_empty() {
            out.push(b'.');
            out.extend_from_slice(part);
        }
    } else {
        out.extend_from_slice(&digits);
        out.extend(padding());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Option<String> {
        let mut out = Vec::new();
        normalise(text.as_bytes(), &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn texts_of_one_value_have_one_spelling() {
        for (text, expected) in [
            ("0012.3400", "12.34"),
            ("+1", "1"),
            ("-0", "0"),
            ("-0.00", "0"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1200", "1200"),
            ("1.2e3", "1200"),
            ("12e2", "1200"),
            ("1200e0", "1200"),
            ("1.50e-1", "0.15"),
            ("123.45e1", "1234.5"),
            ("0e5", "0"),
            ("0.0012e2", "0.12"),
            ("100e-2", "1"),
            ("nan", "NaN"),
            ("inf", "Infinity"),
            ("-INFINITY", "-Infinity"),
            ("1e513", "1e513"),
            ("10e512", "1e513"),
            ("-12e-1000", "-12e-1000"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_long_number_is_spelled_alike_with_and_without_an_exponent() {
        let plain = format!("1{}", "0".repeat(600));
        assert_eq!(canonical(&plain), canonical("1e600"));
        let small = format!("0.{}1", "0".repeat(600));
        assert_eq!(canonical(&small), canonical("1e-601"));
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in ["", "-", ".", "1a", "1e", "e5", "--1", "1.2.3", " 1", "-nan", "infinit", "1e9999999999999999"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }

    #[test]
    fn digits_count_what_a_column_must_hold() {
        let count = |text: &str| digits(text.as_bytes()).map(|d| (d.integer, d.scale));
        assert_eq!(count("123.4500"), Some((3, 2)));
        assert_eq!(count("-0.001"), Some((0, 3)));
        assert_eq!(count("1200"), Some((4, 0)));
        assert_eq!(count("12e5"), Some((7, 0)));
        assert_eq!(count("1.25e-3"), Some((0, 5)));
        assert_eq!(count("0.000"), Some((0, 0)));
        assert_eq!(count("NaN"), None);
    }

    proptest::proptest! {
        #[test]
        fn normalising_again_changes_nothing(text in "[+-]?[0-9]{1,30}(\\.[0-9]{0,30})?([eE][+-]?[0-9]{1,4})?") {
            let once = canonical(&text).unwrap();
            proptest::prop_assert_eq!(canonical(&once).unwrap(), once.clone());
        }

        #[test]
        fn shifting_the_point_and_the_exponent_changes_nothing(whole in 1u64.., shift in 0i32..30) {
            let shifted = format!("{}e-{shift}", format_args!("{whole}{}", "0".repeat(usize::try_from(shift).unwrap())));
            proptest::prop_assert_eq!(canonical(&shifted).unwrap(), whole.to_string());
        }
    }
}
