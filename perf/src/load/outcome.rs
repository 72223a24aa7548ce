//! What came of a run, and whether it may be believed.

use std::fmt;
use std::time::{Duration, SystemTime};

use flashsale::telemetry::Outcome as Label;

use super::answer::Kind;
use super::cpu::Cpu;
use super::plan::{Plan, Sale};
use super::record::Record;
use super::second::Second;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was to be done.
    pub plan: Plan,
    /// The sale that was asked for, as it was before everything.
    pub sale: Sale,
    /// When the run began.
    pub started_at: SystemTime,
    /// From there to the last answer.
    pub elapsed: Duration,
    /// What was seen.
    pub record: Record,
    /// The same, second by second.
    pub seconds: Vec<Second>,
    /// What the generator cost.
    pub client_cpu: Cpu,
    /// What the run cost the server, where it is on this machine.
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
    /// Arrivals that were given up because too many waited for a connection.
    NotSent(u64),
    /// Nothing was answered.
    NoAnswers,
    /// Checkouts of items that the sale does not have: how many, and of which sale.
    NoSuchItem(u64, Sale),
    /// The server did not answer any more when the run was over, and why.
    Gone(String),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(percent, allowed, late) => write!(
                f,
                "the generator itself sent {percent:.2} % of the requests more than {} us late; {allowed} % are allowed",
                late.as_micros()
            ),
            Self::NotSent(count) => write!(
                f,
                "{count} arrivals were not sent: the queue for a connection was full, or the run over"
            ),
            Self::NoAnswers => write!(f, "nothing was answered"),
            Self::NoSuchItem(count, sale) => {
                let (id, last) = (sale.id, sale.total_items.saturating_sub(1));
                write!(
                    f,
                    "{count} checkouts were of items that are not there (item_not_found): sale {id} must have ITM-{id}-0 to ITM-{id}-{last}, which --sale and --items say where they are given"
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
        if self.record.not_sent > 0 {
            reasons.push(Invalid::NotSent(self.record.not_sent));
        }
        if self.record.answered() == 0 {
            reasons.push(Invalid::NoAnswers);
        }
        let missing = self.record.outcomes[Kind::Checkout as usize][Label::ItemNotFound as usize];
        if missing > 0 {
            reasons.push(Invalid::NoSuchItem(missing, self.sale));
        }
        reasons.extend(self.gone.clone().map(Invalid::Gone));
        reasons
    }

    /// Answers a second.
    #[must_use]
    pub fn answers_per_second(&self) -> f64 {
        self.record.answered() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}
