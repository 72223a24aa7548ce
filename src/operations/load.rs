//! The load of each worker over the last seconds.

use std::collections::VecDeque;

use serde::Serialize;

use crate::telemetry::WorkerFigures;

/// Samples that a worker's load is computed from.
const SAMPLES: usize = 10;

/// One worker's load between two samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct WorkerLoad {
    /// Open connections.
    pub connections: u64,
    /// Answered requests.
    pub requests: u64,
    /// The part of the time in which the worker did not wait for events, from 0 to 1.
    pub busy: f64,
}

/// The workers' figures in the last samples.
#[derive(Debug, Default)]
pub(super) struct Load {
    samples: VecDeque<(u64, Vec<WorkerFigures>)>,
}

impl Load {
    /// Adds the workers' figures at `now_us`.
    pub(super) fn sample(&mut self, now_us: u64, workers: Vec<WorkerFigures>) {
        self.samples.push_back((now_us, workers));
        if self.samples.len() > SAMPLES + 1 {
            self.samples.pop_front();
        }
    }

    /// Returns the load between the last two samples.
    pub(super) fn of_last_second(&self) -> Vec<WorkerLoad> {
        self.over(1)
    }

    /// Returns the load over the last ten samples, or as many as there are.
    pub(super) fn of_ten_seconds(&self) -> Vec<WorkerLoad> {
        self.over(SAMPLES)
    }

    fn over(&self, samples: usize) -> Vec<WorkerLoad> {
        let Some((to_us, now)) = self.samples.back() else {
            return Vec::new();
        };
        let first = self.samples.len().saturating_sub(samples + 1);
        let (from_us, then) = &self.samples[first];
        let passed_us = to_us.saturating_sub(*from_us).max(1);
        let load = |(index, now): (usize, &WorkerFigures)| {
            // Workers are never fewer than before.
            let then = then.get(index).copied().unwrap_or_default();
            let busy_us = now.busy_us.saturating_sub(then.busy_us);
            WorkerLoad {
                connections: now.connections,
                requests: now.requests.saturating_sub(then.requests),
                busy: ((busy_us as f64 / passed_us as f64).min(1.0) * 1e3).round() / 1e3,
            }
        };
        now.iter().enumerate().map(load).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_a_difference() {
        let mut load = Load::default();
        assert_eq!(load.of_last_second(), []);
        for second in 0..30_u64 {
            let figures = WorkerFigures {
                connections: second,
                requests: second * second,
                busy_us: second * 250_000,
            };
            load.sample(second * 1_000_000, vec![figures]);
        }
        let expected = |requests| WorkerLoad {
            connections: 29,
            requests,
            busy: 0.25,
        };
        assert_eq!(load.of_last_second(), [expected(29 * 29 - 28 * 28)]);
        assert_eq!(load.of_ten_seconds(), [expected(29 * 29 - 19 * 19)]);
    }
}
