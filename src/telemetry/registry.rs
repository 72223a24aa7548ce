//! The figures of every worker, and where readers find them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::{LatencyTable, Outcome, Route, Sinks};

/// The figures of one worker. Only that worker writes, so that its lock is hardly ever contended.
#[derive(Debug, Default)]
pub struct WorkerTelemetry {
    latency: Mutex<LatencyTable>,
    connections_accepted: AtomicU64,
    connections_closed: AtomicU64,
    connections_refused: AtomicU64,
    connections_overdue: AtomicU64,
    viewers: AtomicU64,
}

impl WorkerTelemetry {
    /// Counts one request that took `latency_us` microseconds.
    pub fn record(&self, route: Route, outcome: Outcome, latency_us: u64) {
        self.latency.lock().record(route, outcome, latency_us);
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
    }

    /// Counts a connection that was closed because its client was too slow.
    pub fn connection_overdue(&self) {
        self.connections_overdue.fetch_add(1, Relaxed);
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

/// The connections of all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFigures {
    /// Opened since the start.
    pub accepted: u64,
    /// Open now.
    pub open: u64,
    /// Turned away since the start because too many were open.
    pub refused: u64,
    /// Closed since the start because their client was too slow.
    pub overdue: u64,
}

/// Every worker's figures, and what the sinks were last known to be.
#[derive(Debug, Default)]
pub struct Registry {
    workers: Mutex<Vec<Arc<WorkerTelemetry>>>,
    sinks: Sinks,
}

impl Registry {
    /// A registry without workers, all sinks off.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for the figures of one more worker.
    #[must_use]
    pub fn add_worker(&self) -> Arc<WorkerTelemetry> {
        let worker = Arc::new(WorkerTelemetry::default());
        self.workers.lock().push(Arc::clone(&worker));
        worker
    }

    /// Workers that have room here.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.workers.lock().len()
    }

    /// The latencies of all workers together.
    #[must_use]
    pub fn latency(&self) -> LatencyTable {
        let mut merged = LatencyTable::default();
        for worker in self.workers.lock().iter() {
            merged.merge(&worker.latency.lock());
        }
        merged
    }

    /// The connections of all workers together.
    #[must_use]
    pub fn connections(&self) -> ConnectionFigures {
        let mut sum = ConnectionFigures::default();
        for worker in self.workers.lock().iter() {
            // Closed before accepted, so that no connection counts as closed but never opened.
            let closed = worker.connections_closed.load(Relaxed);
            let accepted = worker.connections_accepted.load(Relaxed);
            sum.accepted += accepted;
            sum.open += accepted.saturating_sub(closed);
            sum.refused += worker.connections_refused.load(Relaxed);
            sum.overdue += worker.connections_overdue.load(Relaxed);
        }
        sum
    }

    /// Those who watch a sale now, at all workers.
    #[must_use]
    pub fn viewers(&self) -> u64 {
        let workers = self.workers.lock();
        let viewers = workers.iter().map(|worker| worker.viewers.load(Relaxed));
        viewers.sum()
    }

    /// The state of Postgres and Redis.
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
        let registry = Registry::new();
        let (a, b) = (registry.add_worker(), registry.add_worker());
        a.connection_accepted();
        b.connection_accepted();
        b.connection_closed();
        b.connection_refused();
        a.record(Route::Page, Outcome::Ok, 1);
        b.record(Route::Page, Outcome::Ok, 1);
        let expected = ConnectionFigures {
            accepted: 2,
            open: 1,
            refused: 1,
            overdue: 0,
        };
        assert_eq!(registry.connections(), expected);
        assert_eq!(
            registry
                .latency()
                .summaries()
                .map(|(_, _, s)| s.count)
                .sum::<u64>(),
            2
        );
        assert_eq!(registry.worker_count(), 2);
    }
}
