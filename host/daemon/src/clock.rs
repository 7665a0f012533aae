//! The daemon's clock.

use jiff::Timestamp;
use jiff::fmt::strtime;

/// Now, as RFC 3339 in UTC, to the millisecond.
pub(crate) fn now_text() -> String {
    strtime::format("%Y-%m-%dT%H:%M:%S%.3fZ", Timestamp::now()).expect("the format is fixed")
}

/// Seconds since 1970-01-01 00:00 UTC.
pub(crate) fn now_seconds() -> u64 {
    u64::try_from(Timestamp::now().as_second()).expect("the clock is past 1970")
}

/// Chance, from the operating system by way of the standard library's hash keys.
pub(crate) fn entropy() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}
