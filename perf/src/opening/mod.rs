//! The opening of a sale: thousands of clients connect and buy at the moment at which it opens, at a server that has
//! answered nobody yet, and the same at bare hyper.

mod crowd;
mod report;
mod tally;
mod turn;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::compare::contestant::{Contestant, find_server};
use crate::compare::host::{Host, file_system};
use crate::compare::journal_dir;
use crate::compare::report::make_directory;
use crate::compare::running::Running;
use crate::contestants::workers::raise_open_files_limit;
use crate::exit;
use crate::load;
use crowd::{Crowd, Wish};
use report::Report;
use turn::{Rush, Turn, listen_overflows};

/// Files that are open besides connections.
const OTHER_FILES: u64 = 200;
/// From the creation of the sale to its opening, at least.
const AHEAD_SECONDS: u64 = 2;
/// How long a checkout holds its item: longer than a turn.
const HOLD_SECONDS: u32 = 600;

/// Has thousands of clients connect and buy in the second in which a sale opens
#[derive(clap::Args)]
pub struct Arguments {
    /// Clients that come at once
    #[arg(long, default_value_t = 9000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    clients: u32,
    /// Rounds, in each of which the server and bare hyper have a turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Where the journals are written [default: beside this binary]
    #[arg(long, value_name = "DIR")]
    journal_dir: Option<PathBuf>,
    /// The server's binary [default: the one beside this binary]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// Where opening.json is written [default: perf/runs/DATE-HOST]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// End with exit code 1 when a client got nothing, or the bar is not met
    #[arg(long)]
    strict: bool,
}

/// Measures, and prints the table.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    let ended = run(arguments);
    exit::code(ended.map(|report| !arguments.strict || report.is_met()))
}

fn run(arguments: &Arguments) -> Result<Report> {
    let disk = journal_dir(arguments.journal_dir.as_deref())?;
    let server = find_server(arguments.server.as_deref())?;
    let clients = arguments.clients as usize;
    let files_max = raise_open_files_limit();
    if clients as u64 + OTHER_FILES > files_max {
        bail!(
            "--clients {clients} need more open files than the {files_max} that are allowed (ulimit -n)"
        );
    }
    let mut report = Report {
        host: Host::read(),
        notes: notes(&disk),
        clients,
        turns: Vec::new(),
    };
    let output = make_directory(arguments.output.as_deref(), &report.host)?;
    let body_bytes = answer_bytes(&server, &disk)?;
    for round in 1..=arguments.rounds as usize {
        let at_server = || server_turn(&server, &disk, clients, round);
        let at_bare = || bare_turn(body_bytes, clients, round);
        // Another one begins each round.
        let pair = if round % 2 == 1 {
            let first = at_server()?;
            [first, at_bare()?]
        } else {
            let first = at_bare()?;
            [at_server()?, first]
        };
        show(&pair);
        report.turns.push(pair);
        report.write(&output)?;
    }
    println!("{}", report.table());
    eprintln!("written to {}", output.display());
    Ok(report)
}

fn notes(disk: &Path) -> Vec<String> {
    let mut notes = vec![format!(
        "The journals are on {}, with the durability fsync.",
        file_system(disk)
    )];
    if cfg!(debug_assertions) {
        notes.push("Not built with --release: the figures mean nothing.".into());
    }
    notes
}

fn start_server(server: &Path, disk: &Path) -> Result<Running> {
    let settings = [
        ("JOURNAL_DURABILITY", "fsync".to_owned()),
        ("SALE_HOLD_SECONDS", HOLD_SECONDS.to_string()),
    ];
    Running::server(
        server,
        TempDir::with_prefix_in("opening-", disk)?,
        &settings,
    )
}

/// Returns the length of the server's answer to a purchase, the longer of both.
fn answer_bytes(server: &Path, disk: &Path) -> Result<usize> {
    let running = start_server(server, disk)?;
    let checkout = running.ask("POST", "/checkout?user_id=sample&id=ITM-1-0")?;
    let checkout: Value = serde_json::from_str(&checkout)?;
    let code = checkout["code"].as_str().context("a checkout has a code")?;
    let purchase = running.ask("POST", &format!("/purchase?code={code}"))?;
    Ok(purchase.len())
}

fn server_turn(server: &Path, disk: &Path, clients: usize, round: usize) -> Result<Turn> {
    let running = start_server(server, disk)?;
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let opens_at = since_epoch.as_secs() + AHEAD_SECONDS + 1;
    let sale = running.create_sale(clients as u32, opens_at, HOLD_SECONDS)?;
    let address = running.address;
    let crowd = Crowd::prepare(Wish {
        address,
        sale,
        clients,
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let left = Duration::from_secs(opens_at)
        .checked_sub(now)
        .context("the sale has opened before the clients were ready")?;
    let rush = rush(&running, crowd, left)?;
    Ok(Turn::of("flashsale", round, clients, &rush))
}

fn bare_turn(body_bytes: usize, clients: usize, round: usize) -> Result<Turn> {
    let running = Running::bare_hyper(body_bytes)?;
    let wish = Wish {
        address: running.address,
        sale: 1,
        clients,
    };
    let crowd = Crowd::prepare(wish)?;
    let rush = rush(&running, crowd, Duration::from_secs(AHEAD_SECONDS))?;
    let label = Contestant::BareHyper.label();
    Ok(Turn::of(label, round, clients, &rush))
}

/// Has a crowd come to a contestant when `left` is over.
fn rush(running: &Running, crowd: Crowd, left: Duration) -> Result<Rush> {
    let begin = Instant::now() + left;
    let pid = running.process.id();
    let (overflows, cpu_ns) = (listen_overflows(), load::process_ns(pid)?);
    let tally = crowd.rush(begin)?;
    Ok(Rush {
        tally,
        listen_overflows: listen_overflows().saturating_sub(overflows),
        cpu_ns: load::process_ns(pid)?.saturating_sub(cpu_ns),
    })
}

/// Prints a line about what was just measured.
fn show([server, bare]: &[Turn; 2]) {
    let text = |turn: &Turn| {
        format!(
            "{} {} of {} bought, last answer after {:.0} ms",
            turn.contestant, turn.bought, turn.clients, turn.last_answer_ms
        )
    };
    eprintln!("round {}: {} | {}", server.round, text(server), text(bare));
}
