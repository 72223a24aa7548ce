//! What each worker has to do, over the last seconds.

use std::collections::VecDeque;

use serde::Serialize;

use crate::telemetry::WorkerFigures;

/// Looks that a worker's load is told from.
const LOOKS: usize = 10;

/// One worker's load between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct WorkerLoad {
    /// Connections that are open now.
    pub connections: u64,
    /// Requests that it answered.
    pub requests: u64,
    /// The part of the time in which it did not wait for something to do, from 0 to 1.
    pub busy: f64,
}

/// The workers' figures at the last looks.
#[derive(Debug, Default)]
pub(super) struct Load {
    looks: VecDeque<(u64, Vec<WorkerFigures>)>,
}

impl Load {
    /// Notes the workers' figures at `now_us`.
    pub(super) fn look(&mut self, now_us: u64, workers: Vec<WorkerFigures>) {
        self.looks.push_back((now_us, workers));
        if self.looks.len() > LOOKS + 1 {
            self.looks.pop_front();
        }
    }

    /// Between the last two looks.
    pub(super) fn lately(&self) -> Vec<WorkerLoad> {
        self.over(1)
    }

    /// Over the last ten looks, or as many as there are.
    pub(super) fn of_ten(&self) -> Vec<WorkerLoad> {
        self.over(LOOKS)
    }

    fn over(&self, looks: usize) -> Vec<WorkerLoad> {
        let Some((to_us, now)) = self.looks.back() else {
            return Vec::new();
        };
        let first = self.looks.len().saturating_sub(looks + 1);
        let (from_us, then) = &self.looks[first];
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
        assert_eq!(load.lately(), []);
        for second in 0..30_u64 {
            let figures = WorkerFigures {
                connections: second,
                requests: second * second,
                busy_us: second * 250_000,
            };
            load.look(second * 1_000_000, vec![figures]);
        }
        let expected = |requests| WorkerLoad {
            connections: 29,
            requests,
            busy: 0.25,
        };
        assert_eq!(load.lately(), [expected(29 * 29 - 28 * 28)]);
        assert_eq!(load.of_ten(), [expected(29 * 29 - 19 * 19)]);
    }
}
