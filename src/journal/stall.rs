//! Detection of a commit that takes too long.

use std::time::Duration;

use crate::limits;
use crate::sync::{AtomicU64, Ordering};

/// The start of the commit that is on its way, and the time after which it counts as stalled.
pub(super) struct Stall {
    /// By the monotonic clock, in microseconds; 0 while there is none.
    began_us: AtomicU64,
    threshold_us: AtomicU64,
}

impl Default for Stall {
    fn default() -> Self {
        let threshold_us = u64::from(limits::STALL_SECONDS_DEFAULT) * 1_000_000;
        Self {
            began_us: AtomicU64::new(0),
            threshold_us: AtomicU64::new(threshold_us),
        }
    }
}

impl Stall {
    /// Sets the time after which a commit counts as stalled.
    pub(super) fn set_threshold(&self, threshold: Duration) {
        let threshold_us = u64::try_from(threshold.as_micros()).unwrap_or(u64::MAX);
        self.threshold_us.store(threshold_us, Ordering::Relaxed);
    }

    /// Notes that a commit begins. Only the holder of the committer calls this.
    pub(super) fn begin(&self, now_us: u64) {
        self.began_us.store(now_us.max(1), Ordering::Relaxed);
    }

    /// Notes that the commit is over, or waits for room, which is no stall.
    pub(super) fn end(&self) {
        self.began_us.store(0, Ordering::Relaxed);
    }

    /// Returns how long the commit has taken, if that is too long.
    pub(super) fn stalled(&self, now_us: u64) -> Option<Duration> {
        let began_us = self.began_us.load(Ordering::Relaxed);
        let took_us = now_us.saturating_sub(began_us);
        let is_stalled = began_us > 0 && took_us >= self.threshold_us.load(Ordering::Relaxed);
        is_stalled.then(|| Duration::from_micros(took_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_stalled_until_it_is_over() {
        let stall = Stall::default();
        assert_eq!(stall.stalled(100_000_000), None, "nothing is on its way");
        stall.begin(5_000_000);
        assert_eq!(stall.stalled(14_999_999), None);
        assert_eq!(stall.stalled(15_000_000), Some(Duration::from_secs(10)));
        stall.set_threshold(Duration::from_secs(11));
        assert_eq!(stall.stalled(15_000_000), None);
        assert_eq!(stall.stalled(16_000_000), Some(Duration::from_secs(11)));
        stall.end();
        assert_eq!(stall.stalled(16_000_000), None);
    }
}
