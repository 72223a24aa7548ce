//! Distributions of latencies as Prometheus histograms.

use super::exposition::{Buckets, Family, Label};
use crate::telemetry::Counts;

/// Upper bounds of the buckets of requests, in nanoseconds: 50 µs to 10 s.
pub(super) const REQUEST_BOUNDS_NS: [u64; 17] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Upper bounds of the buckets of stages, in nanoseconds: from 1 µs, because some are faster than any request.
pub(super) const STAGE_BOUNDS_NS: [u64; 22] = {
    let mut bounds = [0; 22];
    let below = [1_000, 2_500, 5_000, 10_000, 25_000];
    let mut index = 0;
    while index < bounds.len() {
        bounds[index] = if index < below.len() {
            below[index]
        } else {
            REQUEST_BOUNDS_NS[index - below.len()]
        };
        index += 1;
    }
    bounds
};

/// Adds the distribution `counts` of latencies in nanoseconds as a histogram in seconds.
pub(super) fn write(
    family: &mut Family<'_>,
    labels: &[Label<'_>],
    counts: &Counts,
    bounds_ns: &[u64],
) {
    let bounds: Vec<f64> = bounds_ns.iter().copied().map(seconds).collect();
    let buckets = Buckets {
        bounds: &bounds,
        cumulative: &counts.cumulative_below(bounds_ns),
        count: counts.count(),
        sum: seconds(counts.sum()),
    };
    family.histogram(labels, &buckets);
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_ascend() {
        assert!(STAGE_BOUNDS_NS.is_sorted_by(|a, b| a < b));
        assert_eq!(STAGE_BOUNDS_NS[..2], [1_000, 2_500]);
        assert_eq!(STAGE_BOUNDS_NS[5..], REQUEST_BOUNDS_NS);
    }

    #[test]
    fn bounds_are_round_in_seconds() {
        let texts = [0, 2, 10, 13].map(|at| seconds(REQUEST_BOUNDS_NS[at]).to_string());
        assert_eq!(texts, ["0.00005", "0.00025", "0.1", "1"]);
    }
}
