//! Binary numbers: the target has neither NaN nor infinities.

use millrace_plugin_sdk::columnar::{Array, Values};
use millrace_plugin_sdk::kind::Converted;
use millrace_plugin_sdk::model::Failure;

use super::Checked;
use super::outcome::{Outcome, unchanged, wrong_layout};

pub(crate) fn doubles(input: &Array, column: &Checked) -> Result<Converted, Failure> {
    let Values::Float64(numbers) = &input.values else { return Err(wrong_layout(&column.name, "float64")) };
    if numbers.iter().all(|number| number.is_finite()) {
        return Ok(unchanged(input));
    }
    Ok(finite(input, numbers.clone(), column))
}

/// `real` to DOUBLE: the number with the digits that the source shows, so that 0.1 stays 0.1.
pub(crate) fn widened(input: &Array, column: &Checked) -> Result<Converted, Failure> {
    let Values::Float32(numbers) = &input.values else { return Err(wrong_layout(&column.name, "float32")) };
    let mut digits = String::with_capacity(24);
    let doubles: Vec<f64> = numbers.iter().map(|number| widen(*number, &mut digits)).collect();
    if doubles.iter().all(|number| number.is_finite()) {
        let array = Array { rows: input.rows, validity: input.validity.clone(), values: Values::Float64(doubles) };
        return Ok(Converted { outputs: vec![array], rejects: Vec::new() });
    }
    Ok(finite(input, doubles, column))
}

fn widen(number: f32, digits: &mut String) -> f64 {
    use std::fmt::Write;
    // Whole numbers are the same in both.
    if number.fract() == 0.0 && number.abs() < 16_777_216.0 || !number.is_finite() {
        return f64::from(number);
    }
    digits.clear();
    match write!(digits, "{number:e}") {
        Ok(()) => digits.parse().unwrap_or(f64::from(number)),
        Err(_) => f64::from(number),
    }
}

fn finite(input: &Array, mut numbers: Vec<f64>, column: &Checked) -> Converted {
    let mut outcome = Outcome::new(input, column);
    for (row, number) in numbers.iter_mut().enumerate() {
        if number.is_finite() || outcome.is_null(row) {
            continue;
        }
        let (value, nearest) = if number.is_nan() {
            ("NaN", None)
        } else if number.is_sign_negative() {
            ("-Infinity", Some(f64::MIN))
        } else {
            ("Infinity", Some(f64::MAX))
        };
        *number = outcome.beyond(row, value, nearest).unwrap_or(0.0);
    }
    outcome.finish(Values::Float64(numbers))
}
