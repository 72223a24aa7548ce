//! The records that a "sold out" rests on.
//!
//! A unit is taken before its purchase is enqueued, let alone durable. Whoever is refused because of it must not be
//! told before that record is acknowledged: after a crash the unit would be free again. So a refusal waits for an LSN,
//! which is found once for each item, and from then on costs a load; until units of the item come back.

use crate::limits::ITEMS_PER_USER_MAX;
use crate::planted::{Slip, is_planted};
use crate::sync::{AtomicU64, Ordering};
use crate::types::{ItemIndex, Lsn};

/// Offset of the LSN, in the upper half: 0 where nothing is noted.
const OFFSET_SHIFT: u32 = 32;
const UNSOLD_SHIFT: u32 = 22;
const GENERATION_MASK: u64 = (1 << UNSOLD_SHIFT) - 1;
/// Unsold units of an item that nothing is noted of: more than anybody can ask for.
const ALL: u64 = (1 << (OFFSET_SHIFT - UNSOLD_SHIFT)) - 1;

const _: () = assert!((ITEMS_PER_USER_MAX as u64) < ALL);

/// A note about an item, in one word: the offset of the LSN (32 bits), how many units are unsold at most behind it (10), and the
/// generation (22), which changes when units come back.
#[derive(Clone, Copy)]
pub(super) struct Note(u64);

impl Note {
    fn new(offset: u32, unsold: u64, generation: u64) -> Self {
        debug_assert!(unsold <= ALL && generation <= GENERATION_MASK);
        Self(u64::from(offset) << OFFSET_SHIFT | unsold << UNSOLD_SHIFT | generation)
    }

    /// The offset of the LSN; 0 for none.
    fn offset(self) -> u32 {
        (self.0 >> OFFSET_SHIFT) as u32
    }

    fn unsold(self) -> u64 {
        self.0 >> UNSOLD_SHIFT & ALL
    }

    fn generation(self) -> u64 {
        self.0 & GENERATION_MASK
    }
}

/// How many units of each item are unsold at most, and the LSN behind which that is so. Eight bytes an item: LSNs count
/// from the first one that was noted.
///
/// Of one generation the number only falls, and the LSN only rises. What is noted of a generation was looked for in it: whoever
/// does reads the note first, then the counter and the LSN, and exchanges the note only if its generation is the same. So a purchase of
/// units that have come back is never told by the LSN of one before that.
pub(super) struct SoldOut {
    base: AtomicU64,
    notes: Box<[AtomicU64]>,
}

impl SoldOut {
    pub(super) fn new(item_count: u32) -> Self {
        let nothing = Note::new(0, ALL, 0);
        Self {
            base: AtomicU64::new(0),
            notes: (0..item_count).map(|_| AtomicU64::new(nothing.0)).collect(),
        }
    }

    /// Returns what is noted of `item`.
    pub(super) fn note_of(&self, item: ItemIndex) -> Note {
        Note(self.notes[item.0 as usize].load(Ordering::Acquire))
    }

    /// Returns the LSN behind which fewer than `quantity` units are unsold, if `note` says so.
    pub(super) fn lsn(&self, note: Note, quantity: u32) -> Option<Lsn> {
        if note.unsold() >= u64::from(quantity) {
            return None;
        }
        let base = self.base.load(Ordering::Acquire);
        Some(Lsn(base + u64::from(note.offset()) - 1))
    }

    /// Notes that no more than `unsold` units of `item` are left, which the records up to `lsn` say, if no units have come back
    /// since `seen` was noted. An LSN too far from the first one is not noted, and found again each time.
    pub(super) fn note(&self, item: ItemIndex, seen: Note, unsold: u64, lsn: Lsn) {
        let first = self
            .base
            .compare_exchange(0, lsn.0, Ordering::AcqRel, Ordering::Acquire);
        let base = first.err().unwrap_or(lsn.0);
        // A smaller one is noted as the first: to wait for more than is needed is no mistake.
        let offset = lsn.0.saturating_sub(base) + 1;
        let Ok(offset) = u32::try_from(offset) else {
            return;
        };
        if unsold >= ALL {
            return;
        }
        let place = &self.notes[item.0 as usize];
        let mut now = seen;
        while now.generation() == seen.generation() {
            let offset = offset.max(now.offset());
            let noted = Note::new(offset, unsold.min(now.unsold()), now.generation());
            let exchanged =
                place.compare_exchange(now.0, noted.0, Ordering::AcqRel, Ordering::Acquire);
            match exchanged {
                Ok(_) => return,
                Err(other) => now = Note(other),
            }
        }
    }

    /// Has units of `item` come back by `free`, and forgets what is noted of it. The record that says so must be enqueued already.
    ///
    /// Behind that: whoever looked before the units were free would note, of a newer generation, that they are not. Until then others may still
    /// be told by what was noted, as if they had asked before the units came back, which nobody was told yet.
    pub(super) fn give_back(&self, item: ItemIndex, free: impl FnOnce()) {
        if is_planted(Slip::KeepsSoldOut) {
            return free();
        }
        free();
        let place = &self.notes[item.0 as usize];
        let mut before = Note(place.load(Ordering::Acquire));
        loop {
            let generation = (before.generation() + 1) & GENERATION_MASK;
            let nothing = Note::new(0, ALL, generation);
            let exchanged =
                place.compare_exchange(before.0, nothing.0, Ordering::AcqRel, Ordering::Acquire);
            match exchanged {
                Ok(_) => return,
                Err(other) => before = Note(other),
            }
        }
    }

    /// Memory that it takes, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.notes)
    }
}
