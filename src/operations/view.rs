//! The view of the server's figures, from which the observer samples and answers queries.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::conservation::Conservation;
use super::hold_audit::HoldAudit;
use super::load::{Load, WorkerLoad};
use super::replica::{LastAppended, Replica, ReplicationReport};
use super::report::HealthReport;
use super::sample::{LastWritten, Sample, SampleInput};
use super::stall::StallReport;
use crate::limits::{LISTED_SALES_MAX, SAMPLES_KEPT};
use crate::live::{Feeds, Rate};
use crate::sale::{Archive, Engine, Sale, SaleStatus};
use crate::schedule::Rotation;
use crate::telemetry::{
    ConnectionFigures, EventFigures, History, Merged, Series, SinkFigures, SinkId, Stage,
    TelemetryRegistry, Window, Windowed, WorkerFigures,
};

use crate::types::{LimitedBy, SaleId, Timestamp};

/// Parts of the server that the figures are read from.
pub struct FigureSources {
    /// Sales, stock and journal.
    pub engine: Arc<Engine>,
    /// Ended sales that were loaded again.
    pub archive: Arc<Archive>,
    /// Feeds of the sales that have subscribers.
    pub feeds: Arc<Feeds>,
    /// Counts of the workers and the followers.
    pub registry: Arc<TelemetryRegistry>,
    /// The rotation, which creates sales by the clock.
    pub rotation: Rotation,
    /// The fingerprint of the configuration in effect.
    pub configuration: String,
    /// The part of this server in the replication; `None` where there is none.
    pub replica: Option<Replica>,
    /// When the server started, by the engine's monotonic clock, in microseconds.
    pub started_us: u64,
}

/// The present figures of the server, with the samples of the last minutes.
pub struct View {
    pub(super) sources: FigureSources,
    history: History,
    conservation: Conservation,
    holds: HoldAudit,
    load: Load,
    rates: BTreeMap<SaleId, Rate>,
    samples: VecDeque<Bytes>,
    last_written: LastWritten,
    last_appended: LastAppended,
    stall: StallReport,
}

impl View {
    pub(super) fn new(sources: FigureSources) -> Self {
        let history = History::new(sources.engine.clock().monotonic_us());
        Self {
            sources,
            history,
            conservation: Conservation::default(),
            holds: HoldAudit::default(),
            load: Load::default(),
            rates: BTreeMap::new(),
            samples: VecDeque::with_capacity(SAMPLES_KEPT + 1),
            last_written: LastWritten::default(),
            last_appended: LastAppended::default(),
            stall: StallReport::default(),
        }
    }

    /// Takes a sample, keeps it, and returns it as an event of an event stream.
    pub(super) fn sample(&mut self) -> Bytes {
        let (now_us, now) = (self.now_us(), self.merged());
        let stalled = self.engine().journal().stalled();
        self.stall.update(stalled, now_us);
        self.sources.registry.errors().write();
        let mut active = self.engine().active_sales();
        let begun = active
            .first()
            .map(|sale| (sale.terms().started_at, sale.id()));
        let (between, passed_us) = self.history.sample(now_us, now.clone(), begun);
        let open = self.engine().open_sales();
        self.conservation.check(&open);
        self.holds.check(&open, self.now());
        self.load.sample(now_us, self.sources.registry.workers());
        let journal = self.engine().journal_status();
        active.truncate(LISTED_SALES_MAX);
        let replication = self.replication();
        let input = SampleInput {
            rates: self.rates_of(&active),
            written: self.last_written.advance(&journal),
            replication: replication.map(|report| self.last_appended.sample(report)),
            now: &now,
            between,
            passed_us,
            sales: active,
            journal,
        };
        let sample = Sample::new(self, input);
        let data = serde_json::to_string(&sample).unwrap_or_else(|error| {
            tracing::error!(%error, "a sample of the server's figures cannot be serialized");
            "null".to_owned()
        });
        let event = Bytes::from(format!("event: second\ndata: {data}\n\n"));
        self.samples.push_back(format!(",{data}").into());
        if self.samples.len() > SAMPLES_KEPT {
            self.samples.pop_front();
        }
        event
    }

    /// Returns the figures of the replication; `None` where there is none.
    #[must_use]
    pub fn replication(&self) -> Option<ReplicationReport> {
        let replica = self.sources.replica.as_ref()?;
        let journal = self.engine().journal();
        Some(replica.report(self.engine().clock(), &journal.status(), journal.reached()))
    }

    /// Returns the rate of each sale, in units sold per second.
    fn rates_of(&mut self, sales: &[Arc<Sale>]) -> Vec<f64> {
        let now_us = self.now_us();
        self.rates
            .retain(|id, _| sales.iter().any(|sale| sale.id() == *id));
        let rates = sales.iter().map(|sale| {
            let rate = self.rates.entry(sale.id()).or_default();
            let rate = rate.at(now_us, sale.figures().sold);
            (rate * 10.0).round() / 10.0
        });
        rates.collect()
    }

    /// Returns the samples of the last minutes, oldest first, as the pieces of one JSON array. All callers share
    /// the pieces.
    #[must_use]
    pub fn recent_samples(&self) -> Vec<Bytes> {
        let begin = Bytes::from_static(b"[");
        let first = self.samples.front();
        // Each sample begins with a comma.
        let first = first.map(|sample| sample.slice(1..));
        let others = self.samples.iter().skip(1).cloned();
        let end = Bytes::from_static(b"]");
        [begin]
            .into_iter()
            .chain(first)
            .chain(others)
            .chain([end])
            .collect()
    }

