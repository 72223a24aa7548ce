//! Names of armed timers.

/// Entries that a wheel can have: as many as a key has bits left to number.
pub(super) const ENTRIES_MAX: u32 = 1 << INDEX_BITS;

const INDEX_BITS: u32 = 24;

/// Names a timer from when it is armed until it fires or is cancelled.
///
/// The owner forgets the key together with the timer. A key that was kept names nothing, with one
/// exception: it has eight bits to tell the timers of one entry apart, so it names a stranger when
/// its entry has since been used a multiple of 256 times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerKey(u32);

impl TimerKey {
    /// `generation` tells the timers apart that use the same entry, one after the other.
    pub(super) fn new(index: u32, generation: u8) -> Self {
        debug_assert!(index < ENTRIES_MAX);
        Self(u32::from(generation) << INDEX_BITS | index)
    }

    pub(super) fn index(self) -> u32 {
        self.0 % ENTRIES_MAX
    }

    pub(super) fn generation(self) -> u8 {
        (self.0 >> INDEX_BITS) as u8
    }
}
