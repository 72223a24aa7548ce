//! The replicated log, as the server would find it.

use super::directory;
use super::finding::Findings;
use crate::app::log_dial::LogDial;
use crate::config::{Config, ReplicationConfig};
use crate::env::RealDisk;
use crate::replication::postgres::{ConnectedStandby, LogSurvey, PostgresLog, required_standbys};
use crate::replication::{JoinError, Mark, check_fit};

const CHECK: &str = "replicated log";

pub(super) fn check(config: &Config, findings: &mut Findings) -> std::io::Result<()> {
    let Some(settings) = &config.replication else {
        findings.ok(CHECK, "off: what was answered is on this machine");
        return Ok(());
    };
    let dial = match LogDial::new(settings) {
        Ok(dial) => dial,
        Err(error) => {
            let advice = "see DB_SSLROOTCERT, which holds for the replicated log, too";
            findings.fail(CHECK, error.to_string(), advice);
            return Ok(());
        }
    };
    let address = dial.address_text();
    let mut log = PostgresLog::new(Box::new(dial), settings.log.clone())?;
    match log.survey() {
        Ok(survey) => {
            promise(&survey, &address, findings);
            standbys(&survey, findings);
            hosts(settings, findings);
            tables(&survey, findings);
            journal(config, settings, &survey, findings);
        }
        Err(error) => findings.fail(
            CHECK,
            format!("{address}: {error}"),
            "see that one of them takes changes and that REPLICATION_HOSTS, REPLICATION_USER, REPLICATION_PASSWORD and \
             REPLICATION_DBNAME are right (what is left out is that of DB_…); without the log nothing is sold",
        ),
    }
    Ok(())
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

fn hosts(settings: &ReplicationConfig, findings: &mut Findings) {
    if settings.other_hosts.is_empty() {
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

/// The journal, which must be one that the log is made of or begins with.
fn journal(
    config: &Config,
    settings: &ReplicationConfig,
    survey: &LogSurvey,
    findings: &mut Findings,
) {
    if !survey.denied.is_empty() {
        return;
    }
    let (dir, head) = (&config.journal.dir, survey.head.as_ref());
    let is_marked = Mark::read(&RealDisk, dir).is_ok_and(|mark| mark.is_some());
    if !is_marked && let Some(why) = directory::in_use(config) {
        return findings.warn(
            CHECK,
            format!("the journal cannot be compared with it: {why}"),
            "run this again when no server uses the journal",
        );
    }
    match (check_fit(&settings.log, head, &RealDisk, dir), head) {
        (Ok(()), Some(head)) => findings.ok(
            CHECK,
            format!("the journal fits {}, which ends with record {}", settings.log, head.last.lsn),
        ),
        (Ok(()), None) => findings.ok(
            CHECK,
            format!("{} is made at the first start, and begins with this journal", settings.log),
        ),
        (Err(JoinError::Journal(error)), _) => findings.warn(
            CHECK,
            format!("the journal cannot be compared with it: {error}"),
            "run this as the user that runs the server; flashsale journal verify says more of the journal",
        ),
        (Err(error), _) => findings.fail(
            CHECK,
            error.to_string(),
            "docs/replication.md says what to do with such a journal; the server does not start before",
        ),
    }
}
