//! Writes down what one thread sees, as it happens.

use std::mem;
use std::sync::mpsc::Sender;

use flashsale::telemetry::Outcome;

use super::answer::{Class, Kind, class};
use super::latencies::LATENCY_NS_MAX;
use super::record::{NotSent, Record, Unknown};
use super::second::Second;

/// Nanoseconds of a second.
const SECOND_NS: u64 = 1_000_000_000;
/// Bytes of an unknown answer that are kept.
const UNKNOWN_BYTES: usize = 200;

/// Moments of a request, in nanoseconds from the beginning of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moments {
    /// The time at which it was due.
    pub(super) planned: u64,
    /// Since when its connection could have taken it.
    pub(super) free_since: u64,
    /// The time at which it was sent.
    pub(super) sent: u64,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    Disconnected,
    TimedOut,
    Malformed,
}

/// Records the answers that one thread gets.
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

    /// Arrivals were given up for a reason, which `cause` picks.
    pub(super) fn not_sent(&mut self, arrivals: u64, cause: fn(&mut NotSent) -> &mut u64) {
        *cause(&mut self.record.not_sent) += arrivals;
    }

    /// The server closed the connection between two requests of a journey.
    pub(super) fn cut_short(&mut self) {
        self.record.cut_short += 1;
    }

    /// A request was sent, the first of a journey or a later one.
    pub(super) fn sent(&mut self, moments: Moments, first: bool) {
        let could = moments.planned.max(moments.free_since);
        let lateness = moments.sent.saturating_sub(could);
        self.record.lateness_ns.saturating_record(lateness);
        self.record.late += u64::from(lateness > self.late_ns);
        self.record.sent += 1;
        self.record.begun += u64::from(first);
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
        let service = now.saturating_sub(moments.sent);
        let answers = &mut self.record.answers;
        answers.record(kind, outcome, corrected, service);
        self.second.classes[class(outcome) as usize] += 1;
        let corrected_us = (corrected / 1000).min(LATENCY_NS_MAX / 1000);
        // It grows as far as it must.
        let _ = self.second.latency_us[kind as usize].record(corrected_us);
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
        self.second.is_partial = true;
        self.end_second(0);
        self.record
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use hdrhistogram::Histogram;

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
        let near = |histogram: &Histogram<u64>, ns: u64| histogram.max().abs_diff(ns) < ns / 500;
        let purchases = recorder.record.answers.of_kind(Kind::Purchase);
        assert!(near(&purchases.corrected_ns, 5_000_000));
        assert!(near(&purchases.service_ns, 1_000_000));
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
        let partial: Vec<_> = seconds.iter().map(|second| second.is_partial).collect();
        assert_eq!(partial, [false, false, false, true]);
        assert_eq!(record.lost.total(), 1);
    }
}
