//! Sales that have ended and left memory: what is known of them without their files.

use super::sale::{Closing, Sale, shown_end};
use crate::journal::sale_file::SaleFile;
use crate::record::{CatalogueKind, Record, SaleTerms};
use crate::types::{GeneratedItemId, SaleId, Timestamp};

/// The summary of an ended sale that stays in memory; the contents are in the sale's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedSale {
    /// Its number.
    pub id: SaleId,
    /// Its terms.
    pub terms: SaleTerms,
    /// Its closing.
    pub closing: Closing,
    /// Units of all its items.
    pub total: u64,
    /// Units sold.
    pub sold: u64,
    /// By how many units more or fewer that is than it began with.
    pub added: i64,
}

impl EndedSale {
    /// Returns the summary of `sale`; `None` while it is not closed.
    #[must_use]
    pub fn of(sale: &Sale) -> Option<Self> {
        let figures = sale.figures();
        Some(Self {
            id: sale.id,
            terms: sale.terms(),
            closing: sale.closing()?,
            total: figures.total,
            sold: figures.sold,
            added: sale.units_added(),
        })
    }

    /// Returns the summary that a snapshot's record holds; `None` for all other records.
    #[must_use]
    pub fn from_record(record: &Record<'_>) -> Option<Self> {
        let Record::SaleArchived {
            sale,
            terms,
            closed_at,
            closed_lsn,
            total,
            sold,
            added,
        } = *record
        else {
            return None;
        };
        let closing = Closing {
            at: closed_at,
            lsn: closed_lsn,
        };
        Some(Self {
            id: sale,
            terms,
            closing,
            total,
            sold,
            added,
        })
    }

    /// Returns the record of this summary in a snapshot.
    #[must_use]
    pub fn record(&self) -> Record<'static> {
        Record::SaleArchived {
            sale: self.id,
            terms: self.terms,
            closed_at: self.closing.at,
            closed_lsn: self.closing.lsn,
            total: self.total,
            sold: self.sold,
            added: self.added,
        }
    }

    /// Returns the units that it began with.
    #[must_use]
    pub fn first_total(&self) -> u64 {
        self.total.wrapping_sub(self.added.cast_unsigned())
    }

    /// Returns when it sold for the last time: the end that its terms say, or an earlier one.
    #[must_use]
    pub fn ended_at(&self) -> Timestamp {
        shown_end(&self.terms, &self.closing)
    }

    /// The file with the rest of it.
    #[must_use]
    pub fn file(&self) -> SaleFile {
        SaleFile {
            closed_lsn: self.closing.lsn,
            sale: self.id,
        }
    }

    /// Returns whether it had an item with this id, as far as that can be known here: what was listed is only in
    /// the file.
    fn may_have(&self, item: &str) -> bool {
        match (GeneratedItemId::parse(item), self.terms.catalogue) {
            (Some(id), CatalogueKind::Generated { item_count, .. }) => {
                id.sale == self.id && id.index.0 < item_count
            }
            (None, CatalogueKind::Explicit { .. }) => true,
            _ => false,
        }
    }
}

/// Ended sales, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndedSales {
    sales: Vec<EndedSale>,
}

impl EndedSales {
    /// The sale with this number.
    #[must_use]
    pub fn get(&self, id: SaleId) -> Option<&EndedSale> {
        let place = self.sales.binary_search_by_key(&id, |sale| sale.id).ok()?;
        Some(&self.sales[place])
    }

