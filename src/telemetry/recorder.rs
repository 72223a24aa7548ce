//! Counting where nobody may wait.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Counts;
use super::bucket::{self, BUCKETS};

/// A histogram that one thread at a time writes to, and anybody reads meanwhile. Writing takes no lock,
/// allocates nothing, and locks no cache line: a counter is read and written back as it is, which is why
/// two threads that write at once would lose counts.
pub struct Recorder {
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// Counts one `value`; latencies are in nanoseconds.
    #[inline]
    pub fn record(&self, value: u64) {
        add(&self.buckets[bucket::index_of(value)], 1);
        add(&self.sum, value);
    }

    /// Returns whether nothing was counted yet. Most recorders stay like that, and whoever reads them all should
    /// not have to look into every bucket.
    fn is_empty(&self) -> bool {
        self.sum.load(Relaxed) == 0 && self.buckets[0].load(Relaxed) == 0
    }

    /// Returns how many values were counted so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        if self.is_empty() {
            return 0;
        }
        self.buckets.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Adds what was counted so far to `counts`.
    pub fn read_into(&self, counts: &mut Counts) {
        if self.is_empty() {
            return;
        }
        // The sum first: a count without its value is seen as a short one, never the other way round.
        let sum = self.sum.load(Relaxed);
        let buckets = self.buckets.iter().map(|count| count.load(Relaxed));
        counts.add_buckets(buckets, sum);
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn read(&self) -> Counts {
        let mut counts = Counts::default();
        self.read_into(&mut counts);
        counts
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::bucket::VALUE_MAX;

    #[test]
    fn every_value_counts_once() {
        let recorder = Recorder::default();
        for value in [0, 1, 255, 256, 1_000_000, VALUE_MAX] {
            recorder.record(value);
        }
        let counts = recorder.read();
        assert_eq!(counts.count(), 6);
        assert_eq!(counts.sum(), 1 + 255 + 256 + 1_000_000 + VALUE_MAX);
        assert_eq!(counts.max(), VALUE_MAX);
    }

    #[test]
    fn values_over_the_bound_still_count() {
        let recorder = Recorder::default();
        recorder.record(u64::MAX / 2);
        assert_eq!(recorder.read().count(), 1);
        assert_eq!(recorder.read().max(), VALUE_MAX);
    }

    #[test]
    fn readers_see_counts_that_only_grow() {
        const VALUES: u64 = 200_000;
        let recorder = Recorder::default();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..VALUES).for_each(|value| recorder.record(value % 5000)));
            let mut seen = 0;
            while seen < VALUES {
                let now = recorder.read().count();
                assert!(now >= seen);
                seen = now;
            }
        });
        assert_eq!(recorder.read().count(), VALUES);
    }
}
