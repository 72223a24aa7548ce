//! A wall clock that jumps, known by the steady clock beside it.

use crate::types::Timestamp;

/// By how much the wall clock may leave the steady one between two looks before it has jumped. Time
/// servers that correct a clock gently change far less.
const JUMP_US_MIN: i64 = 1_000_000;
/// How long a clock that has jumped must go on evenly before it is believed. What is wrong is usually put
/// right within seconds.
const SETTLE_US: i64 = 10_000_000;

/// Watches both clocks.
#[derive(Debug, Default)]
pub(super) struct JumpWatch {
    /// What the wall clock was ahead of the steady one at the last look, in microseconds.
    ahead_us: Option<i64>,
    /// Until when, by the steady clock, the wall clock is not believed.
    doubted_until: Option<Timestamp>,
}

impl JumpWatch {
    /// Looks at the clocks; by how much the wall clock has jumped since the last look, in microseconds.
    pub(super) fn look(&mut self, now: Timestamp, steady: Timestamp) -> Option<i64> {
        let ahead_us = now.0 - steady.0;
        let before_us = self.ahead_us.replace(ahead_us)?;
        if self.doubted_until.is_some_and(|until| until <= steady) {
            self.doubted_until = None;
        }
        let jump_us = ahead_us - before_us;
        if jump_us.abs() < JUMP_US_MIN {
            return None;
        }
        self.doubted_until = Some(Timestamp(steady.0 + SETTLE_US));
        Some(jump_us)
    }

    /// Whether the wall clock has jumped so lately that nothing final should be done because of it.
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
        assert_eq!(watch.look(seconds(100), seconds(100)), None);
        assert_eq!(watch.look(seconds(200), seconds(200)), None, "both go on");
        assert!(!watch.is_in_doubt());
        assert_eq!(
            watch.look(seconds(3_700), seconds(201)),
            Some(3_499_000_000)
        );
        assert_eq!(watch.look(seconds(3_705), seconds(206)), None);
        assert!(watch.is_in_doubt());
        assert_eq!(watch.look(seconds(207), seconds(207)), Some(-3_499_000_000));
        assert_eq!(watch.look(seconds(216), seconds(216)), None);
        assert!(watch.is_in_doubt(), "the second jump counts anew");
        assert_eq!(watch.look(seconds(217), seconds(217)), None);
        assert!(!watch.is_in_doubt());
    }

    #[test]
    fn a_gentle_correction_is_no_jump() {
        let mut watch = JumpWatch::default();
        for second in 0..100_000 {
            let now = Timestamp(seconds(second).0 + 500 * second);
            assert_eq!(watch.look(now, seconds(second)), None);
        }
    }
}