    /// Returns the number of ended sales.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sales.len()
    }

    /// Returns all ended sales, the one with the highest number first.
    pub fn newest_first(&self) -> impl Iterator<Item = &EndedSale> {
        self.sales.iter().rev()
    }

    /// Returns the ended sales before `id`, the one with the highest number first.
    pub fn newest_before(&self, id: SaleId) -> impl Iterator<Item = &EndedSale> {
        let end = self.sales.partition_point(|sale| sale.id < id);
        self.sales[..end].iter().rev()
    }

    /// All of them, by number.
    pub fn oldest_first(&self) -> impl Iterator<Item = &EndedSale> {
        self.sales.iter()
    }

    /// The sale that an item belongs to. A generated id says its sale; of listed items only their sale's
    /// file knows the ids, so that `wanted` must say which sale is meant.
    pub(super) fn find_item(&self, item: &str, wanted: Option<SaleId>) -> Option<SaleId> {
        let wanted = wanted.or_else(|| GeneratedItemId::parse(item).map(|id| id.sale))?;
        let sale = self.get(wanted)?;
        sale.may_have(item).then_some(wanted)
    }

    /// Adds a sale, unless it is there.
    pub(super) fn insert(&mut self, ended: EndedSale) {
        if let Err(place) = self.sales.binary_search_by_key(&ended.id, |sale| sale.id) {
            self.sales.insert(place, ended);
        }
    }

    pub(super) fn extend(&mut self, ended: impl IntoIterator<Item = EndedSale>) {
        ended.into_iter().for_each(|ended| self.insert(ended));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Lsn, PaymentTerms};

    fn ended(id: u32, catalogue: CatalogueKind) -> EndedSale {
        EndedSale {
            id: SaleId(id),
            terms: SaleTerms {
                started_at: Timestamp(1),
                ended_at: Timestamp(9),
                max_items_per_user: 1,
                hold_seconds: 0,
                payment: PaymentTerms::NONE,
                catalogue,
            },
            closing: Closing {
                at: Timestamp(5),
                lsn: Lsn(u64::from(id)),
            },
            total: 10,
            sold: 4,
            added: 0,
        }
    }

    #[test]
    fn they_are_found_and_listed_by_number() {
        let mut sales = EndedSales::default();
        let kind = CatalogueKind::Generated {
            seed: 1,
            item_count: 10,
        };
        sales.extend([5, 2, 9, 5].map(|id| ended(id, kind)));
        let ids = |sales: &mut dyn Iterator<Item = &EndedSale>| -> Vec<u32> {
            sales.map(|sale| sale.id.0).collect()
        };
        assert_eq!(ids(&mut sales.newest_first()), [9, 5, 2]);
        assert_eq!(ids(&mut sales.newest_before(SaleId(9))), [5, 2]);
        assert_eq!(ids(&mut sales.newest_before(SaleId(3))), [2]);
        assert_eq!(ids(&mut sales.oldest_first()), [2, 5, 9]);
        assert_eq!(sales.get(SaleId(5)).map(|sale| sale.sold), Some(4));
        assert_eq!(sales.get(SaleId(4)), None);
    }

    #[test]
    fn an_item_is_known_by_its_id_or_by_the_sale_that_is_named() {
        let generated = CatalogueKind::Generated {
            seed: 1,
            item_count: 10,
        };
        let mut sales = EndedSales::default();
        sales.insert(ended(1, generated));
        sales.insert(ended(2, CatalogueKind::Explicit { item_count: 3 }));
        for (item, wanted, found) in [
            ("ITM-1-9", None, Some(1)),
            ("ITM-1-10", None, None),
            ("ITM-3-0", None, None),
            ("ITM-1-0", Some(1), Some(1)),
            ("ITM-1-0", Some(2), None),
            ("mug", None, None),
            ("mug", Some(1), None),
            ("mug", Some(2), Some(2)),
        ] {
            let sale = sales.find_item(item, wanted.map(SaleId));
            assert_eq!(sale, found.map(SaleId), "{item} {wanted:?}");
        }
    }

    #[test]
    fn a_snapshot_gives_it_back() {
        let mut ended = ended(7, CatalogueKind::Explicit { item_count: 3 });
        assert_eq!(EndedSale::from_record(&ended.record()), Some(ended));
        ended.added = -2;
        assert_eq!(EndedSale::from_record(&ended.record()), Some(ended));
        assert_eq!(ended.ended_at(), Timestamp(5));
    }
}
