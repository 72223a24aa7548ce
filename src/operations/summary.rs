//! The summary in `/health`: problems, the progress of the sale, and how long buyers wait.

use serde::Serialize;

use super::view::View;
use crate::telemetry::{Group, Merged, SinkFigures, SinkId, SinkStatus, Windowed, micros, seconds};
use crate::types::counted;

/// The summary of the whole report, in front of its details.
#[derive(Serialize)]
pub(super) struct Summary {
    /// Whether `problems` is empty.
    healthy: bool,
    /// The present problems, in words.
    problems: Vec<String>,
    /// The active sale that began last.
    sale: Option<SaleSummary>,
    /// Answers of the last ten seconds.
    last_10s: AnswerLatencies,
    /// Answers of the window that was asked for.
    in_window: AnswerLatencies,
}

#[derive(Serialize)]
struct SaleSummary {
    id: String,
    total: u64,
    sold: u64,
    held: u64,
    free: u64,
    ended_at: String,
}

/// Answers to checkouts and to purchases apart: buyers who choose wait for the one, buyers who pay for the other.
#[derive(Serialize)]
struct AnswerLatencies {
    checkouts: Waits,
    purchases: Waits,
    refused: Waits,
    /// Answers with a status of 5xx.
    failed: u64,
}

/// Latencies of answers, in microseconds.
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
        sinks: &[(SinkId, SinkFigures)],
    ) -> Self {
        let last_10s = AnswerLatencies::of(view, recent);
        let problems = problems(view, &last_10s, sinks);
        Self {
            healthy: problems.is_empty(),
            problems,
            sale: selling(view),
            in_window: AnswerLatencies::of(view, windowed),
            last_10s,
        }
    }
}

fn selling(view: &View) -> Option<SaleSummary> {
    let sale = view.engine().active_sales().into_iter().next()?;
    let figures = sale.figures();
    Some(SaleSummary {
        id: sale.id().to_string(),
        total: figures.total,
        sold: figures.sold,
        held: figures.held,
        free: figures.free(),
        ended_at: sale.ended_at().to_string(),
    })
}

fn problems(view: &View, recent: &AnswerLatencies, sinks: &[(SinkId, SinkFigures)]) -> Vec<String> {
    let journal = view.engine().journal_status();
    let mut problems = Vec::new();
    let mut add_if =
        |is_so: bool, problem: &str| problems.extend(is_so.then(|| problem.to_owned()));
    add_if(!journal.writable, "the journal takes no records");
    add_if(journal.disk_full, "the journal's disk is full");
    add_if(view.engine().is_draining(), "the server is shutting down");
    let conserved = view.are_all_conserved();
    add_if(
        !conserved,
        "the units of a sale do not add up: run flashsale journal verify",
    );
    add_if(
        view.all_unaccounted() > 0,
        "units are held that no open checkout holds",
    );
    if let Some(reason) = view.replication().and_then(|report| report.silence()) {
        problems.push(format!("the replicated log does not answer: {reason}"));
    }
    for (sink, figures) in sinks {
        if figures.status == SinkStatus::Down {
            let (name, reason) = (sink.name(), &figures.reason);
            problems.push(format!("{name} is not followed: {reason}"));
        }
    }
    if recent.failed > 0 {
        let failed = counted(recent.failed, "answer", "answers");
        problems.push(format!("5xx in the last 10 s: {failed}"));
    }
    problems
}

impl AnswerLatencies {
    fn of(view: &View, windowed: &Windowed) -> Self {
        let counts = &windowed.counts;
        let passed = seconds(view.now_us().saturating_sub(windowed.since_us));
        let waits = |group| Waits::of(counts, group, passed);
        let failed = counts
            .requests()
            .filter(|(route, outcome, _)| outcome.is_failure_of(*route))
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
            max: micros(counts.max()),
        }
    }
}
