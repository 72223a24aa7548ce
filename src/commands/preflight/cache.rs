//! Redis, as the server would find it.

use super::finding::Findings;
use super::followed::{Fit, Followed};
use super::limits::version;
use crate::reconcile::RecordSource;
use crate::reconcile::redis::{RedisOptions, RedisServers, RedisSurvey};

const CHECK: &str = "redis";
const VERSION_MIN: (u32, u32) = (6, 2);

pub(super) async fn check(options: &RedisOptions, journal: &Followed<'_>, findings: &mut Findings) {
    let survey = match RedisSurvey::read(options).await {
        Ok(survey) => survey,
        Err(error) => {
            let advice = advice(&options.servers);
            return findings.fail(CHECK, format!("{}: {error}", options.address()), advice);
        }
    };
    if let Some(node) = &survey.node {
        findings.ok(
            CHECK,
            format!("the keys are at {node}, of {}", options.address()),
        );
    }
    if survey.node.is_some() && survey.replicas == Some(0) {
        findings.warn(
            CHECK,
            "the node that has the keys has no replica: when it dies, nobody takes its place",
            "add a replica to it",
        );
    }
    let found = format!(
        "version {}, {} MiB",
        survey.version,
        survey.memory_bytes >> 20
    );
    match version(&survey.version) {
        Some(version) if version < VERSION_MIN => {
            findings.warn(CHECK, found, "run version 7 or newer")
        }
        _ if survey.version.is_empty() || survey.is_replica.is_none() => findings.warn(
            CHECK,
            "it does not say which version it is, or whether it is a replica",
            "allow INFO to the user, as docs/redis.md says",
        ),
        _ => findings.ok(CHECK, found),
    }
    if survey.is_replica == Some(true) {
        findings.fail(
            CHECK,
            "it is a replica, and read-only",
            "set REDIS_HOST to the primary",
        );
    }
    if !survey.has_functions {
        findings.warn(
            CHECK,
            "functions are missing or not allowed: scripts are used in their place",
            "allow FUNCTION and FCALL to the user, as docs/redis.md says",
        );
    }
    keeping(&survey, findings);
    watermark(&survey, journal, findings);
}

/// Returns the advice about a Redis that cannot be reached, or lets nobody in.
fn advice(servers: &RedisServers) -> &'static str {
    match servers {
        RedisServers::Single(_) => {
            "see that it runs and that REDIS_HOST, REDIS_PORT, REDIS_USER and REDIS_PASSWORD are right; a sale can go \
             on without it, and it is filled later"
        }
        RedisServers::Sentinel(_) => {
            "see that sentinels and master run and that REDIS_SENTINELS, REDIS_SENTINEL_MASTER, \
             REDIS_SENTINEL_USER and REDIS_SENTINEL_PASSWORD, for the sentinels, and REDIS_USER and REDIS_PASSWORD, \
             for the master, are right; a sale can go on without it, and it is filled later"
        }
        RedisServers::Cluster(_) => {
            "see that the nodes run and that REDIS_CLUSTER_NODES, REDIS_USER and REDIS_PASSWORD are right; a sale can \
             go on without it, and it is filled later"
        }
    }
}

fn keeping(survey: &RedisSurvey, findings: &mut Findings) {
    match survey.eviction.as_str() {
        "noeviction" => findings.ok(CHECK, "throws nothing away when it is full"),
        "" => findings.warn(
            CHECK,
            "it does not say what it does when it is full",
            "allow INFO to the user, and set maxmemory-policy noeviction",
        ),
        policy => findings.warn(
            CHECK,
            format!("maxmemory-policy is {policy}: what is shown of sales may vanish"),
            "set maxmemory-policy noeviction",
        ),
    }
    if survey.has_log {
        findings.ok(CHECK, "writes every change to its log");
    } else {
        findings.warn(
            CHECK,
            "it keeps no log (appendonly no): after a restart it is filled again from the journal",
            "set appendonly yes, where the events have to outlive it",
        );
    }
}

fn watermark(survey: &RedisSurvey, journal: &Followed<'_>, findings: &mut Findings) {
    let lsn = survey.watermark.lsn;
    match journal.compare(survey.watermark, RecordSource::check) {
        Fit::Behind(behind) => {
            findings.ok(CHECK, format!("it has record {lsn}, {behind} behind the journal"));
        }
        Fit::Not(error) => findings.warn(
            CHECK,
            format!("{error}: it is another journal's, or newer"),
            "flashsale rebuild redis --yes empties it, and the server fills it again",
        ),
        Fit::Unknown(why) => findings.warn(
            CHECK,
            format!("it has record {lsn}, which cannot be compared with the journal: {why}"),
            "run this as the user that runs the server; flashsale journal verify says more of the journal",
        ),
    }
}
