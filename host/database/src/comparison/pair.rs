use millrace_model::Failure;
use millrace_model::capability::TablePair;
use millrace_model::comparison::{Difference, Digest, KeyRange};
use super::PairParts;
pub(super) struct Pair { parts: PairParts }
impl Pair { pub(super) fn new(parts: PairParts) -> Self { Self { parts } } }
impl TablePair for Pair {
    fn source_name(&self) -> String { self.parts.source_table.name.to_string() }
    fn target_name(&self) -> String { self.parts.target_table.name.to_string() }
    fn counts(&mut self) -> Result<(u64, u64), Failure> { todo!() }
    fn ranges(&mut self, _rows_each: u64) -> Result<Vec<KeyRange>, Failure> { todo!() }
    fn digests(&mut self, _range: &KeyRange) -> Result<(Digest, Digest), Failure> { todo!() }
    fn differences(&mut self, _range: &KeyRange, _limit: u32) -> Result<Vec<Difference>, Failure> { todo!() }
    fn sample(&mut self, _rows: u32, _seed: u64) -> Result<Vec<Difference>, Failure> { todo!() }
    fn violations(&mut self) -> Result<Vec<Difference>, Failure> { todo!() }
}
