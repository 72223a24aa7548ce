//! Names of armed timers.

use std::num::NonZeroU32;

/// Entries that a wheel can have: as many as a key has bits left to number.
pub(super) const ENTRIES_MAX: u32 = (1 << INDEX_BITS) - 1;

const INDEX_BITS: u32 = 24;

/// Names a timer from when it is armed until it fires or is cancelled.
///
/// The owner forgets the key together with the timer. A key that was kept names nothing, with one
/// exception: it has eight bits to tell the timers of one entry apart, so it names a stranger when
/// its entry has since been used a multiple of 256 times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerKey(NonZeroU32);

impl TimerKey {
    /// `generation` tells the timers apart that use the same entry, one after the other.
    pub(super) fn new(index: u32, generation: u8) -> Self {
        debug_assert!(index < ENTRIES_MAX);
        // Never zero, so that a key that may be missing takes no more room.
        let number = u32::from(generation) << INDEX_BITS | index;
        Self(NonZeroU32::MIN.saturating_add(number))
    }

    pub(super) fn index(self) -> u32 {
        self.0.get() % (1 << INDEX_BITS) - 1
    }

    pub(super) fn generation(self) -> u8 {
        (self.0.get() >> INDEX_BITS) as u8
    }
}
