//! A turn: buyers at a rate, spread among all open connections.

use std::fmt;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::SOURCES;
use crate::compare::running::Running;
use crate::load::{self, Arrivals, Mode, Outcome, Plan, Shape, Workload};

/// Arrivals that may wait for a connection.
const QUEUE_MAX: usize = 100_000;
/// The time that the server may take to see that connections are closed.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The buyers of every turn.
pub struct Buyers {
    /// Buyers a second.
    pub rate: f64,
    /// How long they come.
    pub duration: Duration,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Turn {
    /// Number of the round, from 1.
    pub round: u32,
    /// Open connections.
    pub connections: usize,
    /// Answers, without those of the first second.
    pub requests: u64,
    /// Median of the latencies from the moment at which a request was due, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile of the same.
    pub p99_ms: f64,
    /// 99.9th percentile of the same.
    pub p999_ms: f64,
    /// CPU time of the server for each request, in microseconds.
    pub cpu_us: Option<f64>,
    /// What makes the turn say nothing about the server; empty when it is valid.
    pub invalid: Vec<String>,
}

impl Turn {
    /// Opens the connections, lets the buyers come, and waits until the server has seen the end of the connections.
    ///
    /// # Errors
    /// The server does not answer, or keeps connections open that were closed.
    pub fn take(
        running: &Running,
        buyers: &Buyers,
        round: u32,
        connections: usize,
    ) -> Result<Self> {
        let before = open_files(running)?;
        let outcome = load::run(&Plan {
            workload: Workload::Buy,
            mode: Mode::Open {
                rate: buyers.rate,
                arrivals: Arrivals::Poisson,
                shape: Shape::Steady,
                queue: QUEUE_MAX,
            },
            connections,
            sources: SOURCES,
            server_pid: Some(running.process.id()),
            ..Plan::new(running.address, buyers.duration)
        })?;
        let deadline = Instant::now() + PATIENCE;
        // Whatever else it opens meanwhile, such as a segment, is little.
        while open_files(running)? > before + connections / 2 {
            if Instant::now() > deadline {
                bail!("the server keeps connections open that were closed");
            }
            sleep(LOOK_EVERY);
        }
        Ok(Self::of(&outcome, round, connections))
    }

    fn of(outcome: &Outcome, round: u32, connections: usize) -> Self {
        let mut latencies_us = Histogram::<u32>::new(3).expect("three digits are possible");
        for second in outcome.seconds.iter().filter(|it| it.number > 0) {
            latencies_us
                .add(second.all_us())
                .expect("a histogram that grows");
        }
        let ms = |quantile| latencies_us.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            round,
            connections,
            requests: latencies_us.len(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            cpu_us: outcome.server_cpu.map(|cpu| cpu.us_per_request),
            invalid: outcome.invalid().iter().map(ToString::to_string).collect(),
        }
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "round {}, {} connections: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
            self.round, self.connections, self.p50_ms, self.p99_ms, self.p999_ms
        )?;
        for reason in &self.invalid {
            write!(f, "; not valid: {reason}")?;
        }
        Ok(())
    }
}

/// Files that the server has open.
fn open_files(running: &Running) -> Result<usize> {
    let files = fs::read_dir(format!("/proc/{}/fd", running.process.id()))?;
    Ok(files.count())
}
