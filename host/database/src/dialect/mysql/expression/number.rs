//! Numbers: where the source would fail, the target must not give a value.
//!
//! A division by zero is NULL in the target, and an `integer` is computed there in sixty-four bits. Where an operation
//! may fail at the source, a *guard* is said besides: a condition that is false for exactly the rows for which it does.
//! Sixty-four bits and products of doubles fail there by themselves.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

use super::Untranslatable;
use super::printed::{DECIMAL_DIGITS, DECIMAL_SCALE, Printed, Width, digits_of};
use super::scope::Kind;
use super::translate::{Translation, refuse, unwrap_casts};

/// A literal, below brackets and casts, that is a whole number from zero on.
pub(super) fn whole_number(expression: &Expr) -> Option<u64> {
    signed_number(expression).and_then(|number| u64::try_from(number).ok())
}

/// A literal, below brackets and casts, that is a whole number.
pub(super) fn signed_number(expression: &Expr) -> Option<i64> {
    match unwrap_casts(expression) {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse().ok(),
            Value::SingleQuotedString(text) => text.trim().parse().ok(),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => signed_number(expr)?.checked_neg(),
        _ => None,
    }
}

/// A literal that is not zero, or `NULLIF(…, 0)`.
fn is_never_zero(divisor: &Expr, printed: &Printed) -> bool {
    if printed.range.is_some_and(|(least, largest)| least > 0 || largest < 0) {
        return true;
    }
    match unwrap_casts(divisor) {
        Expr::Value(_) => {
            printed.literal.as_deref().is_some_and(|text| text.parse::<f64>().is_ok_and(|number| number != 0.0))
        }
        Expr::Function(called) if called.name.to_string().eq_ignore_ascii_case("nullif") => {
            match super::function::arguments(called, "nullif").as_deref() {
                Ok([_, zero]) => matches!(whole_number(zero), Some(0)),
                _ => false,
            }
        }
        _ => false,
    }
}

/// `left operator right`, of numbers.
pub(super) fn arithmetic(
    translation: &mut Translation<'_>,
    left: &Expr,
    operator: &BinaryOperator,
    right: &Expr,
) -> Result<Printed, Untranslatable> {
    let (first, second) = (translation.number(left)?, translation.number(right)?);
    if matches!(operator, BinaryOperator::Divide | BinaryOperator::Modulo) && !is_never_zero(right, &second) {
        let numerator = if translation.never_null(left) { None } else { Some(first.sql.as_str()) };
        translation.guard_division(right, numerator, &second.sql)?;
    }
    match (first.kind, second.kind) {
        (Kind::Float, _) | (_, Kind::Float) => of_floats(translation, first, operator, second),
        (Kind::Decimal, _) | (_, Kind::Decimal) => of_decimals(translation, &first, operator, &second),
        _ => of_integers(translation, &first, operator, &second),
    }
}

fn word(operator: &BinaryOperator) -> Option<&'static str> {
    Some(match operator {
        BinaryOperator::Plus => "+",
        BinaryOperator::Minus => "-",
        BinaryOperator::Multiply => "*",
        BinaryOperator::Modulo => "%",
        _ => return None,
    })
}

fn of_floats(
    translation: &mut Translation<'_>,
    first: Printed,
    operator: &BinaryOperator,
    second: Printed,
) -> Result<Printed, Untranslatable> {
    if first.is_single && second.is_single {
        return refuse("reals are computed in thirty-two bits at the source");
    }
    let (scaling, divisor) = (largest_of(&second).or(largest_of(&first)), largest_of(&second));
    let first = if first.is_exact && second.is_exact { first.into_double() } else { first };
    let sign = match operator {
        BinaryOperator::Divide => "/",
        BinaryOperator::Modulo => return refuse("there is no remainder of binary numbers at the source"),
        _ => word(operator).unwrap_or_default(),
    };
    let sql = format!("({} {sign} {})", first.sql, second.sql);
    let is_moderate = |number: &Printed| number.extent().is_some() || number.literal.is_some();
    let (one, both) = (is_moderate(&first) || is_moderate(&second), is_moderate(&first) && is_moderate(&second));
    match operator {
        // What is too large fails in products only.
        BinaryOperator::Plus | BinaryOperator::Minus if !one => translation.guard(format!("(({sql} * 0) = 0)")),
        // What becomes zero and is none fails at the source.
        BinaryOperator::Multiply if !both && scaling.is_none_or(|number| number < 1.0) => {
            translation.guard(unless_zero(&sql, &[&first, &second]));
        }
        BinaryOperator::Divide if !both && divisor.is_none_or(|number| number > 1.0) => {
            translation.guard(unless_zero(&sql, &[&first]));
        }
        _ => {}
    }
    Ok(Printed::new(sql, Kind::Float))
}

