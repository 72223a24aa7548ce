//! A turn: one contestant under load for some seconds, after a short warm-up.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flashsale::telemetry::Outcome as Told;
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::Value;

use super::case::{Beside, Case};
use super::contestant::SALE_ITEMS;
use super::running::{Running, Stock};
use super::sides::Side;
use super::sinks;
use crate::contestants::HOT_ITEM;
use crate::load::{self, Answers, Arrivals, Kind, Mode, Outcome, Plan, Sale, Shape, Workload};

/// How long everything is asked before it is measured.
const WARM_UP: Duration = Duration::from_millis(500);
/// Checkouts that the warm-up of a purchase begins with.
const WARM_UP_CHECKOUTS: u32 = 50_000;
/// Checkouts for a turn of purchases, as a multiple of what the warm-up's rate asks for.
const CHECKOUTS_RESERVE: f64 = 1.5;
/// Checkouts a second that no contestant does more of.
const PER_SECOND_MAX: u32 = 300_000;
/// The prefix of the users that a server knows beforehand.
pub const KNOWN_USERS: &str = "known-";
/// Arrivals of an open loop that may wait for a connection.
const QUEUE_MAX: usize = 100_000;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Turn {
    /// Who.
    pub label: String,
    /// Place in the order of the round, from 0.
    pub place: usize,
    /// Connections.
    pub connections: usize,
    /// Requests a second that were asked for; nothing in a closed loop.
    pub asked_per_second: Option<f64>,
    /// How long it was measured.
    pub seconds: f64,
    /// Answers; with sinks, records that both have.
    pub requests: u64,
    /// Answers that should not have come, and requests without one.
    pub unexpected: u64,
    /// What makes the turn say nothing about the server; empty when it is valid.
    pub invalid: Vec<String>,
    /// Requests by time.
    pub requests_per_second: f64,
    /// CPU time per request, in microseconds, of the contestant's threads and those of its database; nothing with
    /// sinks.
    pub cpu_us_per_request: Option<f64>,
    /// Time until the answer, from sending; in an open loop from when it was due.
    pub latency_us: Latency,
    /// Resident memory at the end.
    pub resident_mebibytes: f64,
    /// The server's figures of its journal, since its start.
    pub journal: Option<JournalFigures>,
}

/// In microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile.
    pub p999: f64,
}

/// Of `/health`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct JournalFigures {
    /// Records by batches.
    pub records_per_batch: f64,
    /// Median time of a write and its sync, in microseconds.
    pub commit_us_p50: f64,
    /// 99th percentile of the same.
    pub commit_us_p99: f64,
}

/// How long a turn is, and how much is asked.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long it is measured.
    pub duration: Duration,
    /// Requests a second; as many as are answered without.
    pub rate: Option<f64>,
}

/// Returns how many items the warm-up and the turn need, in which none is asked for twice.
#[must_use]
pub fn items_wanted(pace: Pace) -> u32 {
    let turn = Plan::new(SocketAddr::from(([127, 0, 0, 1], 0)), pace.duration);
    let turn = u32::try_from(turn.journeys_max()).unwrap_or(u32::MAX);
    turn.saturating_add(2 * WARM_UP_CHECKOUTS)
}

