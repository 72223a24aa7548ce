//! What a run has seen: counts and latencies, one record a thread, put together at the end.

use flashsale::telemetry::Outcome;
use hdrhistogram::Histogram;

use super::answer::{Class, Kind, class};
use super::receipt::Receipts;

/// Longest latency that is told apart, in nanoseconds; longer ones count as this.
pub(super) const LATENCY_NS_MAX: u64 = 600_000_000_000;
/// Most different unknown answers that are kept.
const UNKNOWN_MAX: usize = 16;

/// An answer that the interface does not describe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The request.
    pub kind: Kind,
    /// The status.
    pub status: u16,
    /// The beginning of the body.
    pub body: String,
    /// How often this status came.
    pub count: u64,
}

/// Requests without an answer, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// The connection ended first.
    pub disconnected: u64,
    /// It took longer than the plan's timeout, or the run's end.
    pub timed_out: u64,
    /// What came back was no response with a length.
    pub malformed: u64,
}

impl Lost {
    /// All of them.
    #[must_use]
    pub fn total(self) -> u64 {
        self.disconnected + self.timed_out + self.malformed
    }
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Record {
    /// From the planned moment to the whole answer, by [`Kind`], in nanoseconds.
    pub corrected_ns: [Histogram<u64>; 3],
    /// From sending to the whole answer, by [`Kind`], in nanoseconds.
    pub service_ns: [Histogram<u64>; 3],
    /// From the planned moment of a journey to its last answer, in nanoseconds.
    pub journey_ns: Histogram<u64>,
    /// From the moment at which a request could have been sent to that at which it was.
    pub lateness_ns: Histogram<u64>,
    /// Requests sent late by the generator's fault.
    pub late: u64,
    /// Requests sent.
    pub sent: u64,
    /// Arrivals that were due.
    pub planned: u64,
    /// Arrivals that were given up because too many waited.
    pub not_sent: u64,
    /// Answers by kind and outcome.
    pub outcomes: [[u64; Outcome::ALL.len()]; 3],
    /// Answers that the interface does not describe.
    pub unknown: Vec<Unknown>,
    /// Requests without an answer.
    pub lost: Lost,
    /// Connections that were opened again.
    pub reconnected: u64,
    /// Attempts to connect that failed.
    pub connect_failed: u64,
    /// What was sold, according to the answers.
    pub receipts: Receipts,
}

fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("the bounds are possible")
}

impl Default for Record {
    fn default() -> Self {
        Self {
            corrected_ns: std::array::from_fn(|_| latencies()),
            service_ns: std::array::from_fn(|_| latencies()),
            journey_ns: latencies(),
            lateness_ns: latencies(),
            late: 0,
            sent: 0,
            planned: 0,
            not_sent: 0,
            outcomes: [[0; Outcome::ALL.len()]; 3],
            unknown: Vec::new(),
            lost: Lost::default(),
            reconnected: 0,
            connect_failed: 0,
            receipts: Receipts::default(),
        }
    }
}

impl Record {
    /// Takes over what another thread has seen.
    pub(super) fn merge(&mut self, other: Record) {
        let pairs = self.corrected_ns.iter_mut().zip(&other.corrected_ns);
        let pairs = pairs.chain(self.service_ns.iter_mut().zip(&other.service_ns));
        let single = [
            (&mut self.journey_ns, &other.journey_ns),
            (&mut self.lateness_ns, &other.lateness_ns),
        ];
        for (mine, theirs) in pairs.chain(single) {
            mine.add(theirs).expect("the same bounds");
        }
        self.late += other.late;
        self.sent += other.sent;
        self.planned += other.planned;
        self.not_sent += other.not_sent;
        self.lost.disconnected += other.lost.disconnected;
        self.lost.timed_out += other.lost.timed_out;
        self.lost.malformed += other.lost.malformed;
        self.reconnected += other.reconnected;
        self.connect_failed += other.connect_failed;
        let mine = self.outcomes.as_flattened_mut().iter_mut();
        for (mine, theirs) in mine.zip(other.outcomes.as_flattened()) {
            *mine += theirs;
        }
        for unknown in other.unknown {
            self.add_unknown(unknown);
        }
        self.receipts.merge(other.receipts);
    }

    pub(super) fn add_unknown(&mut self, unknown: Unknown) {
        let same =
            |known: &&mut Unknown| (known.kind, known.status) == (unknown.kind, unknown.status);
        if let Some(known) = self.unknown.iter_mut().find(same) {
            known.count += unknown.count;
        } else if self.unknown.len() < UNKNOWN_MAX {
            self.unknown.push(unknown);
        } else if let Some(last) = self.unknown.last_mut() {
            last.count += unknown.count;
        }
    }

    /// Answers that came, whatever they said.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.service_ns.iter().map(Histogram::len).sum()
    }

    /// Answers of a class.
    #[must_use]
    pub fn of_class(&self, wanted: Class) -> u64 {
        let known = self.outcomes.iter().flat_map(|counts| {
            let labelled = Outcome::ALL.iter().zip(counts);
            labelled.filter(|(outcome, _)| class(Some(**outcome)) == wanted)
        });
        let known: u64 = known.map(|(_, count)| count).sum();
        if wanted == Class::Error {
            known + self.unknown_answers()
        } else {
            known
        }
    }

    /// Answers that the interface does not describe.
    #[must_use]
    pub fn unknown_answers(&self) -> u64 {
        self.unknown.iter().map(|unknown| unknown.count).sum()
    }

    /// Share of requests sent late by the generator's fault, in percent.
    #[must_use]
    pub fn late_percent(&self) -> f64 {
        if self.sent == 0 {
            0.0
        } else {
            self.late as f64 / self.sent as f64 * 100.0
        }
    }
}
