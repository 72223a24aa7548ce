//! What Redis has to hold, as a plain fold over records.

use std::collections::{BTreeMap, BTreeSet};

use super::wire::{SaleKind, expires_at};
use crate::record::{CatalogueKind, Entry, Record, SaleChange, SaleTerms, Undecodable};
use crate::types::{GeneratedItemId, ItemIndex, SaleId, Timestamp};

/// All sales, as Redis shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// The sales that were created.
    pub sales: BTreeMap<SaleId, SaleProjection>,
    /// When it was read; `None` for one that was folded. What expired before is not missed.
    pub read_at: Option<Timestamp>,
    /// Ids and units of sales whose creation has not come yet.
    announced: BTreeMap<SaleId, Vec<(String, u64)>>,
    /// Of items of generated catalogues: how often each was sold, less how often it could be had again. In a snapshot what was cancelled
    /// stands before its purchase.
    taken: BTreeMap<(SaleId, u32), i64>,
}

/// One sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleProjection {
    /// From when on it sells.
    pub started_at: Timestamp,
    /// From when on it sells no more.
    pub ended_at: Timestamp,
    /// Units that one user may buy.
    pub max_items_per_user: u32,
    /// Whether it takes no checkouts for now.
    pub paused: bool,
    /// Whether it has been closed.
    pub closed: bool,
    /// Units.
    pub total: u64,
    /// Units sold.
    pub sold: u64,
    /// Units that are not sold, whoever holds them.
    pub remaining: u64,
    /// Item by item.
    pub items: ProjectedItems,
    /// Units by user.
    pub bought: BTreeMap<String, u64>,
    /// The second since 1970 at which Redis removes it; `None` while it is open.
    pub expires_at: Option<i64>,
}

/// The items of a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProjectedItems {
    /// Of stock 1: the places of those that cannot be had.
    Generated(BTreeSet<u32>),
    /// From a list.
    Listed {
        /// Ids, by their place.
        ids: Vec<String>,
        /// Units left, by id.
        remaining: BTreeMap<String, u64>,
    },
}

impl ProjectedItems {
    /// Where they come from.
    #[must_use]
    pub fn kind(&self) -> SaleKind {
        match self {
            Self::Generated(_) => SaleKind::Generated,
            Self::Listed { .. } => SaleKind::Listed,
        }
    }
}

impl Projection {
    /// Applies the next record of a journal, or of a snapshot, where a purchase stands without its
    /// checkout; an archived sale comes from its file instead. What is said of a sale that is not there changes nothing.
    ///
    /// # Errors
    /// This build cannot decode the record.
    pub fn apply(&mut self, entry: &Entry<'_>) -> Result<(), Undecodable> {
        match entry.record()? {
            Record::SaleItems { sale, first, items } => {
                let announced = self.announced.entry(sale).or_default();
                announced.truncate(first.0 as usize);
                announced.extend(items.iter().map(|item| (item.id.to_owned(), item.stock)));
            }
            Record::SaleCreated { sale, terms } => {
                let announced = self.announced.remove(&sale).unwrap_or_default();
                self.sales.insert(sale, created(&terms, announced));
            }
            Record::SaleClosed { sale } => {
                if let Some(sale) = self.sales.get_mut(&sale) {
                    (sale.closed, sale.paused) = (true, false);
                    sale.expires_at = Some(expires_at(entry.at, sale.ended_at));
                }
            }
            Record::SaleChanged { sale, change } => {
                if let Some(sale) = self.sales.get_mut(&sale) {
                    match change {
                        SaleChange::Opened => {}
                        SaleChange::Paused => sale.paused = true,
                        SaleChange::Resumed => sale.paused = false,
                        SaleChange::Extended(ended_at) => sale.ended_at = ended_at,
                    }
                }
            }
            Record::StockChanged {
                sale, item, units, ..
            } => {
                if let Some(sale) = self.sales.get_mut(&sale) {
                    sale.restock(item, units);
                }
            }
            Record::Purchase {
                sale, user, lines, ..
            } => {
                for line in lines.iter().filter(|line| line.sold) {
                    self.sell(sale, user, (line.item, i64::from(line.quantity)), true);
                }
            }
            Record::Cancelled {
                sale,
                user,
                lines,
                restock,
                ..
            } => {
                for line in lines.iter() {
                    let units = i64::from(line.quantity);
                    self.sell(sale, user, (line.item, -units), restock);
                }
            }
            Record::SaleArchived { .. }
            | Record::Checkout { .. }
            | Record::KeptKey { .. }
            | Record::PaymentBegun { .. }
            | Record::Expired { .. }
            | Record::Released { .. }
            | Record::Refused { .. } => {}
        }
        Ok(())
    }

    /// Sells units to a user, or takes them back where there are fewer than none. They are to be had or not then if `moves`; otherwise
    /// they leave the stock.
    fn sell(&mut self, id: SaleId, user: &str, (item, units): (ItemIndex, i64), moves: bool) {
        let Some(sale) = self.sales.get_mut(&id) else {
            return;
        };
        sale.sell(user, item, units, moves);
        if let ProjectedItems::Generated(taken) = &mut sale.items {
            let times = self.taken.entry((id, item.0)).or_default();
            *times += if moves { units } else { 0 };
            match *times > 0 {
                true => taken.insert(item.0),
                false => taken.remove(&item.0),
            };
        }
    }

