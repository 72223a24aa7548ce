//! The result of a run, and whether it may be believed.

use std::fmt;
use std::time::{Duration, SystemTime};

use flashsale::telemetry::Outcome as Label;
use flashsale::types::counted;

use super::answer::{Class, Kind, class};
use super::cpu::Cpu;
use super::plan::{Plan, Sale, Workload};
use super::record::{NotSent, Record};
use super::second::Second;

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The plan of the run.
    pub plan: Plan,
    /// The sale that was asked for, as it was before everything.
    pub sale: Sale,
    /// The time of the first request.
    pub started_at: SystemTime,
    /// From there to the last answer.
    pub elapsed: Duration,
    /// The counts and latencies.
    pub record: Record,
    /// Outcomes second by second.
    pub seconds: Vec<Second>,
    /// The CPU time of the generator.
    pub client_cpu: Cpu,
    /// The CPU time of the server, where it is on this machine.
    pub server_cpu: Option<Cpu>,
    /// The server's memory at the end, in kibibytes.
    pub server_resident_kib: Option<u64>,
    /// Units sold according to the server, before and after the run.
    pub items_sold: Option<(u32, u32)>,
    /// Why the server could not be asked after the run.
    pub gone: Option<String>,
}

/// Why a run says nothing about the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Invalid {
    /// Too many requests were sent late by the generator's fault: percent, and what is allowed.
    Late(f64, f64, Duration),
    /// Arrivals that were not sent, by cause.
    NotSent(NotSent),
    /// Too many answers were refusals that the workload does not expect.
    Refused(Share),
    /// Too many requests ended in an error, or without an answer.
    Failed(Share),
    /// Nothing was answered.
    NoAnswers,
    /// Checkouts of items that the sale does not have: how many, and of which sale.
    NoSuchItem(u64, Sale),
    /// The server did not answer any more when the run was over, and why.
    Gone(String),
}

/// A share, and what is allowed of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The number.
    pub count: u64,
    /// Of how many.
    pub of: u64,
    /// Percent that is allowed.
    pub allowed: f64,
    /// The most frequent ones, in words.
    pub most: String,
    /// The workload.
    pub workload: Workload,
}

impl Share {
    fn percent(&self) -> f64 {
        self.count as f64 / self.of.max(1) as f64 * 100.0
    }

    fn is_over(&self) -> bool {
        self.percent() > self.allowed
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(percent, allowed, late) => write!(
                f,
                "the generator itself sent {percent:.2} % of the requests more than {} us late; {allowed} % are allowed",
                late.as_micros()
            ),
            Self::NotSent(causes) => {
                let causes_in_words = causes
                    .by_cause()
                    .into_iter()
                    .filter(|(count, _)| *count > 0)
                    .map(|(count, cause)| format!("{count} because {cause}"));
                let causes_in_words: Vec<_> = causes_in_words.collect();
                let total = causes.total();
                write!(
                    f,
                    "{} not sent: {}",
                    counted(total, "arrival was", "arrivals were"),
                    causes_in_words.join(", ")
                )
            }
            Self::Refused(share) => write!(
                f,
                "{} of {} answers ({:.1} %) were refusals that the workload {} does not expect, most of them {}; {} % are allowed (--max-refused-percent)",
                share.count,
                share.of,
                share.percent(),
                share.workload.name(),
                share.most,
                share.allowed
            ),
            Self::Failed(share) => write!(
                f,
                "{} of {} requests ({:.1} %) ended in an error or without an answer, most of them {}; {} % are allowed (--max-error-percent)",
                share.count,
                share.of,
                share.percent(),
                share.most,
                share.allowed
            ),
            Self::NoAnswers => write!(f, "nothing was answered"),
            Self::NoSuchItem(count, sale) => {
                let (id, last) = (sale.id, sale.total_items.saturating_sub(1));
                write!(
                    f,
                    "{} not there (item_not_found): sale {id} must have ITM-{id}-0 to ITM-{id}-{last}, which --sale and --items say where they are given",
                    counted(
                        *count,
                        "checkout was of an item that is",
                        "checkouts were of items that are"
                    )
                )
            }
            Self::Gone(why) => write!(f, "the server was gone at the end: {why}"),
        }
    }
}

