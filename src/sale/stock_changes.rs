//! Changes of the stock of a sale's items: what is kept of them, and what they do to the units.

use hashbrown::HashMap;

use super::sale::Sale;
use super::stock::Few;
use crate::limits::{ITEM_STOCK_MAX, STOCK_CHANGES_MAX};
use crate::planted::{Slip, is_planted};
use crate::types::{ItemIndex, Lsn};

/// A change of the stock of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StockChange {
    /// The item.
    pub item: ItemIndex,
    /// Units that were added, or taken out where it is negative.
    pub units: i64,
    /// The record that says so.
    pub lsn: Lsn,
    /// Its place among the changes of the sale.
    place: u32,
}

/// All changes of the stock of a sale's items, by their references: one is made once.
#[derive(Default)]
pub struct StockChanges {
    by_reference: HashMap<Box<str>, StockChange, foldhash::fast::RandomState>,
    /// By the number of each item that was changed: the units that were added, less those that were taken out.
    added: HashMap<u32, i64, foldhash::fast::RandomState>,
}

impl StockChanges {
    /// Returns the change with this reference.
    #[must_use]
    pub fn find(&self, reference: &str) -> Option<StockChange> {
        self.by_reference.get(reference).copied()
    }

    /// Returns how many units they have added to an item, less those that they have taken out.
    pub(super) fn added_to(&self, item: ItemIndex) -> i64 {
        self.added.get(&item.0).copied().unwrap_or_default()
    }

    /// Returns whether a sale keeps no more of them.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.by_reference.len() >= STOCK_CHANGES_MAX
    }

    /// Keeps one more.
    pub(super) fn keep(&mut self, reference: &str, item: ItemIndex, units: i64, lsn: Lsn) {
        let change = StockChange {
            item,
            units,
            lsn,
            place: self.by_reference.len() as u32,
        };
        self.by_reference.insert(reference.into(), change);
        *self.added.entry(item.0).or_default() += units;
    }

    /// Returns all of them with their references, in the order in which they were made.
    pub(super) fn in_order(&self) -> Vec<(&str, StockChange)> {
        let changes = self.by_reference.iter();
        let mut changes: Vec<_> = changes.map(|(key, change)| (&**key, *change)).collect();
        changes.sort_unstable_by_key(|(_, change)| change.place);
        changes
    }

    /// Memory that they take, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        let references: usize = self.by_reference.keys().map(|key| key.len()).sum();
        self.by_reference.allocation_size() + self.added.allocation_size() + references
    }
}

/// Returns the most units that an item may come to have that began with `stock`. What it began with decides how it is counted, and a
/// journal must be read on machines that count in other ways.
#[must_use]
pub fn stock_max(stock: u64) -> u64 {
    match stock {
        ..=Few::STOCK_MAX => Few::STOCK_MAX,
        _ => ITEM_STOCK_MAX,
    }
}

impl Sale {
    /// Returns the most units that may be added to an item. What left the stock otherwise makes no room: a snapshot has that behind all
    /// changes.
    pub(super) fn room_of(&self, item: ItemIndex) -> u64 {
        let first = self.catalogue.stock(item);
        let added = self.stock_changes.lock().added_to(item);
        stock_max(first).saturating_sub(first.saturating_add_signed(added))
    }

    /// Returns the change of the stock with this reference.
    #[must_use]
    pub fn stock_change(&self, reference: &str) -> Option<StockChange> {
        self.stock_changes.lock().find(reference)
    }

    /// Returns how often units have come to its items or gone from them otherwise than by purchases.
    #[must_use]
    pub fn stock_change_count(&self) -> u64 {
        self.stock_changes.lock().by_reference.len() as u64 + self.inventory.taken_back()
    }

    /// Returns how many units were sold, and cancelled since.
    #[must_use]
    pub fn units_cancelled(&self) -> u64 {
        self.inventory.taken_back()
    }

    /// Returns by how many units more or fewer there are than the sale began with.
    #[must_use]
    pub fn units_added(&self) -> i64 {
        let units = self.inventory.total();
        units.wrapping_sub(self.catalogue.units()).cast_signed()
    }

    /// Adds free units to the stock of an item, which may have been sold out; `enqueue` is called before that, and returns the record
    /// that says so.
    pub(super) fn restock(
        &self,
        item: ItemIndex,
        units: u64,
        enqueue: impl FnOnce() -> Lsn,
    ) -> Lsn {
        let free = || {
            self.sold_out
                .give_back(item, || self.inventory.restock(item, units));
        };
        if is_planted(Slip::RestocksBeforeRecord) {
            free();
            return enqueue();
        }
        let lsn = enqueue();
        free();
        lsn
    }

    /// Takes free units out of the stock of an item; `enqueue` is called behind that, and returns the record that says so. `None` where
    /// fewer are free.
    pub(super) fn withdraw(
        &self,
        item: ItemIndex,
        units: u64,
        enqueue: impl FnOnce() -> Lsn,
    ) -> Option<Lsn> {
        let lane = super::lane();
        // Somebody's: whoever is refused because of this takes all of them before they ask for the record.
        let _shard = self.buyers.lock_shard(0);
        if !self.inventory.withdraw(item, units, lane) {
            return None;
        }
        let lsn = enqueue();
        self.inventory.note_sold(lsn, lane);
        Some(lsn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_in_the_order_in_which_they_were_made() {
        let mut changes = StockChanges::default();
        let made: Vec<_> = (0..100).map(|number| format!("ref {number}")).collect();
        for (reference, units) in made.iter().zip(1..) {
            changes.keep(reference, ItemIndex(3), units, Lsn(7));
        }
        let kept: Vec<_> = changes.in_order();
        let references: Vec<_> = kept.iter().map(|(reference, _)| *reference).collect();
        assert_eq!(references, made);
        assert_eq!(changes.find("ref 4").map(|change| change.units), Some(5));
        assert_eq!(changes.find("ref"), None);
        changes.keep("taken out", ItemIndex(3), -50, Lsn(8));
        let added = [3, 4].map(|item| changes.added_to(ItemIndex(item)));
        assert_eq!(added, [100 * 101 / 2 - 50, 0]);
    }
}
