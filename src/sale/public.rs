//! Refusals that are the same for everybody.
//!
//! Whoever limits or checks who asks can give them first: they tell nothing that is not public, and cost no more than to refuse
//! for another reason.

use super::engine::Engine;
use super::registry::ItemMatch;
use super::stock::Availability;
use crate::types::{ItemId, SaleId};

impl Engine {
    /// Returns whether a checkout of an item is refused from memory whoever asks: its sale is not active, or all of its units are
    /// sold. Where several sales have such an item, `sale` says which one is meant.
    #[must_use]
    pub fn refuses_everybody(&self, item: ItemId<'_>, sale: Option<SaleId>) -> bool {
        match self.registry.load().find_item(item, sale, self.now()) {
            // It may be in a sale that has left memory, and must be loaded.
            ItemMatch::Nothing => false,
            ItemMatch::NotActive(_) => true,
            ItemMatch::Item(sale, item) => {
                sale.inventory.availability(item, 1) == Availability::SoldOut
            }
        }
    }

    /// Returns whether a sale that is in memory has been closed, so that nothing can be purchased in it.
    #[must_use]
    pub fn has_closed(&self, sale: SaleId) -> bool {
        let registry = self.registry.load();
        registry.get(sale).is_some_and(|sale| sale.is_closed())
    }
}
