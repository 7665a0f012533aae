//! How long the target's statements take: a histogram that many tasks write to at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// Eight buckets for each power of two: a percentile is right to an eighth.
const PARTS: u64 = 8;
const BUCKETS: usize = 512;

/// A histogram of times. Adding to it takes no lock.
#[derive(Debug)]
pub struct Latencies {
    buckets: Vec<AtomicU64>,
}

/// What a histogram says, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LatencySummary {
    /// How many were timed.
    pub statements: u64,
    /// Half of them took at most so long.
    pub p50_ms: f64,
    /// Ninety of a hundred.
    pub p90_ms: f64,
    /// Ninety-nine of a hundred.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Latencies {
    /// Counts one.
    pub fn add(&self, took: Duration) {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(microseconds)].fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn summary(&self) -> LatencySummary {
        let counts: Vec<u64> = self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let statements: u64 = counts.iter().sum();
        let at = |hundredths: u64| -> f64 {
            let wanted = (statements * hundredths).div_ceil(100).max(1);
            let mut below = 0;
            let found = counts.iter().position(|count| {
                below += count;
                below >= wanted
            });
            #[allow(clippy::cast_precision_loss)] // for people
            found.map_or(0.0, |bucket| end_of(bucket) as f64 / 1_000.0)
        };
        LatencySummary { statements, p50_ms: at(50), p90_ms: at(90), p99_ms: at(99), max_ms: at(100) }
    }
}

/// Which bucket a number of microseconds falls into.
fn bucket(microseconds: u64) -> usize {
    let position = if microseconds < PARTS {
        microseconds
    } else {
        let power = u64::from(microseconds.ilog2());
        (power - 2) * PARTS + ((microseconds >> (power - 3)) & (PARTS - 1))
    };
    usize::try_from(position).unwrap_or(BUCKETS - 1).min(BUCKETS - 1)
}

/// The largest number of microseconds of a bucket.
fn end_of(bucket: usize) -> u64 {
    let position = bucket as u64;
    if position < PARTS {
        return position;
    }
    let (power, part) = (position / PARTS + 2, position % PARTS);
    let begin = u128::from(PARTS + part) << (power - 3);
    u64::try_from(begin + (1 << (power - 3)) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_falls_into_the_bucket_that_ends_at_or_after_it() {
        let mut last = 0;
        for number in (0..5_000).chain([1 << 20, (1 << 40) + 7, u64::MAX]) {
            let bucket = bucket(number);
            assert!(bucket >= last, "{number}");
            last = bucket;
            let end = end_of(bucket);
            assert!(end >= number && u128::from(end) <= u128::from(number) + u128::from(number) / 8, "{number}: {end}");
        }
    }

    #[test]
    fn percentiles_are_right_to_an_eighth() {
        let latencies = Latencies::default();
        assert_eq!(latencies.summary(), LatencySummary::default());
        for milliseconds in 1..=100 {
            latencies.add(Duration::from_millis(milliseconds));
        }
        let summary = latencies.summary();
        assert_eq!(summary.statements, 100);
        for (found, exact) in [(summary.p50_ms, 50.0), (summary.p90_ms, 90.0), (summary.p99_ms, 99.0)] {
            assert!(found >= exact && found <= exact * 1.13, "{found} instead of {exact}");
        }
        assert!(summary.max_ms >= 100.0 && summary.max_ms < 113.0, "{}", summary.max_ms);
    }
}
