//! The figures of the server, as whoever looks sees them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::conservation::Conservation;
use super::holds::Holds;
use super::load::{Load, WorkerLoad};
use super::report::Report;
use super::second::{Look, Second, Since};
use super::stall::StallReport;
use crate::limits::{LISTED_SALES_MAX, LOOKS_SHOWN};
use crate::live::{Feeds, Rate};
use crate::sale::{Archive, Engine, Sale, SaleStatus};
use crate::schedule::Rotation;
use crate::telemetry::{
    ConnectionFigures, History, Merged, Registry, Series, SinkFigures, Sinks, Stage, Window,
    Windowed, WorkerFigures,
};
use crate::types::{SaleId, Timestamp};

/// Where the figures come from.
pub struct Sources {
    /// Sales, stock and journal.
    pub engine: Arc<Engine>,
    /// Ended sales that were loaded again.
    pub archive: Arc<Archive>,
    /// What viewers of sales are told.
    pub feeds: Arc<Feeds>,
    /// What the workers and the sinks' feeders count.
    pub registry: Arc<Registry>,
    /// Which sales come by themselves.
    pub rotation: Rotation,
    /// Which configuration is in effect, without telling it.
    pub configuration: String,
    /// When the server started, by the engine's monotonic clock, in microseconds.
    pub started_us: u64,
}

/// The figures now, and what they were before.
pub struct View {
    pub(super) sources: Sources,
    history: History,
    conservation: Conservation,
    holds: Holds,
    load: Load,
    rates: BTreeMap<SaleId, Rate>,
    seconds: VecDeque<Bytes>,
    progress: Since,
    stall: StallReport,
}

impl View {
    pub(super) fn new(sources: Sources) -> Self {
        let history = History::new(sources.engine.clock().monotonic_us());
        Self {
            sources,
            history,
            conservation: Conservation::default(),
            holds: Holds::default(),
            load: Load::default(),
            rates: BTreeMap::new(),
            seconds: VecDeque::with_capacity(LOOKS_SHOWN + 1),
            progress: Since::default(),
            stall: StallReport::default(),
        }
    }

    /// Notes what has come since the look before, and tells it as an event of an event stream.
    pub(super) fn look(&mut self) -> Bytes {
        let (now_us, now) = (self.now_us(), self.merged());
        let stalled = self.engine().journal().stalled();
        self.stall.update(stalled, now_us);
        self.sources.registry.errors().write();
        let mut active = self.engine().active_sales();
        let begun = active
            .first()
            .map(|sale| (sale.terms().started_at, sale.id()));
        let (between, passed_us) = self.history.look(now_us, now.clone(), begun);
        let open = self.engine().open_sales();
        self.conservation.look(&open);
        self.holds.look(&open, self.now());
        self.load.look(now_us, self.sources.registry.workers());
        let journal = self.engine().journal().status();
        active.truncate(LISTED_SALES_MAX);
        let look = Look {
            rates: self.rates_of(&active),
            written: self.progress.step(&journal),
            now: &now,
            between,
            passed_us,
            sales: active,
            journal,
        };
        let second = Second::new(self, look);
        let data = serde_json::to_string(&second).unwrap_or_else(|error| {
            tracing::error!(%error, "the figures of this second cannot be told");
            "null".to_owned()
        });
        let event = Bytes::from(format!("event: second\ndata: {data}\n\n"));
        self.seconds.push_back(format!(",{data}").into());
        if self.seconds.len() > LOOKS_SHOWN {
            self.seconds.pop_front();
        }
        event
    }

    /// Units of each sale sold per second lately.
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

    /// What viewers of the last minutes were told, as the pieces of one JSON array, oldest first. They
    /// are shared by all who ask.
    #[must_use]
    pub fn shown(&self) -> Vec<Bytes> {
        let begin = Bytes::from_static(b"[");
        let first = self.seconds.front();
        // Each has a comma before it.
        let first = first.map(|second| second.slice(1..));
        let others = self.seconds.iter().skip(1).cloned();
        let end = Bytes::from_static(b"]");
        [begin]
            .into_iter()
            .chain(first)
            .chain(others)
            .chain([end])
            .collect()
    }

