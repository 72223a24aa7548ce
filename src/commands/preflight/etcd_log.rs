//! An etcd that keeps the replicated log, as the server would find it.

use super::finding::Findings;
use super::replication::{CHECK, UnreadableLog};
use crate::app::configured_log::open_etcd_log;
use crate::config::EtcdConfig;
use crate::replication::Head;
use crate::replication::etcd::{EtcdMember, EtcdState, EtcdSurvey, ONE_MEMBER};

/// As few members as go on without one.
const MEMBERS_MIN: usize = 3;

/// Checks everything but the journal. Returns the log's head if there is a log; `None` where that may not be looked at.
pub(super) fn check(
    etcd: &EtcdConfig,
    log: &str,
    findings: &mut Findings,
) -> Result<Option<Option<Head>>, UnreadableLog> {
    let mut opened = open_etcd_log(etcd, log)?;
    for member in opened.survey_members() {
        named(&member, findings);
    }
    let survey = opened.survey()?;
    voters(&survey, etcd.members.len(), findings);
    access(&survey, etcd, findings);
    if let Some(why) = survey.denied {
        findings.fail(
            CHECK,
            why,
            "grant readwrite on the prefix flashsale/replication/ to a role of that user, as docs/replication.md says; the server does not start before",
        );
        return Ok(None);
    }
    Ok(Some(survey.head))
}

/// A member that the configuration names.
fn named(member: &EtcdMember, findings: &mut Findings) {
    let address = &member.address;
    match &member.state {
        Err(why) => findings.warn(
            CHECK,
            format!("the member {address} does not answer: {why}"),
            "bring it back before the sale: another one that is lost may be one too many",
        ),
        Ok(state) if !state.has_leader => findings.fail(
            CHECK,
            format!("the member {address} knows no leader"),
            "see that most members of etcd run and find each other; without them nothing is sold",
        ),
        Ok(state) => {
            errors(address, state, findings);
            let (version, size) = (&state.version, state.bytes >> 20);
            let used = state.bytes_in_use >> 20;
            let found =
                format!("the member {address}: etcd {version}, {size} MiB, {used} of them used");
            findings.ok(CHECK, found);
        }
    }
}

fn errors(address: &str, state: &EtcdState, findings: &mut Findings) {
    for error in &state.errors {
        let found = format!("the member {address} says: {error}");
        match error.contains("NOSPACE") {
            true => findings.fail(
                CHECK,
                found,
                "make room as docs/replication.md says: etcd takes no changes, and nothing is sold",
            ),
            false => findings.fail(CHECK, found, "see the log of that member"),
        }
    }
}

fn voters(survey: &EtcdSurvey, named: usize, findings: &mut Findings) {
    match survey.voters {
        None => findings.warn(
            CHECK,
            "this user may not see how many members there are",
            "see that there are three or five: etcdctl member list",
        ),
        Some(1) => findings.warn(CHECK, ONE_MEMBER, "run three members on three machines"),
        Some(members) if members < MEMBERS_MIN => findings.warn(
            CHECK,
            format!("etcd has {members} members, and goes on without none of them"),
            "run three members on three machines",
        ),
        Some(members) => {
            let spare = (members - 1) / 2;
            let found =
                format!("a change waits for most of {members} members; {spare} may be lost");
            findings.ok(CHECK, found);
        }
    }
    if survey.voters.is_some_and(|members| members > named) {
        findings.warn(
            CHECK,
            format!(
                "{named} of the members are named: another one is not found when these are lost"
            ),
            "name all of them in REPLICATION_HOSTS",
        );
    }
}

fn access(survey: &EtcdSurvey, etcd: &EtcdConfig, findings: &mut Findings) {
    let is_certified = etcd.tls.as_ref().is_some_and(|tls| tls.client.is_some());
    if !survey.has_users && !is_certified {
        findings.warn(
            CHECK,
            "etcd asks nobody who they are: whoever reaches it can change the log",
            "etcdctl auth enable, as docs/replication.md says",
        );
    }
}
