//! Goals for the latencies, and whether a run has met them.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use super::answer::Class;
use super::outcome::Outcome;
use super::plan::{Mode, Workload};

/// The longest that a share of the answers may take. In an open loop the corrected latency counts, in a
/// closed one that from sending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Goals {
    /// Of 99 of 100.
    #[serde(rename = "p99_ms", serialize_with = "as_ms")]
    pub p99: Option<Duration>,
    /// Of 999 of 1000.
    #[serde(rename = "p999_ms", serialize_with = "as_ms")]
    pub p999: Option<Duration>,
}

fn as_ms<S: Serializer>(goal: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    goal.map(|goal| goal.as_secs_f64() * 1e3)
        .serialize(serializer)
}

/// A goal, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// The goal in words.
    pub goal: String,
    /// The goal was met.
    pub met: bool,
    /// The figure, in words.
    pub figure: String,
}

impl Goals {
    /// Returns the result of each goal in a run. Answers that succeed are held to it, and refusals, too, where the
    /// workload is about them: apart from each other, because refusals are the faster ones. An error and a
    /// request without an answer took longer than any goal.
    #[must_use]
    pub fn judge(&self, outcome: &Outcome) -> Vec<Goal> {
        let wanted = [("99", 0.99, self.p99), ("99.9", 0.999, self.p999)];
        let wanted = wanted
            .into_iter()
            .filter_map(|(percent, quantile, limit)| Some((percent, quantile, limit?)));
        let judged = |(percent, quantile, limit)| {
            let parts = judged_classes(outcome.plan.workload).iter();
            let parts: Vec<_> = parts
                .filter_map(|&class| part(outcome, class, quantile, limit))
                .collect();
            let figures: Vec<_> = parts.iter().map(|(_, figure)| figure.clone()).collect();
            let ms = limit.as_secs_f64() * 1e3;
            Goal {
                goal: format!("{percent} % of the answers within {ms} ms"),
                met: !parts.is_empty() && parts.iter().all(|(met, _)| *met),
                figure: if figures.is_empty() {
                    "there were none".to_owned()
                } else {
                    figures.join(", ")
                },
            }
        };
        wanted.map(judged).collect()
    }
}

/// The answers that are held to a goal.
fn judged_classes(workload: Workload) -> &'static [Class] {
    match workload {
        Workload::SoldOut => &[Class::Refused],
        Workload::HotItem | Workload::OneUser | Workload::ManyUsers | Workload::Realistic => {
            &[Class::Ok, Class::Refused]
        }
        _ => &[Class::Ok],
    }
}

/// Returns whether the answers of one class met a goal, and the figure; `None` where no such answer was to come.
fn part(
    outcome: &Outcome,
    wanted: Class,
    quantile: f64,
    limit: Duration,
) -> Option<(bool, String)> {
    let record = &outcome.record;
    let latencies = record.answers.of_class(wanted);
    let times_ns = match outcome.plan.mode {
        Mode::Open { .. } => latencies.corrected_ns,
        Mode::Closed => latencies.service_ns,
    };
    let failed = record.of_class(Class::Error) + record.lost.total() + record.not_sent.total();
    if times_ns.is_empty() {
        return None;
    }
    let name = wanted.name();
    let Some(ns) = value_among(&times_ns, failed, quantile) else {
        return Some((false, format!("{name}: so many were never answered")));
    };
    let met = u128::from(ns) <= limit.as_nanos();
    Some((met, format!("{name}: {:.3} ms", ns as f64 / 1e6)))
}

/// The value at a quantile when `failed` values more are longer than all; `None` where it is one of those.
fn value_among(times_ns: &Histogram<u64>, failed: u64, quantile: f64) -> Option<u64> {
    let all = times_ns.len() + failed;
    let rank = (all as f64 * quantile).ceil();
    let share = rank / times_ns.len() as f64;
    (share <= 1.0).then(|| times_ns.value_at_quantile(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_took_longer_than_all() {
        let mut times = Histogram::new(3).expect("three digits are possible");
        (1..=1000_u64).for_each(|value| times.record(value).expect("it grows"));
        assert_eq!(value_among(&times, 0, 0.99), Some(990));
        assert_eq!(value_among(&times, 5, 0.99), Some(995));
        assert_eq!(value_among(&times, 10, 0.99), Some(1000));
        assert_eq!(value_among(&times, 11, 0.99), None);
    }
}
