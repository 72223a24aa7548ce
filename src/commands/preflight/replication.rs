//! The replicated log, as the server would find it.

use super::finding::Findings;
use super::{directory, etcd_log, postgres_log};
use crate::app::configured_log::OpenLogError;
use crate::config::{Config, LogKeeper};
use crate::env::RealDisk;
use crate::replication::{Head, JoinError, LogError, Mark, check_fit};
use crate::types::Lsn;

pub(super) const CHECK: &str = "replicated log";

/// The reason why nothing can be said of a log.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnreadableLog {
    /// It cannot even be asked.
    #[error(transparent)]
    Open(#[from] OpenLogError),
    /// It does not answer.
    #[error(transparent)]
    Log(#[from] LogError),
}

pub(super) fn check(config: &Config, findings: &mut Findings) -> std::io::Result<()> {
    let Some(settings) = &config.replication else {
        findings.ok(CHECK, "off: what was answered is on this machine");
        return Ok(());
    };
    let address = settings.hosts_text();
    let (checked, certificates, reach) = match &settings.keeper {
        LogKeeper::Postgres {
            database,
            other_hosts,
        } => (
            postgres_log::check(database, other_hosts, settings, findings),
            "see DB_SSLROOTCERT, which holds for the replicated log, too",
            "see that one of them takes changes and that REPLICATION_HOSTS, REPLICATION_USER, REPLICATION_PASSWORD and \
             REPLICATION_DBNAME are right (what is left out is that of DB_…); without the log nothing is sold",
        ),
        LogKeeper::Etcd(etcd) => (
            etcd_log::check(etcd, &settings.log, findings),
            "see REPLICATION_SSLROOTCERT, REPLICATION_SSLCERT and REPLICATION_SSLKEY",
            "see that most members of etcd run and find each other and that REPLICATION_HOSTS, REPLICATION_TLS, REPLICATION_USER and \
             REPLICATION_PASSWORD are right; without the log nothing is sold",
        ),
    };
    match checked {
        Ok(Some(head)) => {
            sinks(config, head.as_ref(), findings);
            journal(config, &settings.log, head.as_ref(), findings);
        }
        Ok(None) => {}
        Err(UnreadableLog::Open(OpenLogError::Io(error))) => return Err(error),
        Err(UnreadableLog::Open(error)) => findings.fail(CHECK, error.to_string(), certificates),
        Err(error) => findings.fail(CHECK, format!("{address}: {error}"), reach),
    }
    Ok(())
}

/// The databases that are filled and the webhooks that are sent, which all servers of a log must have.
fn sinks(config: &Config, head: Option<&Head>, findings: &mut Findings) {
    if !config.has_followers()
        && let Some(head) = head.filter(|head| head.followed > Lsn::ZERO)
    {
        findings.warn(
            CHECK,
            format!(
                "{} fills databases or sends webhooks, and this server has none configured: once it leads, nobody does",
                head.holder
            ),
            "set DB_HOST, REDIS_HOST and WEBHOOKS alike on all servers",
        );
    }
}

/// The journal, which must be one that the log is made of or begins with.
fn journal(config: &Config, log: &str, head: Option<&Head>, findings: &mut Findings) {
    let dir = &config.journal.dir;
    let is_marked = Mark::read(&RealDisk, dir).is_ok_and(|mark| mark.is_some());
    if !is_marked && let Some(why) = directory::in_use(config) {
        return findings.warn(
            CHECK,
            format!("the journal cannot be compared with it: {why}"),
            "run this again when no server uses the journal",
        );
    }
    match (check_fit(log, head, &RealDisk, dir), head) {
        (Ok(()), Some(head)) => findings.ok(
            CHECK,
            format!("the journal fits {log}, which ends with record {}", head.last.lsn),
        ),
        (Ok(()), None) => findings.ok(
            CHECK,
            format!("{log} is made at the first start, and begins with this journal"),
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
