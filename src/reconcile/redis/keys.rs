//! The names of the keys. All carry one hash tag, so that one call may change any of them on a
//! cluster, too.

use crate::types::SaleId;

/// How far the projection is.
pub(super) const WATERMARK: &str = "{flashsale}:watermark";
/// The sales whose keys are there, by the second at which they expire.
pub(super) const SALES: &str = "{flashsale}:sales";
/// What was sold, in order.
pub(super) const EVENTS: &str = "{flashsale}:events";
/// The prefix of a sale's keys, before its number.
pub(super) const SALE_PREFIX: &str = "{flashsale}:sale:";

/// The prefix of the watermark's fields with the sold units of a sale, before its number;
/// `projection.lua` writes them.
pub(super) const SUM_PREFIX: &str = "sold:";

/// The keys of one sale.
pub(super) struct SaleKeys {
    /// Terms, totals and state.
    pub(super) terms: String,
    /// A bit for every item of a generated catalogue.
    pub(super) sold_items: String,
    /// Units left of every item of a listed catalogue, by its id.
    pub(super) remaining: String,
    /// The ids of a listed catalogue, by their place in it.
    pub(super) items: String,
    /// Units by user.
    pub(super) bought: String,
}

impl SaleKeys {
    pub(super) fn of(sale: SaleId) -> Self {
        let terms = format!("{SALE_PREFIX}{sale}");
        Self {
            sold_items: format!("{terms}:sold_items"),
            remaining: format!("{terms}:remaining"),
            items: format!("{terms}:items"),
            bought: format!("{terms}:bought"),
            terms,
        }
    }

    /// All of them, in the order in which the script takes them.
    pub(super) fn all(self) -> [String; 5] {
        [
            self.terms,
            self.sold_items,
            self.remaining,
            self.items,
            self.bought,
        ]
    }
}
