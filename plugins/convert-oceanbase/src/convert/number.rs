//! How OceanBase reads a number of a JSON document.
//!
//! Whole numbers are exact up to 64 bits; everything else becomes a double, and by quick arithmetic: digits are
//! gathered in a whole number while there is room, and then multiplied or divided by one power of ten, which misses the
//! nearest double by one now and then. Reading a number here by the same steps tells beforehand whether it will be the
//! one that was meant.

/// Whether the number keeps its value.
pub(crate) fn survives(text: &[u8]) -> bool {
    // Up to fifteen digits and a small exponent: always exact.
    if text.len() <= 16 && text.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.')) {
        return true;
    }
    match read(text) {
        Some(Read::Whole) => true,
        Some(Read::Double(double)) => {
            let Some(meant) = std::str::from_utf8(text).ok().and_then(|t| t.parse::<f64>().ok()) else { return false };
            double == meant && meant.is_finite() && is_shown_as(meant, text)
        }
        None => false,
    }
}

/// Whether the shortest text that means the double also means the number: no digit is lost.
pub(crate) fn is_shown_as(double: f64, text: &[u8]) -> bool {
    use millrace_plugin_sdk::columnar::decimal::normalise;
    let (mut one, mut other) = (Vec::new(), Vec::new());
    normalise(format!("{double:e}").as_bytes(), &mut one) && normalise(text, &mut other) && one == other
}

enum Read {
    Whole,
    Double(f64),
}

const EXACT: u64 = (1 << 53) - 1;

fn digit(text: &[u8], at: usize) -> Option<u8> {
    text.get(at).filter(|b| b.is_ascii_digit()).map(|b| b - b'0')
}

#[allow(clippy::cast_precision_loss)] // the loss is what is looked for
fn read(text: &[u8]) -> Option<Read> {
    let negative = text.first() == Some(&b'-');
    let mut at = usize::from(negative);
    let (limit, last) = if negative { (0x0CCC_CCCC_CCCC_CCCC, 8) } else { (0x1999_9999_9999_9999, 5) };
    let mut whole = u64::from(digit(text, at)?);
    at += 1;
    let (mut double, mut is_double, mut significant) = (0.0_f64, false, 0);
    if whole != 0 {
        while let Some(next) = digit(text, at) {
            if whole > limit || (whole == limit && next > last) {
                (double, is_double) = (whole as f64, true);
                break;
            }
            whole = whole * 10 + u64::from(next);
            significant += 1;
            at += 1;
        }
        while let (true, Some(next)) = (is_double, digit(text, at)) {
            double = double * 10.0 + f64::from(next);
            at += 1;
        }
    }
    let mut fraction = 0_i32;
    if text.get(at) == Some(&b'.') {
        at += 1;
        if !is_double {
            while let (true, Some(next)) = (whole <= EXACT, digit(text, at)) {
                whole = whole * 10 + u64::from(next);
                fraction -= 1;
                significant += i32::from(whole != 0);
                at += 1;
            }
            (double, is_double) = (whole as f64, true);
        }
        while let Some(next) = digit(text, at) {
            if significant < 17 {
                double = double * 10.0 + f64::from(next);
                fraction -= 1;
                significant += i32::from(double > 0.0);
            }
            at += 1;
        }
    }
    let mut exponent = 0_i32;
    if matches!(text.get(at), Some(b'e' | b'E')) {
        if !is_double {
            (double, is_double) = (whole as f64, true);
        }
        exponent = std::str::from_utf8(&text[at + 1..]).ok()?.parse().ok()?;
        at = text.len();
    }
    if at != text.len() {
        return None;
    }
    if !is_double {
        return Some(Read::Whole);
    }
    let power = exponent.checked_add(fraction)?;
    let scaled = if power < -308 { scale(scale(double, -308), power.checked_add(308)?) } else { scale(double, power) };
    Some(Read::Double(if negative { -scaled } else { scaled }))
}

fn scale(number: f64, power: i32) -> f64 {
    match power {
        ..-308 => 0.0,
        -308..0 => number / power_of_ten(-power),
        0..=308 => number * power_of_ten(power),
        309.. => f64::INFINITY,
    }
}

/// The double nearest to a power of ten. Multiplying up would not be it.
fn power_of_ten(power: i32) -> f64 {
    format!("1e{power}").parse().unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::survives;

    #[test]
    fn numbers_that_oceanbase_reads_exactly_survive() {
        for number in [
            "0",
            "-1",
            "1.5",
            "0.1",
            "123456789.12345678",
            "1e21",
            "5e-324",
            "1.7976931348623157e308",
            "18446744073709551615",
            "-9223372036854775808",
            "1.0",
            "100000000000000000000",
            "0.30000000000000004",
            "1E+2",
            "-0.0",
            "1.10",
            "19.990000",
        ] {
            assert!(survives(number.as_bytes()), "{number}");
        }
    }

    #[test]
    fn numbers_that_it_would_change_do_not() {
        for number in [
            "18446744073709551616",
            "12345678901234567890123456789",
            "0.1234567890123456789012345",
            "3.141592653589793238462643",
            "1e400",
            "-9223372036854775809",
            // Read by quick arithmetic as the double next to the one meant.
            "10928588.983213553",
            "900.9004917506227",
            "8.724077654368019e-10",
            "24657283261983030000000",
        ] {
            assert!(!survives(number.as_bytes()), "{number}");
        }
    }
}
