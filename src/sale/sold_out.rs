//! The records that a final "sold out" rests on.
//!
//! A unit is taken before its purchase is enqueued, let alone durable. Whoever is refused because of it must not be
//! told before that record is acknowledged: after a crash the unit would be free again. So a refusal waits for an LSN,
//! which is found once for each item, and from then on costs a load.

use crate::sync::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use crate::types::{ItemIndex, Lsn};

/// An item whose LSN nobody has asked for yet.
const UNKNOWN: u32 = 0;
/// Unsold units of an item that nothing was noted of: more than anybody can ask for.
const ALL: u16 = u16::MAX;

/// How many units of each item are unsold at most, and the LSN behind which that is so. Six bytes an item: LSNs count
/// from the first one that was noted.
///
/// Both only ever go one way, and the LSN is written first and read last. So what is read together is a number of
/// unsold units with its LSN, or with a later one, for which one waits longer than needed.
pub(super) struct SoldOut {
    base: AtomicU64,
    offsets: Box<[AtomicU32]>,
    unsold: Box<[AtomicU16]>,
}

impl SoldOut {
    pub(super) fn new(item_count: u32) -> Self {
        Self {
            base: AtomicU64::new(0),
            offsets: (0..item_count).map(|_| AtomicU32::new(UNKNOWN)).collect(),
            unsold: (0..item_count).map(|_| AtomicU16::new(ALL)).collect(),
        }
    }

    /// Returns the LSN behind which fewer than `quantity` units of `item` are unsold, once that was noted.
    pub(super) fn lsn(&self, item: ItemIndex, quantity: u32) -> Option<Lsn> {
        let index = item.0 as usize;
        if u32::from(self.unsold[index].load(Ordering::Acquire)) >= quantity {
            return None;
        }
        let offset = self.offsets[index].load(Ordering::Acquire);
        let base = self.base.load(Ordering::Acquire);
        Some(Lsn(base + u64::from(offset) - 1))
    }

    /// Notes that no more than `unsold` units of `item` are left, which the records up to `lsn` say. An LSN too far from
    /// the first one is not noted, and found again each time.
    pub(super) fn note(&self, item: ItemIndex, unsold: u64, lsn: Lsn) {
        let first = self
            .base
            .compare_exchange(0, lsn.0, Ordering::AcqRel, Ordering::Acquire);
        let base = first.err().unwrap_or(lsn.0);
        // A smaller one is noted as the first: to wait for more than is needed is no mistake.
        let offset = lsn.0.saturating_sub(base) + 1;
        if let (Ok(offset), Ok(unsold)) = (u32::try_from(offset), u16::try_from(unsold)) {
            let index = item.0 as usize;
            self.offsets[index].fetch_max(offset, Ordering::AcqRel);
            self.unsold[index].fetch_min(unsold, Ordering::AcqRel);
        }
    }

    /// Memory that it takes, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.offsets) + size_of_val(&*self.unsold)
    }
}