impl Outcome {
    /// Why the run is invalid; empty when it is valid.
    #[must_use]
    pub fn invalid(&self) -> Vec<Invalid> {
        let mut reasons = Vec::new();
        let (percent, allowed) = (self.record.late_percent(), self.plan.late_percent_max);
        if percent > allowed {
            reasons.push(Invalid::Late(percent, allowed, self.plan.late));
        }
        if self.record.not_sent.total() > 0 {
            reasons.push(Invalid::NotSent(self.record.not_sent));
        }
        if self.record.answered() == 0 {
            reasons.push(Invalid::NoAnswers);
        }
        let answers = &self.record.answers;
        let missing = answers.count(Kind::Checkout, Label::ItemNotFound);
        if missing > 0 {
            reasons.push(Invalid::NoSuchItem(missing, self.sale));
        }
        let failed = self.failed();
        if failed.is_over() {
            reasons.push(Invalid::Failed(failed));
        }
        let refused = self.refused();
        if refused.is_over() {
            reasons.push(Invalid::Refused(refused));
        }
        reasons.extend(self.gone.clone().map(Invalid::Gone));
        reasons
    }

    /// Answers that the workload does not expect, without errors.
    fn refused(&self) -> Share {
        let workload = self.plan.workload;
        let unexpected = |outcome: Option<Label>| {
            class(outcome) != Class::Error && outcome.is_some_and(|it| !workload.expects(it))
        };
        let answers = &self.record.answers;
        let those = answers
            .iter()
            .filter(|&(_, outcome, _)| unexpected(outcome))
            .map(|(kind, outcome, latencies)| (latencies.count(), name(kind, outcome)));
        self.share(
            those.collect(),
            self.record.answered(),
            self.plan.refused_percent_max,
        )
    }

    /// Requests that ended in an error or without an answer, and journeys that the server cut short.
    fn failed(&self) -> Share {
        let (record, lost) = (&self.record, self.record.lost);
        let errors = record
            .answers
            .iter()
            .filter(|&(_, outcome, _)| class(outcome) == Class::Error)
            .map(|(kind, outcome, latencies)| (latencies.count(), name(kind, outcome)));
        let other = [
            (
                lost.disconnected,
                "connections that ended before the answer",
            ),
            (lost.timed_out, "answers that did not come in time"),
            (
                lost.malformed,
                "responses that are not HTTP/1.1 with a length",
            ),
            (record.cut_short, "connections that ended within a journey"),
        ];
        let other = other.map(|(count, what)| (count, what.to_owned()));
        self.share(
            errors.chain(other).collect(),
            record.sent,
            self.plan.error_percent_max,
        )
    }

    fn share(&self, parts: Vec<(u64, String)>, of: u64, allowed: f64) -> Share {
        let most = parts.iter().max_by_key(|(count, _)| *count);
        Share {
            count: parts.iter().map(|(count, _)| count).sum(),
            of,
            allowed,
            most: most.map_or_else(String::new, |(count, what)| format!("{what} ({count})")),
            workload: self.plan.workload,
        }
    }

    /// Answers that gave what was asked for, by the second.
    #[must_use]
    pub fn ok_per_second(&self) -> f64 {
        self.record.of_class(Class::Ok) as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// When a closed loop ended before its time, because nothing was left to ask for.
    #[must_use]
    pub fn ended_early(&self) -> Option<Duration> {
        (self.record.exhausted && self.elapsed < self.plan.duration).then_some(self.elapsed)
    }

    /// Answers a second.
    #[must_use]
    pub fn answers_per_second(&self) -> f64 {
        self.record.answered() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// An answer in words.
fn name(kind: Kind, outcome: Option<Label>) -> String {
    let what = outcome.map_or("not described by the interface", Label::as_str);
    format!("{} {what}", kind.name())
}