    /// Everything at a glance, as JSON, with the latencies of `window`; `None` when it cannot be told.
    #[must_use]
    pub fn report(&self, window: Window) -> Option<Vec<u8>> {
        serde_json::to_vec(&Report::new(self, window)).ok()
    }

    /// The same, with line breaks for people.
    #[must_use]
    pub fn pretty_report(&self, window: Window) -> Option<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(&Report::new(self, window)).ok()?;
        text.push(b'\n');
        Some(text)
    }

    /// The sales, their stock and the journal.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.sources.engine
    }

    /// Everything that was counted since the start.
    #[must_use]
    pub fn merged(&self) -> Merged {
        let mut merged = self.sources.registry.merged();
        let syncs = self.engine().journal().syncs();
        merged.add_to(Series::Stage(Stage::Fsync), &syncs);
        merged
    }

    /// What was counted within `window`.
    #[must_use]
    pub fn window(&self, window: Window) -> Windowed {
        self.history.window(window, &self.merged())
    }

    pub(super) fn window_of(&self, window: Window, now: &Merged) -> Windowed {
        self.history.window(window, now)
    }

    /// What the workers have done since the start.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerFigures> {
        self.sources.registry.workers()
    }

    /// What the workers had to do in the last second.
    #[must_use]
    pub fn load_lately(&self) -> Vec<WorkerLoad> {
        self.load.lately()
    }

    /// What they had to do in the last ten.
    #[must_use]
    pub fn load_of_ten_seconds(&self) -> Vec<WorkerLoad> {
        self.load.of_ten()
    }

    /// The connections of all workers.
    #[must_use]
    pub fn connections(&self) -> ConnectionFigures {
        self.sources.registry.connections()
    }

    /// Those who watch a sale now.
    #[must_use]
    pub fn viewers(&self) -> u64 {
        self.sources.registry.viewers()
    }

    /// Postgres and Redis, in this order.
    #[must_use]
    pub fn sinks(&self) -> [SinkFigures; 2] {
        let Sinks { database, redis } = self.sources.registry.sinks();
        let (durable, now) = (self.engine().journal().durable(), self.now());
        [database, redis].map(|sink| sink.figures(durable, now))
    }

    /// Whether the units of this sale add up, as far as is known.
    #[must_use]
    pub fn is_conserved(&self, sale: SaleId) -> bool {
        self.conservation.holds_for(sale)
    }

    /// Whether those of all open sales do.
    #[must_use]
    pub fn are_all_conserved(&self) -> bool {
        self.conservation.holds()
    }

    /// Units of this sale that are held, and by no open checkout, as far as is known.
    #[must_use]
    pub fn unaccounted(&self, sale: SaleId) -> u64 {
        self.holds.unaccounted(sale)
    }

    /// Those of all open sales.
    #[must_use]
    pub fn all_unaccounted(&self) -> u64 {
        self.holds.all_unaccounted()
    }

    /// The sales that sell, those that began last first, and then those that begin next: so few that each
    /// may be listed. However many are planned, the one that everybody asks about is among them.
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

    /// When the next sale of the rotation has to begin to sell.
    #[must_use]
    pub fn rotation_due(&self) -> Timestamp {
        self.sources.rotation.due(self.engine(), self.now())
    }

    /// How long ago the earliest hold that is still there should have run out, in microseconds.
    #[must_use]
    pub fn hold_overdue_us(&self) -> u64 {
        let steady = self.engine().clock().steady();
        let next = self.engine().next_expiry();
        next.map_or(0, |next| u64::try_from(steady.0 - next.0).unwrap_or(0))
    }

    /// Which configuration is in effect, without telling it.
    #[must_use]
    pub fn configuration(&self) -> &str {
        &self.sources.configuration
    }

    /// The wall clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.engine().clock().now()
    }

    /// The monotonic clock, in microseconds.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.engine().clock().monotonic_us()
    }

    /// Whole seconds since the start.
    #[must_use]
    pub fn uptime_seconds(&self) -> u64 {
        self.now_us().saturating_sub(self.sources.started_us) / 1_000_000
    }
}