    /// Returns the differences of `found` from this projection, in words, at most `max` of them. Sales that had expired
    /// when `found` was read are left out.
    #[must_use]
    pub fn differences(&self, found: &Self, max: usize) -> Vec<String> {
        let mut differences = Vec::new();
        let expired = |sale: &SaleProjection| {
            let at = sale.expires_at.zip(found.read_at);
            at.is_some_and(|(expires_at, read_at)| expires_at <= read_at.seconds())
        };
        for (id, expected) in &self.sales {
            if expired(expected) {
                continue;
            }
            match found.sales.get(id) {
                None => differences.push(format!("sale {id} is missing")),
                Some(found) => expected.compare(*id, found, max, &mut differences),
            }
            if differences.len() >= max {
                break;
            }
        }
        let unexpected = found.sales.keys().filter(|id| !self.sales.contains_key(id));
        differences.extend(unexpected.map(|id| format!("sale {id} is there and should not be")));
        differences.truncate(max);
        differences
    }
}

fn created(terms: &SaleTerms, announced: Vec<(String, u64)>) -> SaleProjection {
    let (total, items) = match terms.catalogue {
        CatalogueKind::Generated { item_count, .. } => (
            u64::from(item_count),
            ProjectedItems::Generated(BTreeSet::new()),
        ),
        CatalogueKind::Explicit { .. } => {
            let total = announced.iter().map(|(_, stock)| stock).sum();
            let ids = announced.iter().map(|(id, _)| id.clone()).collect();
            let remaining = announced.into_iter().collect();
            (total, ProjectedItems::Listed { ids, remaining })
        }
    };
    SaleProjection {
        started_at: terms.started_at,
        ended_at: terms.ended_at,
        max_items_per_user: terms.max_items_per_user,
        paused: false,
        closed: false,
        total,
        sold: 0,
        remaining: total,
        items,
        bought: BTreeMap::new(),
        expires_at: None,
    }
}

impl SaleProjection {
    fn restock(&mut self, item: ItemIndex, units: i64) {
        self.total = self.total.saturating_add_signed(units);
        self.remaining = self.remaining.saturating_add_signed(units);
        if let ProjectedItems::Listed { ids, remaining } = &mut self.items {
            let left = ids.get(item.0 as usize);
            if let Some(left) = left.and_then(|id| remaining.get_mut(id)) {
                *left = left.saturating_add_signed(units);
            }
        }
    }

    // In a snapshot a part may come before what it is a part of, so that nothing is kept from falling below zero in between.
    fn sell(&mut self, user: &str, item: ItemIndex, units: i64, moves: bool) {
        let less = |count: u64| count.wrapping_add_signed(-units);
        self.sold = self.sold.wrapping_add_signed(units);
        if moves {
            self.remaining = less(self.remaining);
        } else {
            self.total = self.total.wrapping_add_signed(units);
        }
        if let ProjectedItems::Listed { ids, remaining } = &mut self.items {
            let left = ids.get(item.0 as usize);
            if let Some(left) = left.and_then(|id| remaining.get_mut(id)).filter(|_| moves) {
                *left = less(*left);
            }
        }
        let bought = self.bought.entry(user.to_owned()).or_default();
        *bought = bought.wrapping_add_signed(units);
    }

