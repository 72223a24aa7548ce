//! The webhooks that are configured, each with its follower.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::config::Config;
use crate::env::{Clock, OsEntropy};
use crate::events::{EventFilter, EventSales, EventSource, EventWriter};
use crate::journal::Journal;
use crate::reconcile::webhooks::{WebhookOptions, WebhookParts, WebhookSink};
use crate::reconcile::{Follower, FollowerTools, RecordSource};
use crate::sale::{Archive, Engine};
use crate::telemetry::{SinkGauge, TelemetryRegistry};
use crate::types::{Durability, Lsn};

/// The parts that events are written with.
#[derive(Clone)]
pub(super) struct EventParts {
    pub(super) source: EventSource,
    pub(super) engine: Arc<Engine>,
    pub(super) archive: Arc<Archive>,
}

impl EventParts {
    pub(super) fn writer(&self) -> EventWriter {
        let sales = EventSales::new(Arc::clone(&self.engine), Arc::clone(&self.archive));
        EventWriter::new(self.source.clone(), sales)
    }
}

/// A webhook and its follower.
pub(super) struct FollowedWebhook {
    pub(super) follower: Follower,
    gauge: Arc<SinkGauge>,
}

/// Starts a follower for each webhook that is configured. One that has no place yet begins behind `begins_behind`, or the newest record.
///
/// # Errors
/// A thread cannot be started.
pub(super) fn start(
    config: &Config,
    events: &EventParts,
    clock: &Arc<dyn Clock>,
    telemetry: &TelemetryRegistry,
    begins_behind: Option<Lsn>,
) -> std::io::Result<Vec<FollowedWebhook>> {
    let journal = events.engine.journal();
    let all = config.webhooks.iter().enumerate();
    let started = all.map(|(index, webhook)| {
        let options = WebhookOptions {
            number: index + 1,
            url: webhook.url.clone(),
            secrets: webhook.secrets.clone(),
            filter: EventFilter {
                kinds: webhook.types.clone(),
                sales: webhook.sale_ids.clone(),
            },
            allows_private: webhook.allow_private,
            authorities: webhook.sslrootcert.clone(),
            begins_behind,
        };
        let parts = WebhookParts {
            options,
            writer: events.writer(),
            disk: Arc::clone(journal.disk()),
            dir: journal.dir().to_owned(),
            clock: Arc::clone(clock),
            entropy: Arc::new(OsEntropy),
        };
        let syncs = config.journal.durability == Durability::Os;
        let gauge = telemetry.webhook(index);
        let tools = FollowerTools {
            clock: Arc::clone(clock),
            entropy: Arc::new(OsEntropy),
            gauge: Arc::clone(&gauge),
        };
        let source = RecordSource::new(Arc::clone(journal), syncs);
        let follower = Follower::start(move || WebhookSink::new(parts), source, tools)?;
        Ok(FollowedWebhook { follower, gauge })
    });
    started.collect()
}

/// Returns the place of something in the journal.
type ReadPlace = Box<dyn Fn() -> Lsn + Send + Sync>;

/// The records that are kept for a webhook: not for longer than a bound, so that one that is down for good never fills the disk.
pub(super) struct KeptForWebhook {
    applied: ReadPlace,
    durable: ReadPlace,
    gauge: Arc<SinkGauge>,
    clock: Arc<dyn Clock>,
    keep: Duration,
    /// The place that was seen last, and when it was seen first, by the monotonic clock.
    seen: Mutex<(Lsn, u64)>,
}

impl KeptForWebhook {
    pub(super) fn new(
        webhook: &FollowedWebhook,
        journal: &Arc<Journal>,
        clock: &Arc<dyn Clock>,
        keep: Duration,
    ) -> Self {
        let (applied, journal) = (webhook.follower.applied(), Arc::clone(journal));
        Self {
            applied: Box::new(move || applied.get()),
            durable: Box::new(move || journal.durable()),
            gauge: Arc::clone(&webhook.gauge),
            clock: Arc::clone(clock),
            keep,
            seen: Mutex::new((Lsn::ZERO, clock.monotonic_us())),
        }
    }

    /// Returns the last record that the webhook does not need any more; the newest one where what it lacks is kept no longer.
    pub(super) fn kept_behind(&self) -> Lsn {
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
