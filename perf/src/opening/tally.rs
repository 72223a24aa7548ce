//! Counts of the answers that the clients of a crowd got, or did not get.

use std::time::Duration;

use flashsale::telemetry::Outcome;
use hdrhistogram::Histogram;

use crate::load::answer::{Class, Kind, class};

/// Longest time that is told apart, in microseconds.
const LONGEST_US: u64 = 60_000_000;

/// Why a client has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was not let in, or its connection ended.
    Connection,
    /// The answer was no response with a length.
    Malformed,
}

/// Counts of one thread's clients, or of all.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Connections that were opened.
    pub connected: u64,
    /// Checkouts that were accepted.
    pub accepted: u64,
    /// Answers that the sale is not on yet; such a client asks again at once.
    pub too_early: u64,
    /// Other refusals that the interface describes.
    pub refused: u64,
    /// Answers with a status of 500 or more.
    pub server_errors: u64,
    /// Answers that the interface does not describe, and bytes that are none.
    pub malformed: u64,
    /// Connections that were refused, reset or ended without an answer.
    pub resets: u64,
    /// Clients that were still waiting at the end.
    pub unanswered: u64,
    /// From the opening until a client's purchase was answered, in microseconds.
    pub bought_us: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            connected: 0,
            accepted: 0,
            too_early: 0,
            refused: 0,
            server_errors: 0,
            malformed: 0,
            resets: 0,
            unanswered: 0,
            bought_us: Histogram::new_with_bounds(1, LONGEST_US, 3)
                .expect("the bounds are possible"),
        }
    }
}

impl Tally {
    /// Counts an answer.
    pub fn answered(&mut self, kind: Kind, outcome: Option<Outcome>, status: u16) {
        match (outcome, class(outcome)) {
            (Some(Outcome::SaleNotActive), _) => self.too_early += 1,
            (_, Class::Ok) => self.accepted += u64::from(kind == Kind::Checkout),
            (_, Class::Refused) => self.refused += 1,
            _ if status >= 500 => self.server_errors += 1,
            _ => self.malformed += 1,
        }
    }

    /// Counts a client whose purchase was answered so long after the opening.
    pub fn bought(&mut self, after: Duration) {
        let us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.bought_us.saturating_record(us);
    }

    /// Counts a client without an answer.
    pub fn failed(&mut self, failure: Failure) {
        match failure {
            Failure::Connection => self.resets += 1,
            Failure::Malformed => self.malformed += 1,
        }
    }

    /// Adds what another thread has seen.
    pub fn merge(&mut self, other: &Self) {
        self.connected += other.connected;
        self.accepted += other.accepted;
        self.too_early += other.too_early;
        self.refused += other.refused;
        self.server_errors += other.server_errors;
        self.malformed += other.malformed;
        self.resets += other.resets;
        self.unanswered += other.unanswered;
        self.bought_us
            .add(&other.bought_us)
            .expect("the same bounds");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_and_every_client_without_one_is_counted() {
        let mut tally = Tally::default();
        tally.answered(Kind::Checkout, Some(Outcome::SaleNotActive), 400);
        tally.answered(Kind::Checkout, Some(Outcome::Accepted), 200);
        tally.answered(Kind::Purchase, Some(Outcome::Sold), 200);
        tally.bought(Duration::from_millis(20));
        assert_eq!((tally.accepted, tally.too_early), (1, 1));
        tally.answered(Kind::Checkout, Some(Outcome::ItemSoldOut), 409);
        tally.answered(Kind::Checkout, Some(Outcome::Overloaded), 503);
        tally.answered(Kind::Checkout, None, 502);
        tally.answered(Kind::Checkout, None, 418);
        tally.failed(Failure::Connection);
        tally.failed(Failure::Malformed);
        let mut all = tally.clone();
        all.merge(&tally);
        assert_eq!((all.server_errors, all.malformed, all.resets), (4, 4, 2));
        assert_eq!((all.refused, all.accepted, all.bought_us.len()), (2, 2, 2));
    }
}
