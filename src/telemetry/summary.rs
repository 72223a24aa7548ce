//! A distribution in a few figures.

use super::Counts;

/// A distribution of latencies in a few figures; times in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct LatencySummary {
    /// The number of values.
    pub count: u64,
    /// The mean, in microseconds.
    pub mean: f64,
    /// Half of them took at most this long, in microseconds.
    pub p50: f64,
    /// 90 % took at most this long, in microseconds.
    pub p90: f64,
    /// 99 % took at most this long, in microseconds.
    pub p99: f64,
    /// 99.9 % took at most this long, in microseconds.
    pub p999: f64,
    /// 99.99 % took at most this long, in microseconds.
    pub p9999: f64,
    /// The longest, in microseconds.
    pub max: f64,
}

impl From<&Counts> for LatencySummary {
    fn from(counts: &Counts) -> Self {
        let count = counts.count();
        let quantiles = counts.at_quantiles([0.5, 0.9, 0.99, 0.999, 0.9999]);
        let [p50, p90, p99, p999, p9999] = quantiles.map(micros);
        Self {
            count,
            mean: micros(counts.sum().checked_div(count).unwrap_or(0)),
            p50,
            p90,
            p99,
            p999,
            p9999,
            max: micros(counts.max()),
        }
    }
}

/// Converts nanoseconds to microseconds, with all digits: a figure is the same wherever it is shown.
#[must_use]
pub fn micros(ns: u64) -> f64 {
    ns as f64 / 1e3
}

/// Microseconds in seconds, to the millisecond.
#[must_use]
pub fn seconds(us: u64) -> f64 {
    (us / 1000) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Recorder;

    #[test]
    fn figures_are_in_microseconds() {
        let recorder = Recorder::default();
        (1..=1000).for_each(|us| recorder.record(us * 1000));
        let summary = LatencySummary::from(&recorder.read());
        assert_eq!((summary.count, summary.mean), (1000, 500.5));
        assert!((500.0..=504.0).contains(&summary.p50), "{summary:?}");
        assert!((1000.0..=1010.0).contains(&summary.max), "{summary:?}");
    }

    #[test]
    fn no_figure_lies_above_the_longest_and_all_are_those_of_the_histogram() {
        let recorder = Recorder::default();
        for ns in [1_000, 840_000, 3_849_000] {
            recorder.record(ns);
        }
        let counts = recorder.read();
        let summary = LatencySummary::from(&counts);
        let histogram = counts.to_histogram();
        assert_eq!(summary.max, histogram.max() as f64 / 1e3);
        assert_eq!(summary.max, 3850.239);
        assert_eq!([summary.p9999, summary.p99], [summary.max; 2]);
        assert_eq!(summary.p50, histogram.value_at_quantile(0.5) as f64 / 1e3);
    }

    #[test]
    fn seconds_have_milliseconds() {
        assert_eq!(seconds(999), 0.0);
        assert_eq!(seconds(12_345_678), 12.345);
    }
}
