//! The record of a run: counts and latencies, one record a thread, put together at the end.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::answer::{Class, Kind, class};
use super::latencies::{Answers, histogram};
use super::receipt::Receipts;

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
    /// The number of answers with this status.
    pub count: u64,
}

/// Requests without an answer, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// The connection ended first.
    pub disconnected: u64,
    /// The answer took longer than the plan's timeout, or the run's end.
    pub timed_out: u64,
    /// The answer was no response with a length.
    pub malformed: u64,
}

impl Lost {
    /// All of them.
    #[must_use]
    pub fn total(self) -> u64 {
        self.disconnected + self.timed_out + self.malformed
    }
}

/// Arrivals that were not sent, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NotSent {
    /// As many arrivals waited for a connection as the plan allows.
    pub queue_full: u64,
    /// No connection was open: the server had closed them, or takes no more.
    pub no_connection: u64,
    /// They waited for a connection until the run was over.
    pub run_over: u64,
    /// Every free item or prepared checkout was used up.
    pub nothing_left: u64,
}

impl NotSent {
    /// All of them.
    #[must_use]
    pub fn total(self) -> u64 {
        self.by_cause().iter().map(|(count, _)| count).sum()
    }

    /// Returns how many have each cause, and the cause in words.
    #[must_use]
    pub fn by_cause(self) -> [(u64, &'static str); 4] {
        [
            (self.queue_full, "the queue for a connection was full"),
            (self.no_connection, "no connection was open"),
            (
                self.run_over,
                "no connection was free before the run was over",
            ),
            (
                self.nothing_left,
                "all free items or prepared checkouts were used up",
            ),
        ]
    }

    fn merge(&mut self, other: Self) {
        self.queue_full += other.queue_full;
        self.no_connection += other.no_connection;
        self.run_over += other.run_over;
        self.nothing_left += other.nothing_left;
    }
}

/// The counts and latencies of one thread or of a run.
#[derive(Clone, Debug)]
pub struct Record {
    /// The answers, with their latencies.
    pub answers: Answers,
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
    /// Journeys that were begun.
    pub begun: u64,
    /// Arrivals that were not sent, by cause.
    pub not_sent: NotSent,
    /// Journeys that ended early because the server closed the connection behind an answer.
    pub cut_short: u64,
    /// All free items or prepared checkouts were used up before the run was over.
    pub exhausted: bool,
    /// Answers that the interface does not describe.
    pub unknown: Vec<Unknown>,
    /// Requests without an answer.
    pub lost: Lost,
    /// Connections that were opened again.
    pub reconnected: u64,
    /// Attempts to connect that failed.
    pub connect_failed: u64,
    /// The units that were sold, according to the answers.
    pub receipts: Receipts,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            answers: Answers::default(),
            journey_ns: histogram(),
            lateness_ns: histogram(),
            late: 0,
            sent: 0,
            planned: 0,
            begun: 0,
            not_sent: NotSent::default(),
            cut_short: 0,
            exhausted: false,
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
        self.answers.merge(&other.answers);
        for (mine, theirs) in [
            (&mut self.journey_ns, &other.journey_ns),
            (&mut self.lateness_ns, &other.lateness_ns),
        ] {
            mine.add(theirs).expect("the same bounds");
        }
        self.late += other.late;
        self.sent += other.sent;
        self.planned += other.planned;
        self.begun += other.begun;
        self.not_sent.merge(other.not_sent);
        self.cut_short += other.cut_short;
        self.exhausted |= other.exhausted;
        self.lost.disconnected += other.lost.disconnected;
        self.lost.timed_out += other.lost.timed_out;
        self.lost.malformed += other.lost.malformed;
        self.reconnected += other.reconnected;
        self.connect_failed += other.connect_failed;
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
        self.answers.count_where(|_, _| true)
    }

    /// Answers of a class.
    #[must_use]
    pub fn of_class(&self, wanted: Class) -> u64 {
        self.answers
            .count_where(|_, outcome| class(outcome) == wanted)
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
