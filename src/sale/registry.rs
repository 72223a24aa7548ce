//! The sales in memory, as an immutable list that is replaced when a sale comes or closes.

use std::sync::Arc;

use super::catalogue::HashedId;
use super::sale::{Sale, SaleStatus};
use crate::types::{GeneratedItemId, ItemIndex, SaleId, Timestamp};

/// The sales at one moment.
#[derive(Clone, Default)]
pub(super) struct Registry {
    /// All of them, by number.
    sales: Vec<Arc<Sale>>,
    /// Those that are not closed, the one that starts last first.
    open: Vec<Arc<Sale>>,
}

/// What an item id means.
pub(super) enum Found<'a> {
    Item(&'a Arc<Sale>, ItemIndex),
    NotActive(&'a Arc<Sale>),
    Nothing,
}

impl Registry {
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
        self.sales.last().map_or(0, |sale| sale.id().0)
    }

    /// The running sale that started last.
    pub(super) fn active(&self, now: Timestamp) -> Option<&Arc<Sale>> {
        self.open
            .iter()
            .find(|sale| sale.status(now) == SaleStatus::Active)
    }

    pub(super) fn with(&self, sale: Arc<Sale>) -> Self {
        let mut sales = self.sales.clone();
        sales.push(sale);
        sales.sort_by_key(|sale| sale.id());
        Self::of(sales)
    }

    /// The same sales, for when one of them was closed.
    pub(super) fn refreshed(&self) -> Self {
        Self::of(self.sales.clone())
    }

    fn of(sales: Vec<Arc<Sale>>) -> Self {
        let mut open: Vec<_> = sales
            .iter()
            .filter(|sale| !sale.is_closed())
            .cloned()
            .collect();
        open.sort_by_key(|sale| std::cmp::Reverse((sale.started_at(), sale.id())));
        Self { sales, open }
    }

    /// The item that `id` names: in `wanted`, or else in the running sale that started last.
    pub(super) fn find_item(&self, id: &str, wanted: Option<SaleId>, now: Timestamp) -> Found<'_> {
        // A generated id says its sale, so the usual case needs no search.
        let wanted = wanted.or_else(|| GeneratedItemId::parse(id).map(|id| id.sale));
        if let Some(wanted) = wanted {
            return match self
                .get(wanted)
                .and_then(|sale| Some((sale, sale.find_item(id)?)))
            {
                Some((sale, item)) => active_item(sale, item, now),
                None => Found::Nothing,
            };
        }
        let id = HashedId::new(id);
        let mut not_active = Found::Nothing;
        // The open ones come first and in the order of preference; the closed ones are looked
        // through only to tell "over" from "never was".
        for sale in self.open.iter().chain(&self.sales) {
            let item = sale.catalogue.find_listed(id);
            match item.map(|item| active_item(sale, item, now)) {
                Some(found @ Found::Item(..)) => return found,
                Some(found) => not_active = found,
                None => {}
            }
        }
        not_active
    }
}

fn active_item(sale: &Arc<Sale>, item: ItemIndex, now: Timestamp) -> Found<'_> {
    match sale.status(now) {
        SaleStatus::Active => Found::Item(sale, item),
        SaleStatus::Scheduled | SaleStatus::Ended => Found::NotActive(sale),
    }
}
