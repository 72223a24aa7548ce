//! The rate at which a sale sells.

use std::collections::VecDeque;

use crate::limits::STREAM_RATE_SECONDS;

/// Computes the units sold per second over the last [`STREAM_RATE_SECONDS`] seconds, or since the first sample
/// where that is later.
#[derive(Debug, Default)]
pub struct Rate {
    /// Samples: the time in microseconds, and the units sold by then. All but the first lie within the window.
    samples: VecDeque<(u64, u64)>,
}

impl Rate {
    /// Adds a sample of `sold` units in all at `now_us`, and returns the rate.
    pub fn at(&mut self, now_us: u64, sold: u64) -> f64 {
        self.samples.push_back((now_us, sold));
        let window_start_us = now_us.saturating_sub(STREAM_RATE_SECONDS * 1_000_000);
        while self
            .samples
            .get(1)
            .is_some_and(|&(at, _)| at <= window_start_us)
        {
            self.samples.pop_front();
        }
        let (first_us, sold_before) = self.samples[0];
        let (passed_us, units) = (
            now_us.saturating_sub(first_us),
            sold.saturating_sub(sold_before),
        );
        if passed_us == 0 {
            return 0.0;
        }
        units as f64 * 1e6 / passed_us as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: u64 = 1_000_000;

    #[test]
    fn only_the_last_seconds_count() {
        let mut rate = Rate::default();
        assert_eq!(rate.at(0, 1000), 0.0, "one sample has no rate");
        assert_eq!(rate.at(SECOND_US, 1010), 10.0);
        assert_eq!(rate.at(2 * SECOND_US, 1010), 5.0);
        for second in 3..=STREAM_RATE_SECONDS {
            assert!(rate.at(second * SECOND_US, 1010) > 0.0);
        }
        assert_eq!(rate.at((STREAM_RATE_SECONDS + 1) * SECOND_US, 1010), 0.0);
    }

    #[test]
    fn a_pause_between_samples_counts_in_full() {
        let mut rate = Rate::default();
        rate.at(0, 0);
        let pause_seconds = 4 * STREAM_RATE_SECONDS;
        let units = 3 * pause_seconds;
        assert_eq!(rate.at(pause_seconds * SECOND_US, units), 3.0);
    }

    #[test]
    fn old_samples_are_dropped() {
        let mut rate = Rate::default();
        for tick in 0..1000 {
            rate.at(tick * SECOND_US / 4, tick);
        }
        assert!(rate.samples.len() as u64 <= 4 * STREAM_RATE_SECONDS + 1);
    }

    #[test]
    fn two_samples_of_one_moment_have_no_rate() {
        let mut rate = Rate::default();
        rate.at(5, 1);
        assert_eq!(rate.at(5, 100), 0.0);
    }
}
