//! Days and times of day, as far as constants need them.

use std::fmt;

const SECOND: u64 = 1_000_000;
const DAY: u64 = 24 * 60 * 60 * SECOND;

/// A day of the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day {
    year: u16,
    month: u8,
    day: u8,
}

impl Day {
    /// `2020-01-31`. None: it is no day.
    pub(super) fn read(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let part = |from: usize, to: usize| -> Option<u16> {
            let digits = &text[from..to];
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = match month {
            4 | 6 | 9 | 11 => 30,
            2 if is_leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => return None,
        };
        let is_day = year > 0 && (1..=length).contains(&day);
        is_day.then_some(Self { year, month: u8::try_from(month).ok()?, day: u8::try_from(day).ok()? })
    }

    /// The moment with so many digits after its second. None: it is on the next day.
    pub(super) fn at_rounded(self, clock: Clock, digits: u32) -> Option<(Self, Clock)> {
        // PostgreSQL counts from the year 2000, and rounds halves away from there.
        let rounded = if self.year < 2000 { clock.rounded_down(digits) } else { clock.rounded(digits) };
        (rounded.0 < DAY).then_some((self, rounded))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Microseconds since midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock(u64);

impl Clock {
    /// The beginning of a day.
    pub(super) const MIDNIGHT: Self = Self(0);

    /// `10:00:00.5`, or `10:00`. None: it is no time of day.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let parts: Vec<&str> = whole.split(':').collect();
        let is_number = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(is_number) {
            return None;
        }
        if fraction.len() > 6 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number = |at: usize| parts.get(at).map_or(Some(0), |part| part.parse::<u64>().ok());
        let (hours, minutes, seconds) = (number(0)?, number(1)?, number(2)?);
        let microseconds: u64 = format!("{fraction:0<6}").parse().ok()?;
        let total = ((hours * 60 + minutes) * 60 + seconds) * SECOND + microseconds;
        (minutes < 60 && seconds < 60 && total <= DAY).then_some(Self(total))
    }

    /// With so many digits after the second, halves upwards.
    pub(super) fn rounded(self, digits: u32) -> Self {
        let unit = 10_u64.pow(6 - digits.min(6));
        Self((self.0 + unit / 2) / unit * unit)
    }

    /// The same, halves downwards.
    fn rounded_down(self, digits: u32) -> Self {
        let unit = 10_u64.pow(6 - digits.min(6));
        Self((self.0 + unit.saturating_sub(1) / 2) / unit * unit)
    }

    /// With so many digits after the second.
    pub(super) fn spelled(self, digits: u32) -> String {
        let seconds = self.0 / SECOND;
        let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        match digits.min(6) {
            0 => clock,
            digits => format!("{clock}.{:0width$}", self.0 % SECOND / 10_u64.pow(6 - digits), width = digits as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_read_and_spelled() {
        assert_eq!(Day::read("2020-02-29").map(|day| day.to_string()), Some("2020-02-29".to_owned()));
        for wrong in ["2019-02-29", "2020-13-01", "0000-01-01", "2020-1-1", "20200101", "infinity", "2020-01-0é"] {
            assert_eq!(Day::read(wrong), None, "{wrong}");
        }
        for (text, digits, expected) in [
            ("10:00", 0, "10:00:00"),
            ("10:00:00.5", 3, "10:00:00.500"),
            ("24:00:00", 6, "24:00:00.000000"),
            ("00:00:00.000001", 6, "00:00:00.000001"),
        ] {
            assert_eq!(Clock::read(text).map(|clock| clock.spelled(digits)).as_deref(), Some(expected));
        }
        for wrong in ["24:00:01", "10", "10:60", "10:00:00.1234567", "1:00", "allballs"] {
            assert_eq!(Clock::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn moments_are_rounded_as_the_source_rounds_them() {
        let at = |day: &str, clock: &str, digits| {
            let (day, clock) = (Day::read(day).expect("a day"), Clock::read(clock).expect("a time"));
            day.at_rounded(clock, digits).map(|(_, clock)| clock.spelled(digits))
        };
        assert_eq!(at("2001-01-01", "00:00:00.5", 0).as_deref(), Some("00:00:01"));
        assert_eq!(at("1999-01-01", "00:00:00.5", 0).as_deref(), Some("00:00:00"));
        assert_eq!(at("1999-01-01", "00:00:00.500001", 0).as_deref(), Some("00:00:01"));
        assert_eq!(at("2001-01-01", "00:00:00.123456", 3).as_deref(), Some("00:00:00.123"));
        assert_eq!(at("2001-01-01", "23:59:59.9", 0), None);
        assert_eq!(Clock::read("23:59:59.9").map(|clock| clock.rounded(0).spelled(0)).as_deref(), Some("24:00:00"));
    }
}
