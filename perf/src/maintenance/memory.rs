//! Memory that the server takes for a snapshot, beside the memory of the state that it is of.

use serde::Serialize;

use super::observer::Sample;
use super::task::{Kind, Task};
use crate::compare::statistics::Spread;

/// Largest memory of a snapshot that meets the bar, as a multiple of the state's.
const RATIO_MAX: f64 = 1.3;
/// Seconds over which the growth by new users is measured.
const WINDOW: f64 = 1.0;

/// The memory of one snapshot, in mebibytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SnapshotMemory {
    /// When it began, in seconds.
    pub begin: f64,
    /// Resident memory before.
    pub before: f64,
    /// The largest resident memory meanwhile.
    pub peak: f64,
    /// The memory that new users took in that time, as far as it is known from the time without snapshots.
    pub growth: f64,
    /// The memory of the state: resident memory before, without that of a server that remembers nothing.
    pub state: f64,
    /// `(peak - before - growth) / state`.
    pub ratio: f64,
}

impl SnapshotMemory {
    /// Returns whether it meets the bar.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.ratio <= RATIO_MAX
    }
}

/// Returns the memory of each snapshot among `tasks`, with `empty_kib` as that of a server that remembers nothing.
#[must_use]
pub fn of_snapshots(tasks: &[Task], samples: &[Sample], empty_kib: u64) -> Vec<SnapshotMemory> {
    let snapshots = || tasks.iter().filter(|it| it.kind == Kind::Snapshot);
    let is_apart = |at: f64| !snapshots().any(|it| it.begin <= at + WINDOW && at <= it.end);
    let growth_kib = growth_per_second(samples, is_apart);
    let memory = |task: &Task| {
        let before = samples.iter().rfind(|it| it.at <= task.begin)?;
        let during = samples
            .iter()
            .filter(|it| it.at >= task.begin && it.at <= task.end);
        let peak = during.max_by_key(|it| it.resident_kib)?;
        let mebibytes = |kib: f64| kib / 1024.0;
        let (before_kib, peak_kib) = (before.resident_kib as f64, peak.resident_kib as f64);
        let growth = growth_kib * (peak.at - task.begin);
        let state = before_kib - empty_kib as f64;
        Some(SnapshotMemory {
            begin: task.begin,
            before: mebibytes(before_kib),
            peak: mebibytes(peak_kib),
            growth: mebibytes(growth),
            state: mebibytes(state),
            ratio: (peak_kib - before_kib - growth).max(0.0) / state,
        })
    };
    snapshots().filter_map(memory).collect()
}

/// Returns by how much memory grows in a second, in kibibytes: the median of the windows whose beginning `counts`.
fn growth_per_second(samples: &[Sample], counts: impl Fn(f64) -> bool) -> f64 {
    let mut ends = samples.iter().peekable();
    let growth = samples.iter().filter_map(|begin| {
        while ends.next_if(|end| end.at < begin.at + WINDOW).is_some() {}
        let end = ends.peek()?;
        let grown = end.resident_kib as f64 - begin.resident_kib as f64;
        counts(begin.at).then(|| grown / (end.at - begin.at))
    });
    Spread::of(growth).map_or(0.0, |spread| spread.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_users_are_not_the_snapshots_memory() {
        // 10 MiB more a second, and 60 MiB between the third and the fifth second.
        let sample = |tenth: u64| {
            let of_snapshot = if (30..50).contains(&tenth) { 60 } else { 0 };
            Sample {
                at: tenth as f64 / 10.0,
                resident_kib: (200 + tenth + of_snapshot) * 1024,
                housekeeping_ns: 0,
                is_preparing: false,
            }
        };
        let samples: Vec<_> = (0..100).map(sample).collect();
        let snapshot = Task {
            kind: Kind::Snapshot,
            begin: 2.95,
            end: 5.0,
        };
        let [memory] = of_snapshots(&[snapshot], &samples, 29 * 1024)[..] else {
            panic!("one snapshot");
        };
        assert_eq!((memory.before, memory.peak), (229.0, 309.0));
        assert_eq!(memory.state, 200.0);
        assert!((memory.growth - 19.5).abs() < 0.1, "{memory:?}");
        assert!((memory.ratio - 0.3).abs() < 0.01, "{memory:?}");
        assert!(memory.is_met());
    }
}
