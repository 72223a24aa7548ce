//! The buckets of a histogram: those of an HDR histogram with two significant digits, so that what is
//! counted in them can be handed to everything that reads HDR histograms, without loss.
//!
//! Up to 255 every value has its own bucket. From there on the width doubles with every doubling of the
//! value: 128 buckets each time, and so no bucket is wider than 0.8 % of its values. The idea, and the
//! layout, are Gil Tene's HdrHistogram's.

/// Doublings that are told apart.
const DOUBLINGS: usize = 29;
/// Buckets of one doubling.
const PER_DOUBLING: usize = 128;

/// The number of buckets.
pub const BUCKETS: usize = (DOUBLINGS + 1) * PER_DOUBLING;
/// The largest value that is told apart: 68.7 s in nanoseconds. Larger ones count as this one.
pub const VALUE_MAX: u64 = (1 << (DOUBLINGS + 7)) - 1;
/// Two digits, as a histogram of the HDR library is told.
pub const SIGNIFICANT_DIGITS: u8 = 2;

/// The bucket of `value`.
#[must_use]
#[inline]
pub fn index_of(value: u64) -> usize {
    let value = value.min(VALUE_MAX);
    let doubling = (56 - (value | 0xff).leading_zeros()) as usize;
    doubling * PER_DOUBLING + (value >> doubling) as usize
}

/// The largest value of a bucket.
#[must_use]
pub fn highest_value(index: usize) -> u64 {
    let doubling = (index / PER_DOUBLING).saturating_sub(1);
    let within = (index - doubling * PER_DOUBLING) as u64;
    ((within + 1) << doubling) - 1
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_buckets_follow_each_other() {
        let mut next = 0;
        for index in 0..BUCKETS {
            assert_eq!(index_of(next), index);
            assert_eq!(index_of(highest_value(index)), index);
            next = highest_value(index) + 1;
        }
        assert_eq!(next, VALUE_MAX + 1);
        assert_eq!(index_of(u64::MAX), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn the_buckets_are_those_of_an_hdr_histogram(exponent in 0_u32..36, mantissa: u64) {
            let value = (1 << exponent) | (mantissa & ((1 << exponent) - 1));
            let hdr = Histogram::<u64>::new_with_bounds(1, VALUE_MAX, SIGNIFICANT_DIGITS);
            let hdr = hdr.expect("constants that the library accepts");
            prop_assert_eq!(highest_value(index_of(value)), hdr.highest_equivalent(value));
        }
    }
}
