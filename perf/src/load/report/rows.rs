//! The rows of a report's tables.

use flashsale::telemetry::Outcome as Label;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::super::answer::{self, Class, Kind};
use super::super::latencies::Latencies;
use super::super::plan::{Mode, Plan};
use super::super::record::{Record, Unknown};
use super::super::second::Second;

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// The number of values.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// Nine of ten are at most this.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1000.
    pub p999: f64,
    /// 9999 of 10000.
    pub p9999: f64,
    /// The greatest.
    pub max: f64,
}

impl Percentiles {
    /// Of a histogram of nanoseconds.
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            count: histogram.len(),
            mean: histogram.mean() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max() as f64 / 1e3,
        }
    }

    /// From the median to the maximum.
    pub(super) fn values(&self) -> [f64; 6] {
        [
            self.p50, self.p90, self.p99, self.p999, self.p9999, self.max,
        ]
    }
}

/// The latencies of some answers. In a closed loop nothing is planned, and there is no corrected one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// A kind of request, a class of answers (`ok`, `refused`, `errors`), `all` or `journey`.
    pub of: &'static str,
    /// From the planned moment to the answer.
    pub corrected_us: Option<Percentiles>,
    /// From sending to the answer; a journey of an open loop has none.
    pub service_us: Option<Percentiles>,
}

impl Latency {
    fn of(of: &'static str, latencies: &Latencies, mode: Mode) -> Self {
        Self {
            of,
            corrected_us: corrected(latencies, mode),
            service_us: Some(Percentiles::of(&latencies.service_ns)),
        }
    }

    /// The one that says what a buyer felt.
    pub(super) fn felt_us(&self) -> Option<Percentiles> {
        self.corrected_us.or(self.service_us)
    }
}

fn corrected(latencies: &Latencies, mode: Mode) -> Option<Percentiles> {
    matches!(mode, Mode::Open { .. }).then(|| Percentiles::of(&latencies.corrected_ns))
}

/// Returns the rows of each kind of request, of each class of answers, of all, and of whole journeys.
pub(super) fn latencies(record: &Record, all: &Latencies, mode: Mode) -> Vec<Latency> {
    let kinds = Kind::ALL
        .into_iter()
        .map(|kind| (kind.name(), record.answers.of_kind(kind)));
    let classes = Class::ALL
        .into_iter()
        .map(|class| (class.name(), record.answers.of_class(class)));
    let mut rows: Vec<_> = kinds
        .chain(classes)
        .filter(|(_, latencies)| latencies.count() > 0)
        .map(|(of, latencies)| Latency::of(of, &latencies, mode))
        .collect();
    rows.push(Latency::of("all", all, mode));
    let journey = Percentiles::of(&record.journey_ns);
    let is_open = matches!(mode, Mode::Open { .. });
    rows.push(Latency {
        of: "journey",
        corrected_us: is_open.then_some(journey),
        service_us: (!is_open).then_some(journey),
    });
    rows
}

/// The number of answers of one kind, and their latencies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutcomeRow {
    /// The request.
    pub kind: Kind,
    /// The status; nothing for answers that the interface does not describe, which may have any.
    pub status: Option<u16>,
    /// The outcome that the answer named.
    pub outcome: &'static str,
    /// The class of the answer.
    pub class: Class,
    /// The number of these answers.
    pub count: u64,
    /// From the planned moment to the answer; not in a closed loop.
    pub corrected_us: Option<Percentiles>,
    /// From sending to the answer.
    pub service_us: Percentiles,
}

pub(super) fn outcomes(record: &Record, mode: Mode) -> Vec<OutcomeRow> {
    let row = |(kind, outcome, latencies): (Kind, Option<Label>, &Latencies)| OutcomeRow {
        kind,
        status: outcome.and_then(|outcome| answer::status_of(kind, outcome)),
        outcome: outcome.map_or("unknown", Label::as_str),
        class: answer::class(outcome),
        count: latencies.count(),
        corrected_us: corrected(latencies, mode),
        service_us: Percentiles::of(&latencies.service_ns),
    };
    record.answers.iter().map(row).collect()
}

