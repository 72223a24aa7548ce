//! Which maintenance went on when, from what was seen of the server.

use super::observer::{Observed, Sample};
use super::task::{Kind, Task};

/// CPU time between two samples from which on a thread was at work, in nanoseconds.
const BUSY_NS: u64 = 200_000;
/// Seconds without work after which what follows is another task.
const GAP: f64 = 0.5;
/// Seconds by which a line of the log may be read later than the task has ended.
const LOG_DELAY: f64 = 0.3;
/// Shortest work of the housekeeping thread that counts without a line of the log, in seconds.
const UNNAMED: f64 = 0.2;

/// Returns the tasks of the server's own threads.
#[must_use]
pub fn observed(observed: &Observed) -> Vec<Task> {
    let samples = &observed.samples;
    let segments = stretches(samples, |_, now| now.is_preparing);
    let segments = segments.into_iter().map(|(begin, end)| Task {
        kind: Kind::Segment,
        begin,
        end,
    });
    let lines: Vec<_> = observed
        .messages
        .iter()
        .filter_map(|(at, message)| Some((*at, kind_of(message)?)))
        .collect();
    let is_busy = |before: &Sample, now: &Sample| {
        now.housekeeping_ns.saturating_sub(before.housekeeping_ns) >= BUSY_NS
    };
    let busy = stretches(samples, is_busy).into_iter();
    segments
        .chain(busy.flat_map(|stretch| named(stretch, &lines)))
        .collect()
}

/// Returns the kind of work at whose end the housekeeping thread logs `message`.
fn kind_of(message: &str) -> Option<Kind> {
    Some(match message {
        "snapshot written" => Kind::Snapshot,
        "ended sales have left memory" => Kind::EndedSale,
        "segments that are no longer needed removed" => Kind::Trim,
        _ => return None,
    })
}

/// Returns from when to when `is_at_work` was true of a sample and the one before it.
fn stretches(samples: &[Sample], is_at_work: impl Fn(&Sample, &Sample) -> bool) -> Vec<(f64, f64)> {
    let mut found: Vec<(f64, f64)> = Vec::new();
    for pair in samples.windows(2) {
        let (before, now) = (&pair[0], &pair[1]);
        if !is_at_work(before, now) {
            continue;
        }
        match found.last_mut() {
            Some((_, end)) if before.at - *end < GAP => *end = now.at,
            _ => found.push((before.at, now.at)),
        }
    }
    found
}

/// Divides a stretch of work at the lines that were logged in it, each of which names what led to it.
fn named((begin, end): (f64, f64), lines: &[(f64, Kind)]) -> Vec<Task> {
    let mut tasks = Vec::new();
    let mut since = begin;
    let inside = |at: f64| at >= begin && at <= end + LOG_DELAY;
    for &(at, kind) in lines.iter().filter(|(at, _)| inside(*at)) {
        tasks.push(Task {
            kind,
            begin: since,
            end: at,
        });
        since = at;
    }
    if end - since >= UNNAMED {
        tasks.push(Task {
            kind: Kind::Unnamed,
            begin: since,
            end,
        });
    }
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten samples a second; in the given ones the thread is at work, or a segment is prepared.
    fn samples(busy: &[usize], preparing: &[usize]) -> Vec<Sample> {
        let mut housekeeping_ns = 0;
        let sample = |index: usize| {
            housekeeping_ns += if busy.contains(&index) { BUSY_NS } else { 1 };
            Sample {
                at: index as f64 / 10.0,
                resident_kib: 1,
                housekeeping_ns,
                is_preparing: preparing.contains(&index),
            }
        };
        (0..60).map(sample).collect()
    }

    fn task(kind: Kind, begin: f64, end: f64) -> Task {
        Task { kind, begin, end }
    }

    #[test]
    fn work_is_named_by_the_line_behind_it() {
        let busy: Vec<_> = (11..=20).chain([40]).collect();
        let lines = [
            (1.55, "snapshot written"),
            (1.6, "sale is open"),
            (2.2, "ended sales have left memory"),
            (4.0, "segments that are no longer needed removed"),
        ];
        let seen = Observed {
            samples: samples(&busy, &[30, 31]),
            messages: lines.map(|(at, text)| (at, text.to_owned())).to_vec(),
        };
        let expected = [
            task(Kind::Segment, 2.9, 3.1),
            task(Kind::Snapshot, 1.0, 1.55),
            task(Kind::EndedSale, 1.55, 2.2),
            task(Kind::Trim, 3.9, 4.0),
        ];
        assert_eq!(observed(&seen), expected);
    }

    #[test]
    fn longer_work_without_a_line_has_no_name() {
        let seen = Observed {
            samples: samples(&[5, 20, 21, 22, 24], &[]),
            messages: Vec::new(),
        };
        assert_eq!(observed(&seen), [task(Kind::Unnamed, 1.9, 2.4)]);
    }
}
