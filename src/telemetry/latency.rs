//! Latency histograms by route and outcome.

use hdrhistogram::Histogram;

use super::{Outcome, Route};

/// Longest latency that is told apart, in microseconds; longer ones count as this one.
const LATENCY_US_MAX: u64 = 600_000_000;
/// Two digits keep a histogram at about 20 KiB, so that the ones in use stay in a core's cache.
const SIGNIFICANT_DIGITS: u8 = 2;

/// One HDR histogram for every route and outcome that has been seen.
#[derive(Debug)]
pub struct LatencyTable {
    histograms: Vec<Option<Histogram<u64>>>,
}

impl Default for LatencyTable {
    fn default() -> Self {
        Self {
            histograms: vec![None; Route::ALL.len() * Outcome::ALL.len()],
        }
    }
}

impl LatencyTable {
    /// Counts one request that took `latency_us` microseconds.
    pub fn record(&mut self, route: Route, outcome: Outcome, latency_us: u64) {
        self.slot(route, outcome).saturating_record(latency_us);
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (route, outcome, histogram) in other.entries() {
            // Both were made with the same bounds, so that every value fits.
            let merged = self.slot(route, outcome).add(histogram);
            debug_assert!(merged.is_ok());
        }
    }

    /// What was counted, by route and then by outcome.
    pub fn summaries(&self) -> impl Iterator<Item = (Route, Outcome, LatencySummary)> + '_ {
        self.entries()
            .map(|(route, outcome, histogram)| (route, outcome, histogram.into()))
    }

    fn entries(&self) -> impl Iterator<Item = (Route, Outcome, &Histogram<u64>)> {
        let labels = Route::ALL
            .iter()
            .flat_map(|r| Outcome::ALL.iter().map(move |o| (*r, *o)));
        labels
            .zip(&self.histograms)
            .filter_map(|((r, o), slot)| Some((r, o, slot.as_ref()?)))
    }

    fn slot(&mut self, route: Route, outcome: Outcome) -> &mut Histogram<u64> {
        let slot = route as usize * Outcome::ALL.len() + outcome as usize;
        self.histograms[slot].get_or_insert_with(|| {
            Histogram::new_with_bounds(1, LATENCY_US_MAX, SIGNIFICANT_DIGITS)
                .expect("the bounds are constants that the histogram accepts")
        })
    }
}

/// A histogram in a few figures; times in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct LatencySummary {
    /// Requests.
    pub count: u64,
    /// Their mean, in microseconds.
    pub mean: f64,
    /// Half of them took at most this long, in microseconds.
    pub p50: u64,
    /// 90 % took at most this long, in microseconds.
    pub p90: u64,
    /// 99 % took at most this long, in microseconds.
    pub p99: u64,
    /// 99.9 % took at most this long, in microseconds.
    pub p999: u64,
    /// 99.99 % took at most this long, in microseconds.
    pub p9999: u64,
    /// The longest, in microseconds.
    pub max: u64,
}

impl From<&Histogram<u64>> for LatencySummary {
    fn from(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            count: histogram.len(),
            mean: (histogram.mean() * 10.0).round() / 10.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_keeps_routes_and_outcomes_apart() {
        let (mut a, mut b) = (LatencyTable::default(), LatencyTable::default());
        a.record(Route::Checkout, Outcome::Accepted, 100);
        b.record(Route::Checkout, Outcome::Accepted, 300);
        b.record(Route::Unknown, Outcome::InternalError, 5);
        a.merge(&b);
        let all: Vec<_> = a
            .summaries()
            .map(|(r, o, s)| (r, o, s.count, s.mean))
            .collect();
        assert_eq!(
            all,
            [
                (Route::Checkout, Outcome::Accepted, 2, 200.5),
                (Route::Unknown, Outcome::InternalError, 1, 5.0),
            ]
        );
    }

    #[test]
    fn latencies_over_the_bound_still_count() {
        let mut table = LatencyTable::default();
        table.record(Route::Page, Outcome::Ok, u64::MAX);
        table.record(Route::Page, Outcome::Ok, 0);
        let (_, _, summary) = table.summaries().next().expect("one entry");
        assert_eq!(summary.count, 2);
        assert!(summary.max >= LATENCY_US_MAX);
    }
}
