//! Intervals as microseconds.

use millrace_plugin_sdk::build::Int64Builder;
use millrace_plugin_sdk::columnar::{Array, calendar};
use millrace_plugin_sdk::kind::Converted;
use millrace_plugin_sdk::model::Failure;

use super::Checked;
use super::outcome::Outcome;

/// Why an interval is no number of microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    /// It has months or years.
    Months,
    /// It is infinite, or longer than 64 bits.
    Beyond,
}

pub(crate) fn microseconds(input: &Array, column: &Checked) -> Result<Converted, Failure> {
    let mut builder = Int64Builder::with_capacity(input.rows);
    let mut outcome = Outcome::new(input, column);
    for row in 0..input.rows {
        if input.is_null(row) {
            builder.push_null();
            continue;
        }
        let text = String::from_utf8_lossy(input.bytes(row));
        match read(&text) {
            Ok(number) => builder.push(number),
            Err(wrong) => {
                let (code, why) = match wrong {
                    Wrong::Months => ("convert.interval-months", "months and years have no length in microseconds"),
                    Wrong::Beyond => ("convert.out-of-range", "it is no number of microseconds of 64 bits"),
                };
                outcome.reject(row, code, format!("column {}: {text}: {why}", column.name), &text);
                builder.push_null();
            }
        }
    }
    Ok(Converted { outputs: vec![builder.finish()], rejects: outcome.into_rejects() })
}

/// Reads ISO 8601 as PostgreSQL prints it: `P1DT2H3M4.5S`, each part with a sign of its own.
fn read(text: &str) -> Result<i64, Wrong> {
    let mut rest = text.strip_prefix('P').ok_or(Wrong::Beyond)?;
    let (mut all, mut in_time) = (0_i128, false);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            (rest, in_time) = (after, true);
            continue;
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or(Wrong::Beyond)?;
        let (number, unit) = (&rest[..end], rest.as_bytes()[end]);
        rest = &rest[end + 1..];
        let number = millionths(number).ok_or(Wrong::Beyond)?;
        let each = match (unit, in_time) {
            (b'Y' | b'M', false) if number != 0 => return Err(Wrong::Months),
            (b'Y' | b'M', false) => 0,
            (b'W', false) => 7 * calendar::DAY,
            (b'D', false) => calendar::DAY,
            (b'H', true) => 3_600 * calendar::SECOND,
            (b'M', true) => 60 * calendar::SECOND,
            (b'S', true) => calendar::SECOND,
            _ => return Err(Wrong::Beyond),
        };
        all += number * i128::from(each) / 1_000_000;
    }
    i64::try_from(all).map_err(|_| Wrong::Beyond)
}

/// A number with at most six digits behind the point, times a million.
fn millionths(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > 6 {
        return None;
    }
    let fraction: i128 = format!("{fraction:0<6}").parse().ok()?;
    let whole: i128 = whole.parse().ok()?;
    Some(sign * (whole * 1_000_000 + fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_as_their_database_prints_them() {
        assert_eq!(read("PT0S"), Ok(0));
        assert_eq!(read("P1DT2H3M4.5S"), Ok(93_784_500_000));
        assert_eq!(read("PT-0.000001S"), Ok(-1));
        assert_eq!(read("P-1DT1H"), Ok(-82_800_000_000));
        assert_eq!(read("P1Y"), Err(Wrong::Months));
        assert_eq!(read("P-1M"), Err(Wrong::Months));
        assert_eq!(read("infinity"), Err(Wrong::Beyond));
        assert_eq!(read("P400000000D"), Err(Wrong::Beyond));
    }
}
