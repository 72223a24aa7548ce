//! `flashsale preflight`: what a machine can check before a sale, one line each with what to do, and the
//! questions that are left for people. It changes nothing.

mod address;
mod cache;
mod database;
mod directory;
mod etcd_log;
mod finding;
mod followed;
mod limits;
mod postgres_log;
mod replication;
mod settings;
mod sizing;
mod syncs;
mod time;

use std::io::{self, Write};
use std::path::Path;

use self::address::Holder;
use self::finding::{Findings, Level};
use self::followed::Followed;
use crate::app::sinks::{postgres_options, redis_options};
use crate::config::Config;
use crate::env::{Machine, newest_journal_below};
use crate::telemetry::BuildInfo;
use crate::types::counted;

/// A backup that is older than this is told, in seconds.
const BACKUP_AGE_SECONDS_MAX: u64 = 26 * 3600;

/// Questions that only people can answer.
const QUESTIONS: &[&str] = &[
    "Was a load test run against this machine, with twice the buyers that are expected (make load-test)?",
    "Were its figures within the goals, and are they written down?",
    "Did somebody receive an alert that was set off on purpose?",
    "Are logs collected somewhere else, and can they be searched there?",
    "Was a backup restored and started on another machine, this month?",
    "Does TLS end at the server or at the proxy before it, and is the certificate good beyond the sale?",
    "Were the dependencies scanned for known holes (cargo deny check advisories)?",
    "Who watches the sale, and who may stop it?",
];

/// Options of the command besides the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct PreflightOptions<'a> {
    /// The directory of the backups, which are directories themselves.
    pub backups: Option<&'a Path>,
    /// One JSON document in place of lines.
    pub json: bool,
}

/// Checks all that can be checked and says what was found. The exit code: 0 when nothing failed, else 1.
///
/// # Errors
/// The output is gone, or no runtime can be made.
pub fn preflight(
    config: &Config,
    wanted: PreflightOptions<'_>,
    out: &mut dyn Write,
) -> io::Result<u8> {
    let mut findings = Findings::default();
    let machine = Machine::read();
    build(&mut findings);
    settings::check(config, &mut findings);
    directory::check(config, &mut findings);
    let holder = address::check(config, &mut findings);
    let drift = time::Drift::begin();
    syncs::check(config, holder, &mut findings);
    time::check(&machine, &drift, &mut findings);
    limits::check(config, &machine, &mut findings);
    check_sinks(config, holder, &mut findings)?;
    replication::check(config, &mut findings)?;
    backups(wanted.backups, &mut findings);
    if wanted.json {
        findings.write_json(QUESTIONS, out)?;
    } else {
        findings.write_text(QUESTIONS, out)?;
    }
    Ok(u8::from(findings.count(Level::Fail) > 0))
}

fn build(findings: &mut Findings) {
    const CHECK: &str = "build";
    let build = BuildInfo::TEXT;
    if cfg!(debug_assertions) {
        let advice = "build with cargo build --release";
        findings.warn(
            CHECK,
            format!("{build}, without optimisation: many times slower"),
            advice,
        );
    } else if BuildInfo::CURRENT.revision.ends_with("-dirty") {
        let advice = "build from a commit, so that it can be built again";
        findings.warn(
            CHECK,
            format!("{build}, optimised, from changed sources"),
            advice,
        );
    } else {
        findings.ok(CHECK, format!("{build}, optimised"));
    }
}

fn check_sinks(config: &Config, holder: Holder, findings: &mut Findings) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Read once, and only when somebody wants to be compared with it.
    let is_wanted = config.database.is_some() || config.redis.is_some();
    let is_written = matches!(holder, Holder::Server(_));
    let journal = is_wanted.then(|| Followed::of(config, is_written));
    runtime.block_on(async {
        match config.database.as_ref().zip(journal.as_ref()) {
            Some((database, journal)) => {
                database::check(&postgres_options(database), journal, findings).await;
            }
            None => findings.ok("postgres", "off: the journal is the database"),
        }
        match config.redis.as_ref().zip(journal.as_ref()) {
            Some((redis, journal)) => cache::check(&redis_options(redis), journal, findings).await,
            None => findings.ok("redis", "off"),
        }
    });
    Ok(())
}

fn backups(parent: Option<&Path>, findings: &mut Findings) {
    const CHECK: &str = "backup";
    const ADVICE: &str = "flashsale journal backup --to DIR/$(date -u +%FT%H%M%SZ)";
    let Some(parent) = parent else {
        let advice = "name the directory that holds the backups with --backup";
        findings.warn(CHECK, "not looked for", advice);
        return;
    };
    match newest_journal_below(parent) {
        Ok(Some((path, seconds))) => {
            let age = counted(seconds / 3600, "hour", "hours");
            let found = format!("the newest, {}, is {age} old", path.display());
            if seconds > BACKUP_AGE_SECONDS_MAX {
                findings.warn(CHECK, found, ADVICE);
            } else {
                findings.ok(CHECK, found);
            }
        }
        Ok(None) => findings.warn(CHECK, format!("none in {}", parent.display()), ADVICE),
        Err(error) => findings.fail(
            CHECK,
            format!("{} cannot be read: {error}", parent.display()),
            "name a directory with --backup that is there, and run this as a user who may read what is in it",
        ),
    }
}
