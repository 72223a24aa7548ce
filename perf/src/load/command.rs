//! `flashsale-perf load`: from the flags to the exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use super::arguments::{Arguments, Format};
use super::audit::Audit;
use super::report::Report;
use super::server::{self, Server};
use super::{LoadError, run};

/// The figures say nothing about the server.
const EXIT_INVALID: u8 = 3;
/// The books are wrong.
const EXIT_AUDIT: u8 = 4;

/// Runs `flashsale-perf load`. 0 means that the run is valid and the books are right, 3 that it is not
/// valid, 4 that the books are wrong, and 1 that there was no run.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    match report(arguments) {
        Ok(report) if !report.audit_passed => EXIT_AUDIT.into(),
        Ok(report) if !report.valid => EXIT_INVALID.into(),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flashsale-perf: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(arguments: &Arguments) -> Result<Report, LoadError> {
    let mut plan = arguments.plan()?;
    let report = if arguments.spawn {
        let binary = arguments
            .server
            .clone()
            .map_or_else(server::beside_this, Ok);
        let mut server = Server::start(&binary?, arguments.sale_items)?;
        (plan.address, plan.server_pid) = (server.address(), Some(server.pid()));
        let outcome = run(&plan)?;
        server.stop()?;
        let journal = server.journal_dir();
        Report::new(&outcome, Audit::of(&outcome, true, Some(&journal)))
    } else {
        let outcome = run(&plan)?;
        let journal = arguments.journal.as_deref();
        Report::new(&outcome, Audit::of(&outcome, arguments.exclusive, journal))
    };
    if let Some(dir) = &arguments.output {
        report.write_files(dir)?;
    }
    match print(&report, arguments.format) {
        // Whoever read it had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(report),
        printed => Ok(printed.map(|()| report)?),
    }
}

fn print(report: &Report, format: Format) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Human => report.summarize(&mut out)?,
        Format::Json => report.write_json(&mut out)?,
    }
    out.flush()
}
