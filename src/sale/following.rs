//! An engine whose records are decided elsewhere: they are applied as they come, so that it may sell on at any moment.

use std::sync::Arc;

use super::engine::Engine;
use super::id_allocator::IdAllocator;
use super::state::State;
use crate::journal::JournalError;
use crate::record::{Entry, Record};
use crate::types::Lsn;

/// The state of a following engine. Both share the sales, so that the engine shows each change at once.
pub struct FollowingState {
    engine: Arc<Engine>,
    state: State,
}

impl FollowingState {
    /// Has `engine`, which was made of a [shared](State::share) state, follow with the other half.
    #[must_use]
    pub fn new(engine: Arc<Engine>, state: State) -> Self {
        Self { engine, state }
    }

    /// Applies the next record. The engine shows it at once.
    ///
    /// # Errors
    /// The record contradicts those before it, or this build cannot decode it.
    pub fn apply(&mut self, entry: &Entry<'_>) -> Result<(), JournalError> {
        let record = entry.record()?;
        self.state.apply_record(entry, &record)?;
        match record {
            Record::SaleCreated { .. } | Record::SaleClosed { .. } | Record::SaleChanged { .. } => {
                self.show_sales()
            }
            _ => {}
        }
        Ok(())
    }

    /// Shows the sales in the engine, but for those that have left its memory.
    fn show_sales(&mut self) {
        let _one_at_a_time = self.engine.administration.lock();
        let ended = self.engine.ended.read();
        self.state.put_away(|sale| ended.get(sale.id()).is_some());
        drop(ended);
        self.engine.set_registry(self.state.registry().clone());
    }

    /// Checks that every unit of every sale is where it should be.
    ///
    /// # Errors
    /// Names the sale and what does not add up.
    pub fn check(&self, lsn: Lsn) -> Result<(), JournalError> {
        self.state.check(lsn)
    }

    /// Ends the following: from now on the engine decides itself.
    pub fn end(self) {
        *self.engine.administration.lock() = IdAllocator::with_free(self.state.announced_sales());
        for sale in self.engine.open_sales() {
            sale.hasten_holds(self.engine.clock.steady());
        }
        self.engine.await_openings();
    }
}
