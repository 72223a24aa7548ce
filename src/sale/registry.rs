//! The sales in memory, as an immutable list that is replaced when a sale comes, closes or leaves.

use std::cmp::Reverse;
use std::sync::Arc;

use super::catalogue::HashedId;
use super::sale::{Sale, SaleStatus};
use crate::types::{ItemId, ItemIndex, SaleId, Timestamp};

/// The sales at one moment.
#[derive(Clone, Default)]
pub(super) struct SaleRegistry {
    /// All of them, by number.
    sales: Vec<Arc<Sale>>,
    /// Those that are not closed, the one that starts last first.
    open: Vec<Arc<Sale>>,
    /// The highest number that a sale ever had, in memory or not.
    last_id: u32,
}

/// The item that an id stands for.
pub(super) enum ItemMatch<'a> {
    Item(&'a Arc<Sale>, ItemIndex),
    NotActive(SaleId),
    Nothing,
}

impl SaleRegistry {
    pub(super) fn get(&self, id: SaleId) -> Option<&Arc<Sale>> {
        let place = self
            .sales
            .binary_search_by_key(&id, |sale| sale.id())
            .ok()?;
        Some(&self.sales[place])
    }

    pub(super) fn all(&self) -> &[Arc<Sale>] {
        &self.sales
    }

    pub(super) fn open(&self) -> &[Arc<Sale>] {
        &self.open
    }

    pub(super) fn last_id(&self) -> u32 {
        self.last_id
    }

    /// The running sale that started last.
    pub(super) fn active(&self, now: Timestamp) -> Option<&Arc<Sale>> {
        self.all_active(now).next()
    }

    /// All running sales, the one that started last first.
    pub(super) fn all_active(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Sale>> {
        let is_active = move |sale: &&Arc<Sale>| sale.status(now) == SaleStatus::Active;
        self.open.iter().filter(is_active)
    }

    pub(super) fn with(&self, sale: Arc<Sale>) -> Self {
        let mut with = self.clone();
        with.insert(sale);
        with
    }

    /// Returns a registry of the same sales, after one of them was closed.
    pub(super) fn refreshed(&self) -> Self {
        let mut refreshed = self.clone();
        refreshed.refresh();
        refreshed
    }

    /// Returns a registry without the sales for which `leaves` returns true.
    pub(super) fn without(&self, leaves: impl Fn(&Sale) -> bool) -> Self {
        let mut without = self.clone();
        without.sales.retain(|sale| !leaves(sale));
        without.open.retain(|sale| !leaves(sale));
        without
    }

    /// Adds a sale, which need not have the highest number.
    pub(super) fn insert(&mut self, sale: Arc<Sale>) {
        self.note_id(sale.id());
        let order = |sale: &Sale| Reverse((sale.started_at(), sale.id()));
        if !sale.is_closed() {
            let place = self
                .open
                .partition_point(|other| order(other) < order(&sale));
            self.open.insert(place, Arc::clone(&sale));
        }
        let place = self.sales.partition_point(|other| other.id() < sale.id());
        self.sales.insert(place, sale);
    }

    /// Notices that sales were closed.
    pub(super) fn refresh(&mut self) {
        self.open.retain(|sale| !sale.is_closed());
    }

    /// Remembers that a sale has this number, which is not in memory.
    pub(super) fn note_id(&mut self, id: SaleId) {
        self.last_id = self.last_id.max(id.0);
    }

    /// The item that `id` names: in `wanted`, or else in the running sale that started last.
    pub(super) fn find_item(
        &self,
        id: ItemId<'_>,
        wanted: Option<SaleId>,
        now: Timestamp,
    ) -> ItemMatch<'_> {
        // A generated id says its sale, so the usual case needs no search.
        let wanted = wanted.or_else(|| id.generated().map(|id| id.sale));
        if let Some(wanted) = wanted {
            return match self
                .get(wanted)
                .and_then(|sale| Some((sale, sale.find_item(id)?)))
            {
                Some((sale, item)) => active_item(sale, item, now),
                None => ItemMatch::Nothing,
            };
        }
        let id = HashedId::new(id.as_str());
        let mut not_active = ItemMatch::Nothing;
        // The open ones come first and in the order of preference; the closed ones are looked
        // through only to tell "over" from "never was".
        for sale in self.open.iter().chain(&self.sales) {
            let item = sale.catalogue.find_listed(id);
            match item.map(|item| active_item(sale, item, now)) {
                Some(found @ ItemMatch::Item(..)) => return found,
                Some(found) => not_active = found,
                None => {}
            }
        }
        not_active
    }
}

fn active_item(sale: &Arc<Sale>, item: ItemIndex, now: Timestamp) -> ItemMatch<'_> {
    match sale.status(now) {
        SaleStatus::Active => ItemMatch::Item(sale, item),
        SaleStatus::Scheduled | SaleStatus::Ended => ItemMatch::NotActive(sale.id()),
    }
}
