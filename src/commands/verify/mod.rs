//! `flashsale verify`: proves that journal, memory, Postgres and Redis say the same, or says where they
//! do not. Changes nothing.

mod cache;
mod database;
mod earlier;
mod ledger;
mod memory;
mod report;
mod rows;
mod server;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

pub(super) use earlier::apply;
pub use rows::ReadRows;

use super::client_tls::ServerAccess;
use super::journal::{write_files, write_state};
use crate::app::sinks;
use crate::config::Config;
use crate::env::{Disk, step_back};
use crate::limits;
use crate::reconcile::redis::Reading;
use ledger::{Ledger, LedgerError};
use report::Report;
use server::InspectedServer;

/// Compares the journal in `dir` with everything that is configured, and with the memory of the server
/// at `server` when that is using the journal. The exit code: 0 when all agrees, 1 when something does
/// not, 2 when something could not be checked and the rest agrees.
///
/// # Errors
/// The output is gone, or no runtime can be made.
pub fn verify(
    config: &Config,
    dir: &Path,
    server: Option<SocketAddr>,
    out: &mut dyn Write,
) -> io::Result<u8> {
    // Beside a server that may be selling.
    step_back(limits::BACKGROUND_NICE);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut report = Report::new(out);
    runtime.block_on(compare_all(config, dir, server, &mut report))?;
    report.end()
}

/// Compares the journal in `dir` on `disk`, which nobody uses, with what was read from databases and caches. Returns the exit
/// code, as [`verify`] does.
///
/// # Errors
/// The output is gone.
pub async fn verify_at_rest(
    disk: Arc<dyn Disk>,
    dir: &Path,
    databases: Vec<ReadRows>,
    caches: Vec<Option<Reading>>,
    out: &mut dyn Write,
) -> io::Result<u8> {
    let mut report = Report::new(out);
    if let Some(mut ledger) = opened(Ledger::at_rest(disk, dir), &mut report)? {
        print_state(&ledger, &mut report)?;
        for records in databases {
            database::compare_read(records, &mut ledger, &mut report).await?;
        }
        for found in caches {
            cache::compare_read(found, &mut ledger, &mut report)?;
        }
    }
    report.end()
}

/// Returns the journal that everything is held against; reports why there is none.
fn opened(
    opened: Result<Ledger, LedgerError>,
    report: &mut Report<'_>,
) -> io::Result<Option<Ledger>> {
    match opened {
        Ok(ledger) => return Ok(Some(ledger)),
        Err(error) if error.is_difference() => {
            report.different(&error.to_string())?;
            report.unchecked("everything else, because it is held against the journal")?;
        }
        Err(error) => report.unchecked(&error.to_string())?,
    }
    Ok(None)
}

/// Reports the state that the journal leads to, and the files of ended sales.
fn print_state(ledger: &Ledger, report: &mut Report<'_>) -> io::Result<()> {
    write_state(report.out(), ledger.snapshot, ledger.at, &ledger.state)?;
    match ledger.check_files() {
        Ok(files) => write_files(report.out(), &files),
        Err(error) => report.different(&error.to_string()),
    }
}

/// Reports sinks that the server cannot bring up to date, which soon differ whatever was found, and sinks that it has
/// although this command was not configured with them.
fn check_sinks(
    server: &InspectedServer,
    config: &Config,
    report: &mut Report<'_>,
) -> io::Result<()> {
    let health = match server.health() {
        Ok(health) => health,
        Err(error) => return report.unchecked(&error.to_string()),
    };
    for (sink, reason) in health.down() {
        report.unchecked(&format!(
            "{sink}: the server says that it is DOWN: {reason}"
        ))?;
    }
    let here = [
        ("database", "Postgres", "DB_HOST", config.database.is_some()),
        ("redis", "Redis", "REDIS_HOST", config.redis.is_some()),
    ];
    for (name, sink, variable, is_configured) in here {
        if !is_configured && health.follows(name) {
            report.unchecked(&format!(
                "{sink}: the server has one, but here none is configured: run this with the \
                 configuration and the variables of the server ({variable}, …)"
            ))?;
        }
    }
    Ok(())
}

async fn compare_all(
    config: &Config,
    dir: &Path,
    server: Option<SocketAddr>,
    report: &mut Report<'_>,
) -> io::Result<()> {
    let address = server.unwrap_or_else(|| config.server.local_address());
    let access = match ServerAccess::configured(&config.server) {
        Ok(access) => access,
        Err(error) => return report.unchecked(&error.to_string()),
    };
    let found = Ledger::open(dir, InspectedServer::at(address, access));
    let Some(mut ledger) = opened(found, report)? else {
        return Ok(());
    };
    print_state(&ledger, report)?;
    match ledger.server().cloned() {
        Some(server) => memory::compare(&server, &mut ledger, report)?,
        None if server.is_some() => report.unchecked(
            "memory: nobody uses this journal, so the server at the given address is another's",
        )?,
        None => report.note("memory: no server runs on this journal")?,
    }
    match &config.database {
        Some(database) => {
            let options = sinks::postgres_options(database);
            database::compare(&options, &mut ledger, report).await?;
        }
        None => report.note("Postgres: not configured")?,
    }
    match &config.redis {
        Some(redis) => {
            cache::compare(&sinks::redis_options(redis), &mut ledger, report).await?;
        }
        None => report.note("Redis: not configured")?,
    }
    match ledger.server() {
        Some(server) => check_sinks(server, config, report),
        None => Ok(()),
    }
}
