//! The server beside bare hyper, the floor of a durable answer and the usual designs on the same machine, in turns: what
//! its requests cost more or less.
//!
//! A row is measured in rounds, in which everyone is started afresh and
//! has a turn. Ratios are formed within a round, because what else the machine does moves
//! neighbours alike; the page shows their medians beside the bars.

mod case;
pub(crate) mod contestant;
mod databases;
mod disk_probe;
mod findings;
pub(crate) mod host;
pub(crate) mod prefill;
pub(crate) mod process;
pub(crate) mod report;
pub(crate) mod round;
pub(crate) mod running;
mod sides;
mod sinks;
pub(crate) mod statistics;
mod table;
pub(crate) mod turn;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::contestants::workers::raise_open_files_limit;
use crate::exit;
use case::{Beside, Case, Medium};
use clap::ValueEnum;
use contestant::{Contestant, Contestants, Guest, find_server};
use host::{Host, file_system};
use process::find_program;
use report::{Measured, Report};
use round::{MEMORY, Round};
use sides::Side;
use turn::{Pace, Turn};

/// Files that are open besides connections.
const OTHER_FILES: u64 = 200;

/// Measures the server beside bare hyper, the floor of a durable answer, the usual designs, and nginx where it is
/// installed
#[derive(clap::Args)]
pub struct Arguments {
    /// Only rows with this in their name; may be given several times
    #[arg(long, value_name = "PATTERN")]
    only: Vec<String>,
    /// Only these beside the server and bare hyper; may be given several times
    #[arg(long, value_name = "NAME", value_enum)]
    with: Vec<Guest>,
    /// Rounds of each row
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Length of each turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Two rounds with turns of a second: whether it works, not how fast it is
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// Where the journals are written [default: beside this binary]
    #[arg(long, value_name = "DIR")]
    journal_dir: Option<PathBuf>,
    /// The server's binary [default: the one beside this binary]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// A second build of the server, to be compared, too
    #[arg(long, value_name = "PATH")]
    server_b: Option<PathBuf>,
    /// Where README.md and turns.json are written [default: perf/runs/DATE-HOST]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// End with exit code 1 when a bar is not met
    #[arg(long)]
    strict: bool,
}

/// Measures, and prints the page.
#[must_use]
pub fn command(arguments: &Arguments) -> ExitCode {
    let ended = run(arguments);
    exit::code(ended.map(|report| !arguments.strict || report.is_met()))
}

