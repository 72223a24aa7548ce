//! The part of this server where a log is replicated, as requests and figures see it.

use std::sync::Arc;

use serde::Serialize;

use crate::env::Clock;
use crate::journal::Reached;
use crate::limits;
use crate::replication::{ReplicationStatus, Role, now_us};
use crate::telemetry::{JournalStatus, seconds};

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
            false => figures.replicated.0,
        };
        let lag_records = match leads {
            true => journal.appended_lsn.saturating_sub(acknowledged),
            false => figures.head.0.saturating_sub(acknowledged),
        };
        ReplicationReport {
            role: figures.role.as_str(),
            epoch: figures.epoch.0,
            leader: figures.leader,
            written_lsn: journal.appended_lsn,
            durable_lsn: reached.map_or(journal.durable_lsn, |reached| reached.local.0),
            replicated_lsn: figures.replicated.0,
            acknowledged_lsn: acknowledged,
            log_lsn: figures.head.0,
            lag_records,
            heard_seconds_ago: figures.heard_us_ago.map(seconds),
            barriers: figures.barriers,
            takeovers: figures.takeovers,
            appends: figures.appends,
            append_seconds: seconds(figures.append_us),
            append_us: figures.append_us,
            error: figures.error,
        }
    }
}

/// The figures of the replication in `/health`.
#[derive(Serialize)]
pub struct ReplicationReport {
    /// `starting`, `standby`, `leader` or `fenced`.
    pub role: &'static str,
    /// The time of the leader.
    pub epoch: u64,
    /// Where the leader can be reached; empty where that is not known.
    pub leader: String,
    /// The newest record.
    pub written_lsn: u64,
    /// The newest record that is on this disk.
    pub durable_lsn: u64,
    /// The last record that this server knows to be in the log.
    pub replicated_lsn: u64,
    /// The last record that is here and in the log.
    pub acknowledged_lsn: u64,
    /// The last record of the log, as last seen.
    pub log_lsn: u64,
    /// Records that a leader has not in the log yet, or a standby not here.
    pub lag_records: u64,
    /// Seconds since the last question that the log has answered.
    pub heard_seconds_ago: Option<f64>,
    /// Barriers since the start.
    pub barriers: u64,
    /// Takeovers by this server since the start.
    pub takeovers: u64,
    /// Appends since the start.
    pub appends: u64,
    /// The seconds that they took.
    pub append_seconds: f64,
    /// The time that they took, in microseconds.
    #[serde(skip)]
    pub append_us: u64,
    /// The reason why the log does not answer, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl ReplicationReport {
    /// Returns why the log counts as silent, if it does.
    pub(super) fn silence(&self) -> Option<String> {
        let too_long = |heard: &f64| *heard > limits::LEADER_FRESH_MS as f64 / 1e3;
        let nothing = |heard| format!("no answer for {heard:.1} s");
        let silent = self.heard_seconds_ago.filter(too_long).map(nothing);
        self.error.clone().or(silent)
    }
}

/// The replication in one sample.
#[derive(Serialize)]
pub(super) struct ReplicationSample {
    role: &'static str,
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
        let (appends, append_us) = self.advance(report.appends, report.append_us);
        ReplicationSample {
            role: report.role,
            epoch: report.epoch,
            leader: report.leader,
            log_lsn: report.log_lsn,
            acknowledged_lsn: report.acknowledged_lsn,
            lag_records: report.lag_records,
            heard_seconds_ago: report.heard_seconds_ago,
            appends,
            append_us,
            error: report.error,
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
