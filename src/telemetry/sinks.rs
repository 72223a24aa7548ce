//! The state of Postgres and Redis: whether they answer, and how far behind the journal they are, as their followers
//! last saw it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::{Recorder, Stage};
use crate::types::{Lsn, Timestamp};

/// The state of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SinkStatus {
    /// Not configured.
    Disabled,
    /// The sink answers, and takes what it is given.
    Up,
    /// The sink is configured and does not answer. The sale goes on.
    Down,
}

/// Names a sink. Figures, metrics, logs and shutdown go through [`SinkId::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkId {
    /// The relational database.
    Postgres,
    /// The cache.
    Redis,
}

impl SinkId {
    /// Every sink, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::Postgres, Self::Redis];

    /// The name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "Postgres",
            Self::Redis => "Redis",
        }
    }

    /// The name in `/health` and in the stream of operators.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Postgres => "database",
            Self::Redis => "redis",
        }
    }

    /// The beginning of the names of its metrics.
    #[must_use]
    pub const fn metric_prefix(self) -> &'static str {
        match self {
            Self::Postgres => "db",
            Self::Redis => "redis",
        }
    }

    /// The stage that the time of its batches is counted as.
    #[must_use]
    pub const fn stage(self) -> Stage {
        match self {
            Self::Postgres => Stage::ApplyDatabase,
            Self::Redis => Stage::ApplyRedis,
        }
    }
}

/// The state of every sink, which is off until somebody says otherwise.
#[derive(Debug, Default)]
pub struct Sinks([Arc<SinkGauge>; SinkId::ALL.len()]);

impl Sinks {
    /// The state of one sink.
    #[must_use]
    pub fn gauge(&self, sink: SinkId) -> &Arc<SinkGauge> {
        &self.0[sink as usize]
    }

    /// The state of each sink, in the order of [`SinkId::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (SinkId, &Arc<SinkGauge>)> {
        SinkId::ALL.into_iter().zip(&self.0)
    }
}

/// The state of one sink, which its feeder sets and `/health` reads.
#[derive(Debug)]
pub struct SinkGauge {
    configured: AtomicBool,
    up: AtomicBool,
    /// [`UNKNOWN`] until the sink has said it.
    applied: AtomicU64,
    /// The time at which the oldest record was decided that is not applied; 0 while there is none.
    oldest_waiting_us: AtomicI64,
    batches: AtomicU64,
    failures: AtomicU64,
    rebuilds: AtomicU64,
    reason: Mutex<String>,
    /// The time that the sink took for a batch, in nanoseconds. Written by its follower only.
    pub(super) apply: Recorder,
}

/// No record has this number.
const UNKNOWN: u64 = u64::MAX;

impl Default for SinkGauge {
    fn default() -> Self {
        Self {
            configured: AtomicBool::default(),
            up: AtomicBool::default(),
            applied: AtomicU64::new(UNKNOWN),
            oldest_waiting_us: AtomicI64::default(),
            batches: AtomicU64::default(),
            failures: AtomicU64::default(),
            rebuilds: AtomicU64::default(),
            reason: Mutex::default(),
            apply: Recorder::default(),
        }
    }
}

/// Figures of one sink at one moment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SinkFigures {
    /// The state of the sink.
    pub status: SinkStatus,
    /// Why it does not; empty when it does.
    pub reason: String,
    /// The last record that it has; `None` until it has said so since the start.
    pub applied_lsn: Option<u64>,
    /// Records that it does not have yet, as far as that is known.
    pub lag_records: Option<u64>,
    /// Age of the oldest of them, in whole seconds, as far as that is known.
    pub lag_seconds: Option<u64>,
    /// Batches that it took since the start.
    pub batches: u64,
    /// Failed attempts since the start.
    pub failures: u64,
    /// Times since the start that it had to be filled again from nothing.
    pub rebuilds: u64,
}

impl SinkGauge {
    /// The sink is configured; it counts as down until something was heard of it.
    pub fn configure(&self) {
        self.configured.store(true, Relaxed);
        "not connected yet".clone_into(&mut self.reason.lock());
    }

