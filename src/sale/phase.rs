//! Whether a sale takes checkouts, only purchases, or nothing any more: one word, which every decision reads.

use crate::sync::{AtomicU32, Ordering};

/// The phase of a sale that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It takes checkouts and purchases.
    Open,
    /// It takes purchases of what was chosen before.
    Paused,
    /// Nothing is decided any more.
    Closed,
}

const OPEN: u32 = 0;
const PAUSED: u32 = 1;
const CLOSED: u32 = 2;

/// The phase, as all threads see it.
pub(super) struct SalePhase(AtomicU32);

impl Default for SalePhase {
    fn default() -> Self {
        Self(AtomicU32::new(OPEN))
    }
}

impl SalePhase {
    /// Returns the phase of now.
    pub(super) fn get(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            OPEN => Phase::Open,
            PAUSED => Phase::Paused,
            _ => Phase::Closed,
        }
    }

    fn exchange(&self, from: u32, to: u32) -> bool {
        let exchanged = self
            .0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        exchanged.is_ok()
    }

    /// Open to paused. Returns false where it is not open.
    pub(super) fn pause(&self) -> bool {
        self.exchange(OPEN, PAUSED)
    }

    /// Paused to open. Returns false where it is not paused.
    pub(super) fn resume(&self) -> bool {
        self.exchange(PAUSED, OPEN)
    }

    /// Closes it for good. Returns false where it was closed before.
    pub(super) fn close(&self) -> bool {
        self.0.swap(CLOSED, Ordering::AcqRel) != CLOSED
    }
}
