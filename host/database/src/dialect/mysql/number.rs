//! Exact decimals of any length, as texts: PostgreSQL's have up to 131,072 digits before the point.

use std::fmt;

/// A decimal number, with the zeros at its end that were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Number {
    negative: bool,
    /// Digits, of which the last `scale` stand behind the point.
    digits: String,
    scale: usize,
}

impl From<i128> for Number {
    fn from(whole: i128) -> Self {
        Self { negative: whole < 0, digits: whole.unsigned_abs().to_string(), scale: 0 }
    }
}

impl Number {
    /// `-12.50`, also `1e3`. None: it is no number.
    pub(super) fn read(text: &str) -> Option<Self> {
        const LONGEST: i32 = 2_000;
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || exponent.abs() > LONGEST {
            return None;
        }
        let scale = i32::try_from(fraction.len()).ok()? - exponent;
        digits.push_str(&"0".repeat(usize::try_from(-scale).unwrap_or(0)));
        Some(Self { negative, digits, scale: usize::try_from(scale).unwrap_or(0) }.trimmed())
    }

    /// Without zeros before its first digit, and with one digit before the point at least.
    fn trimmed(mut self) -> Self {
        let missing = (self.scale + 1).saturating_sub(self.digits.len());
        self.digits.insert_str(0, &"0".repeat(missing));
        let spare = self.digits.bytes().take_while(|b| *b == b'0').count().min(self.digits.len() - self.scale - 1);
        self.digits.drain(..spare);
        if self.digits.bytes().all(|b| b == b'0') {
            self.negative = false;
        }
        self
    }

    pub(super) fn negated(&self) -> Self {
        Self { negative: !self.negative, ..self.clone() }.trimmed()
    }

    /// With so many digits after the point, halves away from zero; a negative scale rounds before the point.
    pub(super) fn rounded(&self, scale: i64) -> Self {
        let kept =
            i64::try_from(self.digits.len()).unwrap_or(i64::MAX) - i64::try_from(self.scale).unwrap_or(0) + scale;
        let wanted = usize::try_from(scale).unwrap_or(0);
        if scale >= 0 && wanted >= self.scale {
            let zeros = "0".repeat(wanted - self.scale);
            return Self { digits: format!("{}{zeros}", self.digits), scale: wanted, ..self.clone() };
        }
        let at = usize::try_from(kept).unwrap_or(0);
        let up = kept >= 0 && self.digits.as_bytes().get(at).is_some_and(|digit| *digit >= b'5');
        let mut digits = if kept > 0 { self.digits[..at].to_owned() } else { String::new() };
        if up {
            digits = incremented(&digits);
        }
        digits.push_str(&"0".repeat(usize::try_from(-scale).unwrap_or(0)));
        Self { negative: self.negative, digits, scale: wanted }.trimmed()
    }

    /// As a whole number. None: it has digits behind the point, or is too large.
    pub(super) fn whole(&self) -> Option<i128> {
        if self.scale > 0 {
            return None;
        }
        let number: i128 = self.digits.parse().ok()?;
        Some(if self.negative { -number } else { number })
    }

    /// How many digits stand before the point, zeros at the beginning left out.
    pub(super) fn digits_before(&self) -> i64 {
        let whole = &self.digits[..self.digits.len() - self.scale];
        let leading = whole.trim_start_matches('0');
        if !leading.is_empty() {
            return i64::try_from(leading.len()).unwrap_or(i64::MAX);
        }
        // 0.00123 has two less than none.
        let zeros = self.digits[self.digits.len() - self.scale..].bytes().take_while(|b| *b == b'0').count();
        if zeros == self.scale { i64::MIN } else { -i64::try_from(zeros).unwrap_or(i64::MAX) }
    }

    /// How many digits say something.
    pub(super) fn digits(&self) -> usize {
        let significant = self.digits.trim_start_matches('0');
        if self.scale > 0 { significant.trim_end_matches('0').len() } else { significant.len() }
    }

    /// None: the numbers are too long to be computed with.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let (first, second) = (self.units(scale)?, other.units(scale)?);
        Some(Self::of_units(first.checked_add(second)?, scale))
    }

    /// None: the numbers are too long to be computed with.
    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        let product = self.units(self.scale)?.checked_mul(other.units(other.scale)?)?;
        Some(Self::of_units(product, self.scale + other.scale))
    }

    /// In units of the last digit of a scale that it has at least.
    fn units(&self, scale: usize) -> Option<i128> {
        let digits = format!("{}{}", self.digits, "0".repeat(scale - self.scale));
        let number: i128 = digits.parse().ok()?;
        Some(if self.negative { -number } else { number })
    }

    fn of_units(units: i128, scale: usize) -> Self {
        Self { negative: units < 0, digits: units.unsigned_abs().to_string(), scale }.trimmed()
    }
}

/// The digits of the next number.
fn incremented(digits: &str) -> String {
    let mut bytes = digits.as_bytes().to_vec();
    for digit in bytes.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return bytes.into_iter().map(char::from).collect();
        }
        *digit = b'0';
    }
    format!("1{}", bytes.into_iter().map(char::from).collect::<String>())
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = self.digits.split_at(self.digits.len() - self.scale);
        let sign = if self.negative { "-" } else { "" };
        if fraction.is_empty() { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::read(text).expect("a number")
    }

    #[test]
    fn numbers_are_rounded_as_the_source_rounds_them() {
        for (text, scale, expected) in [
            ("2.5", 0, "3"),
            ("-2.5", 0, "-3"),
            ("2.49", 0, "2"),
            ("1.239", 2, "1.24"),
            ("9.995", 2, "10.00"),
            ("12345", -2, "12300"),
            ("12350", -2, "12400"),
            ("49", -2, "0"),
            ("50", -2, "100"),
            ("5", -2, "0"),
            ("0.004", 2, "0.00"),
            ("-0.004", 2, "0.00"),
            ("0.5", 0, "1"),
            ("1", 3, "1.000"),
            ("00012.50", 1, "12.5"),
            ("1e3", 0, "1000"),
            ("1.5e-3", 4, "0.0015"),
        ] {
            assert_eq!(number(text).rounded(scale).to_string(), expected, "{text} to {scale}");
        }
    }

    #[test]
    fn digits_are_counted_where_they_say_something() {
        assert_eq!(number("0.00123").digits_before(), -2);
        assert_eq!(number("0").digits_before(), i64::MIN);
        assert_eq!(number("120.5").digits_before(), 3);
        assert_eq!((number("0.10").digits(), number("100").digits()), (1, 3));
        assert_eq!(number("1.5").times(&number("-2.25")).map(|n| n.to_string()), Some("-3.375".to_owned()));
        assert_eq!(number("0.1").plus(&number("0.20")).map(|n| n.to_string()), Some("0.30".to_owned()));
        assert!(Number::read("").is_none() && Number::read("NaN").is_none() && Number::read("1.2.3").is_none());
    }
}
