//! Latency against rate: the server, the floor, bare hyper and the usual designs in an open loop, each at shares of its
//! own maximal rate, which is measured first. The result is a figure and all turns.

mod figure;
mod name;
mod point;
mod rates;
mod report;
mod scale;
mod session;
mod svg;
mod turn;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::compare::contestant::{Contestant, SALE_ITEMS, find_server};
use crate::compare::host::{Host, file_system};
use crate::compare::journal_dir;
use crate::compare::report::make_directory;
use crate::compare::statistics::Spread;
use crate::exit;
use name::Name;
use rates::SHARES_PERCENT;
use report::{Maximum, Report};
use session::{Session, Setting, WARM_UP};
use turn::Turn;

/// Closed loops that find the maximal rate, and how long each is.
const CLOSED_TURNS: usize = 3;
const CLOSED_TURN: Duration = Duration::from_secs(1);
/// Checkouts a second that the items of the server are enough for, while its maximal rate is not known.
const SERVER_PER_SECOND_MAX: u32 = 250_000;
/// Checkouts a second that the items of a usual design are enough for, while its maximal rate is not known. To write
/// more of them beforehand would take long.
const DESIGN_PER_SECOND_MAX: u32 = 100_000;

/// Measures latency against rate in an open loop, and draws it
#[derive(clap::Args)]
pub struct Arguments {
    /// Only these; may be given several times
    #[arg(long, value_name = "NAME", value_enum)]
    only: Vec<Name>,
    /// Rounds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Length of each turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Connections to each
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    connections: u32,
    /// Where the journals are written [default: beside this binary]
    #[arg(long, value_name = "DIR")]
    journal_dir: Option<PathBuf>,
    /// The server's binary [default: the one beside this binary]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// Where curve.json and curve.svg are written [default: perf/runs/DATE-HOST]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Measures, prints the figures as a table, and draws them.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    exit::code(run(arguments).map(|()| true))
}

fn run(arguments: &Arguments) -> Result<()> {
    let disk = journal_dir(arguments.journal_dir.as_deref())?;
    let server = find_server(arguments.server.as_deref())?;
    let names = name::select(&arguments.only);
    let contestants: Vec<_> = names.iter().map(|name| name.contestant(&server)).collect();
    if let Some(program) = contestants.iter().find_map(Contestant::missing) {
        bail!("{program} is not installed: leave its contestant out by --only");
    }
    let setting = Setting {
        disk: &disk,
        body_bytes: answer_bytes(&server, &disk)?,
        connections: arguments.connections as usize,
    };
    let mut report = Report {
        host: Host::read(),
        notes: notes(&disk),
        rounds: arguments.rounds as usize,
        seconds: arguments.seconds,
        connections: setting.connections,
        maxima: Vec::new(),
        turns: Vec::new(),
    };
    let output = make_directory(arguments.output.as_deref(), &report.host)?;
    for (&name, contestant) in names.iter().zip(&contestants) {
        report.maxima.push(maximum(name, contestant, &setting)?);
    }
    let duration = Duration::from_secs(u64::from(arguments.seconds));
    for round in 1..=report.rounds {
        for place in 0..contestants.len() {
            // Another one begins each round.
            let index = (place + round - 1) % contestants.len();
            let maximum = report.maxima[index].requests_per_second.median;
            let turns = turns(&contestants[index], &setting, maximum, round, duration)?;
            report.turns.extend(turns);
        }
        report.write(&output)?;
    }
    println!("{}", report.table());
    eprintln!("written to {}", output.display());
    Ok(())
}

fn notes(disk: &Path) -> Vec<String> {
    let mut notes = vec![format!(
        "Journals are on {}, Postgres and Redis on {} (TMPDIR).",
        file_system(disk),
        file_system(&std::env::temp_dir())
    )];
    if cfg!(debug_assertions) {
        notes.push("Not built with --release: the figures mean nothing.".into());
    }
    notes
}

/// Returns the length of the server's answer to a checkout.
fn answer_bytes(server: &Path, disk: &Path) -> Result<usize> {
    let running = session::start_server(server, disk)?;
    let answer = running.ask("POST", "/checkout?user_id=sample&id=ITM-1-0")?;
    Ok(answer.len())
}

/// Measures how much a contestant does in closed loops.
fn maximum(name: Name, contestant: &Contestant, setting: &Setting) -> Result<Maximum> {
    let closed_per_second = match contestant.is_usual_design() {
        true => DESIGN_PER_SECOND_MAX,
        false => SERVER_PER_SECOND_MAX,
    };
    let time = WARM_UP + CLOSED_TURN * CLOSED_TURNS as u32;
    let items = f64::from(closed_per_second) * time.as_secs_f64();
    let items = items.ceil() as u32 + 1;
    let mut session = Session::start(setting, contestant, items, closed_per_second)?;
    let turns = (0..CLOSED_TURNS).map(|_| session.closed(CLOSED_TURN));
    let turns: Vec<Turn> = turns.collect::<Result<_>>()?;
    let rates = turns.iter().map(|turn| turn.requests_per_second);
    let requests_per_second = Spread::of(rates).context("there are closed loops")?;
    let label = contestant.label();
    eprintln!("{label}: at most {requests_per_second:.0} requests/s");
    Ok(Maximum {
        name,
        contestant: label,
        requests_per_second,
        turns,
    })
}

/// Measures a contestant at all rates, started afresh, and again when its items do not last.
fn turns(
    contestant: &Contestant,
    setting: &Setting,
    maximum: f64,
    round: usize,
    duration: Duration,
) -> Result<Vec<Turn>> {
    let items = rates::items_of_round(maximum, duration, WARM_UP).min(SALE_ITEMS);
    let closed_per_second = rates::closed_per_second(maximum);
    let start = || Session::start(setting, contestant, items, closed_per_second);
    let mut session = start()?;
    let mut turns = Vec::new();
    for share in SHARES_PERCENT {
        let rate = rates::rate_of(maximum, share);
        if rates::items_of_turn(rate, duration) > session.left() {
            drop(session);
            session = start()?;
        }
        let turn = session.open(rate, duration)?;
        let turn = Turn {
            round: Some(round),
            share_percent: Some(share),
            ..turn
        };
        show(&turn);
        turns.push(turn);
    }
    Ok(turns)
}

/// Prints a line about what was just measured.
fn show(turn: &Turn) {
    let Turn {
        contestant,
        latency_us,
        ..
    } = turn;
    let [p50, p99, p999] = [latency_us.p50, latency_us.p99, latency_us.p999].map(|us| us / 1e3);
    eprintln!(
        "round {} {contestant} {} %: {:.0}/s p50 {p50:.3} p99 {p99:.3} p99.9 {p999:.3} ms{}",
        turn.round.unwrap_or(0),
        turn.share_percent.unwrap_or(0),
        turn.requests_per_second,
        if turn.invalid.is_empty() {
            String::new()
        } else {
            format!(", not valid: {}", turn.invalid.join("; "))
        }
    );
}