    /// Returns whether the sink is configured.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.configured.load(Relaxed)
    }

    /// The sink has answered.
    pub fn up(&self) {
        // Said after each batch; those who look must not wait for that.
        if !self.up.load(Relaxed) {
            let mut reason = self.reason.lock();
            self.up.store(true, Relaxed);
            reason.clear();
        }
    }

    /// The sink takes nothing now, though no attempt has failed yet. The reason is shown to whoever asks: it
    /// must hold no secret.
    pub fn down(&self, reason: &str) {
        let mut shown = self.reason.lock();
        self.up.store(false, Relaxed);
        reason.clone_into(&mut shown);
    }

    /// An attempt has failed. The sink is down, for this reason.
    pub fn failed(&self, reason: &str) {
        self.failures.fetch_add(1, Relaxed);
        self.down(reason);
    }

    /// The sink has everything up to `applied`.
    pub fn applied(&self, applied: Lsn) {
        self.applied.store(applied.0, Relaxed);
    }

    /// The sink has taken a batch, within `took_ns` nanoseconds. Only its feeder may call this.
    pub fn took_batch(&self, took_ns: u64) {
        self.batches.fetch_add(1, Relaxed);
        self.apply.record(took_ns);
    }

    /// The sink is filled again from nothing.
    pub fn rebuilding(&self) {
        self.rebuilds.fetch_add(1, Relaxed);
    }

    /// Notes when the oldest record was decided that the sink does not have; `None` when it has all.
    pub fn waiting_since(&self, oldest: Option<Timestamp>) {
        self.oldest_waiting_us
            .store(oldest.map_or(0, |oldest| oldest.0), Relaxed);
    }

    /// Returns the state of the sink.
    #[must_use]
    pub fn status(&self) -> SinkStatus {
        match (self.configured.load(Relaxed), self.up.load(Relaxed)) {
            (false, _) => SinkStatus::Disabled,
            (true, true) => SinkStatus::Up,
            (true, false) => SinkStatus::Down,
        }
    }

    /// All of it, while the journal is durable up to `durable`.
    #[must_use]
    pub fn figures(&self, durable: Lsn, now: Timestamp) -> SinkFigures {
        // Both of one moment.
        let (reason, status) = {
            let reason = self.reason.lock();
            (reason.clone(), self.status())
        };
        let applied = self.applied.load(Relaxed);
        let applied_lsn = (applied != UNKNOWN).then_some(applied);
        let oldest_us = self.oldest_waiting_us.load(Relaxed);
        let age_us = if oldest_us == 0 { 0 } else { now.0 - oldest_us };
        let lag_seconds = u64::try_from(age_us).unwrap_or(0) / 1_000_000;
        SinkFigures {
            status,
            reason,
            applied_lsn,
            lag_records: applied_lsn.map(|applied| durable.0.saturating_sub(applied)),
            lag_seconds: applied_lsn.map(|_| lag_seconds),
            batches: self.batches.load(Relaxed),
            failures: self.failures.load(Relaxed),
            rebuilds: self.rebuilds.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_shows_what_was_heard_last() {
        let gauge = SinkGauge::default();
        assert_eq!(gauge.status(), SinkStatus::Disabled);
        gauge.configure();
        assert_eq!(gauge.status(), SinkStatus::Down);
        let figures = gauge.figures(Lsn(10), Timestamp::from_seconds(103));
        assert_eq!((figures.applied_lsn, figures.lag_records), (None, None));
        gauge.up();
        assert_eq!(gauge.status(), SinkStatus::Up);
        gauge.down("no answer for 5 s");
        gauge.failed("connection refused");
        gauge.applied(Lsn(7));
        gauge.waiting_since(Some(Timestamp::from_seconds(100)));
        let figures = gauge.figures(Lsn(10), Timestamp::from_seconds(103));
        assert_eq!(figures.status, SinkStatus::Down);
        assert_eq!(figures.reason, "connection refused");
        assert_eq!(
            (figures.lag_records, figures.lag_seconds),
            (Some(3), Some(3))
        );
        assert_eq!(figures.failures, 1);
        gauge.waiting_since(None);
        let figures = gauge.figures(Lsn(6), Timestamp::from_seconds(103));
        assert_eq!(
            (figures.lag_records, figures.lag_seconds),
            (Some(0), Some(0))
        );
    }
}