/// A condition that a result is not zero where no operand is.
fn unless_zero(sql: &str, operands: &[&Printed]) -> String {
    let zeros = operands.iter().filter(|operand| largest_of(operand).is_none_or(|number| number == 0.0));
    let any: String = zeros.map(|operand| format!(" or ({} = 0)", operand.sql)).collect();
    if any.is_empty() { format!("({sql} <> 0)") } else { format!("(({sql} <> 0){any})") }
}

/// The absolute value of a literal.
fn largest_of(printed: &Printed) -> Option<f64> {
    printed.literal.as_deref().and_then(|text| text.parse::<f64>().ok()).map(f64::abs)
}

fn of_decimals(
    translation: &Translation<'_>,
    first: &Printed,
    operator: &BinaryOperator,
    second: &Printed,
) -> Result<Printed, Untranslatable> {
    let Some(sign) = word(operator) else { return refuse("quotients of decimals are rounded otherwise there") };
    let sql = format!("({} {sign} {})", first.sql, second.sql);
    let (digits, scales) = (first.digits.zip(second.digits), first.scale.zip(second.scale));
    let (digits, scale) = match operator {
        BinaryOperator::Multiply => (digits.map(|(a, b)| a + b), scales.map(|(a, b)| a + b)),
        BinaryOperator::Modulo => (digits.map(|(a, b)| a.max(b)), scales.map(|(a, b)| a.max(b))),
        _ => (digits.map(|(a, b)| a.max(b) + 1), scales.map(|(a, b)| a.max(b))),
    };
    if scale.is_none_or(|scale| scale > DECIMAL_SCALE) && *operator == BinaryOperator::Multiply {
        return refuse("products with more than 30 digits after the point are cut there");
    }
    match digits.zip(scale) {
        Some((digits, scale)) if digits + scale > DECIMAL_DIGITS => {
            refuse("numbers with more than 65 digits are cut there")
        }
        // Sums of a view have as many digits as there is room for.
        None if translation.query.is_none() => {
            refuse("how many digits its numbers have is not known, and the target has 65 at most")
        }
        _ => Ok(Printed::new(sql, Kind::Decimal).with_extent(digits, scale)),
    }
}

/// The precision and scale of `decimal(precision,scale)`.
pub(super) fn precision_of(declared: &str) -> Option<(u32, u32)> {
    let declared = declared.to_ascii_lowercase();
    let (precision, scale) = declared.strip_prefix("decimal(")?.split_once(')')?.0.split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    (scale <= precision).then_some((precision, scale))
}

