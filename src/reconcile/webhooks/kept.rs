//! The records that are kept for an endpoint which is behind.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::env::Clock;
use crate::journal::Journal;
use crate::reconcile::Applied;
use crate::telemetry::SinkGauge;
use crate::types::Lsn;

/// Returns the place of something in the journal.
type ReadPlace = Box<dyn Fn() -> Lsn + Send + Sync>;

/// The records that are kept for a webhook: not for longer than a bound, so that one that is down for good never fills the disk.
pub struct KeptForWebhook {
    applied: ReadPlace,
    durable: ReadPlace,
    gauge: Arc<SinkGauge>,
    clock: Arc<dyn Clock>,
    keep: Duration,
    /// The place that was seen last, and when it was seen first, by the monotonic clock.
    seen: Mutex<(Lsn, u64)>,
}

impl KeptForWebhook {
    /// Creates them for the webhook that has the records up to `applied`, and whose `gauge` says since when the oldest one waits.
    /// None is kept for longer than `keep`.
    #[must_use]
    pub fn new(
        applied: Applied,
        gauge: Arc<SinkGauge>,
        journal: &Arc<Journal>,
        clock: &Arc<dyn Clock>,
        keep: Duration,
    ) -> Self {
        let journal = Arc::clone(journal);
        Self {
            applied: Box::new(move || applied.get()),
            durable: Box::new(move || journal.durable()),
            gauge,
            clock: Arc::clone(clock),
            keep,
            seen: Mutex::new((Lsn::ZERO, clock.monotonic_us())),
        }
    }

    /// Returns the last record that the webhook does not need any more; the newest one where what it lacks is kept no longer.
    #[must_use]
    pub fn kept_behind(&self) -> Lsn {
        let (applied, durable) = ((self.applied)(), (self.durable)());
        let now_us = self.clock.monotonic_us();
        let figures = self.gauge.figures(durable, self.clock.now());
        let mut seen = self.seen.lock();
        // One that has everything does not stand still, however long nothing happens.
        if seen.0 != applied || applied >= durable {
            *seen = (applied, now_us);
        }
        let stands_still = Duration::from_micros(now_us.saturating_sub(seen.1));
        let waits = Duration::from_secs(figures.lag_seconds.unwrap_or(0));
        match stands_still.max(waits) >= self.keep {
            true => durable.max(applied),
            false => applied,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::env::ManualClock;
    use crate::types::Timestamp;

    #[test]
    fn a_webhook_that_is_down_for_good_keeps_records_for_so_long_and_no_longer() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(100)));
        let at = Arc::new(AtomicU64::new(7));
        let durable = Arc::new(AtomicU64::new(50));
        let (read, newest) = (Arc::clone(&at), Arc::clone(&durable));
        let kept = KeptForWebhook {
            applied: Box::new(move || Lsn(read.load(Ordering::Relaxed))),
            durable: Box::new(move || Lsn(newest.load(Ordering::Relaxed))),
            gauge: Arc::default(),
            clock: Arc::clone(&clock) as _,
            keep: Duration::from_secs(3_600),
            seen: Mutex::new((Lsn::ZERO, clock.monotonic_us())),
        };
        assert_eq!(kept.kept_behind(), Lsn(7));
        clock.advance_us(3_599_000_000);
        assert_eq!(kept.kept_behind(), Lsn(7));
        clock.advance_us(1_000_000);
        assert_eq!(kept.kept_behind(), Lsn(50));
        // It comes back.
        at.store(8, Ordering::Relaxed);
        assert_eq!(kept.kept_behind(), Lsn(8));
        // It has everything, for as long: what comes then is kept.
        at.store(50, Ordering::Relaxed);
        assert_eq!(kept.kept_behind(), Lsn(50));
        clock.advance_us(4_000_000_000);
        assert_eq!(kept.kept_behind(), Lsn(50));
        durable.store(60, Ordering::Relaxed);
        assert_eq!(kept.kept_behind(), Lsn(50));
        // It is slow, and farther behind than is kept.
        kept.gauge.configure();
        kept.gauge.applied(Lsn(9));
        kept.gauge.waiting_since(Some(Timestamp::from_seconds(50)));
        at.store(9, Ordering::Relaxed);
        assert_eq!(kept.kept_behind(), Lsn(60));
    }
}