    fn compare(&self, id: SaleId, found: &Self, max: usize, differences: &mut Vec<String>) {
        let mut differ = |what: &str, expected: String, found: String| {
            if expected != found && differences.len() < max {
                let line = format!("sale {id}: {what} should be {expected}, is {found}");
                differences.push(line);
            }
        };
        let state = |sale: &Self| match sale {
            Self { closed: true, .. } => "closed".to_owned(),
            Self { paused: true, .. } => "paused".to_owned(),
            _ => "open".to_owned(),
        };
        let text = |units: Option<u64>| units.map_or("none".to_owned(), |units| units.to_string());
        let kind = |sale: &Self| sale.items.kind().name().to_owned();
        differ("the kind", kind(self), kind(found));
        differ("the state", state(self), state(found));
        differ(
            "the start",
            self.started_at.to_string(),
            found.started_at.to_string(),
        );
        differ(
            "the end",
            self.ended_at.to_string(),
            found.ended_at.to_string(),
        );
        differ(
            "the limit per user",
            self.max_items_per_user.to_string(),
            found.max_items_per_user.to_string(),
        );
        differ("the total", self.total.to_string(), found.total.to_string());
        differ(
            "the units sold",
            self.sold.to_string(),
            found.sold.to_string(),
        );
        differ(
            "the units left",
            self.remaining.to_string(),
            found.remaining.to_string(),
        );
        match (&self.items, &found.items) {
            (ProjectedItems::Generated(expected), ProjectedItems::Generated(sold)) => {
                for &index in expected.symmetric_difference(sold) {
                    let index = ItemIndex(index);
                    let item = GeneratedItemId { sale: id, index };
                    let say = |sold: bool| if sold { "sold" } else { "not sold" }.to_owned();
                    let is = |set: &BTreeSet<u32>| say(set.contains(&index.0));
                    differ(&format!("item {item}"), is(expected), is(sold));
                }
            }
            (
                ProjectedItems::Listed { ids, remaining },
                ProjectedItems::Listed {
                    ids: places,
                    remaining: left,
                },
            ) => {
                for item in remaining
                    .keys()
                    .chain(left.keys().filter(|id| !remaining.contains_key(*id)))
                {
                    let units = |items: &BTreeMap<_, _>| text(items.get(item).copied());
                    differ(
                        &format!("the units of item {item:?}"),
                        units(remaining),
                        units(left),
                    );
                }
                differ(
                    "the list of items",
                    format!("{ids:?}"),
                    format!("{places:?}"),
                );
            }
            _ => {}
        }
        let others = found
            .bought
            .keys()
            .filter(|user| !self.bought.contains_key(*user));
        for user in self.bought.keys().chain(others) {
            // Of whom all was cancelled there may be a 0, or nothing.
            let units = |sale: &Self| text(sale.bought.get(user).copied().filter(|it| *it > 0));
            differ(
                &format!("what user {user:?} bought"),
                units(self),
                units(found),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{self, Lines, NewItem};
    use crate::types::{Lsn, PaymentTerms, PurchasedLine};

    const SALE: SaleId = SaleId(1);

    /// A sale of `catalogue`, whose items 0 and 1 ada has bought.
    fn projection(catalogue: CatalogueKind) -> Projection {
        let stocked = |id| NewItem {
            id,
            name: "",
            image_url: "",
            stock: 5,
            max_per_user: None,
        };
        let items = ["a", "b", "c"].map(stocked);
        let line = |item, sold| PurchasedLine {
            item: ItemIndex(item),
            quantity: 1,
            sold,
        };
        let lines = [line(0, true), line(1, true), line(2, false)];
        let terms = SaleTerms {
            started_at: Timestamp(0),
            ended_at: Timestamp::from_seconds(100),
            max_items_per_user: 3,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            catalogue,
        };
        let records = [
            Record::SaleItems {
                sale: SALE,
                first: ItemIndex(0),
                items: record::Items::Slice(&items),
            },
            Record::SaleCreated { sale: SALE, terms },
            Record::Purchase {
                sale: SALE,
                secret: 1,
                user: "ada",
                key: None,
                payment_ref: None,
                lines: Lines::Slice(&lines),
            },
            Record::SaleClosed { sale: SALE },
        ];
        let mut projection = Projection::default();
        for (lsn, record) in (1..).map(Lsn).zip(records) {
            let at = Timestamp::from_seconds(50);
            let mut bytes = Vec::new();
            record::envelope::encode(at, &record, &mut bytes);
            let entry = Entry::whole(lsn, &bytes).expect("one record");
            projection.apply(&entry).expect("our own");
        }
        projection
    }

    fn sale(projection: &mut Projection) -> &mut SaleProjection {
        projection.sales.get_mut(&SALE).expect("it was created")
    }

    #[test]
    fn differences_name_sale_item_and_user() {
        let listed = projection(CatalogueKind::Explicit { item_count: 3 });
        let mut found = listed.clone();
        sale(&mut found).sold = 7;
        sale(&mut found).bought = BTreeMap::from([("eve".into(), 2)]);
        let ProjectedItems::Listed { remaining, .. } = &mut sale(&mut found).items else {
            panic!("a list");
        };
        remaining.insert("b".into(), 3);
        let expected = [
            "sale 1: the units sold should be 2, is 7",
            "sale 1: the units of item \"b\" should be 4, is 3",
            "sale 1: what user \"ada\" bought should be 2, is none",
            "sale 1: what user \"eve\" bought should be none, is 2",
        ];
        assert_eq!(listed.differences(&found, 10), expected);
        assert_eq!(listed.differences(&found, 2), expected[..2]);
        assert!(listed.differences(&listed, 10).is_empty());

        let (seed, item_count) = (1, 3);
        let generated = projection(CatalogueKind::Generated { seed, item_count });
        let mut found = generated.clone();
        sale(&mut found).items = ProjectedItems::Generated(BTreeSet::from([0]));
        let expected = ["sale 1: item ITM-1-1 should be sold, is not sold"];
        assert_eq!(generated.differences(&found, 10), expected);
    }

    #[test]
    fn a_sale_is_missed_until_it_expires() {
        let expected = projection(CatalogueKind::Explicit { item_count: 3 });
        let read = |seconds| Projection {
            read_at: Some(Timestamp::from_seconds(seconds)),
            ..Projection::default()
        };
        let missing = |seconds| !expected.differences(&read(seconds), 10).is_empty();
        let week = 7 * 86_400;
        assert!(missing(week + 49));
        assert!(!missing(week + 50));
        let found = expected.differences(&Projection::default(), 10);
        assert_eq!(found, ["sale 1 is missing"]);
        let unexpected = Projection::default().differences(&expected, 10);
        assert_eq!(unexpected, ["sale 1 is there and should not be"]);
    }
}
