//! The events that a reader wants.

use crate::types::{EventType, SaleId};

/// Some types of events, of all sales or of some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The types; empty for all.
    pub kinds: Vec<EventType>,
    /// The sales; empty for all.
    pub sales: Vec<SaleId>,
}

impl EventFilter {
    /// Returns whether it lets everything through.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.kinds.is_empty() && self.sales.is_empty()
    }

    /// Returns whether an event of this type and sale is wanted.
    #[must_use]
    pub fn admits(&self, kind: EventType, sale: SaleId) -> bool {
        let is_kind = self.kinds.is_empty() || self.kinds.contains(&kind);
        is_kind && (self.sales.is_empty() || self.sales.contains(&sale))
    }
}
