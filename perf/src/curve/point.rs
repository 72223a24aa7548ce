//! The points of the figure: the medians of all rounds.

use serde::Serialize;

use super::turn::Turn;
use crate::compare::statistics::Spread;

/// One contestant at one rate, over all rounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The contestant's name as it is shown.
    pub contestant: &'static str,
    /// The rate in percent of the contestant's maximum.
    pub share_percent: u32,
    /// The rate.
    pub asked_per_second: f64,
    /// The median latency of each round, in microseconds.
    pub p50_us: Spread,
    /// The 99th percentile of each round.
    pub p99_us: Spread,
    /// The 99.9th percentile of each round.
    pub p999_us: Spread,
    /// Rounds.
    pub rounds: usize,
    /// Rounds that were not valid. They do not count while most are valid.
    pub invalid_rounds: usize,
}

impl Point {
    /// Returns the point of a contestant's turns at one rate; `None` without any.
    #[must_use]
    pub fn of(turns: &[&Turn]) -> Option<Self> {
        let valid: Vec<&Turn> = turns
            .iter()
            .copied()
            .filter(|turn| turn.invalid.is_empty())
            .collect();
        let invalid_rounds = turns.len() - valid.len();
        let counted = match is_valid(turns.len(), invalid_rounds) {
            true => &valid,
            false => turns,
        };
        let first = counted.first()?;
        let spread = |of: fn(&Turn) -> f64| Spread::of(counted.iter().map(|turn| of(turn)));
        Some(Self {
            contestant: first.contestant,
            share_percent: first.share_percent?,
            asked_per_second: first.asked_per_second?,
            p50_us: spread(|turn| turn.latency_us.p50)?,
            p99_us: spread(|turn| turn.latency_us.p99)?,
            p999_us: spread(|turn| turn.latency_us.p999)?,
            rounds: turns.len(),
            invalid_rounds,
        })
    }

    /// Returns whether most rounds were valid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        is_valid(self.rounds, self.invalid_rounds)
    }
}

fn is_valid(rounds: usize, invalid: usize) -> bool {
    invalid * 2 < rounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::turn::Latency;

    fn turn(p50: f64, is_valid: bool) -> Turn {
        Turn {
            contestant: "floor",
            round: Some(1),
            share_percent: Some(25),
            asked_per_second: Some(100.0),
            seconds: 1.0,
            accepted: 100,
            requests_per_second: 100.0,
            latency_us: Latency {
                p50,
                p99: 2.0 * p50,
                p999: 3.0 * p50,
            },
            late_percent: 0.0,
            cpu_us_per_request: None,
            invalid: if is_valid {
                vec![]
            } else {
                vec!["late".into()]
            },
        }
    }

    #[test]
    fn rounds_that_are_not_valid_do_not_count_while_most_are() {
        let [good, also_good, bad] = [turn(1.0, true), turn(3.0, true), turn(90.0, false)];
        let point = Point::of(&[&good, &bad, &also_good]).expect("a point");
        assert!(point.is_valid());
        assert_eq!((point.p50_us.median, point.p999_us.max), (2.0, 9.0));
        assert_eq!((point.rounds, point.invalid_rounds), (3, 1));
        let point = Point::of(&[&good, &bad]).expect("a point");
        assert!(!point.is_valid());
        assert_eq!(point.p50_us.max, 90.0, "then all are shown");
        assert_eq!(Point::of(&[]), None);
    }
}
