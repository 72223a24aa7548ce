//! What a run has seen: counts and latencies, one recorder a thread, put together at the end.

use std::mem;
use std::sync::mpsc::Sender;

use flashsale::telemetry::Outcome;
use hdrhistogram::Histogram;

use super::answer::{Class, Kind, class};
use super::receipt::Receipts;

/// Longest latency that is told apart, in nanoseconds; longer ones count as this.
const LATENCY_NS_MAX: u64 = 600_000_000_000;
/// Nanoseconds of a second.
pub(super) const SECOND_NS: u64 = 1_000_000_000;
/// Most different unknown answers that are kept.
const UNKNOWN_MAX: usize = 16;
/// Bytes of an unknown answer that are kept.
const UNKNOWN_BYTES: usize = 200;

/// Moments of a request, in nanoseconds from the beginning of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    /// When it was due.
    pub planned: u64,
    /// Since when its connection could have taken it.
    pub free_since: u64,
    /// When it was sent.
    pub sent: u64,
}

/// What one thread or all of them did in one second of the run.
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
    /// Answers by [`Class`]: ok, refused, error; and requests that were not answered.
    pub classes: [u64; 3],
    /// Requests that wait for an answer at its end.
    pub in_flight: u64,
    /// Corrected latencies of the answers, by [`Kind`], in microseconds.
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
            latency_us: std::array::from_fn(|_| histogram()),
        }
    }

    /// Adds what another thread did in the same second.
    pub(super) fn merge(&mut self, other: &Second) {
        self.planned += other.planned;
        self.begun += other.begun;
        self.sent += other.sent;
        self.in_flight += other.in_flight;
        for (mine, theirs) in self.classes.iter_mut().zip(other.classes) {
            *mine += theirs;
        }
        for (mine, theirs) in self.latency_us.iter_mut().zip(&other.latency_us) {
            mine.add(theirs).expect("a histogram that grows");
        }
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

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    Disconnected,
    TimedOut,
    Malformed,
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
    /// Connections that were opened again, and attempts that failed.
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

    fn add_unknown(&mut self, unknown: Unknown) {
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

/// What one thread sees.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) record: Record,
    second: Second,
    seconds: Sender<Second>,
    late_ns: u64,
}

impl Recorder {
    pub(super) fn new(late_ns: u64, seconds: Sender<Second>) -> Self {
        Self {
            record: Record::default(),
            second: Second::new(0),
            seconds,
            late_ns,
        }
    }

    /// An arrival was due.
    pub(super) fn planned(&mut self) {
        self.record.planned += 1;
        self.second.planned += 1;
    }

    /// An arrival was given up.
    pub(super) fn not_sent(&mut self, arrivals: u64) {
        self.record.not_sent += arrivals;
    }

    /// A request was sent, the first of a journey or a later one.
    pub(super) fn sent(&mut self, moments: Moments, first: bool) {
        let could = moments.planned.max(moments.free_since);
        let lateness = moments.sent.saturating_sub(could);
        self.record.lateness_ns.saturating_record(lateness);
        self.record.late += u64::from(lateness > self.late_ns);
        self.record.sent += 1;
        self.second.sent += 1;
        self.second.begun += u64::from(first);
    }

    /// An answer came at `now`.
    pub(super) fn answered(
        &mut self,
        kind: Kind,
        moments: Moments,
        now: u64,
        outcome: Option<Outcome>,
    ) {
        let corrected = now.saturating_sub(moments.planned);
        let index = kind as usize;
        self.record.corrected_ns[index].saturating_record(corrected);
        let service = now.saturating_sub(moments.sent);
        self.record.service_ns[index].saturating_record(service);
        if let Some(outcome) = outcome {
            self.record.outcomes[index][outcome as usize] += 1;
        }
        self.second.classes[class(outcome) as usize] += 1;
        let corrected_us = (corrected / 1000).min(LATENCY_NS_MAX / 1000);
        // It grows as far as it must.
        let _ = self.second.latency_us[index].record(corrected_us);
    }

    /// The answer is one that the interface does not describe.
    pub(super) fn unknown(&mut self, kind: Kind, status: u16, body: &[u8]) {
        let body = String::from_utf8_lossy(&body[..body.len().min(UNKNOWN_BYTES)]).into_owned();
        self.record.add_unknown(Unknown {
            kind,
            status,
            body,
            count: 1,
        });
    }

    /// The last answer of a journey came at `now`.
    pub(super) fn journey_over(&mut self, planned: u64, now: u64) {
        let whole = now.saturating_sub(planned);
        self.record.journey_ns.saturating_record(whole);
    }

    /// A request will have no answer.
    pub(super) fn lost(&mut self, loss: Loss) {
        let lost = &mut self.record.lost;
        *match loss {
            Loss::Disconnected => &mut lost.disconnected,
            Loss::TimedOut => &mut lost.timed_out,
            Loss::Malformed => &mut lost.malformed,
        } += 1;
        self.second.classes[Class::Error as usize] += 1;
    }

    /// Hands over the seconds that are over at `now`.
    pub(super) fn turn(&mut self, now: u64, in_flight: usize) {
        while now >= (self.second.number as u64 + 1) * SECOND_NS {
            self.end_second(in_flight);
        }
    }

    fn end_second(&mut self, in_flight: usize) {
        let next = Second::new(self.second.number + 1);
        let mut over = mem::replace(&mut self.second, next);
        over.in_flight = in_flight as u64;
        // Nobody listens any more only when the run has failed elsewhere.
        let _ = self.seconds.send(over);
    }

    /// The end of the run.
    pub(super) fn finish(mut self) -> Record {
        self.end_second(0);
        self.record
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn recorder() -> Recorder {
        Recorder::new(1000, channel().0)
    }

    fn moments(planned: u64, free_since: u64, sent: u64) -> Moments {
        Moments {
            planned,
            free_since,
            sent,
        }
    }

    #[test]
    fn only_the_generators_own_delay_makes_a_request_late() {
        let mut recorder = recorder();
        recorder.sent(moments(10_000, 0, 11_000), true);
        assert_eq!(recorder.record.late, 0, "as late as is allowed");
        recorder.sent(moments(10_000, 0, 11_001), true);
        assert_eq!(recorder.record.late, 1);
        recorder.sent(moments(10_000, 90_000, 91_000), true);
        assert_eq!(recorder.record.late, 1, "no connection was free before");
        recorder.sent(moments(10_000, 90_000, 92_000), true);
        assert_eq!(recorder.record.late, 2, "one was free and was not used");
        assert_eq!(recorder.record.lateness_ns.max(), 2000);
        assert!((recorder.record.late_percent() - 50.0).abs() < 1e-9);
    }

    #[test]
    fn latency_counts_from_the_plan_and_from_sending() {
        let mut recorder = recorder();
        let moments = moments(1_000_000, 5_000_000, 5_000_000);
        recorder.answered(Kind::Purchase, moments, 6_000_000, Some(Outcome::Sold));
        let index = Kind::Purchase as usize;
        let near = |histogram: &Histogram<u64>, ns: u64| histogram.max().abs_diff(ns) < ns / 500;
        assert!(near(&recorder.record.corrected_ns[index], 5_000_000));
        assert!(near(&recorder.record.service_ns[index], 1_000_000));
        assert_eq!(recorder.record.answered(), 1);
        assert_eq!(recorder.record.of_class(Class::Ok), 1);
    }

    #[test]
    fn seconds_are_handed_over_when_they_are_over() {
        let (sender, receiver) = channel();
        let mut recorder = Recorder::new(1000, sender);
        recorder.planned();
        recorder.turn(SECOND_NS - 1, 7);
        recorder.turn(3 * SECOND_NS, 2);
        recorder.lost(Loss::TimedOut);
        let record = recorder.finish();
        let seconds: Vec<_> = receiver.iter().collect();
        let numbers: Vec<_> = seconds
            .iter()
            .map(|second| (second.number, second.planned))
            .collect();
        assert_eq!(numbers, [(0, 1), (1, 0), (2, 0), (3, 0)]);
        assert_eq!(seconds[3].classes[Class::Error as usize], 1);
        assert_eq!(record.lost.total(), 1);
    }
}