/// Warms `running` up, and measures it. `stock` is what the usual designs sell.
///
/// # Errors
/// It does not answer.
pub fn take(
    case: &Case,
    side: &Side,
    running: &Running,
    stock: Stock,
    pace: Pace,
    place: usize,
) -> Result<Turn> {
    let items = items(side, stock);
    let mut plan = plan(case, side, running, pace);
    plan.sale = given_sale(case, side, items);
    let warm_up = load::run(&Plan {
        duration: WARM_UP,
        mode: Mode::Closed,
        prepare: u64::from(WARM_UP_CHECKOUTS),
        ..plan.clone()
    });
    let warm_up = warm_up.with_context(|| format!("warming {} up", side.label))?;
    let wanted = warm_up.answers_per_second() * pace.duration.as_secs_f64() * CHECKOUTS_RESERVE;
    let left = items.saturating_sub(WARM_UP_CHECKOUTS + 1);
    plan.prepare = (wanted as u64).min(u64::from(left));
    if plan.items_once {
        plan.closed_per_second = per_second_of(left, pace.duration);
    }
    // Neither users nor items of the warm-up come again.
    plan.first_item = WARM_UP_CHECKOUTS;
    if case.workload != Workload::ManyUsers {
        plan.prefix.push_str("again-");
    }
    let keeps_up = case.beside == Beside::BareHyperWithSinks && side.contestant.is_server();
    let applied_before = keeps_up.then(|| sinks::applied(running)).transpose()?;
    let started = Instant::now();
    let outcome = load::run(&plan).with_context(|| format!("measuring {}", side.label))?;
    let applied = applied_before.map(|before| Applied::wait(running, before, started));
    Ok(turn(
        case,
        side,
        &outcome,
        applied.transpose()?,
        place,
        journal_of(side, running)?,
    ))
}

/// Returns for how many checkouts a second the items that are left are enough, as far as any contestant can use them.
fn per_second_of(left: u32, duration: Duration) -> u32 {
    let lasting = f64::from(left) / duration.as_secs_f64();
    (lasting as u32).min(PER_SECOND_MAX)
}

fn plan(case: &Case, side: &Side, running: &Running, pace: Pace) -> Plan {
    let mut plan = Plan::new(running.address, pace.duration);
    plan.workload = case.workload;
    // Bare hyper gives everybody the same answer; what a server should not have said is counted apart.
    plan.refused_percent_max = 100.0;
    plan.connections = side.connections;
    plan.server_pid = Some(running.process.id());
    plan.users = side.users;
    if case.workload == Workload::ManyUsers {
        KNOWN_USERS.clone_into(&mut plan.prefix);
    }
    if let Some(rate) = pace.rate {
        plan.mode = Mode::Open {
            rate,
            arrivals: Arrivals::Poisson,
            shape: Shape::Steady,
            queue: QUEUE_MAX,
        };
    }
    plan.other_pids = running.other_pids();
    // What is held, no later checkout can have. Of the hot item there is more than a turn takes.
    plan.items_once = case.hold_seconds > 0 && !case.is_hot && side.contestant.is_shop();
    plan.listed_item = case.is_hot.then(|| HOT_ITEM.to_owned());
    plan
}

/// Returns how many items a contestant sells.
fn items(side: &Side, stock: Stock) -> u32 {
    match stock {
        Stock::Unique(items) if side.contestant.is_usual_design() => items,
        _ => SALE_ITEMS,
    }
}

/// Returns the sale where it is not asked for: only a server can say which one there is, and none of one item.
fn given_sale(case: &Case, side: &Side, items: u32) -> Option<Sale> {
    let total_items = if case.is_hot { 1 } else { items };
    (case.is_hot || !side.contestant.is_server()).then_some(Sale {
        id: 1,
        total_items,
        items_sold: 0,
    })
}

/// Records that both sinks took, and the time until they had them.
struct Applied {
    records: u64,
    seconds: f64,
}

impl Applied {
    fn wait(running: &Running, before: u64, started: Instant) -> Result<Self> {
        sinks::wait_until_applied(running)?;
        let seconds = started.elapsed().as_secs_f64();
        let records = sinks::applied(running)? - before;
        Ok(Self { records, seconds })
    }
}

