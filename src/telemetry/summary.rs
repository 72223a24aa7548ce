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
            max: micros_at_most(counts.max()),
        }
    }
}

/// Nanoseconds in microseconds: three digits, so that the figures are no longer than what is known.
#[must_use]
pub fn micros(ns: u64) -> f64 {
    let digits = ns.checked_ilog10().unwrap_or(0) + 1;
    let unit = 10_u64.pow(digits.saturating_sub(3));
    ((ns + unit / 2) / unit * unit) as f64 / 1e3
}

/// Converts to microseconds, rounded up: a bound that no value exceeds.
#[must_use]
pub fn micros_at_most(ns: u64) -> f64 {
    let digits = ns.checked_ilog10().unwrap_or(0) + 1;
    let unit = 10_u64.pow(digits.saturating_sub(3));
    (ns.div_ceil(unit) * unit) as f64 / 1e3
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
        assert_eq!((summary.count, summary.mean), (1000, 501.0));
        assert!((500.0..=504.0).contains(&summary.p50), "{summary:?}");
        assert!((1000.0..=1010.0).contains(&summary.max), "{summary:?}");
    }

    #[test]
    fn short_times_keep_their_digits() {
        assert_eq!(micros(0), 0.0);
        assert_eq!(micros(7), 0.007);
        assert_eq!(micros(840), 0.84);
        assert_eq!(micros(123_456), 123.0);
        assert_eq!(micros(999_999), 1000.0);
    }

    #[test]
    fn nothing_takes_longer_than_the_longest() {
        assert_eq!(micros_at_most(0), 0.0);
        assert_eq!(micros_at_most(840), 0.84);
        assert_eq!(micros_at_most(1_023_999), 1030.0);
        assert_eq!(micros(1_023_999), 1020.0);
    }

    #[test]
    fn seconds_have_milliseconds() {
        assert_eq!(seconds(999), 0.0);
        assert_eq!(seconds(12_345_678), 12.345);
    }
}
