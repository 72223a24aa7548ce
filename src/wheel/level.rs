//! One level of the wheel: 64 slots, each the head of a ring of entries.

/// Slots of a level: as many as a word has bits.
pub(super) const SLOTS: usize = 64;

/// The bits of a tick that choose a slot.
pub(super) const SLOT_BITS: u32 = SLOTS.trailing_zeros();

/// Where an entry is filed.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub level: usize,
    pub slot: usize,
}

/// The slots, with a bit for each that is not empty. A slot's head means nothing while it is empty.
pub(super) struct Level {
    heads: [u32; SLOTS],
    occupied: u64,
    /// A bit for each slot whose head is known to be the earliest of its ring.
    led_by_earliest: u64,
}

impl Level {
    pub const EMPTY: Level = Level {
        heads: [0; SLOTS],
        occupied: 0,
        led_by_earliest: 0,
    };

    /// The first slot that is not empty.
    pub fn first_slot(&self) -> Option<usize> {
        (self.occupied != 0).then(|| self.occupied.trailing_zeros() as usize)
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
