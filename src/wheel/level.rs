//! One level of the wheel: 64 slots, each the head of a ring of entries.

use super::tick::Tick;

/// Slots of a level: as many as a word has bits.
const SLOTS: u64 = 64;

/// A slot is 2 to the power of this times as wide as one of the level below.
const WIDER_BITS: u32 = 3;

/// The slots, with a bit for each that is not empty. A slot's head means nothing while it is empty.
pub(super) struct WheelLevel {
    heads: [u32; SLOTS as usize],
    occupied: u64,
    /// A bit for each slot whose head is known to be the earliest of its ring.
    led_by_earliest: u64,
}

/// The lowest level whose slots reach from `now` to `tick`. Its slots are no wider than an eighth of
/// that distance.
pub(super) fn lowest_reaching(now: Tick, tick: Tick) -> usize {
    let distance = (tick.0 - now.0) | (SLOTS - 1);
    let level = ((distance.ilog2() - WIDER_BITS) / WIDER_BITS) as usize;
    // The slots need not begin where the distance does.
    level + usize::from(slots_between(now, tick, level) == SLOTS)
}

/// Returns how many slots further `tick` is than `now` on `level`.
pub(super) fn slots_between(now: Tick, tick: Tick, level: usize) -> u64 {
    let width_bits = level as u32 * WIDER_BITS;
    (tick.0 >> width_bits) - (now.0 >> width_bits)
}

/// The slot of `tick` on `level`.
pub(super) fn slot(tick: Tick, level: usize) -> usize {
    ((tick.0 >> (level as u32 * WIDER_BITS)) % SLOTS) as usize
}

impl WheelLevel {
    pub const EMPTY: WheelLevel = WheelLevel {
        heads: [0; SLOTS as usize],
        occupied: 0,
        led_by_earliest: 0,
    };

    /// Returns when the first slot begins that is not empty, `now` being in this level's current slot.
    pub fn first_start(&self, now: Tick, level: usize) -> Option<Tick> {
        if self.occupied == 0 {
            return None;
        }
        let ahead = self.occupied.rotate_right(slot(now, level) as u32);
        let width_bits = level as u32 * WIDER_BITS;
        let slots = (now.0 >> width_bits) + u64::from(ahead.trailing_zeros());
        Some(Tick(slots << width_bits))
    }

    /// The head of the ring in `slot`.
    pub fn head(&self, slot: usize) -> Option<u32> {
        (self.occupied & bit(slot) != 0).then_some(self.heads[slot])
    }

    /// The head of the ring in `slot`, if it is known to be the earliest of the ring.
    pub fn earliest(&self, slot: usize) -> Option<u32> {
        (self.led_by_earliest & bit(slot) != 0).then_some(self.heads[slot])
    }

    /// An entry that is the earliest in `slot`, because it is alone or comes before the head.
    pub fn lead(&mut self, slot: usize, index: u32) {
        self.heads[slot] = index;
        self.occupied |= bit(slot);
        self.led_by_earliest |= bit(slot);
    }

    /// `index` left the ring in `slot` to others, of which `next` followed it.
    pub fn leave(&mut self, slot: usize, index: u32, next: u32) {
        if self.heads[slot] == index {
            self.heads[slot] = next;
            self.led_by_earliest &= !bit(slot);
        }
    }

    /// Nothing is left in `slot`.
    pub fn clear(&mut self, slot: usize) {
        self.occupied &= !bit(slot);
        self.led_by_earliest &= !bit(slot);
    }
}

fn bit(slot: usize) -> u64 {
    1 << slot
}
