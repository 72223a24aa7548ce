//! Figures of the replication, where there is one.

use super::exposition::{Exposition, FamilyKind};
use crate::operations::View;

/// The roles, each of which has a sample that is 1 while it is this server's.
const ROLES: [&str; 4] = ["starting", "standby", "leader", "fenced"];

pub(super) fn write(view: &View, out: &mut Exposition) {
    let Some(report) = view.replication() else {
        return;
    };
    let figures = &report.figures;
    let help = "1 for the part of this server, else 0.";
    let mut samples = out.family("replication_role", FamilyKind::Gauge, help);
    for role in ROLES {
        samples.sample(&[("role", role)], u64::from(role == figures.role.as_str()));
    }
    for (name, help, value) in [
        (
            "replication_epoch",
            "Number of the leader's time, which rises with every takeover.",
            figures.epoch,
        ),
        (
            "replication_log_lsn",
            "Number of the last record of the replicated log, as last seen.",
            figures.log_lsn,
        ),
        (
            "replication_acknowledged_lsn",
            "Number of the last record that is here and in the replicated log.",
            report.acknowledged_lsn,
        ),
        (
            "replication_lag_records",
            "Records that a leader has not in the log yet, or a standby not here.",
            report.lag_records,
        ),
        (
            "replication_log_answers",
            "1 while the replicated log answers as it should, else 0.",
            u64::from(figures.error.is_none()),
        ),
        (
            "replication_log_full",
            "1 while the replicated log has no room for more, else 0.",
            u64::from(figures.is_full),
        ),
    ] {
        out.gauge(name, help, value);
    }
    if let Some(age) = figures.heard_seconds_ago {
        out.gauge(
            "replication_heard_seconds",
            "Seconds since the last question that the replicated log has answered.",
            age,
        );
    }
    for (name, help, value) in [
        (
            "replication_appends_total",
            "Appends to the replicated log since the start.",
            figures.appends,
        ),
        (
            "replication_barriers_total",
            "Questions since the start that made the place of the log certain.",
            figures.barriers,
        ),
        (
            "replication_takeovers_total",
            "Takeovers by this server since the start.",
            figures.takeovers,
        ),
    ] {
        out.counter(name, help, value);
    }
    out.counter(
        "replication_append_seconds_total",
        "Seconds that the appends took.",
        figures.append_seconds,
    );
}
