//! An estimate of how long a commit takes at the moment, by which a worker decides who commits.

use crate::sync::{AtomicU64, Ordering};

/// A commit that takes no longer costs a worker less than waking the committer's thread and being
/// woken by it, in microseconds.
const QUICK_US_MAX: u64 = 30;
/// Where the estimate begins: not quick, so that a slow disk never makes a worker wait.
const FIRST_GUESS_US: u64 = 2 * QUICK_US_MAX;

/// The running median of commit times, which a single stall hardly moves: one step up for a time
/// above it, one down for one below (Ma, Muthukrishnan and Sandler, "Frugal Streaming for Estimating
/// Quantiles", 2013).
pub(super) struct CommitTimeEstimate {
    median_us: AtomicU64,
}

impl Default for CommitTimeEstimate {
    fn default() -> Self {
        Self {
            median_us: AtomicU64::new(FIRST_GUESS_US),
        }
    }
}

impl CommitTimeEstimate {
    /// Updates the estimate with one commit. Only the holder of the committer calls this.
    pub(super) fn record(&self, took_us: u64) {
        let median_us = self.median_us.load(Ordering::Relaxed);
        let moved_us = match took_us.cmp(&median_us) {
            std::cmp::Ordering::Less => median_us - 1,
            std::cmp::Ordering::Equal => median_us,
            // A higher estimate would change no decision, and take longer to come down.
            std::cmp::Ordering::Greater => (median_us + 1).min(FIRST_GUESS_US),
        };
        self.median_us.store(moved_us, Ordering::Relaxed);
    }

    /// Returns whether committing at once is cheaper than letting the committer's thread do it.
    pub(super) fn is_quick(&self) -> bool {
        self.median_us.load(Ordering::Relaxed) <= QUICK_US_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(times_us: impl IntoIterator<Item = u64>) -> bool {
        let commit_time = CommitTimeEstimate::default();
        times_us.into_iter().for_each(|us| commit_time.record(us));
        commit_time.is_quick()
    }

    #[test]
    fn quick_and_slow_disks_are_told_apart() {
        assert!(!after([]), "nothing is assumed to be quick");
        assert!(after([2; 40]));
        assert!(!after([200; 40]));
        assert!(after([0; 1000]), "the estimate ends at zero");
    }

    #[test]
    fn a_stall_changes_nothing() {
        let stalls = (0..1000).map(|i| if i % 10 == 9 { 50_000 } else { 3 });
        assert!(after(stalls));
        let hits = (0..1000).map(|i| if i % 10 == 9 { 3 } else { 150 });
        assert!(!after(hits));
    }

    #[test]
    fn a_disk_that_changes_is_noticed() {
        let slower = [2; 1000].into_iter().chain([300; 100]);
        assert!(!after(slower.clone()));
        assert!(after(slower.chain([2; 100])));
    }
}