fn run(arguments: &Arguments) -> Result<Report> {
    let cases = case::select(&arguments.only)?;
    let (rounds, seconds) = if arguments.quick {
        (2, 1)
    } else {
        (arguments.rounds, arguments.seconds)
    };
    let disk = journal_dir(arguments.journal_dir.as_deref())?;
    let server_b = arguments.server_b.as_deref();
    let server_b = server_b.map(|path| find_server(Some(path))).transpose()?;
    let server = find_server(arguments.server.as_deref())?;
    let nginx = find_program("nginx", &["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let all = Guest::value_variants();
    let guests = if arguments.with.is_empty() {
        all
    } else {
        &arguments.with
    };
    let host = Host::read();
    let mut report = Report {
        notes: notes(&disk, nginx.is_none(), guests),
        rounds: rounds as usize,
        seconds,
        measured: Vec::new(),
        host,
    };
    let contestants = Contestants::new(server, server_b, nginx, guests);
    let output = report::make_directory(arguments.output.as_deref(), &report.host)?;
    let files_max = raise_open_files_limit();
    for case in cases {
        let sides = case.sides(&contestants);
        if let Some(reason) = impossible(case, &sides, files_max) {
            eprintln!("{}: {reason}", case.name);
            report
                .notes
                .push(format!("`{}` was not measured: {reason}.", case.name));
        } else {
            report
                .measured
                .push(measure(case, &sides, &disk, rounds as usize, seconds)?);
        }
        report.write(&output)?;
    }
    println!("{}", report.page());
    eprintln!("written to {}", output.display());
    Ok(report)
}

/// Returns where journals are written: in the directory that is named, or beside this binary.
///
/// # Errors
/// There is no such directory.
pub(crate) fn journal_dir(named: Option<&Path>) -> Result<PathBuf> {
    let Some(named) = named else {
        let beside = std::env::current_exe()?;
        return beside
            .parent()
            .map(Path::to_owned)
            .context("a binary is in a directory");
    };
    if !named.is_dir() {
        bail!(
            "--journal-dir {}: there is no such directory",
            named.display()
        );
    }
    Ok(named.canonicalize()?)
}

fn notes(disk: &Path, without_nginx: bool, guests: &[Guest]) -> Vec<String> {
    let databases = std::env::temp_dir();
    let mut notes = vec![format!(
        "The journals of \"disk\" and \"durability os\" are on {}, those of \"tmpfs\" on {}; Postgres and Redis are on {} \
         (`TMPDIR`).",
        file_system(disk),
        file_system(Path::new(MEMORY)),
        file_system(&databases)
    )];
    if cfg!(debug_assertions) {
        notes.push("**Not built with `--release`: the figures mean nothing.**".into());
    }
    if without_nginx {
        notes.push("nginx is not installed (`apt-get install nginx`).".into());
    }
    let is_away = |guest: &&Guest| !guests.contains(guest);
    let away: Vec<_> = Guest::value_variants().iter().filter(is_away).collect();
    if !away.is_empty() {
        let names = away.iter().filter_map(|guest| guest.to_possible_value());
        let names: Vec<_> = names.map(|it| it.get_name().to_owned()).collect();
        notes.push(format!("By `--with` without {}.", names.join(", ")));
    }
    notes
}

/// Why this machine cannot do a row.
fn impossible(case: &Case, sides: &[Side], files_max: u64) -> Option<String> {
    let connections = sides.iter().map(|side| side.connections as u64).max()?;
    if connections + OTHER_FILES > files_max {
        return Some(format!(
            "{connections} connections need more open files than the {files_max} that are allowed (ulimit -n)"
        ));
    }
    if case.medium == Medium::Tmpfs && !Path::new(MEMORY).is_dir() {
        return Some(format!("there is no {MEMORY}"));
    }
    if case.beside == Beside::BareHyperWithSinks && !databases::has_postgres() {
        return Some("postgresql is not installed".into());
    }
    if case.beside == Beside::BareHyperWithSinks && !databases::has_redis() {
        return Some("redis-server is not installed".into());
    }
    if case.beside == Beside::UsualDesigns {
        return without_usual_designs(sides);
    }
    None
}

/// Returns why the usual designs cannot be measured.
fn without_usual_designs(sides: &[Side]) -> Option<String> {
    let mut contestants = sides.iter().map(|side| &side.contestant);
    if let Some(program) = contestants.clone().find_map(Contestant::missing) {
        return Some(format!("{program} is not installed"));
    }
    if !contestants.any(Contestant::is_usual_design) {
        return Some("none of the usual designs takes part (--with)".into());
    }
    let databases = std::env::temp_dir();
    file_system(&databases).starts_with("tmpfs").then(|| {
        format!(
            "the databases would be in memory, in {}: set TMPDIR to a directory on the disk",
            databases.display()
        )
    })
}

fn measure(
    case: &'static Case,
    sides: &[Side],
    disk: &Path,
    rounds: usize,
    seconds: u32,
) -> Result<Measured> {
    let mut pace = Pace {
        duration: Duration::from_secs(u64::from(seconds)),
        rate: None,
    };
    if case.has_tail() {
        pace.rate = Some(half_of_maximum(case, sides, disk, pace)?);
    }
    let round = |number| {
        let round = round::run(case, sides, number, disk, pace)?;
        show(&round, rounds);
        Ok(round)
    };
    let rounds: Result<Vec<_>> = (1..=rounds).map(round).collect();
    let rounds = rounds.with_context(|| case.name)?;
    let findings = findings::findings(case, sides, &rounds);
    Ok(Measured {
        case,
        rounds,
        findings,
    })
}

/// Half of what the first server answers in a closed loop.
fn half_of_maximum(case: &'static Case, sides: &[Side], disk: &Path, pace: Pace) -> Result<f64> {
    let server = sides.iter().find(|side| side.contestant.is_server());
    let server = server.context("every row has a server")?;
    let alone = round::run(case, std::slice::from_ref(server), 1, disk, pace)?;
    Ok(alone.turns[0].requests_per_second / 2.0)
}

/// Prints a line about what was just measured.
fn show(round: &Round, rounds: usize) {
    let turn = |turn: &Turn| {
        let cpu = turn
            .cpu_us_per_request
            .map(|us| format!(" {us:.2} us"))
            .unwrap_or_default();
        format!("{} {:.0}/s{cpu}", turn.label, turn.requests_per_second)
    };
    let turns: Vec<_> = round.turns.iter().map(turn).collect();
    eprintln!(
        "{} {}/{rounds}: {}",
        round.case,
        round.round,
        turns.join(" | ")
    );
}