fn of_integers(
    translation: &mut Translation<'_>,
    first: &Printed,
    operator: &BinaryOperator,
    second: &Printed,
) -> Result<Printed, Untranslatable> {
    let sign = word(operator).unwrap_or("div");
    let sql = format!("({} {sign} {})", first.sql, second.sql);
    let width = first.width.max(second.width);
    let (Some(a), Some(b)) = (first.range, second.range) else {
        // A remainder is no wider than what it is one of.
        return match translation.query {
            _ if *operator == BinaryOperator::Modulo => {
                Ok(Printed { width, scale: Some(0), ..Printed::new(sql, Kind::Integer) })
            }
            Some(_) => Ok(Printed { width, scale: Some(0), ..Printed::new(sql, Kind::Integer) }),
            None => refuse("how wide its integers are at the source is not known"),
        };
    };
    let range = match operator {
        BinaryOperator::Plus => (a.0 + b.0, a.1 + b.1),
        BinaryOperator::Minus => (a.0 - b.1, a.1 - b.0),
        BinaryOperator::Multiply => hull([a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1]),
        BinaryOperator::Modulo => {
            let most = b.0.abs().max(b.1.abs()) - 1;
            (if a.0 < 0 { -most } else { 0 }, if a.1 > 0 { most.max(0) } else { 0 })
        }
        // By one at least.
        _ if b.0 < 0 => hull([a.0, -a.0, a.1, -a.1]),
        _ => a,
    };
    Ok(translation.within(Printed { width, ..Printed::integer(sql, range) }))
}

fn hull(numbers: [i128; 4]) -> (i128, i128) {
    let least = numbers.iter().copied().min().unwrap_or_default();
    (least, numbers.iter().copied().max().unwrap_or_default())
}

/// `-number`.
pub(super) fn negative(translation: &mut Translation<'_>, number: &Printed) -> Result<Printed, Untranslatable> {
    if number.sql.starts_with(|c: char| c.is_ascii_digit()) {
        let text = format!("-{}", number.sql);
        let range = number.range.map(|(least, largest)| (-largest, -least));
        return Ok(Printed { literal: Some(text.clone()), sql: text, range, ..number.clone() });
    }
    let sql = format!("-({})", number.sql);
    match (number.kind, number.range) {
        (Kind::Integer, Some((least, largest))) => {
            Ok(translation.within(Printed { width: number.width, ..Printed::integer(sql, (-largest, -least)) }))
        }
        (Kind::Integer, None) if translation.query.is_none() => {
            refuse("how wide its integers are at the source is not known")
        }
        _ => Ok(Printed { sql, range: None, literal: None, ..number.clone() }),
    }
}

/// `abs(number)`.
pub(super) fn absolute(translation: &mut Translation<'_>, number: Printed) -> Result<Printed, Untranslatable> {
    let sql = format!("abs({})", number.sql);
    match (number.kind, number.range) {
        (Kind::Integer, Some((least, largest))) => {
            let range = (0, least.abs().max(largest.abs()));
            Ok(translation.within(Printed { width: number.width, ..Printed::integer(sql, range) }))
        }
        (Kind::Integer, None) if translation.query.is_none() => {
            refuse("how wide its integers are at the source is not known")
        }
        _ => Ok(Printed { sql, range: None, literal: None, ..number }),
    }
}

/// `ceiling` and `floor`, which have one digit more before the point.
pub(super) fn to_whole(function: &str, number: Printed) -> Printed {
    let sql = format!("{function}({})", number.sql);
    let digits = number.digits.map(|digits| digits + 1);
    match number.kind {
        Kind::Decimal => Printed::new(sql, Kind::Decimal).with_extent(digits, Some(0)),
        _ => Printed { sql, literal: None, ..number },
    }
}

/// Numbers of this kind as an integer of this width, computed as they are.
pub(super) fn cast_to_integer(translation: &mut Translation<'_>, number: &Printed, width: Width) -> Printed {
    let (sql, range) = match number.kind {
        Kind::Decimal => {
            let rounded = format!("round({})", number.sql);
            let most = number.digits.map(|digits| 10_i128.checked_pow(digits).unwrap_or(i128::MAX));
            let most = most.unwrap_or(i128::MAX);
            let (least, largest) = width.bounds();
            if most > largest {
                translation.guard(format!("({rounded} >= {least})"));
                translation.guard(format!("({rounded} <= {largest})"));
            }
            (format!("cast({rounded} as signed)"), (least.max(-most), largest.min(most)))
        }
        // No integer is wider than that.
        _ => (number.sql.clone(), number.range.unwrap_or(Width::Eight.bounds())),
    };
    let integer = Printed { width: Some(width), literal: number.literal.clone(), ..Printed::integer(sql, range) };
    translation.narrowed(integer)
}

