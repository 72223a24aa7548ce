//! The records that a final "sold out" rests on.
//!
//! A unit is taken before its purchase is enqueued, let alone durable. Whoever is refused because of it must not be
//! told before that record is acknowledged: after a crash the unit would be free again. So a refusal waits for an LSN,
//! which is found once for each item, and from then on costs a load.

use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::types::{ItemIndex, Lsn};

/// An item whose LSN nobody has asked for yet.
const UNKNOWN: u32 = 0;

/// The LSN behind which each item is known to be sold out. Four bytes an item: they count from the first LSN that
/// was noted.
pub(super) struct SoldOut {
    base: AtomicU64,
    offsets: Box<[AtomicU32]>,
}

impl SoldOut {
    pub(super) fn new(item_count: u32) -> Self {
        Self {
            base: AtomicU64::new(0),
            offsets: (0..item_count).map(|_| AtomicU32::new(UNKNOWN)).collect(),
        }
    }

    /// The LSN of `item`, once it was noted.
    pub(super) fn lsn(&self, item: ItemIndex) -> Option<Lsn> {
        let offset = self.offsets[item.0 as usize].load(Ordering::Acquire);
        let base = self.base.load(Ordering::Acquire);
        (offset != UNKNOWN).then(|| Lsn(base + u64::from(offset) - 1))
    }

    /// Notes that no unit of `item` is left, which the records up to `lsn` say. An LSN too far from the first one is
    /// not noted, and found again each time.
    pub(super) fn note(&self, item: ItemIndex, lsn: Lsn) {
        let first = self
            .base
            .compare_exchange(0, lsn.0, Ordering::AcqRel, Ordering::Acquire);
        let base = first.err().unwrap_or(lsn.0);
        // A smaller one is noted as the first: to wait for more than is needed is no mistake.
        let offset = lsn.0.saturating_sub(base) + 1;
        if let Ok(offset) = u32::try_from(offset) {
            self.offsets[item.0 as usize].store(offset, Ordering::Release);
        }
    }

    /// Memory that it takes, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.offsets)
    }
}
