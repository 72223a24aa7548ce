//! A round: everyone of a row once, next to each other in time.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tempfile::TempDir;

use super::case::{Beside, Case, Medium};
use super::contestant::{Contestant, SALE_ITEMS};
use super::disk_probe::{self, DiskTimes};
use super::prefill::prefill;
use super::running::{Running, Stock, journal_dir};
use super::sides::Side;
use super::sinks::{self, Sinks};
use super::turn::{self, KNOWN_USERS, Pace, Turn};
use crate::contestants::HOT_ITEM;
use crate::load::Workload;

/// Where journals in memory lie.
pub const MEMORY: &str = "/dev/shm";

/// Everyone of a row once.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// The row.
    pub case: &'static str,
    /// Number, from 1.
    pub round: usize,
    /// The disk of the journals, asked directly before the turns.
    pub disk_us: DiskTimes,
    /// The turns, in the order of the row's sides.
    pub turns: Vec<Turn>,
}

/// A contestant that answers, with what follows it.
struct Started {
    running: Running,
    _sinks: Option<Sinks>,
}

/// Starts all `sides` afresh, lets each have its turn, and ends them. Who is first changes with every
/// round.
///
/// # Errors
/// One of them does not start, or does not answer.
pub fn run(
    case: &'static Case,
    sides: &[Side],
    round: usize,
    disk: &Path,
    pace: Pace,
) -> Result<Round> {
    let disk = match case.medium {
        Medium::Disk => disk,
        Medium::Tmpfs => Path::new(MEMORY),
    };
    let stock = stock(case, pace);
    let started = start_all(case, sides, disk, stock)?;
    let disk_us = disk_probe::probe(disk)?;
    let mut turns: Vec<Option<Turn>> = vec![None; sides.len()];
    for place in 0..sides.len() {
        let index = (place + round - 1) % sides.len();
        let running = &started[index].running;
        turns[index] = Some(turn::take(
            case,
            &sides[index],
            running,
            stock,
            pace,
            place,
        )?);
    }
    Ok(Round {
        case: case.name,
        round,
        disk_us,
        turns: turns.into_iter().flatten().collect(),
    })
}

/// Returns what the usual designs sell: no more items than are asked for, because a row of each is written before every round.
fn stock(case: &Case, pace: Pace) -> Stock {
    if case.is_hot {
        return Stock::Hot;
    }
    Stock::Unique(turn::items_wanted(pace).min(SALE_ITEMS))
}

/// The servers first: how long their answers are decides about those of the others.
fn start_all(case: &Case, sides: &[Side], disk: &Path, stock: Stock) -> Result<Vec<Started>> {
    let mut started: Vec<Option<Started>> = Vec::new();
    for side in sides {
        started.push(match &side.contestant {
            Contestant::Server { path, .. } => Some(start_server(case, side, path, disk)?),
            _ => None,
        });
    }
    let server = started
        .iter()
        .flatten()
        .next()
        .context("every row has a server")?;
    let body_bytes = answer_bytes(case, &server.running)?;
    let others = sides.iter().zip(started).map(|(side, started)| {
        if let Some(started) = started {
            return Ok(started);
        }
        let record = match case.workload {
            Workload::Purchase => "purchase",
            _ => "checkout",
        };
        let running = start_guest(&side.contestant, record, body_bytes, stock, disk)?;
        let _sinks = None;
        Ok(Started { running, _sinks })
    });
    others.collect()
}

/// Starts a contestant that is not the server. Bare hyper, nginx and the floor answer `body_bytes`; the floor writes
/// each `record` to `disk`; the usual designs have `stock`.
///
/// # Errors
/// It does not start; says what it wrote.
pub fn start_guest(
    contestant: &Contestant,
    record: &str,
    body_bytes: usize,
    stock: Stock,
    disk: &Path,
) -> Result<Running> {
    match contestant {
        Contestant::Nginx { path } => Running::nginx(path, body_bytes),
        Contestant::Floor => {
            let dir = TempDir::with_prefix_in("compare-", disk)?;
            Running::floor(dir, body_bytes, record)
        }
        Contestant::RedisLua(fsync) => Running::redis_lua(*fsync, stock),
        Contestant::PostgresRow => Running::postgres_row(stock),
        Contestant::BareHyper => Running::bare_hyper(body_bytes),
        Contestant::Server { label, .. } => bail!("{label} is a server"),
    }
}

fn start_server(case: &Case, side: &Side, path: &Path, disk: &Path) -> Result<Started> {
    let dir = TempDir::with_prefix_in("compare-", disk)?;
    if side.users > 0 {
        prefill(&journal_dir(dir.path()), KNOWN_USERS, side.users)?;
    }
    let mut settings = vec![
        ("JOURNAL_DURABILITY", case.durability.to_owned()),
        ("SALE_HOLD_SECONDS", case.hold_seconds.to_string()),
    ];
    let with_sinks = case.beside == Beside::BareHyperWithSinks;
    let sinks = with_sinks.then(Sinks::start);
    settings.extend(sinks.iter().flat_map(Sinks::settings));
    let running = Running::server(path, dir, &settings)?;
    if case.is_hot {
        running.create_hot_sale(case.hold_seconds)?;
    }
    if with_sinks {
        sinks::wait_until_applied(&running)?;
    }
    Ok(Started {
        running,
        _sinks: sinks,
    })
}

/// Length of the body of the answer that the row is about, of a server that is fresh.
fn answer_bytes(case: &Case, server: &Running) -> Result<usize> {
    let item = |index: u32| match case.is_hot {
        true => HOT_ITEM.to_owned(),
        false => format!("ITM-1-{index}"),
    };
    let last = SALE_ITEMS - 1;
    let checkout = |user: &str, index| {
        let path = format!("/checkout?user_id={user}&id={}", item(index));
        server.ask("POST", &path)
    };
    let purchase = |user: &str, index| {
        let answer: serde_json::Value = serde_json::from_str(&checkout(user, index)?)?;
        let code = answer["code"].as_str().context("a checkout has a code")?;
        server.ask("POST", &format!("/purchase?code={code}"))
    };
    let answer = match case.workload {
        Workload::Checkout | Workload::ManyUsers => checkout("sample", last)?,
        // Where both kinds are asked, the longer: a purchase is known by its receipt.
        Workload::Purchase | Workload::Buy => purchase("sample", last)?,
        Workload::Active => server.ask("GET", "/sales/active")?,
        Workload::SoldOut => {
            purchase("sample", 0)?;
            checkout("another-sample", 0)?
        }
        other => bail!("no row asks for {other:?}"),
    };
    Ok(answer.len())
}
