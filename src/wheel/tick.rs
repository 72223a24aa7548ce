//! Time as the wheel counts it.

use crate::types::Timestamp;

const TICK_US: i64 = 1000;

/// The tick of 1970-01-01: no [`Timestamp`] is so far before it that its tick would be negative.
const EPOCH: i64 = 1 << 54;

/// Milliseconds, counted from before the earliest [`Timestamp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(pub u64);

impl Tick {
    /// The first tick at which a timer for `at` may fire: rounded up, so never early. Only the last,
    /// incomplete millisecond that can be told is rounded down, as it has no end.
    pub fn of_deadline(at: Timestamp) -> Self {
        Self::from_millis(at.0.saturating_add(TICK_US - 1).div_euclid(TICK_US))
    }

    /// The last tick that `now` has reached.
    pub fn reached(now: Timestamp) -> Self {
        Self::from_millis(now.0.div_euclid(TICK_US))
    }

    /// Returns when this tick begins.
    pub fn timestamp(self) -> Timestamp {
        Timestamp((self.0.cast_signed() - EPOCH).saturating_mul(TICK_US))
    }

    fn from_millis(millis: i64) -> Self {
        Self((millis + EPOCH).cast_unsigned())
    }
}
