//! One value of a binary COPY.

use millrace_columnar::ArrayBuilder;

use crate::postgres::select::Wire;

/// Days from 1970-01-01 to PostgreSQL's epoch, 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;

/// Microseconds between the same two.
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// Appends a value that is not NULL. The error says what is wrong with the bytes.
pub(super) fn push(builder: &mut ArrayBuilder, wire: Wire, bytes: &[u8]) -> Result<(), String> {
    match (builder, wire) {
        (ArrayBuilder::Bits(to), Wire::Bool) => to.push(fixed::<1>(bytes)?[0] != 0),
        (ArrayBuilder::Int16(to), Wire::Int2) => to.push(i16::from_be_bytes(fixed(bytes)?)),
        (ArrayBuilder::Int32(to), Wire::Int4) => to.push(i32::from_be_bytes(fixed(bytes)?)),
        (ArrayBuilder::Int32(to), Wire::Date) => to.push(date(i32::from_be_bytes(fixed(bytes)?))),
        (ArrayBuilder::Int64(to), Wire::Int8 | Wire::Time) => {
            to.push(i64::from_be_bytes(fixed(bytes)?));
        }
        (ArrayBuilder::Int64(to), Wire::Timestamp) => {
            to.push(timestamp(i64::from_be_bytes(fixed(bytes)?)));
        }
        (ArrayBuilder::Float32(to), Wire::Float4) => to.push(f32::from_be_bytes(fixed(bytes)?)),
        (ArrayBuilder::Float64(to), Wire::Float8) => to.push(f64::from_be_bytes(fixed(bytes)?)),
        (ArrayBuilder::Fixed(to), Wire::Uuid) => to.push(&fixed::<16>(bytes)?),
        (ArrayBuilder::Varlen(to), Wire::Numeric) => {
            numeric(bytes, to.data_mut())?;
            to.end_row();
        }
        (ArrayBuilder::Varlen(to), Wire::Bytes) => to.push(bytes),
        (_, wire) => return Err(format!("its layout cannot hold {wire:?}")),
    }
    Ok(())
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], String> {
    bytes.try_into().map_err(|_| format!("{} bytes where {N} must be", bytes.len()))
}

fn date(days: i32) -> i32 {
    if matches!(days, i32::MAX | i32::MIN) { days } else { days.saturating_add(EPOCH_DAYS) }
}

fn timestamp(microseconds: i64) -> i64 {
    if matches!(microseconds, i64::MAX | i64::MIN) {
        microseconds
    } else {
        microseconds.saturating_add(EPOCH_MICROSECONDS)
    }
}

/// Appends a number as text: as many digits after the point as its scale says, no exponent.
fn numeric(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let (head, digits) = bytes.split_first_chunk::<8>().ok_or("a number without its head")?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let (count, sign, scale) = (usize::from(word(0)), word(4), usize::from(word(6)));
    let weight = i32::from(i16::from_be_bytes([head[2], head[3]]));
    if digits.len() != count * 2 {
        return Err(format!("a number of {count} digits in {} bytes", digits.len()));
    }
    match sign {
        0x0000 => {}
        0x4000 => out.push(b'-'),
        0xC000 => {
            out.extend_from_slice(b"NaN");
            return Ok(());
        }
        0xD000 => {
            out.extend_from_slice(b"Infinity");
            return Ok(());
        }
        0xF000 => {
            out.extend_from_slice(b"-Infinity");
            return Ok(());
        }
        other => return Err(format!("a number with the sign {other:#06x}")),
    }
    let group = |position: i32| -> u16 {
        usize::try_from(position)
            .ok()
            .and_then(|at| digits.get(at * 2..at * 2 + 2))
            .map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
    };
    if weight < 0 {
        out.push(b'0');
    } else {
        write_without_zeros(group(0), out);
        for position in 1..=weight {
            out.extend_from_slice(&four_digits(group(position)));
        }
    }
    if scale > 0 {
        out.push(b'.');
        let end = out.len() + scale;
        let mut position = weight + 1;
        while out.len() < end {
            out.extend_from_slice(&four_digits(group(position)));
            position += 1;
        }
        out.truncate(end);
    }
    Ok(())
}

fn four_digits(group: u16) -> [u8; 4] {
    let digit = |divisor: u16| b'0' + u8::try_from(group / divisor % 10).unwrap_or_default();
    [digit(1000), digit(100), digit(10), digit(1)]
}

fn write_without_zeros(group: u16, out: &mut Vec<u8>) {
    let digits = four_digits(group);
    let leading = digits.iter().take(3).take_while(|digit| **digit == b'0').count();
    out.extend_from_slice(&digits[leading..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(count: u16, weight: i16, sign: u16, scale: u16, digits: &[u16]) -> String {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(&weight.to_be_bytes());
        bytes.extend_from_slice(&sign.to_be_bytes());
        bytes.extend_from_slice(&scale.to_be_bytes());
        for digit in digits {
            bytes.extend_from_slice(&digit.to_be_bytes());
        }
        let mut out = Vec::new();
        numeric(&bytes, &mut out).expect("a number");
        String::from_utf8(out).expect("digits")
    }

    #[test]
    fn numbers_are_spelled_as_their_database_does() {
        assert_eq!(text(0, 0, 0, 0, &[]), "0");
        assert_eq!(text(0, 0, 0, 2, &[]), "0.00");
        assert_eq!(text(2, 0, 0x4000, 2, &[12, 5000]), "-12.50");
        assert_eq!(text(1, 2, 0, 0, &[1]), "100000000");
        assert_eq!(text(1, -1, 0, 4, &[1]), "0.0001");
        assert_eq!(text(1, -2, 0, 6, &[100]), "0.000001");
        assert_eq!(text(3, 1, 0, 1, &[1234, 5678, 9000]), "12345678.9");
        assert_eq!(text(0, 0, 0xC000, 0, &[]), "NaN");
        assert_eq!(text(0, 0, 0xF000, 0, &[]), "-Infinity");
    }

    #[test]
    fn infinite_dates_stay_the_ends_of_their_range() {
        assert_eq!((date(i32::MAX), date(i32::MIN), date(0)), (i32::MAX, i32::MIN, 10_957));
        assert_eq!((timestamp(i64::MAX), timestamp(-EPOCH_MICROSECONDS)), (i64::MAX, 0));
    }
}
