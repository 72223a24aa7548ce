//! The short part of `/health`: what is wrong, how the sale goes, and how long buyers wait.

use serde::Serialize;

use super::view::View;
use crate::telemetry::{
    Group, Merged, SinkFigures, SinkStatus, Windowed, micros, micros_at_most, seconds,
};

/// A glance at the whole, in front of the details.
#[derive(Serialize)]
pub(super) struct Summary {
    /// Whether `problems` is empty.
    healthy: bool,
    /// What is wrong now, in words.
    problems: Vec<String>,
    /// The active sale that began last.
    sale: Option<Selling>,
    /// Answers of the last ten seconds.
    last_10s: Answers,
    /// Answers of the window that was asked for.
    in_window: Answers,
}

#[derive(Serialize)]
struct Selling {
    id: String,
    total: u64,
    sold: u64,
    held: u64,
    free: u64,
    ended_at: String,
}

/// Checkouts and purchases apart: one is waited for by those who look around, the other by those who pay.
#[derive(Serialize)]
struct Answers {
    checkouts: Waits,
    purchases: Waits,
    refused: Waits,
    /// Answers that say that something is wrong on our side (5xx).
    failed: u64,
}

/// How long answers took, in microseconds.
#[derive(Serialize)]
struct Waits {
    count: u64,
    per_second: f64,
    p50: f64,
    p99: f64,
    max: f64,
}

impl Summary {
    pub(super) fn new(
        view: &View,
        recent: &Windowed,
        windowed: &Windowed,
        sinks: [(&str, &SinkFigures); 2],
    ) -> Self {
        let last_10s = Answers::of(view, recent);
        let problems = problems(view, &last_10s, sinks);
        Self {
            healthy: problems.is_empty(),
            problems,
            sale: selling(view),
            in_window: Answers::of(view, windowed),
            last_10s,
        }
    }
}

fn selling(view: &View) -> Option<Selling> {
    let sale = view.engine().active_sales().into_iter().next()?;
    let figures = sale.figures();
    Some(Selling {
        id: sale.id().to_string(),
        total: figures.total,
        sold: figures.sold,
        held: figures.held,
        free: figures.free(),
        ended_at: sale.ended_at().to_string(),
    })
}

fn problems(view: &View, recent: &Answers, sinks: [(&str, &SinkFigures); 2]) -> Vec<String> {
    let journal = view.engine().journal().status();
    let mut problems = Vec::new();
    let mut say = |is_so: bool, words: &str| problems.extend(is_so.then(|| words.to_owned()));
    say(!journal.writable, "the journal takes no records");
    say(journal.disk_full, "the journal's disk is full");
    say(view.engine().is_draining(), "the server is shutting down");
    let conserved = view.are_all_conserved();
    say(
        !conserved,
        "the units of a sale do not add up: run flashsale journal verify",
    );
    say(
        view.all_unaccounted() > 0,
        "units are held that no open checkout holds",
    );
    for (name, figures) in sinks {
        if figures.status == SinkStatus::Down {
            problems.push(format!("{name} is not followed: {}", figures.reason));
        }
    }
    if recent.failed > 0 {
        let failed = recent.failed;
        problems.push(format!("{failed} answers of the last 10 s were 5xx"));
    }
    problems
}

impl Answers {
    fn of(view: &View, windowed: &Windowed) -> Self {
        let counts = &windowed.counts;
        let passed = seconds(view.now_us().saturating_sub(windowed.since_us));
        let waits = |group| Waits::of(counts, group, passed);
        let failed = counts
            .requests()
            .filter(|(_, outcome, _)| outcome.is_failure())
            .map(|(_, _, counts)| counts.count());
        Self {
            checkouts: waits(Group::Checkouts),
            purchases: waits(Group::Purchases),
            refused: waits(Group::Refused),
            failed: failed.sum(),
        }
    }
}

impl Waits {
    fn of(counts: &Merged, group: Group, passed_seconds: f64) -> Self {
        let counts = counts.group(group);
        let [p50, p99] = counts.at_quantiles([0.5, 0.99]).map(micros);
        let rate = counts.count() as f64 / passed_seconds.max(1.0);
        Self {
            count: counts.count(),
            per_second: (rate * 10.0).round() / 10.0,
            p50,
            p99,
            max: micros_at_most(counts.max()),
        }
    }
}
