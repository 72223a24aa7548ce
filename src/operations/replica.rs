//! The part of this server where a log is replicated, as requests and figures see it.

use std::sync::Arc;

use serde::Serialize;

use crate::env::Clock;
use crate::journal::Reached;
use crate::limits;
use crate::replication::{ReplicationFigures, ReplicationStatus, Role, now_us};
use crate::telemetry::JournalStatus;

/// The part of this server in the replication.
#[derive(Clone)]
pub struct Replica(Arc<ReplicationStatus>);

impl Replica {
    /// Creates the view of `status`.
    #[must_use]
    pub fn new(status: Arc<ReplicationStatus>) -> Self {
        Self(status)
    }

    /// Returns whether this server sells by `clock`: it leads, and has heard so lately from the log that nobody else can.
    #[must_use]
    pub fn sells(&self, clock: &dyn Clock) -> bool {
        self.0.may_tell(now_us(clock))
    }

    /// Returns whether this server leads, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.0.role() == Role::Leader
    }

    /// Asks this server to hand its leadership over. Returns the epoch in which it leads; `None` where it does not.
    #[must_use]
    pub fn ask_hand_over(&self) -> Option<u64> {
        // A question that is asked of a standby would be answered once that leads.
        if !self.leads() {
            return None;
        }
        self.0.ask_hand_over();
        Some(self.0.epoch().0)
    }

    /// Returns where the leader can be reached; empty where that is not known.
    #[must_use]
    pub fn leader(&self) -> String {
        self.0.leader()
    }

    /// Returns the figures by `clock`.
    #[must_use]
    pub fn report(
        &self,
        clock: &dyn Clock,
        journal: &JournalStatus,
        reached: Option<Reached>,
    ) -> ReplicationReport {
        let figures = self.0.read(now_us(clock));
        let leads = figures.role == Role::Leader;
        // Of a leader what may be told, of a standby what it has taken from the log.
        let acknowledged = match leads {
            true => journal.durable_lsn,
            false => figures.replicated_lsn,
        };
        let lag_records = match leads {
            true => journal.appended_lsn.saturating_sub(acknowledged),
            false => figures.log_lsn.saturating_sub(acknowledged),
        };
        ReplicationReport {
            written_lsn: journal.appended_lsn,
            durable_lsn: reached.map_or(journal.durable_lsn, |reached| reached.local.0),
            acknowledged_lsn: acknowledged,
            lag_records,
            figures,
        }
    }
}

/// The figures of the replication in `/health`, with those of the journal that belong to them.
#[derive(Serialize)]
pub struct ReplicationReport {
    /// The figures of the replication alone.
    #[serde(flatten)]
    pub figures: ReplicationFigures,
    /// The newest record.
    pub written_lsn: u64,
    /// The newest record that is on this disk.
    pub durable_lsn: u64,
    /// The last record that is here and in the log.
    pub acknowledged_lsn: u64,
    /// Records that a leader has not in the log yet, or a standby not here.
    pub lag_records: u64,
}

impl ReplicationReport {
    /// Returns why the log counts as silent, if it does.
    pub(super) fn silence(&self) -> Option<String> {
        let too_long = |heard: &f64| *heard > limits::LEADER_FRESH_MS as f64 / 1e3;
        let nothing = |heard| format!("no answer for {heard:.1} s");
        let heard = self.figures.heard_seconds_ago;
        let silent = heard.filter(too_long).map(nothing);
        self.figures.error.clone().or(silent)
    }
}

/// The replication in one sample.
#[derive(Serialize)]
pub(super) struct ReplicationSample {
    role: Role,
    epoch: u64,
    leader: String,
    log_lsn: u64,
    acknowledged_lsn: u64,
    lag_records: u64,
    heard_seconds_ago: Option<f64>,
    /// The appends since the sample before.
    appends: u64,
    /// The mean time that one of them took, in microseconds.
    append_us: Option<f64>,
    error: Option<String>,
}

/// The totals of the appends at the last sample.
#[derive(Debug, Default)]
pub(super) struct LastAppended {
    appends: u64,
    append_us: u64,
}

impl LastAppended {
    /// Returns the sample of `report`, with what was appended since the last one.
    pub(super) fn sample(&mut self, report: ReplicationReport) -> ReplicationSample {
        let figures = report.figures;
        let (appends, append_us) = self.advance(figures.appends, figures.append_us);
        ReplicationSample {
            role: figures.role,
            epoch: figures.epoch,
            leader: figures.leader,
            log_lsn: figures.log_lsn,
            acknowledged_lsn: report.acknowledged_lsn,
            lag_records: report.lag_records,
            heard_seconds_ago: figures.heard_seconds_ago,
            appends,
            append_us,
            error: figures.error,
        }
    }

    /// Takes the present totals. Returns the appends since the last sample, and the mean time of one in microseconds.
    fn advance(&mut self, appends: u64, append_us: u64) -> (u64, Option<f64>) {
        let now = Self { appends, append_us };
        let then = std::mem::replace(self, now);
        let appends = appends.saturating_sub(then.appends);
        let took_us = append_us.saturating_sub(then.append_us);
        let mean_us = (appends > 0).then(|| (took_us as f64 / appends as f64).round());
        (appends, mean_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_the_appends_since_the_one_before() {
        let mut last = LastAppended::default();
        assert_eq!(last.advance(4, 8_000), (4, Some(2_000.0)));
        assert_eq!(last.advance(4, 8_000), (0, None));
        assert_eq!(last.advance(14, 38_000), (10, Some(3_000.0)));
    }
}
