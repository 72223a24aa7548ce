//! The figures of every worker, and where readers find them all.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::runtime::RuntimeMetrics;

use super::{
    ErrorLog, EventGauge, Merged, Outcome, Recorder, Route, Series, SinkGauge, Sinks, Stage,
};
use crate::types::LimitedBy;

/// The figures of one worker. Only that worker writes.
#[derive(Debug)]
pub struct WorkerTelemetry {
    /// By the numbers of the series. Those of the hot path are there from the start, the others from the
    /// first time that they are seen.
    recorders: Box<[OnceLock<Recorder>]>,
    runtime: OnceLock<RuntimeMetrics>,
    errors: Arc<ErrorLog>,
    connections_accepted: AtomicU64,
    connections_closed: AtomicU64,
    connections_refused: AtomicU64,
    connections_refused_of_peers: AtomicU64,
    connections_overdue: AtomicU64,
    connections_unproxied: AtomicU64,
    clients_unknown: AtomicU64,
    requests_limited: [AtomicU64; LimitedBy::ALL.len()],
    viewers: AtomicU64,
}

impl Default for WorkerTelemetry {
    fn default() -> Self {
        let recorder = |series: Series| {
            let recorder = OnceLock::new();
            if series.is_hot() {
                recorder.get_or_init(Recorder::default);
            }
            recorder
        };
        Self {
            recorders: Series::all().map(recorder).collect(),
            runtime: OnceLock::new(),
            errors: Arc::default(),
            connections_accepted: AtomicU64::default(),
            connections_closed: AtomicU64::default(),
            connections_refused: AtomicU64::default(),
            connections_refused_of_peers: AtomicU64::default(),
            connections_overdue: AtomicU64::default(),
            connections_unproxied: AtomicU64::default(),
            clients_unknown: AtomicU64::default(),
            requests_limited: Default::default(),
            viewers: AtomicU64::default(),
        }
    }
}

impl WorkerTelemetry {
    /// Counts one request that took `latency_ns` nanoseconds. Only the worker's own thread may call this.
    pub fn record(&self, route: Route, outcome: Outcome, latency_ns: u64) {
        self.recorder(Series::Request(route, outcome))
            .record(latency_ns);
    }

    /// Counts a stage that took `latency_ns` nanoseconds. Only the worker's own thread may call this.
    pub fn record_stage(&self, stage: Stage, latency_ns: u64) {
        self.recorder(Series::Stage(stage)).record(latency_ns);
    }

    fn recorder(&self, series: Series) -> &Recorder {
        self.recorders[series.index()].get_or_init(Recorder::default)
    }

    /// The worker runs on this runtime, which knows how busy it is. Only the first call counts.
    pub fn runs_on(&self, runtime: RuntimeMetrics) {
        // A worker has one runtime all its life.
        let _ = self.runtime.set(runtime);
    }

    /// The log of what goes wrong on our side, which all workers share.
    #[must_use]
    pub fn errors(&self) -> &ErrorLog {
        &self.errors
    }

    /// Counts a connection that was opened.
    pub fn connection_accepted(&self) {
        self.connections_accepted.fetch_add(1, Relaxed);
    }

    /// Counts the end of a connection that was opened.
    pub fn connection_closed(&self) {
        self.connections_closed.fetch_add(1, Relaxed);
    }

