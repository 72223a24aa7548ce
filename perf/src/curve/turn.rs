//! A turn: one contestant under load for some seconds.

use flashsale::telemetry::Outcome as Told;
use serde::Serialize;

use crate::compare::turn::{Latency, latency, ran_out};
use crate::load::{Kind, Mode, Outcome};

/// The figures of one contestant at one rate in one round.
#[derive(Clone, Debug, Serialize)]
pub struct Turn {
    /// The contestant's name as it is shown.
    pub contestant: &'static str,
    /// Number of the round, from 1; nothing before the rounds.
    pub round: Option<usize>,
    /// The rate in percent of the contestant's maximum; nothing in a closed loop.
    pub share_percent: Option<u32>,
    /// Checkouts a second that were asked for; nothing in a closed loop.
    pub asked_per_second: Option<f64>,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Checkouts that were accepted.
    pub accepted: u64,
    /// Answers a second, of any kind.
    pub requests_per_second: f64,
    /// Time until a checkout was accepted, from when it was due; in a closed loop from sending.
    pub latency_us: Latency,
    /// Percent of the requests that the load generator sent late.
    pub late_percent: f64,
    /// CPU time of all processes of the contestant per request.
    pub cpu_us_per_request: Option<f64>,
    /// Why the turn says nothing about the contestant; empty when it is valid.
    pub invalid: Vec<String>,
}

impl Turn {
    /// Returns what `outcome` says of a contestant.
    #[must_use]
    pub fn of(contestant: &'static str, outcome: &Outcome) -> Self {
        let answers = &outcome.record.answers;
        let accepted = answers.of_outcome(Kind::Checkout, Told::Accepted);
        let (times_ns, asked_per_second) = match outcome.plan.mode {
            Mode::Closed => (&accepted.service_ns, None),
            Mode::Open { rate, .. } => (&accepted.corrected_ns, Some(rate)),
        };
        let mut invalid: Vec<_> = outcome.invalid().iter().map(ToString::to_string).collect();
        invalid.extend(ran_out(answers));
        Self {
            contestant,
            round: None,
            share_percent: None,
            asked_per_second,
            seconds: outcome.elapsed.as_secs_f64(),
            accepted: accepted.count(),
            requests_per_second: outcome.answers_per_second(),
            latency_us: latency(times_ns),
            late_percent: outcome.record.late_percent(),
            cpu_us_per_request: outcome.server_cpu.map(|cpu| cpu.us_per_request),
            invalid,
        }
    }
}
