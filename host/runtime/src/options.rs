//! What the host allows a plugin.

use std::path::PathBuf;
use std::time::Duration;

/// How the runtime is set up.
#[derive(Clone, Debug, Default)]
pub struct RuntimeOptions {
    /// A folder of ours alone for compiled code; made when missing. None: compile at every start.
    pub cache_dir: Option<PathBuf>,
    /// Bounds on every plugin.
    pub limits: Limits,
}

/// Bounds on a plugin's instances and on what they return.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Linear memory of one instance, all its memories together.
    pub memory_bytes: usize,
    /// Linear memory of all instances of a stage together.
    pub stage_memory_bytes: u64,
    /// Elements of one instance's tables, all of them together.
    pub table_elements: usize,
    /// Time of one call, without the time that the host spent in the plugin's requests.
    pub call_deadline: Duration,
    /// Everything that one call returns, or hands to the host in one request.
    pub returned_bytes: usize,
    /// One string that is returned.
    pub string_bytes: usize,
    /// Elements of one list of records that is returned.
    pub list_items: usize,
    /// Batches that all instances of a copier hold at once, as they lie in the host's memory. One that holds none is
    /// lent one more all the same, of a sixteenth of this at most (or of one row), so that others cannot stop it.
    pub held_bytes: u64,
    /// After so many calls the instance is replaced, so that what leaks does not add up.
    pub calls_per_instance: u32,
    /// Standard error kept for messages: the last so many bytes.
    pub stderr_bytes: usize,
    /// Log lines that one call may write; the others are counted.
    pub log_lines_per_call: u32,
    /// Log lines that all instances of a stage may write together.
    pub log_lines_per_stage: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            stage_memory_bytes: 1 << 30,
            table_elements: 100_000,
            call_deadline: Duration::from_secs(30),
            returned_bytes: 64 << 20,
            string_bytes: 4 << 20,
            list_items: 1_000_000,
            held_bytes: 256 << 20,
            calls_per_instance: 100_000,
            stderr_bytes: 8 << 10,
            log_lines_per_call: 1_000,
            log_lines_per_stage: 20_000,
        }
    }
}
