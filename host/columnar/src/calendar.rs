//! Days and microseconds to dates and times and back, straight into byte buffers.
//!
//! Dates are of the proleptic Gregorian calendar. Years before 1 are spelled as PostgreSQL does, `0044-03-15 BC`;
//! years after 9999 have more digits. The smallest and the largest number are the infinities.

/// Microseconds of a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds of a day.
pub const DAY: i64 = 86_400 * SECOND;

const DIGIT_PAIRS: [u8; 200] = {
    let mut pairs = [0; 200];
    let mut number = 0u8;
    while number < 100 {
        pairs[number as usize * 2] = b'0' + number / 10;
        pairs[number as usize * 2 + 1] = b'0' + number % 10;
        number += 1;
    }
    pairs
};

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// Astronomical: 0 is 1 BC.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// The date so many days after 1970-01-01, by Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>): years begin in March, so that the leap day is the last.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // every value's range is known
pub fn civil_from_days(days: i32) -> Civil {
    let shifted = i64::from(days) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil { year: year as i32, month: month as u8, day: day as u8 }
}

/// Days after 1970-01-01, by Hinnant's `days_from_civil`. None: there is no such date, or it is too far away.
pub fn days_from_civil(date: Civil) -> Option<i32> {
    if !(1..=12).contains(&date.month) || date.day == 0 || date.day > days_in_month(date.year, date.month) {
        return None;
    }
    let month = i64::from(date.month);
    let year = i64::from(date.year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(date.day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    i32::try_from(era * 146_097 + day_of_era - 719_468).ok()
}

fn days_in_month(year: i32, month: u8) -> u8 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + u8::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn write_pair(number: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&DIGIT_PAIRS[number * 2..number * 2 + 2]);
}

fn write_civil(date: Civil, out: &mut Vec<u8>) {
    let year = if date.year > 0 { i64::from(date.year) } else { 1 - i64::from(date.year) };
    let year = usize::try_from(year).unwrap_or(0);
    if year > 9_999 {
        out.extend_from_slice((year / 10_000).to_string().as_bytes());
    }
    write_pair(year / 100 % 100, out);
    write_pair(year % 100, out);
    out.push(b'-');
    write_pair(usize::from(date.month), out);
    out.push(b'-');
    write_pair(usize::from(date.day), out);
}

fn write_era(date: Civil, out: &mut Vec<u8>) {
    if date.year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

fn write_infinity(positive: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if positive { b"infinity" } else { b"-infinity" });
}

/// Appends `YYYY-MM-DD`.
pub fn write_date(days: i32, out: &mut Vec<u8>) {
    if days == i32::MAX || days == i32::MIN {
        return write_infinity(days > 0, out);
    }
    let date = civil_from_days(days);
    write_civil(date, out);
    write_era(date, out);
}

/// Appends `HH:MM:SS`, and `.ffffff` when the fraction is not zero; a minus before a negative time; as many digits of
/// hours as there are.
pub fn write_time(microseconds: i64, out: &mut Vec<u8>) {
    if microseconds < 0 {
        out.push(b'-');
    }
    let all = microseconds.unsigned_abs();
    let part = |value: u64| usize::try_from(value).unwrap_or(0);
    let (seconds, fraction) = (all / 1_000_000, part(all % 1_000_000));
    let hours = part(seconds / 3_600);
    if hours >= 100 {
        out.extend_from_slice((hours / 100).to_string().as_bytes());
    }
    write_pair(hours % 100, out);
    out.push(b':');
    write_pair(part(seconds / 60 % 60), out);
    out.push(b':');
    write_pair(part(seconds % 60), out);
    if fraction != 0 {
        out.push(b'.');
        write_pair(fraction / 10_000, out);
        write_pair(fraction / 100 % 100, out);
        write_pair(fraction % 100, out);
    }
}

/// Appends `YYYY-MM-DD HH:MM:SS`, and `.ffffff` when the fraction is not zero.
pub fn write_timestamp(microseconds: i64, out: &mut Vec<u8>) {
    if microseconds == i64::MAX || microseconds == i64::MIN {
        return write_infinity(microseconds > 0, out);
    }
    let days = microseconds.div_euclid(DAY);
    let date = civil_from_days(i32::try_from(days).expect("64 bits of microseconds are fewer days than 2^31"));
    write_civil(date, out);
    out.push(b' ');
    write_time(microseconds.rem_euclid(DAY), out);
    write_era(date, out);
}

/// The number that one to `most` digits at the beginning stand for, and what follows them.
fn number(text: &[u8], least: usize, most: usize) -> Option<(i64, &[u8])> {
    let end = text.iter().take(most).position(|b| !b.is_ascii_digit()).unwrap_or(text.len().min(most));
    (end >= least).then(|| (text[..end].iter().fold(0, |sum, b| sum * 10 + i64::from(b - b'0')), &text[end..]))
}

fn infinity(text: &[u8]) -> Option<bool> {
    match text {
        b"infinity" => Some(true),
        b"-infinity" => Some(false),
        _ => None,
    }
}

fn split_date(text: &[u8]) -> Option<(Civil, &[u8])> {
    let (year, rest) = number(text, 4, 7)?;
    let (month, rest) = number(rest.strip_prefix(b"-")?, 2, 2)?;
    let (day, rest) = number(rest.strip_prefix(b"-")?, 2, 2)?;
    let date =
        Civil { year: i32::try_from(year).ok()?, month: u8::try_from(month).ok()?, day: u8::try_from(day).ok()? };
    Some((date, rest))
}

fn with_era(mut date: Civil, rest: &[u8]) -> Option<Civil> {
    match rest {
        b"" => {}
        b" BC" if date.year > 0 => date.year = 1 - date.year,
        _ => return None,
    }
    Some(date)
}

/// Reads what [`write_date`] writes. None: it is no date, such as `0000-00-00`.
pub fn read_date(text: &[u8]) -> Option<i32> {
    if let Some(positive) = infinity(text) {
        return Some(if positive { i32::MAX } else { i32::MIN });
    }
    let (date, rest) = split_date(text)?;
    days_from_civil(with_era(date, rest)?)
}

fn split_time(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hours, rest) = number(text, 1, 9)?;
    let (minutes, rest) = number(rest.strip_prefix(b":")?, 2, 2)?;
    let (seconds, rest) = number(rest.strip_prefix(b":")?, 2, 2)?;
    if minutes > 59 || seconds > 59 {
        return None;
    }
    let mut all = (hours * 3_600 + minutes * 60 + seconds) * SECOND;
    let Some(digits) = rest.strip_prefix(b".") else {
        return Some((all, rest));
    };
    let (mut fraction, after) = number(digits, 1, 6)?;
    for _ in digits.len() - after.len()..6 {
        fraction *= 10;
    }
    all += fraction;
    Some((all, after))
}