/// `number::numeric(precision, scale)`.
pub(super) fn cast_to_decimal(
    translation: &mut Translation<'_>,
    number: &Printed,
    sized: Option<(u32, i32)>,
) -> Result<Printed, Untranslatable> {
    let plain = Printed {
        literal: number.literal.clone(),
        ..Printed::new(number.sql.clone(), Kind::Decimal).with_extent(number.digits, number.scale)
    };
    let Some((precision, scale)) = sized else { return Ok(plain) };
    let Ok(scale) = u32::try_from(scale) else { return refuse("it rounds before the point") };
    let is_rounded = number.scale.is_none_or(|digits| digits > scale);
    let sql = if is_rounded { format!("round({},{scale})", number.sql) } else { number.sql.clone() };
    let digits = precision.saturating_sub(scale);
    if number.digits.is_none_or(|has| has + u32::from(is_rounded) > digits) {
        let bound = format!("1{}", "0".repeat(digits as usize));
        translation.guard(format!("(abs({sql}) < {bound})"));
    }
    let literal = plain.literal.filter(|_| !is_rounded);
    Ok(Printed { literal, ..Printed::new(sql, Kind::Decimal).with_extent(Some(digits), Some(scale)) })
}

/// A literal number, as PostgreSQL reads one: an integer that is wide enough, or a decimal.
pub(super) fn literal(text: &str) -> Option<Printed> {
    let plain = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let sql = text.to_owned();
    if !plain.contains('.')
        && let Some(number) = text.parse::<i128>().ok().filter(|n| i64::try_from(*n).is_ok())
    {
        let width = if i32::try_from(number).is_ok() { Width::Four } else { Width::Eight };
        let integer = Printed::integer(sql, (number, number));
        return Some(Printed { width: Some(width), literal: Some(text.to_owned()), ..integer });
    }
    let digits = u32::try_from(whole.trim_start_matches('0').len().max(1)).ok();
    let scale = u32::try_from(fraction.len()).ok();
    let decimal = Printed::new(sql, Kind::Decimal).with_extent(digits, scale);
    Some(Printed { literal: Some(text.to_owned()), ..decimal })
}

impl Translation<'_> {
    /// An integer that the source would refuse to compute beyond its width.
    fn within(&mut self, integer: Printed) -> Printed {
        // Sixty-four bits fail by themselves.
        if integer.width == Some(Width::Eight) || integer.width.is_none() {
            return clamped(integer);
        }
        self.narrowed(integer)
    }

    /// The same, whatever its width.
    fn narrowed(&mut self, integer: Printed) -> Printed {
        if let (Some(width), Some((least, largest))) = (integer.width, integer.range) {
            let bounds = width.bounds();
            if least < bounds.0 {
                self.guard(format!("({} >= {})", integer.sql, bounds.0));
            }
            if largest > bounds.1 {
                self.guard(format!("({} <= {})", integer.sql, bounds.1));
            }
        }
        clamped(integer)
    }

    /// Rows in which the divisor is zero, and what is divided is there, fail at the source.
    fn guard_division(&mut self, divisor: &Expr, numerator: Option<&str>, printed: &str) -> Result<(), Untranslatable> {
        if self.query.is_some() {
            return refuse(format!(
                "a division by {divisor} fails at the source where that is zero, and gives NULL there"
            ));
        }
        self.guard(match numerator {
            None => format!("({printed} <> 0)"),
            Some(numerator) => format!("(({printed} <> 0) or ({numerator} is null))"),
        });
        Ok(())
    }
}

fn clamped(integer: Printed) -> Printed {
    let bounds = integer.width.unwrap_or(Width::Eight).bounds();
    let range =
        integer.range.map(|(least, largest)| (least.clamp(bounds.0, bounds.1), largest.clamp(bounds.0, bounds.1)));
    Printed { digits: range.map(digits_of), range, ..integer }
}