    /// Counts a connection that was turned away because too many were open.
    pub fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Relaxed);
        self.errors.connections().of_server();
    }

    /// Counts a connection that was turned away because too many of `peer` were open.
    pub fn connection_refused_of_peer(&self, peer: IpAddr) {
        self.connections_refused_of_peers.fetch_add(1, Relaxed);
        self.errors.connections().of_peer(peer);
    }

    /// Counts a connection that was closed because its client was too slow.
    pub fn connection_overdue(&self) {
        self.connections_overdue.fetch_add(1, Relaxed);
    }

    /// Counts a connection from `peer` that was closed because it does not come from a trusted proxy, or begins with no PROXY
    /// header.
    pub fn connection_unproxied(&self, peer: IpAddr) {
        self.connections_unproxied.fetch_add(1, Relaxed);
        self.errors.connections().unproxied(peer);
    }

    /// Counts a request or a connection whose client a trusted proxy did not name.
    pub fn client_unknown(&self) {
        self.clients_unknown.fetch_add(1, Relaxed);
    }

    /// Counts a request that was refused because too many came.
    pub fn request_limited(&self, by: LimitedBy) {
        self.requests_limited[by as usize].fetch_add(1, Relaxed);
    }

    /// Counts a viewer of a sale who came.
    pub fn viewer_came(&self) {
        self.viewers.fetch_add(1, Relaxed);
    }

    /// Counts a viewer of a sale who left.
    pub fn viewer_left(&self) {
        self.viewers.fetch_sub(1, Relaxed);
    }
}

impl WorkerTelemetry {
    fn filled(&self) -> impl Iterator<Item = (Series, &Recorder)> {
        let all = Series::all().zip(&self.recorders);
        all.filter_map(|(series, recorder)| Some((series, recorder.get()?)))
    }

    fn figures(&self) -> WorkerFigures {
        let requests = self.filled().filter(|(series, _)| series.class().is_some());
        let busy = self
            .runtime
            .get()
            .map(|runtime| runtime.worker_total_busy_duration(0));
        WorkerFigures {
            connections: self.connections_open(),
            requests: requests.map(|(_, recorder)| recorder.count()).sum(),
            busy_us: busy.map_or(0, |busy| {
                u64::try_from(busy.as_micros()).unwrap_or(u64::MAX)
            }),
        }
    }

    fn connections_open(&self) -> u64 {
        // Closed before accepted, so that no connection counts as closed but never opened.
        let closed = self.connections_closed.load(Relaxed);
        let accepted = self.connections_accepted.load(Relaxed);
        accepted.saturating_sub(closed)
    }
}

/// Figures of one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerFigures {
    /// Connections that are open now.
    pub connections: u64,
    /// Requests answered since the start.
    pub requests: u64,
    /// The time since the start in which it did not wait for something to do, in microseconds.
    pub busy_us: u64,
}

/// The connections of all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFigures {
    /// Opened since the start.
    pub accepted: u64,
    /// Open now.
    pub open: u64,
    /// Turned away since the start because too many were open.
    pub refused: u64,
    /// Turned away since the start because too many of their peer were open.
    pub refused_of_peers: u64,
    /// Closed since the start because their client was too slow.
    pub overdue: u64,
    /// Closed since the start because they do not come from a trusted proxy, or begin with no PROXY header.
    pub unproxied: u64,
    /// Requests and connections since the start whose client a trusted proxy did not name.
    pub clients_unknown: u64,
    /// Requests came by a proxy that says of whom, and this is not configured to be read.
    pub ignores_forwarded: bool,
}

/// Every worker's figures, and what the sinks were last known to be.
#[derive(Debug, Default)]
pub struct TelemetryRegistry {
    workers: Mutex<Vec<Arc<WorkerTelemetry>>>,
    sinks: Sinks,
    errors: Arc<ErrorLog>,
    events: Arc<EventGauge>,
    webhooks: Mutex<Vec<Arc<SinkGauge>>>,
}

impl TelemetryRegistry {
    /// A registry without workers, all sinks off.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for the figures of one more worker.
    #[must_use]
    pub fn add_worker(&self) -> Arc<WorkerTelemetry> {
        let worker = Arc::new(WorkerTelemetry {
            errors: Arc::clone(&self.errors),
            ..WorkerTelemetry::default()
        });
        self.workers.lock().push(Arc::clone(&worker));
        worker
    }

    /// Returns the sum of all workers' counts and of the sinks' durations.
    #[must_use]
    pub fn merged(&self) -> Merged {
        let mut merged = Merged::default();
        for worker in self.workers.lock().iter() {
            for (series, recorder) in worker.filled() {
                recorder.read_into(merged.of_mut(series));
            }
        }
        for (sink, gauge) in self.sinks.iter() {
            gauge
                .apply
                .read_into(merged.of_mut(Series::Stage(sink.stage())));
        }
        merged
    }

