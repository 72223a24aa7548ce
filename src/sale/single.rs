//! The counter of an item that exists once: one atomic, which names its owner.

use super::stock::Units;
use crate::sync::{AtomicU32, Ordering};

const FREE: u32 = 0;
const HELD_BIT: u32 = 1 << 31;

/// The tag of nobody: the unit has left the stock.
const WITHDRAWN: u32 = HELD_BIT - 1;

/// The one unit of an item: free, held by a buyer, sold to a buyer, or no longer there.
pub struct Single(AtomicU32);

impl Default for Single {
    fn default() -> Self {
        Self(AtomicU32::new(FREE))
    }
}

impl Single {
    fn tag(owner: u32) -> u32 {
        debug_assert!(owner < WITHDRAWN - 1);
        owner + 1
    }

    fn exchange(&self, from: u32, to: u32) -> bool {
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Free to sold.
    pub fn sell(&self, owner: u32) -> bool {
        // Looking first keeps the cache line shared while everybody asks for what is gone.
        self.0.load(Ordering::Acquire) == FREE && self.exchange(FREE, Self::tag(owner))
    }

    /// Free to held.
    pub fn hold(&self, owner: u32) -> bool {
        self.0.load(Ordering::Acquire) == FREE && self.exchange(FREE, Self::tag(owner) | HELD_BIT)
    }

    /// Held to sold.
    ///
    /// # Panics
    /// `owner` does not hold it.
    pub fn sell_held(&self, owner: u32) {
        let tag = Self::tag(owner);
        assert!(
            self.exchange(tag | HELD_BIT, tag),
            "only who holds a unit buys it"
        );
    }

    /// Held to free.
    ///
    /// # Panics
    /// `owner` does not hold it.
    pub fn release(&self, owner: u32) {
        let tag = Self::tag(owner);
        assert!(
            self.exchange(tag | HELD_BIT, FREE),
            "only who holds a unit gives it back"
        );
    }

    /// Sold to free; or to nowhere, where it is not restocked.
    ///
    /// # Panics
    /// It was not sold to `owner`.
    pub fn take_back(&self, owner: u32, restock: bool) {
        let to = if restock { FREE } else { WITHDRAWN };
        assert!(
            self.exchange(Self::tag(owner), to),
            "only from who has a unit is it taken back"
        );
    }

    /// Free to nowhere. Returns false where it is not free.
    pub fn withdraw(&self) -> bool {
        self.exchange(FREE, WITHDRAWN)
    }

    /// Returns whether it was sold to `owner`.
    pub fn is_sold_to(&self, owner: u32) -> bool {
        self.0.load(Ordering::Acquire) == Self::tag(owner)
    }

    /// The buyer to whom it was sold.
    pub fn owner(&self) -> Option<u32> {
        let tag = self.0.load(Ordering::Acquire);
        (tag != FREE && tag < WITHDRAWN).then(|| tag - 1)
    }

    /// Who holds it.
    pub fn holder(&self) -> Option<u32> {
        let tag = self.0.load(Ordering::Acquire);
        (tag & HELD_BIT != 0).then(|| (tag & !HELD_BIT) - 1)
    }

    /// Returns the number of free, held and sold units.
    pub fn units(&self) -> Units {
        match self.0.load(Ordering::Acquire) {
            FREE => Units {
                free: 1,
                ..Units::default()
            },
            tag if tag & HELD_BIT != 0 => Units {
                held: 1,
                ..Units::default()
            },
            WITHDRAWN => Units::default(),
            _ => Units {
                sold: 1,
                ..Units::default()
            },
        }
    }
}
