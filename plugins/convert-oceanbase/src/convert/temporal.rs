//! Dates and timestamps: the target has the years 1 to 9999.

use millrace_plugin_sdk::columnar::{Array, Values, calendar};
use millrace_plugin_sdk::kind::Converted;
use millrace_plugin_sdk::model::Failure;

use super::Checked;
use super::outcome::{Outcome, unchanged, wrong_layout};

/// 0001-01-01. OceanBase takes the year 0 too, but not all of its days, and PostgreSQL calls it 1 BC.
const FIRST_DAY: i32 = -719_162;
/// 9999-12-31.
const LAST_DAY: i32 = 2_932_896;
/// The end of TIMESTAMP: 2038-01-19 03:14:07.999999.
const TIMESTAMP_END: i64 = (1 << 31) * calendar::SECOND - 1;

/// The smallest and the largest microsecond of a type, which has so many digits after the second.
pub(crate) fn range(declared: &str) -> (i64, i64) {
    let inside = declared.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let digits: u32 = inside.and_then(|(digits, _)| digits.trim().parse().ok()).unwrap_or(0);
    let unit = 10_i64.pow(6 - digits.min(6));
    let (smallest, end) = match declared.starts_with("timestamp") {
        true => (calendar::SECOND, TIMESTAMP_END),
        false => (i64::from(FIRST_DAY) * calendar::DAY, (i64::from(LAST_DAY) + 1) * calendar::DAY - 1),
    };
    // A finer one would be rounded up, beyond the end.
    (smallest, end - end.rem_euclid(unit))
}

/// Whether the target has this day.
pub(crate) fn is_day(days: i32) -> bool {
    (FIRST_DAY..=LAST_DAY).contains(&days)
}

pub(crate) fn dates(input: &Array, column: &Checked) -> Result<Converted, Failure> {
    let Values::Int32(days) = &input.values else { return Err(wrong_layout(&column.name, "int32")) };
    if days.iter().all(|day| (FIRST_DAY..=LAST_DAY).contains(day)) {
        return Ok(unchanged(input));
    }
    let mut days = days.clone();
    let mut outcome = Outcome::new(input, column);
    for (row, day) in days.iter_mut().enumerate() {
        if (FIRST_DAY..=LAST_DAY).contains(day) || outcome.is_null(row) {
            continue;
        }
        let value = spelled(|out| calendar::write_date(*day, out));
        *day = outcome.beyond(row, &value, Some((*day).clamp(FIRST_DAY, LAST_DAY))).unwrap_or(0);
    }
    Ok(outcome.finish(Values::Int32(days)))
}

pub(crate) fn timestamps(input: &Array, smallest: i64, largest: i64, column: &Checked) -> Result<Converted, Failure> {
    let Values::Int64(instants) = &input.values else { return Err(wrong_layout(&column.name, "int64")) };
    if instants.iter().all(|instant| (smallest..=largest).contains(instant)) {
        return Ok(unchanged(input));
    }
    // What the pipeline says of infinities is not said of an instant that is as good as any other, and for which only
    // TIMESTAMP is too narrow.
    let (first, last) = range("datetime(6)");
    let every_year = first..=last;
    let mut instants = instants.clone();
    let mut outcome = Outcome::new(input, column);
    for (row, instant) in instants.iter_mut().enumerate() {
        if (smallest..=largest).contains(instant) || outcome.is_null(row) {
            continue;
        }
        let value = spelled(|out| calendar::write_timestamp(*instant, out));
        if every_year.contains(instant) {
            outcome.not_in_target(row, &value);
            *instant = smallest;
            continue;
        }
        *instant = outcome.beyond(row, &value, Some((*instant).clamp(smallest, largest))).unwrap_or(smallest);
    }
    Ok(outcome.finish(Values::Int64(instants)))
}

fn spelled(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}