    /// Every worker, in the order of their numbers.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerFigures> {
        let workers = self.workers.lock();
        workers.iter().map(|worker| worker.figures()).collect()
    }

    /// The connections of all workers together.
    #[must_use]
    pub fn connections(&self) -> ConnectionFigures {
        let mut sum = ConnectionFigures {
            ignores_forwarded: self.errors.connections().ignores_forwarded(),
            ..ConnectionFigures::default()
        };
        for worker in self.workers.lock().iter() {
            sum.open += worker.connections_open();
            sum.accepted += worker.connections_accepted.load(Relaxed);
            sum.refused += worker.connections_refused.load(Relaxed);
            sum.refused_of_peers += worker.connections_refused_of_peers.load(Relaxed);
            sum.overdue += worker.connections_overdue.load(Relaxed);
            sum.unproxied += worker.connections_unproxied.load(Relaxed);
            sum.clients_unknown += worker.clients_unknown.load(Relaxed);
        }
        sum
    }

    /// Returns the number of requests since the start that were refused because too many came, by the kind of the limit.
    #[must_use]
    pub fn requests_limited(&self, by: LimitedBy) -> u64 {
        let workers = self.workers.lock();
        let limited = workers
            .iter()
            .map(|worker| worker.requests_limited[by as usize].load(Relaxed));
        limited.sum()
    }

    /// Returns the number of subscribers of sales, at all workers.
    #[must_use]
    pub fn viewers(&self) -> u64 {
        let workers = self.workers.lock();
        let viewers = workers.iter().map(|worker| worker.viewers.load(Relaxed));
        viewers.sum()
    }

    /// The log of what goes wrong on our side.
    #[must_use]
    pub fn errors(&self) -> &ErrorLog {
        &self.errors
    }

    /// The state of the webhook with this index; those before it are there, too.
    #[must_use]
    pub fn webhook(&self, index: usize) -> Arc<SinkGauge> {
        let mut webhooks = self.webhooks.lock();
        while webhooks.len() <= index {
            webhooks.push(Arc::default());
        }
        Arc::clone(&webhooks[index])
    }

    /// The state of each webhook, in the order of the configuration.
    #[must_use]
    pub fn webhooks(&self) -> Vec<Arc<SinkGauge>> {
        self.webhooks.lock().clone()
    }

    /// The readers of events.
    #[must_use]
    pub fn events(&self) -> &Arc<EventGauge> {
        &self.events
    }

    /// The state of every sink.
    #[must_use]
    pub fn sinks(&self) -> &Sinks {
        &self.sinks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_summed() {
        let registry = TelemetryRegistry::new();
        let (a, b) = (registry.add_worker(), registry.add_worker());
        a.connection_accepted();
        b.connection_accepted();
        b.connection_closed();
        b.connection_refused();
        a.connection_refused_of_peer(IpAddr::from([10, 0, 0, 1]));
        b.connection_unproxied(IpAddr::from([10, 0, 0, 2]));
        a.client_unknown();
        a.record(Route::Page, Outcome::Ok, 1);
        b.record(Route::Page, Outcome::Ok, 1);
        let expected = ConnectionFigures {
            accepted: 2,
            open: 1,
            refused: 1,
            refused_of_peers: 1,
            unproxied: 1,
            clients_unknown: 1,
            ignores_forwarded: false,
            overdue: 0,
        };
        assert_eq!(registry.connections(), expected);
        let pages = Series::Request(Route::Page, Outcome::Ok);
        assert_eq!(registry.merged().of(pages).count(), 2);
        let requests: Vec<_> = registry.workers().iter().map(|w| w.requests).collect();
        assert_eq!(requests, [1, 1]);
        assert_eq!(registry.workers().len(), 2);
    }
}