fn turn(
    case: &Case,
    side: &Side,
    outcome: &Outcome,
    applied: Option<Applied>,
    place: usize,
    journal: Option<JournalFigures>,
) -> Turn {
    let record = &outcome.record;
    let expected = expected(case, side);
    let answered = record.answered();
    let counted = expected
        .iter()
        .map(|&(kind, told)| record.answers.count(kind, told));
    let as_expected: u64 = counted.sum();
    let latencies = record.answers.of_kind(expected[0].0);
    let times_ns = match outcome.plan.mode {
        Mode::Closed => &latencies.service_ns,
        Mode::Open { .. } => &latencies.corrected_ns,
    };
    let (requests, seconds) = match &applied {
        Some(applied) => (applied.records, applied.seconds),
        None => (answered, outcome.elapsed.as_secs_f64()),
    };
    let mut invalid: Vec<_> = outcome.invalid().iter().map(ToString::to_string).collect();
    if case.workload != Workload::SoldOut {
        invalid.extend(ran_out(&record.answers));
    }
    let cpu = outcome
        .server_cpu
        .filter(|_| case.beside != Beside::BareHyperWithSinks);
    Turn {
        label: side.label.clone(),
        place,
        connections: side.connections,
        asked_per_second: match outcome.plan.mode {
            Mode::Open { rate, .. } => Some(rate),
            Mode::Closed => None,
        },
        seconds,
        requests,
        unexpected: answered - as_expected + record.lost.total(),
        invalid,
        requests_per_second: requests as f64 / seconds,
        cpu_us_per_request: cpu.map(|cpu| cpu.us_per_request),
        latency_us: latency(times_ns),
        resident_mebibytes: outcome.server_resident_kib.unwrap_or(0) as f64 / 1024.0,
        journal,
    }
}

/// What every answer should be. The latencies that are shown are those of the first kind.
fn expected(case: &Case, side: &Side) -> &'static [(Kind, Told)] {
    let refuses = side.contestant.is_shop();
    match case.workload {
        Workload::SoldOut if refuses => &[(Kind::Checkout, Told::ItemSoldOut)],
        Workload::ManyUsers if refuses => &[(Kind::Checkout, Told::UserLimitExceeded)],
        Workload::Purchase => &[(Kind::Purchase, Told::Sold)],
        Workload::Buy => &[
            (Kind::Checkout, Told::Accepted),
            (Kind::Purchase, Told::Sold),
        ],
        Workload::Active => &[(Kind::Get, Told::Ok)],
        _ => &[(Kind::Checkout, Told::Accepted)],
    }
}

/// Returns why a turn in which items ran out says nothing: a refusal is not what was to be measured.
pub fn ran_out(answers: &Answers) -> Option<String> {
    let told = [Told::ItemSoldOut, Told::ItemHeld, Told::AllItemsSold];
    let refused: u64 = told
        .iter()
        .map(|&told| answers.count(Kind::Checkout, told) + answers.count(Kind::Purchase, told))
        .sum();
    (refused > 0)
        .then(|| format!("{refused} requests found their item sold out or held by another"))
}

/// Returns percentiles of times in nanoseconds.
pub fn latency(times_ns: &Histogram<u64>) -> Latency {
    let micros = |quantile| times_ns.value_at_quantile(quantile) as f64 / 1000.0;
    Latency {
        p50: micros(0.5),
        p99: micros(0.99),
        p999: micros(0.999),
    }
}

fn journal_of(side: &Side, running: &Running) -> Result<Option<JournalFigures>> {
    if !side.contestant.is_server() {
        return Ok(None);
    }
    let journal = running.health()?["journal"].take();
    let figure = |name: &str| {
        let number = journal.get(name).and_then(Value::as_f64);
        number.with_context(|| format!("/health does not tell journal.{name}"))
    };
    let (records, batches) = (figure("records")?, figure("batches")?);
    Ok(Some(JournalFigures {
        records_per_batch: records / batches.max(1.0),
        commit_us_p50: figure("commit_us_p50")?,
        commit_us_p99: figure("commit_us_p99")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_shared_out_over_the_turn_and_none_is_asked_for_twice() {
        let [short, long] = [3, 60].map(Duration::from_secs);
        assert_eq!(per_second_of(950_000, short), PER_SECOND_MAX);
        assert_eq!(per_second_of(950_000, long), 15_833);
        let mut plan = Plan::new(SocketAddr::from(([127, 0, 0, 1], 0)), long);
        plan.closed_per_second = per_second_of(950_000, long);
        assert!(plan.journeys_max() <= 950_000, "{}", plan.journeys_max());
    }
}
