//! Detection of jumps of the wall clock, by comparison with the steady clock.

use crate::env::Clock;
use crate::types::Timestamp;

/// Difference between the clocks' advances from one sample to the next that counts as a jump. Time servers that
/// correct a clock gently change far less.
const JUMP_US_MIN: i64 = 1_000_000;
/// Time that a clock must go on evenly after a jump before it is believed. A wrong clock is usually corrected within
/// seconds.
const SETTLE_US: i64 = 10_000_000;
/// Time that the clock must go on evenly after a start before it is believed, where a sale has ended by it: the clock
/// of a machine that has just booted may be wrong until a time server has answered.
const START_SETTLE_US: i64 = 20_000_000;

/// Longest time that reading both clocks may take, in microseconds.
const READ_US_MAX: i64 = 100_000;

/// The comparison of the wall clock with the steady clock.
#[derive(Debug, Default)]
pub(super) struct JumpWatch {
    /// The lead of the wall clock over the steady one at the last sample, in microseconds.
    ahead_us: Option<i64>,
    /// The end, by the steady clock, of the time in which the wall clock is not believed.
    doubted_until: Option<Timestamp>,
}

impl JumpWatch {
    /// Creates the watch of a start, which does not believe the wall clock yet.
    pub(super) fn from_start(steady: Timestamp, has_ended_sales: bool) -> Self {
        let settle_us = match has_ended_sales {
            true => START_SETTLE_US,
            false => SETTLE_US,
        };
        Self {
            ahead_us: None,
            doubted_until: Some(Timestamp(steady.0 + settle_us)),
        }
    }

    /// Reads `clock`. Returns the wall clock's time, and by how much it has jumped since the last reading, in microseconds.
    pub(super) fn read(&mut self, clock: &dyn Clock) -> (Timestamp, Option<i64>) {
        let (steady, now, after) = (clock.steady(), clock.now(), clock.steady());
        // A thread that is stopped between two clocks must not take the time for a jump.
        let together = after.0 - steady.0 < READ_US_MAX;
        (now, together.then(|| self.sample(now, steady)).flatten())
    }

    /// Samples the clocks. Returns by how much the wall clock has jumped since the last sample, in microseconds.
    pub(super) fn sample(&mut self, now: Timestamp, steady: Timestamp) -> Option<i64> {
        let ahead_us = now.0 - steady.0;
        if self.doubted_until.is_some_and(|until| until <= steady) {
            self.doubted_until = None;
        }
        let before_us = self.ahead_us.replace(ahead_us)?;
        let jump_us = ahead_us - before_us;
        if jump_us.abs() < JUMP_US_MIN {
            return None;
        }
        let until = Timestamp(steady.0 + SETTLE_US);
        self.doubted_until = self.doubted_until.max(Some(until));
        Some(jump_us)
    }

    /// Returns the lead of the wall clock over the steady one, in microseconds; `None` while it is not believed.
    pub(super) fn believed_ahead_us(&self) -> Option<i64> {
        self.ahead_us.filter(|_| !self.is_in_doubt())
    }

    /// Returns whether the start or the last jump is so recent that nothing final may be done by the wall clock.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubted_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_jump_is_doubted_until_the_clock_goes_on_evenly() {
        let mut watch = JumpWatch::default();
        assert_eq!(watch.sample(seconds(100), seconds(100)), None);
        assert_eq!(watch.sample(seconds(200), seconds(200)), None, "both go on");
        assert!(!watch.is_in_doubt());
        assert_eq!(
            watch.sample(seconds(3_700), seconds(201)),
            Some(3_499_000_000)
        );
        assert_eq!(watch.sample(seconds(3_705), seconds(206)), None);
        assert!(watch.is_in_doubt());
        assert_eq!(
            watch.sample(seconds(207), seconds(207)),
            Some(-3_499_000_000)
        );
        assert_eq!(watch.sample(seconds(216), seconds(216)), None);
        assert!(watch.is_in_doubt(), "the second jump counts anew");
        assert_eq!(watch.sample(seconds(217), seconds(217)), None);
        assert!(!watch.is_in_doubt());
    }

    #[test]
    fn the_clock_of_a_start_is_doubted_until_it_has_gone_on_evenly() {
        for (has_ended, settled) in [(false, 110), (true, 120)] {
            let mut watch = JumpWatch::from_start(seconds(100), has_ended);
            assert_eq!(watch.sample(seconds(100), seconds(100)), None);
            assert_eq!(
                watch.sample(seconds(settled - 1), seconds(settled - 1)),
                None
            );
            assert!(watch.is_in_doubt());
            assert_eq!(watch.believed_ahead_us(), None);
            assert_eq!(watch.sample(seconds(settled), seconds(settled)), None);
            assert!(!watch.is_in_doubt());
            assert_eq!(watch.believed_ahead_us(), Some(0));
        }
        let mut watch = JumpWatch::from_start(seconds(100), true);
        assert_eq!(watch.sample(seconds(100), seconds(100)), None);
        watch.sample(seconds(50), seconds(101));
        watch.sample(seconds(68), seconds(119));
        assert!(watch.is_in_doubt(), "a jump does not shorten it");
    }

    #[test]
    fn a_gentle_correction_is_no_jump() {
        let mut watch = JumpWatch::default();
        for second in 0..100_000 {
            let now = Timestamp(seconds(second).0 + 500 * second);
            assert_eq!(watch.sample(now, seconds(second)), None);
        }
    }
}