/// An answer that the interface does not describe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownAnswer {
    /// The request.
    pub kind: Kind,
    /// The status.
    pub status: u16,
    /// The number of these answers with each status.
    pub count: u64,
    /// The beginning of one body.
    pub body: String,
}

pub(super) fn unknown(record: &Record) -> Vec<UnknownAnswer> {
    let answer = |unknown: &Unknown| UnknownAnswer {
        kind: unknown.kind,
        status: unknown.status,
        count: unknown.count,
        body: unknown.body.clone(),
    };
    record.unknown.iter().map(answer).collect()
}

/// One second of a run. What is counted is counted in the second in which it happened; a latency belongs
/// to that of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SecondRow {
    /// Arrivals that were due.
    pub planned: u64,
    /// Journeys that were begun.
    pub begun: u64,
    /// Requests sent.
    pub sent: u64,
    /// Answers.
    pub answered: u64,
    /// Answers that gave what was asked for.
    pub ok: u64,
    /// Refusals.
    pub refused: u64,
    /// Other answers, and requests that were given up.
    pub errors: u64,
    /// Requests on their way at its end.
    pub in_flight: u64,
    /// The median of the latencies, in microseconds: corrected ones in an open loop, from sending in a
    /// closed one.
    pub p50_us: u64,
    /// Their 99th percentile, in microseconds.
    pub p99_us: u64,
    /// The longest, in microseconds.
    pub max_us: u64,
}

impl SecondRow {
    pub(super) fn of(second: &Second) -> Self {
        let all = second.all_us();
        let [ok, refused, errors] = second.classes;
        Self {
            planned: second.planned,
            begun: second.begun,
            sent: second.sent,
            answered: all.len(),
            ok,
            refused,
            errors,
            in_flight: second.in_flight,
            p50_us: all.value_at_quantile(0.5),
            p99_us: all.value_at_quantile(0.99),
            max_us: all.max(),
        }
    }
}

/// The 99th percentile of the latency in windows, in microseconds: of the corrected one in an open loop. A
/// single stall of the machine does not move their median.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Windows {
    /// Length of a window, in seconds.
    pub window_seconds: usize,
    /// Of checkouts.
    pub checkout: Vec<u64>,
    /// Of purchases.
    pub purchase: Vec<u64>,
    /// Of everything else.
    pub get: Vec<u64>,
}

impl Windows {
    pub(super) fn of(seconds: &[Second], plan: &Plan) -> Self {
        // The answers that came after the end belong to the last window.
        let planned = plan.duration.as_secs().max(1) as usize;
        let cut = planned
            .saturating_sub(planned % plan.window_seconds)
            .max(plan.window_seconds);
        let of_kind = |kind: Kind| {
            let (body, rest) = seconds.split_at(cut.min(seconds.len()));
            let mut windows: Vec<_> = body
                .chunks(plan.window_seconds)
                .map(|it| merged(it, kind))
                .collect();
            match windows.last_mut() {
                Some(last) if planned == cut => {
                    let _ = last.add(merged(rest, kind));
                }
                _ => windows.push(merged(rest, kind)),
            }
            let windows = windows.iter().filter(|window| !window.is_empty());
            windows
                .map(|window| window.value_at_quantile(0.99))
                .collect()
        };
        Self {
            window_seconds: plan.window_seconds,
            checkout: of_kind(Kind::Checkout),
            purchase: of_kind(Kind::Purchase),
            get: of_kind(Kind::Get),
        }
    }
}

fn merged(seconds: &[Second], kind: Kind) -> Histogram<u32> {
    let mut all = Second::new(0).latency_us[kind as usize].clone();
    for second in seconds {
        all.add(&second.latency_us[kind as usize])
            .expect("a histogram that grows");
    }
    all
}
