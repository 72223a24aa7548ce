//! Very many open connections: the memory that each takes, and the latency of buyers who are spread among all of them.

mod capacity;
mod idle;
mod million;
mod report;
mod turn;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::compare::contestant::find_server;
use crate::compare::host::Host;
use crate::compare::journal_dir;
use crate::compare::running::Running;
use crate::contestants::workers::raise_open_files_limit;
use crate::exit;
use report::Report;
use turn::{Buyers, Turn};

/// Addresses of this machine that the connections come from.
const SOURCES: u8 = 8;

/// Measures very many open connections, and buyers among them
#[derive(clap::Args)]
pub struct Arguments {
    /// Open connections; fewer where the limit of open files does not allow them
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    connections: u32,
    /// Open connections that they are compared with
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    few: u32,
    /// Buyers a second, each with a checkout and its purchase
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Rounds, in each of which many and few connections have a turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Length of each turn, the first second of which is a warm-up
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(2..=600))]
    seconds: u32,
    /// Where the journal is written [default: beside this binary]
    #[arg(long, value_name = "DIR")]
    journal_dir: Option<PathBuf>,
    /// The server's binary [default: the one beside this binary]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// Where connections.json is written, with every turn
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Measures, and prints what was found.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    exit::code(run(arguments).map(|()| true))
}

fn run(arguments: &Arguments) -> Result<()> {
    let host = Host::read();
    // The server gets the limit from this process.
    let files_max = raise_open_files_limit();
    let workers = available_parallelism()?.get();
    let possible = capacity::connections_max(files_max, workers);
    let many = (arguments.connections as usize).min(possible);
    let few = arguments.few as usize;
    ensure!(
        few < many,
        "{possible} connections are possible with {files_max} open files (ulimit -Hn), and --few is {few}: give fewer"
    );
    let server = find_server(arguments.server.as_deref())?;
    let disk = journal_dir(arguments.journal_dir.as_deref())?;
    let start = || {
        let dir = TempDir::with_prefix_in("connections-", &disk)?;
        Running::server(&server, dir, &[])
    };
    let idle = idle::measure(&start()?, many)?;
    eprintln!("{idle}");
    let running = start()?;
    let buyers = Buyers {
        rate: f64::from(arguments.rate),
        duration: Duration::from_secs(u64::from(arguments.seconds)),
    };
    let mut turns = Vec::new();
    for round in 1..=arguments.rounds {
        // Another one begins each round.
        let order = if round % 2 == 1 {
            [few, many]
        } else {
            [many, few]
        };
        for connections in order {
            let turn = Turn::take(&running, &buyers, round, connections)?;
            eprintln!("{turn}");
            turns.push(turn);
        }
    }
    let report = Report::new(host, arguments.connections as usize, files_max, idle, turns);
    print!("{report}");
    if let Some(dir) = &arguments.output {
        report.write(dir)?;
    }
    Ok(())
}
