//! The seconds with maintenance against the others.

use serde::Serialize;

use super::task::{Kind, Task};
use crate::compare::statistics::Spread;
use crate::load;

/// Largest ratio of the 99th percentiles that meets the bar.
const P99_RATIO_MAX: f64 = 1.25;
/// Smallest ratio of the rates that meets the bar.
const RATE_RATIO_MIN: f64 = 0.95;

/// One second of the load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Second {
    /// Its number, from 0.
    pub number: usize,
    /// Answers.
    pub requests: u64,
    /// Median of the latencies, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile of the latencies, in milliseconds.
    pub p99_ms: f64,
    /// The maintenance that went on in it.
    pub maintenance: Vec<Kind>,
}

/// Returns the whole seconds of a run but the first, which is a warm-up.
#[must_use]
pub fn seconds(all: &[load::Second], tasks: &[Task]) -> Vec<Second> {
    let whole = all.iter().filter(|it| it.number > 0 && !it.is_partial);
    let second = |second: &load::Second| {
        let latencies_us = second.all_us();
        let ms = |quantile| latencies_us.value_at_quantile(quantile) as f64 / 1e3;
        Second {
            number: second.number,
            requests: second.classes.iter().sum(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            maintenance: kinds_in(tasks, second.number),
        }
    };
    whole.map(second).collect()
}

fn kinds_in(tasks: &[Task], second: usize) -> Vec<Kind> {
    let is_in = |kind: &Kind| {
        let mut of_kind = tasks.iter().filter(|task| task.kind == *kind);
        of_kind.any(|task| task.touches(second))
    };
    Kind::ALL.into_iter().filter(is_in).collect()
}

/// Some seconds, and what they have in common.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Group {
    /// How many.
    pub seconds: usize,
    /// Answers a second, on average.
    pub requests_per_second: f64,
    /// The 99th percentiles of the seconds, in milliseconds.
    pub p99_ms: Spread,
}

impl Group {
    /// Returns the seconds that `belongs` is true for; `None` where there are none.
    #[must_use]
    pub fn of(seconds: &[Second], belongs: impl Fn(&Second) -> bool) -> Option<Self> {
        let those: Vec<_> = seconds.iter().filter(|it| belongs(it)).collect();
        let requests: u64 = those.iter().map(|it| it.requests).sum();
        Some(Self {
            seconds: those.len(),
            requests_per_second: requests as f64 / those.len() as f64,
            p99_ms: Spread::of(those.iter().map(|it| it.p99_ms))?,
        })
    }
}

/// Ratios of the seconds with maintenance to those without.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratios {
    /// Of the medians of the 99th percentiles.
    pub p99: f64,
    /// Of the largest 99th percentiles.
    pub p99_worst: f64,
    /// Of the answers a second.
    pub requests_per_second: f64,
}

impl Ratios {
    /// Returns the ratios of `group` to `others`.
    #[must_use]
    pub fn of(group: &Group, others: &Group) -> Self {
        Self {
            p99: group.p99_ms.median / others.p99_ms.median,
            p99_worst: group.p99_ms.max / others.p99_ms.max,
            requests_per_second: group.requests_per_second / others.requests_per_second,
        }
    }

    /// Returns whether the median of the 99th percentiles and the rate meet their bars.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.p99 <= P99_RATIO_MAX && self.requests_per_second >= RATE_RATIO_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(number: usize, requests: u64, p99_ms: f64, maintenance: &[Kind]) -> Second {
        Second {
            number,
            requests,
            p50_ms: 1.0,
            p99_ms,
            maintenance: maintenance.to_owned(),
        }
    }

    #[test]
    fn seconds_with_maintenance_are_held_against_the_others() {
        let seconds = [
            second(1, 1000, 2.0, &[]),
            second(2, 960, 2.4, &[Kind::Snapshot, Kind::Trim]),
            second(3, 940, 3.0, &[Kind::Snapshot]),
            second(4, 1000, 4.0, &[]),
        ];
        let quiet = Group::of(&seconds, |it| it.maintenance.is_empty()).expect("two");
        let busy = Group::of(&seconds, |it| !it.maintenance.is_empty()).expect("two");
        assert_eq!((busy.seconds, busy.p99_ms.median), (2, 2.7));
        let ratios = Ratios::of(&busy, &quiet);
        assert!((ratios.p99 - 0.9).abs() < 1e-9 && (ratios.p99_worst - 0.75).abs() < 1e-9);
        assert!((ratios.requests_per_second - 0.95).abs() < 1e-9 && ratios.is_met());
        let trims = |it: &Second| it.maintenance.contains(&Kind::Trim);
        assert_eq!(Group::of(&seconds, trims).map(|it| it.seconds), Some(1));
        let none = |it: &Second| it.maintenance.contains(&Kind::Backup);
        assert_eq!(Group::of(&seconds, none), None);
    }

    #[test]
    fn a_second_has_each_kind_of_maintenance_once() {
        let task = |kind, begin, end| Task { kind, begin, end };
        let tasks = [
            task(Kind::Trim, 3.1, 3.2),
            task(Kind::Segment, 2.5, 3.0),
            task(Kind::Trim, 3.6, 4.2),
        ];
        assert_eq!(kinds_in(&tasks, 3), [Kind::Segment, Kind::Trim]);
        assert_eq!(kinds_in(&tasks, 5), []);
    }
}
