//! `flashsale-perf load`: from the flags to the exit code.

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use super::arguments::{Arguments, Format};
use super::audit::Audit;
use super::cpu::process_ns;
use super::report::Report;
use super::server::{self, Server};
use super::{LoadError, run};

/// The figures say nothing about the server.
const EXIT_INVALID: u8 = 3;
/// The books are wrong.
const EXIT_AUDIT: u8 = 4;
/// A goal was not met.
const EXIT_GOAL: u8 = 5;

/// Runs `flashsale-perf load`. 0 means that the run is valid, the books are right and the goals are met, 3
/// that it is not valid, 4 that the books are wrong, 5 that a goal was not met, and 1 that there was no run.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    match report(arguments) {
        Ok(report) if !report.audit_passed => EXIT_AUDIT.into(),
        Ok(report) if !report.valid => EXIT_INVALID.into(),
        Ok(report) if !report.goals_met => EXIT_GOAL.into(),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flashsale-perf: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(arguments: &Arguments) -> Result<Report, LoadError> {
    let mut plan = arguments.plan()?;
    check_places(arguments)?;
    let report = if arguments.spawn {
        let binary = arguments
            .server
            .clone()
            .map_or_else(server::beside_this, Ok);
        let mut server = Server::start(&binary?, arguments.sale_items)?;
        (plan.address, plan.server_pid) = (server.address(), Some(server.pid()));
        let outcome = run(&plan)?;
        if let Err(error) = server.stop() {
            eprintln!("flashsale-perf: the server did not end as it should: {error}");
        }
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

/// Looks at what is needed only after the run, so that no run is made in vain.
fn check_places(arguments: &Arguments) -> Result<(), LoadError> {
    if let Some(dir) = &arguments.output {
        fs::create_dir_all(dir).map_err(|error| {
            LoadError::Plan(format!(
                "--output {} cannot be made: {error}",
                dir.display()
            ))
        })?;
    }
    if let Some(dir) = arguments.journal.as_deref().filter(|dir| !dir.is_dir()) {
        let dir = dir.display();
        return Err(LoadError::Plan(format!("--journal {dir} is no directory")));
    }
    match arguments.server_pid {
        Some(pid) if process_ns(pid).is_err() => Err(LoadError::Plan(format!(
            "--server-pid {pid} is no process whose CPU time can be read"
        ))),
        _ => Ok(()),
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
