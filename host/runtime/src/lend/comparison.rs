//! A pair of tables, as validators hold it.

use millrace_model::comparison::{Difference, Digest, Reading};
use wasmtime::component::Resource;

use super::{Pair, answer, refused};
use crate::contract::comparison as wit;
use crate::contract::failure::Error;
use crate::state::State;
use crate::translate::{difference_to_guest, range_from_guest, range_to_guest, row_differences_to_guest};

type Answer<T> = wasmtime::Result<Result<T, Error>>;

/// Fewer rows than this are no range of their own: ranges are a list in memory.
const FEWEST_ROWS_A_RANGE: u64 = 100;
/// Rows that are drawn at most: their keys are a list in memory.
const SAMPLE_ROWS: u32 = 1_000_000;
/// Differences that are listed at most.
const DIFFERENCES: u32 = 200_000;

fn digest(digest: Digest) -> wit::Digest {
    wit::Digest { rows: digest.rows, hash: digest.hash }
}

fn differences(differences: &[Difference]) -> Vec<wit::Difference> {
    differences.iter().map(difference_to_guest).collect()
}

impl wit::Host for State {}

impl wit::HostTablePair for State {
    fn source_name(&mut self, pair: Resource<Pair>) -> wasmtime::Result<String> {
        Ok(self.table.get(&pair)?.0.source_name())
    }

    fn target_name(&mut self, pair: Resource<Pair>) -> wasmtime::Result<String> {
        Ok(self.table.get(&pair)?.0.target_name())
    }

    fn counts(&mut self, pair: Resource<Pair>) -> Answer<(u64, u64)> {
        self.on_host_time(|state| Ok(answer(state.table.get_mut(&pair)?.0.counts())))
    }

    fn ranges(&mut self, pair: Resource<Pair>, rows_each: u64) -> Answer<Vec<wit::KeyRange>> {
        self.on_host_time(|state| {
            let ranges = state.table.get_mut(&pair)?.0.ranges(rows_each.max(FEWEST_ROWS_A_RANGE));
            Ok(answer(ranges.map(|ranges| ranges.iter().map(range_to_guest).collect())))
        })
    }

    fn digests(
        &mut self,
        pair: Resource<Pair>,
        ranges: Vec<wit::KeyRange>,
        source: wit::Reading,
    ) -> Answer<Vec<wit::PairOfDigests>> {
        let source = match source {
            wit::Reading::Recorded => Reading::Recorded,
            wit::Reading::Again => Reading::Again,
        };
        self.on_host_time(|state| {
            let ranges: Vec<_> = ranges.into_iter().map(range_from_guest).collect();
            let digests = state.table.get_mut(&pair)?.0.digests(&ranges, source);
            let pair = |(source, target)| wit::PairOfDigests { source: digest(source), target: digest(target) };
            Ok(answer(digests.map(|digests| digests.into_iter().map(pair).collect())))
        })
    }

    fn differences(
        &mut self,
        pair: Resource<Pair>,
        ranges: Vec<wit::KeyRange>,
        limit: u32,
    ) -> Answer<wit::RowDifferences> {
        self.on_host_time(|state| {
            let ranges: Vec<_> = ranges.into_iter().map(range_from_guest).collect();
            let found = state.table.get_mut(&pair)?.0.differences(&ranges, limit.min(DIFFERENCES));
            Ok(answer(found.map(|found| row_differences_to_guest(&found))))
        })
    }

    fn sample(&mut self, pair: Resource<Pair>, rows: u32, seed: u64) -> Answer<wit::RowDifferences> {
        if rows > SAMPLE_ROWS {
            let message = format!("a sample of {rows} rows was asked for, and {SAMPLE_ROWS} are drawn at most");
            return Ok(answer(Err(refused("plugin.asks-too-much", message))));
        }
        self.on_host_time(|state| {
            let found = state.table.get_mut(&pair)?.0.sample(rows, seed);
            Ok(answer(found.map(|found| row_differences_to_guest(&found))))
        })
    }

    fn schema(&mut self, pair: Resource<Pair>) -> Answer<Vec<wit::Difference>> {
        self.on_host_time(|state| {
            let found = state.table.get_mut(&pair)?.0.schema();
            Ok(answer(found.map(|found| differences(&found))))
        })
    }

    fn violations(&mut self, pair: Resource<Pair>) -> Answer<Vec<wit::Difference>> {
        self.on_host_time(|state| {
            let found = state.table.get_mut(&pair)?.0.violations();
            Ok(answer(found.map(|found| differences(&found))))
        })
    }

    fn drop(&mut self, pair: Resource<Pair>) -> wasmtime::Result<()> {
        self.table.delete(pair)?;
        Ok(())
    }
}
