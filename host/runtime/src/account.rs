//! What all instances of one stage hold and write together.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// One stage's account: every instance that runs for the stage books there, whatever thread it runs on.
#[derive(Debug, Default)]
pub struct Account {
    log_lines: AtomicU32,
    held_bytes: AtomicU64,
    memory_bytes: AtomicU64,
}

impl Account {
    /// Log lines that were written, one over the limit at most.
    pub fn log_lines(&self) -> u32 {
        self.log_lines.load(Ordering::Relaxed)
    }

    /// Bytes of the batches that the instances hold.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Linear memory of the instances.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// Counts a line; how many there were before it.
    pub(crate) fn log_line(&self, limit: u32) -> u32 {
        let written = self.log_lines.fetch_add(1, Ordering::Relaxed);
        if written >= limit {
            // Counting on would begin anew one day.
            self.log_lines.store(limit.saturating_add(1), Ordering::Relaxed);
        }
        written
    }

    pub(crate) fn hold(&self, bytes: u64) {
        self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn let_go(&self, bytes: u64) {
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Takes memory, if the stage may have so much. Whether it may.
    pub(crate) fn grow(&self, bytes: u64, limit: u64) -> bool {
        let grown = |taken: u64| taken.checked_add(bytes).filter(|all| *all <= limit);
        self.memory_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok()
    }

    pub(crate) fn shrink(&self, bytes: u64) {
        self.memory_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    #[test]
    fn memory_is_taken_only_up_to_the_limit_and_given_back() {
        let account = Account::default();
        assert!(account.grow(60, 100));
        assert!(!account.grow(41, 100), "another instance has taken the rest");
        assert!(account.grow(40, 100));
        account.shrink(60);
        assert_eq!(account.memory_bytes(), 40);
        assert!(!account.grow(u64::MAX, u64::MAX));
    }

    #[test]
    fn lines_are_counted_to_the_limit_and_not_beyond() {
        let account = Account::default();
        assert_eq!((0..5).map(|_| account.log_line(2)).collect::<Vec<_>>(), [0, 1, 2, 3, 3]);
    }
}
