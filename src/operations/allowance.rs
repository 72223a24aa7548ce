//! How much of a core those who ask for figures may have.

use crate::limits::{ANSWERS_PART, ANSWERS_SAVED_US, REST_MS_MAX};

/// Gathers with the time that passes, is spent by answering, and is saved up to a bound: whoever asks now and
/// then is answered at once, and a flood of questions waits. What is spent is time of the processor: on a busy
/// machine an answer takes longer, but no more.
#[derive(Debug)]
pub(super) struct Allowance {
    left_us: i64,
    at_us: u64,
}

impl Allowance {
    pub(super) fn new(now_us: u64) -> Self {
        Self {
            left_us: ANSWERS_SAVED_US.cast_signed(),
            at_us: now_us,
        }
    }

    /// Takes away the `cpu_us` of answers that were given until `now_us`. How long it takes until the next may
    /// be given, in microseconds.
    pub(super) fn spend(&mut self, cpu_us: u64, now_us: u64) -> u64 {
        let gathered_us = now_us.saturating_sub(self.at_us) / ANSWERS_PART;
        self.at_us = now_us;
        let saved_us = self.left_us.saturating_add_unsigned(gathered_us);
        self.left_us = saved_us
            .min(ANSWERS_SAVED_US.cast_signed())
            .saturating_sub_unsigned(cpu_us);
        let missing_us = self.left_us.min(0).unsigned_abs();
        missing_us
            .saturating_mul(ANSWERS_PART)
            .min(REST_MS_MAX * 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_now_and_then_does_not_wait() {
        let mut allowance = Allowance::new(0);
        // A tenth of the time, for ten minutes.
        let rests = (1..=60_000).map(|n| allowance.spend(1_000, n * 10_000));
        assert_eq!(rests.sum::<u64>(), 0);
    }

    #[test]
    fn a_flood_gets_its_part_and_no_more() {
        let mut allowance = Allowance::new(0);
        let (mut now_us, mut answered_us) = (0, 0);
        while now_us < 60_000_000 {
            let rest_us = allowance.spend(300, now_us + 300);
            now_us += 300 + rest_us;
            answered_us += 300;
        }
        let most_us = now_us / ANSWERS_PART + ANSWERS_SAVED_US + 300;
        assert!(answered_us <= most_us, "{answered_us} of {now_us}");
        assert!(answered_us >= now_us / ANSWERS_PART - 300, "{answered_us}");
    }

    #[test]
    fn no_answer_is_so_dear_that_the_next_is_far() {
        let mut allowance = Allowance::new(0);
        assert_eq!(allowance.spend(u64::MAX, 1), REST_MS_MAX * 1000);
    }
}
