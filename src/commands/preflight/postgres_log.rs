//! A Postgres that keeps the replicated log, as the server would find it.

use super::finding::Findings;
use super::replication::{CHECK, UnreadableLog};
use crate::app::configured_log::open_postgres_log;
use crate::config::{DatabaseConfig, ReplicationConfig};
use crate::replication::Head;
use crate::replication::postgres::{ConnectedStandby, LogSurvey, required_standbys};
use crate::types::ServerAddress;

/// Checks everything but the journal. Returns the log's head if there is a log; `None` where that may not be looked at.
pub(super) fn check(
    database: &DatabaseConfig,
    others: &[ServerAddress],
    settings: &ReplicationConfig,
    findings: &mut Findings,
) -> Result<Option<Option<Head>>, UnreadableLog> {
    let survey = open_postgres_log(database, others, &settings.log)?.survey()?;
    promise(&survey, &settings.hosts_text(), findings);
    standbys(&survey, findings);
    hosts(others, findings);
    tables(&survey, findings);
    Ok(survey.denied.is_empty().then_some(survey.head))
}

/// The settings of the database that the promise rests on.
fn promise(survey: &LogSurvey, address: &str, findings: &mut Findings) {
    let settings = &survey.settings;
    match settings.check() {
        Ok(()) => findings.ok(
            CHECK,
            format!(
                "{address}: a commit waits for {}",
                settings.synchronous_standby_names
            ),
        ),
        Err(why) if settings.is_in_recovery => findings.fail(
            CHECK,
            format!("{address}: {why}"),
            "name the primary in REPLICATION_HOSTS, best all servers of the database: the one that takes changes is found",
        ),
        Err(why) => findings.fail(
            CHECK,
            format!("{address}: {why}"),
            "set it on all servers of the database, as docs/replication.md says; the server does not start before",
        ),
    }
}

/// The standbys that commits must wait for.
fn standbys(survey: &LogSurvey, findings: &mut Findings) {
    let required = required_standbys(&survey.settings.synchronous_standby_names);
    // What is wrong with the list has been said.
    for name in required.unwrap_or_default() {
        // Postgres compares names without regard to case, and waits for one of several with the same.
        let named = survey.standbys.iter();
        let named = named.filter(|it| it.name.eq_ignore_ascii_case(&name));
        let found = named.max_by_key(|it| it.sync_state.as_deref() == Some("sync"));
        standby(&name, found, findings);
    }
}

fn standby(name: &str, found: Option<&ConnectedStandby>, findings: &mut Findings) {
    let Some(found) = found else {
        return findings.fail(
            CHECK,
            format!(
                "the standby {name} is not connected: no commit comes back, and nothing is sold"
            ),
            format!("start it, with application_name={name} in its primary_conninfo"),
        );
    };
    let state = found.state.as_deref();
    match (state, found.sync_state.as_deref()) {
        (Some("streaming"), Some("sync")) => {
            findings.ok(
                CHECK,
                format!("the standby {name} follows, and commits wait for it"),
            );
        }
        (Some(state), Some(sync)) => findings.fail(
            CHECK,
            format!("the standby {name} is {state} and {sync}, not streaming and sync"),
            "wait until it has caught up; its log and pg_stat_replication say more",
        ),
        _ => findings.warn(
            CHECK,
            format!("the standby {name} is connected; this user may not see how"),
            "grant pg_monitor to the user",
        ),
    }
}

fn hosts(others: &[ServerAddress], findings: &mut Findings) {
    if others.is_empty() {
        findings.warn(
            CHECK,
            "one server of the database is named: when another one is promoted, it is not found",
            "name all of them in REPLICATION_HOSTS, unless this address goes with the primary",
        );
    }
}

fn tables(survey: &LogSurvey, findings: &mut Findings) {
    if !survey.denied.is_empty() {
        return findings.fail(
            CHECK,
            format!("the user may not use {}", survey.denied.join(", ")),
            "grant it USAGE on the schema flashsale_replication, and SELECT, INSERT, UPDATE and DELETE on its tables",
        );
    }
    if survey.has_tables {
        findings.ok(CHECK, "its tables are there, and can be used");
    } else if survey.may_create {
        findings.ok(CHECK, "its tables are made at the first start");
    } else {
        findings.fail(
            CHECK,
            "its tables are not there, and the user may not make them",
            "GRANT CREATE ON DATABASE … TO the user, until a server has started once",
        );
    }
}
