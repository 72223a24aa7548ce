//! The webhooks that are configured, each with its follower.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::env::{Clock, OsEntropy};
use crate::events::{EventFilter, EventSales, EventSource, EventWriter};
use crate::journal::Journal;
use crate::reconcile::webhooks::{KeptForWebhook, WebhookOptions, WebhookParts, WebhookSink};
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

impl FollowedWebhook {
    /// Returns the records of `journal` that are kept for it, for no longer than `keep`.
    pub(super) fn kept(
        &self,
        journal: &Arc<Journal>,
        clock: &Arc<dyn Clock>,
        keep: Duration,
    ) -> KeptForWebhook {
        let gauge = Arc::clone(&self.gauge);
        KeptForWebhook::new(self.follower.applied(), gauge, journal, clock, keep)
    }
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
