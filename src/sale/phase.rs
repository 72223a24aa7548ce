//! Whether a sale takes checkouts, only purchases, or nothing any more: one word, which every decision reads.

use crate::sync::{AtomicU32, Mutex, Ordering};

/// The phase of a sale that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It takes checkouts and purchases.
    Open,
    /// As open, but the first decision records the opening.
    Unopened,
    /// It takes purchases of what was chosen before.
    Paused,
    /// Nothing is decided any more.
    Closed,
}

const OPEN: u32 = 0;
const PAUSED: u32 = 1;
const CLOSED: u32 = 2;
/// Set in an open or paused sale whose opening is to be recorded first.
const UNOPENED: u32 = 4;

/// The phase, as all threads see it.
pub(super) struct SalePhase {
    word: AtomicU32,
    /// Whether the opening is recorded. Locked while it is being recorded, so that all who come meanwhile come behind it.
    opening: Mutex<bool>,
}

impl Default for SalePhase {
    fn default() -> Self {
        Self {
            word: AtomicU32::new(OPEN),
            opening: Mutex::new(false),
        }
    }
}

impl SalePhase {
    /// Returns the phase of now.
    pub(super) fn get(&self) -> Phase {
        let word = self.word.load(Ordering::Acquire);
        match word {
            OPEN => Phase::Open,
            UNOPENED => Phase::Unopened,
            _ if word & CLOSED != 0 => Phase::Closed,
            _ => Phase::Paused,
        }
    }

    /// Replaces the word with what `next` makes of it. Returns false where that is nothing.
    fn update(&self, next: impl Fn(u32) -> Option<u32>) -> bool {
        let updated = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        updated.is_ok()
    }

    /// Has the first decision record the opening, unless it is recorded, or the sale closed.
    pub(super) fn await_opening(&self) {
        if !self.is_opening_recorded() {
            self.update(|word| (word & CLOSED == 0).then_some(word | UNOPENED));
        }
    }

    /// Returns whether the opening is recorded.
    pub(super) fn is_opening_recorded(&self) -> bool {
        *self.opening.lock()
    }

    /// Notes that the opening is recorded. Returns false where it was before.
    pub(super) fn note_opening(&self) -> bool {
        let is_new = !std::mem::replace(&mut *self.opening.lock(), true);
        self.word.fetch_and(!UNOPENED, Ordering::AcqRel);
        is_new
    }

    /// Has `record` record the opening, unless it is recorded.
    ///
    /// # Errors
    /// That of `record`; the opening is still to be recorded then.
    pub(super) fn ensure_opening<E>(
        &self,
        record: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut is_recorded = self.opening.lock();
        if !*is_recorded {
            record()?;
            *is_recorded = true;
        }
        self.word.fetch_and(!UNOPENED, Ordering::AcqRel);
        Ok(())
    }

    /// Returns whether the opening is still to be recorded.
    pub(super) fn awaits_opening(&self) -> bool {
        let word = self.word.load(Ordering::Acquire);
        word & UNOPENED != 0 && word & CLOSED == 0
    }

    /// Open to paused. Returns false where it is not open.
    pub(super) fn pause(&self) -> bool {
        self.update(|word| (word & (PAUSED | CLOSED) == 0).then_some(word | PAUSED))
    }

    /// Paused to open. Returns false where it is not paused.
    pub(super) fn resume(&self) -> bool {
        self.update(|word| (word & PAUSED != 0).then_some(word & !PAUSED))
    }

    /// Closes it for good. Returns false where it was closed before.
    pub(super) fn close(&self) -> bool {
        self.word.swap(CLOSED, Ordering::AcqRel) & CLOSED == 0
    }
}
