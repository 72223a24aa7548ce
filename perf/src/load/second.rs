//! One second of a run.

use hdrhistogram::Histogram;

/// The counts of one thread or of all of them in one second of the run.
#[derive(Clone, Debug)]
pub struct Second {
    /// Its number, from 0.
    pub number: usize,
    /// Arrivals that were due.
    pub planned: u64,
    /// Journeys that were begun.
    pub begun: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// Answers by class: ok, refused, error. Requests that were not answered are errors.
    pub classes: [u64; 3],
    /// Requests that wait for an answer at its end.
    pub in_flight: u64,
    /// Whether the run ended within it.
    pub is_partial: bool,
    /// Corrected latencies of the answers, by [kind](super::Kind), in microseconds.
    pub latency_us: [Histogram<u32>; 3],
}

impl Second {
    pub(super) fn new(number: usize) -> Self {
        // With so few digits and microseconds, a histogram is some ten kilobytes.
        let histogram = || Histogram::new(3).expect("three digits are possible");
        Self {
            number,
            planned: 0,
            begun: 0,
            sent: 0,
            classes: [0; 3],
            in_flight: 0,
            is_partial: false,
            latency_us: std::array::from_fn(|_| histogram()),
        }
    }

    /// Adds what another thread did in the same second.
    pub(super) fn merge(&mut self, other: &Second) {
        self.planned += other.planned;
        self.begun += other.begun;
        self.sent += other.sent;
        self.in_flight += other.in_flight;
        self.is_partial |= other.is_partial;
        for (mine, theirs) in self.classes.iter_mut().zip(other.classes) {
            *mine += theirs;
        }
        for (mine, theirs) in self.latency_us.iter_mut().zip(&other.latency_us) {
            mine.add(theirs).expect("a histogram that grows");
        }
    }

    /// Whether it is a rest of a second in which nothing was due, sent or answered.
    pub(super) fn is_empty_rest(&self) -> bool {
        let counts = [self.planned, self.begun, self.sent, self.in_flight];
        self.is_partial && counts.iter().chain(&self.classes).all(|&count| count == 0)
    }

    /// The latencies of all kinds of requests.
    #[must_use]
    pub fn all_us(&self) -> Histogram<u32> {
        let mut all = self.latency_us[0].clone();
        for kind in &self.latency_us[1..] {
            all.add(kind).expect("a histogram that grows");
        }
        all
    }
}
