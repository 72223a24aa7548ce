//! The counts of one distribution.

use hdrhistogram::Histogram;

use super::bucket::{self, BUCKETS, SIGNIFICANT_DIGITS, VALUE_MAX};

/// Counts of the values that fell into each bucket. Latencies are in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Empty as long as nothing was counted.
    buckets: Vec<u64>,
    sum: u64,
}

impl Counts {
    /// Returns how many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All values together; exact, as long as they are below the bound of the buckets.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Returns whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.iter().all(|&count| count == 0)
    }

    /// The largest value, as the upper end of its bucket; 0 when there is none.
    #[must_use]
    pub fn max(&self) -> u64 {
        let last = self.buckets.iter().rposition(|&count| count > 0);
        last.map_or(0, bucket::highest_value)
    }

    /// The filled buckets in order: their largest value, and how many values they have.
    pub fn filled(&self) -> impl Iterator<Item = (u64, u64)> {
        let filled = self
            .buckets
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0);
        filled.map(|(index, &count)| (bucket::highest_value(index), count))
    }

    /// For each of `quantiles`, which must ascend from 0 to 1, the value that this part of all values does
    /// not exceed.
    #[must_use]
    pub fn at_quantiles<const N: usize>(&self, quantiles: [f64; N]) -> [u64; N] {
        let count = self.count();
        let mut filled = self.filled();
        let (mut value, mut below) = (0, 0);
        quantiles.map(|quantile| {
            let wanted = ((count as f64 * quantile).ceil() as u64).clamp(1, count.max(1));
            while below < wanted
                && let Some((highest, more)) = filled.next()
            {
                value = highest;
                below += more;
            }
            value
        })
    }

    /// For each of `bounds`, which must ascend, how many values do not exceed it. A bucket across a bound
    /// counts as above it.
    #[must_use]
    pub fn cumulative_below(&self, bounds: &[u64]) -> Vec<u64> {
        let mut filled = self.filled().peekable();
        let mut below = 0;
        let up_to = |bound: &u64| {
            while let Some((_, more)) = filled.next_if(|(highest, _)| highest <= bound) {
                below += more;
            }
            below
        };
        bounds.iter().map(up_to).collect()
    }

    /// Adds all that `other` counted.
    pub fn add(&mut self, other: &Self) {
        self.add_buckets(other.buckets.iter().copied(), other.sum);
    }

    /// Adds the counts of buckets, in their order from the first one on.
    pub(super) fn add_buckets(&mut self, buckets: impl Iterator<Item = u64>, sum: u64) {
        if self.buckets.is_empty() {
            self.buckets.reserve_exact(BUCKETS);
            self.buckets.extend(buckets);
        } else {
            let sums = self.buckets.iter_mut().zip(buckets);
            sums.for_each(|(count, more)| *count += more);
        }
        self.sum = self.sum.wrapping_add(sum);
    }

    /// Returns the counts since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        if earlier.buckets.is_empty() {
            return self.clone();
        }
        let buckets = self.buckets.iter().zip(&earlier.buckets);
        Self {
            buckets: buckets
                .map(|(now, then)| now.saturating_sub(*then))
                .collect(),
            sum: self.sum.wrapping_sub(earlier.sum),
        }
    }

    /// Converts the counts into a histogram of the HDR library.
    #[must_use]
    pub fn to_histogram(&self) -> Histogram<u64> {
        let histogram = Histogram::new_with_bounds(1, VALUE_MAX, SIGNIFICANT_DIGITS);
        let mut histogram = histogram.expect("constants that the library accepts");
        for (value, count) in self.filled() {
            histogram
                .record_n(value, count)
                .expect("the buckets are the histogram's");
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Recorder;
    use super::*;

    fn counts(values: &[u64]) -> Counts {
        let recorder = Recorder::default();
        values.iter().for_each(|&value| recorder.record(value));
        recorder.read()
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_library(values in prop::collection::vec(0..VALUE_MAX, 1..300)) {
            let counts = counts(&values);
            let histogram = counts.to_histogram();
            prop_assert_eq!(histogram.len(), values.len() as u64);
            let quantiles = [0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0];
            // The library says the lower end of a bucket for the smallest value only.
            let of_library = quantiles
                .map(|quantile| histogram.highest_equivalent(histogram.value_at_quantile(quantile)));
            prop_assert_eq!(counts.at_quantiles(quantiles), of_library);
            prop_assert_eq!(counts.max(), histogram.max());
        }

        #[test]
        fn a_part_and_the_rest_are_the_whole(
            first in prop::collection::vec(0..VALUE_MAX, 0..50),
            then in prop::collection::vec(0..VALUE_MAX, 0..50),
        ) {
            let before = counts(&first);
            let all = counts(&[first.clone(), then.clone()].concat());
            let since = all.since(&before);
            prop_assert_eq!(since.count(), then.len() as u64);
            let mut sum = before;
            sum.add(&since);
            prop_assert_eq!(sum, all);
        }
    }

    #[test]
    fn bounds_count_what_lies_below_them() {
        let counts = counts(&[10, 20, 30, 1_000_000]);
        assert_eq!(
            counts.cumulative_below(&[9, 10, 25, 999, 2_000_000]),
            [0, 1, 2, 3, 4]
        );
        assert_eq!(Counts::default().cumulative_below(&[1, 2]), [0, 0]);
    }

    #[test]
    fn nothing_has_no_quantiles() {
        let none = Counts::default();
        assert_eq!(none.at_quantiles([0.5, 1.0]), [0, 0]);
        assert_eq!((none.count(), none.max(), none.is_empty()), (0, 0, true));
        assert!(none.to_histogram().is_empty());
    }
}
