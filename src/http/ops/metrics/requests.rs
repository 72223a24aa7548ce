//! Figures of requests: their outcomes and latencies.

use super::exposition::{Exposition, Family, FamilyKind};
use super::latency::{self, REQUEST_BOUNDS_NS};
use crate::telemetry::{Class, Counts, Merged, Outcome, Route, Series};

/// The series that have samples from the start. Prometheus computes no increase from a series' first sample: a burst of
/// errors before it would raise no alert.
const ALWAYS: [(Route, Outcome); 16] = [
    (Route::Checkout, Outcome::Accepted),
    (Route::Checkout, Outcome::ItemSoldOut),
    (Route::Checkout, Outcome::Overloaded),
    (Route::Checkout, Outcome::JournalUnavailable),
    (Route::Checkout, Outcome::ArchiveUnavailable),
    (Route::Checkout, Outcome::InternalError),
    (Route::Purchase, Outcome::Sold),
    (Route::Purchase, Outcome::Replayed),
    (Route::Purchase, Outcome::AllItemsSold),
    (Route::Purchase, Outcome::Overloaded),
    (Route::Purchase, Outcome::JournalUnavailable),
    (Route::Purchase, Outcome::ArchiveUnavailable),
    (Route::Purchase, Outcome::InternalError),
    (Route::Payment, Outcome::Ok),
    (Route::AdminConfirm, Outcome::Sold),
    (Route::AdminConfirm, Outcome::Replayed),
];

/// The answers of one route with one outcome.
struct Answered<'a> {
    route: Route,
    outcome: Outcome,
    latency: &'a Counts,
}

impl<'a> Answered<'a> {
    fn of(series: Series, merged: &'a Merged) -> Option<Self> {
        let Series::Request(route, outcome) = series else {
            return None;
        };
        let latency = merged.of(series);
        let is_there = !latency.is_empty() || ALWAYS.contains(&(route, outcome));
        is_there.then_some(Self {
            route,
            outcome,
            latency,
        })
    }

    fn labels(&self) -> [(&'static str, &'static str); 2] {
        [
            ("route", self.route.as_str()),
            ("outcome", self.outcome.as_str()),
        ]
    }
}

pub(super) fn write(merged: &Merged, out: &mut Exposition) {
    let answered: Vec<_> = Series::all()
        .filter_map(|series| Answered::of(series, merged))
        .collect();
    let mut requests = out.family(
        "http_requests_total",
        FamilyKind::Counter,
        "Answered requests by route and outcome.",
    );
    for it in &answered {
        requests.sample(&it.labels(), it.latency.count());
    }
    let mut latencies = out.family(
        "http_request_duration_seconds",
        FamilyKind::Histogram,
        "From the head of a request to its answer, by route and outcome.",
    );
    for it in &answered {
        latency::write(&mut latencies, &it.labels(), it.latency, &REQUEST_BOUNDS_NS);
    }
    write_checkouts(&answered, out);
    write_purchases(&answered, out);
}

fn write_checkouts(answered: &[Answered<'_>], out: &mut Exposition) {
    let of = |outcomes| sum(answered, Route::Checkout, outcomes);
    out.counter(
        "checkout_attempts_total",
        "Requests to put an item into a checkout.",
        of(|_| true),
    );
    out.counter(
        "checkout_success_total",
        "Items put into a checkout.",
        of(|outcome| outcome == Outcome::Accepted),
    );
    let mut failures = out.family(
        "checkout_failure_total",
        FamilyKind::Counter,
        "Requests for a checkout that were refused, by reason.",
    );
    write_refusals(answered, Route::Checkout, &mut failures);
}

fn write_purchases(answered: &[Answered<'_>], out: &mut Exposition) {
    let of = |outcomes| sum(answered, Route::Purchase, outcomes);
    out.counter(
        "purchase_attempts_total",
        "Requests to purchase what is in a checkout.",
        of(|_| true),
    );
    out.counter(
        "purchase_success_total",
        "Purchases that got at least one item.",
        of(|outcome| outcome == Outcome::Sold),
    );
    out.counter(
        "purchase_replayed_total",
        "Purchases asked for again under their key, and answered as before.",
        of(|outcome| outcome == Outcome::Replayed),
    );
    let mut failures = out.family(
        "purchase_failure_total",
        FamilyKind::Counter,
        "Purchases that were refused, by reason.",
    );
    write_refusals(answered, Route::Purchase, &mut failures);
}

fn sum(answered: &[Answered<'_>], route: Route, outcomes: fn(Outcome) -> bool) -> u64 {
    let matching = answered
        .iter()
        .filter(|it| it.route == route && outcomes(it.outcome));
    matching.map(|it| it.latency.count()).sum()
}

fn write_refusals(answered: &[Answered<'_>], route: Route, family: &mut Family<'_>) {
    let refused = answered
        .iter()
        .filter(|it| it.route == route && Class::of(route, it.outcome) == Class::Refused);
    for it in refused {
        family.sample(&[("reason", it.outcome.as_str())], it.latency.count());
    }
}

#[cfg(test)]
mod tests {
    use super::super::exposition::MetricsFormat;
    use super::*;

    fn before_the_first() -> String {
        let mut out = Exposition::new(MetricsFormat::Prometheus);
        write(&Merged::default(), &mut out);
        out.finish()
    }

    #[test]
    fn payments_are_there_before_the_first() {
        let text = before_the_first();
        for (route, outcome) in [
            ("payment", "ok"),
            ("admin_confirm", "sold"),
            ("admin_confirm", "replayed"),
        ] {
            let sample =
                format!("http_requests_total{{route=\"{route}\",outcome=\"{outcome}\"}} 0\n");
            assert!(text.contains(&sample), "{sample}: {text}");
        }
    }

    #[test]
    fn errors_are_there_before_the_first() {
        let text = before_the_first();
        for route in ["checkout", "purchase"] {
            for outcome in [
                "overloaded",
                "journal_unavailable",
                "archive_unavailable",
                "internal_error",
            ] {
                let sample =
                    format!("http_requests_total{{route=\"{route}\",outcome=\"{outcome}\"}} 0\n");
                assert!(text.contains(&sample), "{sample}: {text}");
            }
        }
    }
}