/// Reads what [`write_time`] writes, with one to six digits of the fraction. None: it is no time.
pub fn read_time(text: &[u8]) -> Option<i64> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let (time, rest) = split_time(text)?;
    rest.is_empty().then_some(if negative { -time } else { time })
}

/// Reads what [`write_timestamp`] writes, also with a `T` between date and time. None: it is no timestamp.
pub fn read_timestamp(text: &[u8]) -> Option<i64> {
    if let Some(positive) = infinity(text) {
        return Some(if positive { i64::MAX } else { i64::MIN });
    }
    let (date, rest) = split_date(text)?;
    let (time, rest) = match rest.split_first() {
        Some((b' ' | b'T', time)) if time.first().is_some_and(u8::is_ascii_digit) => split_time(time)?,
        _ => (0, rest),
    };
    let days = days_from_civil(with_era(date, rest)?)?;
    (time <= DAY).then(|| i64::from(days).checked_mul(DAY)?.checked_add(time)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_days_have_their_dates() {
        for (days, date) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "10000-01-01"),
            (-719_162, "0001-01-01"),
            (-719_163, "0001-12-31 BC"),
            (i32::MAX, "infinity"),
            (i32::MIN, "-infinity"),
        ] {
            assert_eq!(text(|out| write_date(days, out)), date);
            assert_eq!(read_date(date.as_bytes()), Some(days), "{date}");
        }
    }

    #[test]
    fn known_instants_have_their_timestamps() {
        for (instant, spelled) in [
            (0, "1970-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59.999999"),
            (1_500_000, "1970-01-01 00:00:01.500000"),
            (-62_135_596_800_000_001, "0001-12-31 23:59:59.999999 BC"),
            (i64::MAX, "infinity"),
        ] {
            assert_eq!(text(|out| write_timestamp(instant, out)), spelled);
            assert_eq!(read_timestamp(spelled.as_bytes()), Some(instant), "{spelled}");
        }
        assert_eq!(read_timestamp(b"1970-01-01T00:00:01.5"), Some(1_500_000));
        assert_eq!(read_timestamp(b"1970-01-02"), Some(DAY));
    }

    #[test]
    fn times_may_be_negative_and_longer_than_a_day() {
        for (time, spelled) in
            [(DAY, "24:00:00"), (-(838 * 3_600 + 59 * 60 + 59) * SECOND, "-838:59:59"), (1, "00:00:00.000001")]
        {
            assert_eq!(text(|out| write_time(time, out)), spelled);
            assert_eq!(read_time(spelled.as_bytes()), Some(time));
        }
        assert_eq!(read_time(b"1:02:03.5"), Some(3_723_500_000));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["0000-00-00", "2023-02-29", "1900-02-29", "2023-13-01", "2023-1-01", "", "2023-01-01x", "99-01-01"]
        {
            assert_eq!(read_date(text.as_bytes()), None, "{text}");
        }
        for text in ["2023-01-01 25:00:00", "2023-01-01 00:60:00", "2023-01-01 00:00", "2023-01-01 00:00:00.1234567"] {
            assert_eq!(read_timestamp(text.as_bytes()), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_date_is_read_as_it_is_written(days in -2_000_000i32..400_000_000) {
            let spelled = text(|out| write_date(days, out));
            proptest::prop_assert_eq!(read_date(spelled.as_bytes()), Some(days));
        }

        #[test]
        fn every_timestamp_is_read_as_it_is_written(instant: i64) {
            let spelled = text(|out| write_timestamp(instant, out));
            proptest::prop_assert_eq!(read_timestamp(spelled.as_bytes()), Some(instant));
        }

        #[test]
        fn dates_ascend_with_their_days(days in -700_000i32..2_900_000) {
            proptest::prop_assert!(civil_from_days(days) < civil_from_days(days + 1));
        }
    }
}
