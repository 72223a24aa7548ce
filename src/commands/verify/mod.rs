//! `flashsale verify`: proves that journal, memory, Postgres and Redis say the same, or says where they
//! do not. Changes nothing.

mod cache;
mod database;
mod earlier;
mod ledger;
mod memory;
mod report;
mod server;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

pub(super) use earlier::apply;

use super::client_tls::PinnedTls;
use super::journal::{write_files, write_state};
use crate::app::sinks;
use crate::config::Config;
use crate::env::step_back;
use crate::limits;
use ledger::Ledger;
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
    let tls = match PinnedTls::configured(&config.server) {
        Ok(tls) => tls,
        Err(error) => return report.unchecked(&error.to_string()),
    };
    let mut ledger = match Ledger::open(dir, InspectedServer::at(address, tls)) {
        Ok(ledger) => ledger,
        Err(error) if error.is_difference() => {
            report.different(&error.to_string())?;
            return report.unchecked("everything else, because it is held against the journal");
        }
        Err(error) => return report.unchecked(&error.to_string()),
    };
    write_state(report.out(), ledger.snapshot, ledger.at, &ledger.state)?;
    match ledger.check_files() {
        Ok(files) => write_files(report.out(), &files)?,
        Err(error) => report.different(&error.to_string())?,
    }
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
