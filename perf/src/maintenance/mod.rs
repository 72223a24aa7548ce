//! Maintenance under full load: whether the seconds in which the server writes snapshots, prepares and removes segments,
//! puts ended sales away or creates large ones, and in which its journal is copied and verified, differ from the others.

mod actions;
mod figures;
mod memory;
mod observer;
mod past;
mod report;
mod task;
mod tasks;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use tempfile::TempDir;

use crate::compare::contestant::{SALE_ITEMS, find_server};
use crate::compare::host::Host;
use crate::compare::journal_dir;
use crate::compare::running::{self, Running};
use crate::exit;
use crate::load::{self, Outcome, Plan, Sale, Workload, resident_kib};
use actions::Actions;
use observer::Observer;
use past::Past;
use report::Report;
use task::Task;

/// Hours that segments are kept: as few as can be configured.
const RETAIN_HOURS: u32 = 1;
/// Seconds that an ended sale stays in memory.
const KEEP_ENDED_SECONDS: u32 = 1;

/// Measures whether maintenance is felt by buyers
#[derive(clap::Args)]
pub struct Arguments {
    /// Length of the load
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(5..=3600))]
    seconds: u32,
    /// Connections, each of which asks again as soon as it has its answer
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Users with a checkout in each of the two sales that end during the load
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// Items of the sale that is created during the load
    #[arg(long, default_value_t = SALE_ITEMS, value_parser = clap::value_parser!(u32).range(1..=i64::from(SALE_ITEMS)))]
    items: u32,
    /// Where the journal is written, and its copy [default: beside this binary]
    #[arg(long, value_name = "DIR")]
    journal_dir: Option<PathBuf>,
    /// The server's binary [default: the one beside this binary]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// Where maintenance.json is written, with every second
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Measures, and prints what was found.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    exit::code(run(arguments).map(|()| true))
}

fn run(arguments: &Arguments) -> Result<()> {
    let server = find_server(arguments.server.as_deref())?;
    let disk = journal_dir(arguments.journal_dir.as_deref())?;
    let host = Host::read();
    let empty_kib = empty_resident_kib(&server, &disk)?;
    let dir = TempDir::with_prefix_in("maintenance-", &disk)?;
    let journal = running::journal_dir(dir.path());
    let past = Past::write(&journal, arguments.users, arguments.seconds)?;
    let running = Running::server(&server, dir, &settings(SALE_ITEMS))?;
    let measured = measure(arguments, &server, &running, &past)?;
    let report = Report::new(host, &measured, empty_kib);
    print!("{report}");
    if let Some(dir) = &arguments.output {
        report.write(dir)?;
    }
    Ok(())
}

/// What a run has seen, with times in seconds from the first request.
struct Measured {
    outcome: Outcome,
    tasks: Vec<Task>,
    /// What was asked for and failed.
    failed: Vec<String>,
    samples: Vec<observer::Sample>,
}

/// Puts load on the server, asks it for maintenance, and watches both.
fn measure(
    arguments: &Arguments,
    server: &Path,
    running: &Running,
    past: &Past,
) -> Result<Measured> {
    let plan = plan(arguments, running, past);
    let actions = Actions {
        server,
        running,
        past,
        listed: actions::listed_sale(arguments.items),
        duration: plan.duration,
    };
    let (origin, origin_at) = (Instant::now(), SystemTime::now());
    let observer = Observer::start(running, origin)?;
    let (outcome, (mut tasks, failed)) = std::thread::scope(|scope| {
        let asking = actions.start(scope, origin);
        let outcome = load::run(&plan);
        (outcome, asking.end())
    });
    let (outcome, observed) = (outcome?, observer.end());
    tasks.extend(tasks::observed(&observed));
    // The first request is somewhat later than what was started before it.
    let since_origin = outcome.started_at.duration_since(origin_at);
    let first = since_origin.unwrap_or_default().as_secs_f64();
    let tasks = tasks.into_iter().map(|it| it.since(first)).collect();
    let samples = observed.samples.into_iter();
    Ok(Measured {
        outcome,
        tasks,
        failed,
        samples: samples.map(|it| it.since(first)).collect(),
    })
}

fn plan(arguments: &Arguments, running: &Running, past: &Past) -> Plan {
    let duration = Duration::from_secs(u64::from(arguments.seconds));
    Plan {
        workload: Workload::Checkout,
        connections: arguments.connections as usize,
        sale: Some(Sale {
            id: past.lasting.0,
            total_items: SALE_ITEMS,
            items_sold: 0,
        }),
        server_pid: Some(running.process.id()),
        progress: true,
        ..Plan::new(running.address, duration)
    }
}

fn settings(items: u32) -> [(&'static str, String); 4] {
    [
        ("SALE_TOTAL_ITEMS", items.to_string()),
        ("JOURNAL_RETAIN_HOURS", RETAIN_HOURS.to_string()),
        ("SALE_KEEP_ENDED_SECONDS", KEEP_ENDED_SECONDS.to_string()),
        ("LOG_LEVEL", "info".to_owned()),
    ]
}

/// Memory of a server that has nothing to remember.
fn empty_resident_kib(server: &Path, disk: &Path) -> Result<u64> {
    let dir = TempDir::with_prefix_in("maintenance-", disk)?;
    let running = Running::server(server, dir, &settings(1))?;
    Ok(resident_kib(running.process.id()).unwrap_or(0))
}