    /// Returns the body of `/health` as JSON, with the latencies of `window`; `None` when it cannot be serialized.
    #[must_use]
    pub fn report(&self, window: Window) -> Option<Vec<u8>> {
        serde_json::to_vec(&HealthReport::new(self, window)).ok()
    }

    /// Returns the body of `/health` as [`Self::report`] does, with line breaks for people.
    #[must_use]
    pub fn pretty_report(&self, window: Window) -> Option<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(&HealthReport::new(self, window)).ok()?;
        text.push(b'\n');
        Some(text)
    }

    /// Returns the engine: the sales, their stock and the journal.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.sources.engine
    }

    /// Returns all counts since the start.
    #[must_use]
    pub fn merged(&self) -> Merged {
        let mut merged = self.sources.registry.merged();
        let syncs = self.engine().journal().syncs();
        merged.add_to(Series::Stage(Stage::Fsync), &syncs);
        merged
    }

    /// Returns the counts within `window`.
    #[must_use]
    pub fn window(&self, window: Window) -> Windowed {
        self.history.window(window, &self.merged())
    }

    pub(super) fn window_of(&self, window: Window, now: &Merged) -> Windowed {
        self.history.window(window, now)
    }

    /// Returns the figures of each worker since the start.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerFigures> {
        self.sources.registry.workers()
    }

    /// Returns the load of each worker in the last second.
    #[must_use]
    pub fn load_of_last_second(&self) -> Vec<WorkerLoad> {
        self.load.of_last_second()
    }

    /// Returns the load of each worker in the last ten seconds.
    #[must_use]
    pub fn load_of_ten_seconds(&self) -> Vec<WorkerLoad> {
        self.load.of_ten_seconds()
    }

    /// Returns the figures of the connections of all workers.
    #[must_use]
    pub fn connections(&self) -> ConnectionFigures {
        self.sources.registry.connections()
    }

    /// Returns the number of requests since the start that were refused because too many came, by the kind of the limit.
    #[must_use]
    pub fn requests_limited(&self, by: LimitedBy) -> u64 {
        self.sources.registry.requests_limited(by)
    }

    /// Returns the number of subscribers of sales.
    #[must_use]
    pub fn viewers(&self) -> u64 {
        self.sources.registry.viewers()
    }

    /// Returns the figures of those who read events.
    #[must_use]
    pub fn events(&self) -> EventFigures {
        self.sources.registry.events().figures()
    }

    /// Returns the figures of each sink, in the order of [`SinkId::ALL`].
    #[must_use]
    pub fn sinks(&self) -> Vec<(SinkId, SinkFigures)> {
        let (durable, now) = (self.engine().durable_lsn(), self.now());
        let sinks = self.sources.registry.sinks().iter();
        sinks
            .map(|(sink, gauge)| (sink, gauge.figures(durable, now)))
            .collect()
    }

    /// Returns the figures of each webhook, in the order of the configuration; none while this server does not lead.
    #[must_use]
    pub fn webhooks(&self) -> Vec<SinkFigures> {
        let (durable, now) = (self.engine().durable_lsn(), self.now());
        let webhooks = self.sources.registry.webhooks();
        let figures = webhooks.iter().map(|gauge| gauge.figures(durable, now));
        figures.collect()
    }

    /// Returns whether the units of this sale add up, as far as is known.
    #[must_use]
    pub fn is_conserved(&self, sale: SaleId) -> bool {
        self.conservation.holds_for(sale)
    }

    /// Returns whether the units of all open sales add up, as far as is known.
    #[must_use]
    pub fn are_all_conserved(&self) -> bool {
        self.conservation.holds()
    }

    /// Returns the units of this sale that are held, and by no open checkout, as far as is known.
    #[must_use]
    pub fn unaccounted(&self, sale: SaleId) -> u64 {
        self.holds.unaccounted(sale)
    }

    /// Returns the units of all open sales that are held, and by no open checkout, as far as is known.
    #[must_use]
    pub fn all_unaccounted(&self) -> u64 {
        self.holds.all_unaccounted()
    }

    /// Returns the active sales, the one that began last first, and then the next ones to begin: at most
    /// [`LISTED_SALES_MAX`]. However many sales are scheduled, the one that sells is among them.
    #[must_use]
    pub fn listed_sales(&self) -> Vec<Arc<Sale>> {
        let (mut open, now) = (self.engine().open_sales(), self.now());
        open.sort_by_key(|sale| {
            let begins = sale.terms().started_at;
            match sale.status(now) {
                SaleStatus::Active => (0, -begins.0),
                SaleStatus::Scheduled => (1, begins.0),
                SaleStatus::Ended => (2, -begins.0),
            }
        });
        open.truncate(LISTED_SALES_MAX);
        open
    }

    /// Returns when the next sale of the rotation has to begin.
    #[must_use]
    pub fn rotation_due(&self) -> Timestamp {
        self.sources.rotation.due(self.engine(), self.now())
    }

    /// Returns by how much the earliest hold that is still there is overdue, in microseconds.
    #[must_use]
    pub fn hold_overdue_us(&self) -> u64 {
        let steady = self.engine().clock().steady();
        let next = self.engine().next_expiry();
        next.map_or(0, |next| u64::try_from(steady.0 - next.0).unwrap_or(0))
    }

    /// Returns the fingerprint of the configuration in effect.
    #[must_use]
    pub fn configuration(&self) -> &str {
        &self.sources.configuration
    }

    /// Returns the time by the wall clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.engine().clock().now()
    }

    /// Returns the time by the monotonic clock, in microseconds.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.engine().clock().monotonic_us()
    }

    /// Returns the whole seconds since the start.
    #[must_use]
    pub fn uptime_seconds(&self) -> u64 {
        self.now_us().saturating_sub(self.sources.started_us) / 1_000_000
    }
}
