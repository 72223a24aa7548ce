//! What a piece of the journal changes in Redis, folded before it is sent: for every sale its net
//! effect, and the events in order.

use std::collections::{BTreeMap, HashMap};

use crate::limits::{REDIS_EFFECTS_MAX, REDIS_EFFECTS_PER_SALE};
use crate::reconcile::SinkBatch;
use crate::record::{
    CancelledLines, CatalogueKind, Entry, Items, Lines, Record, SaleChange, SaleTerms, Undecodable,
};
use crate::types::{CheckoutCode, ItemIndex, Lsn, SaleId, Timestamp};

/// Records on their way into Redis.
pub struct RedisBatch {
    pub(super) sales: BTreeMap<SaleId, Changes>,
    pub(super) events: Vec<Event>,
    effects: usize,
    /// Whether the records are told as events, too.
    tells: bool,
}

/// What becomes of one sale.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) announced: Option<Announced>,
    pub(super) created: Option<SaleTerms>,
    /// Units sold, less those that were cancelled.
    pub(super) sold: i64,
    /// Units that left the stock as they were cancelled.
    pub(super) gone: u64,
    /// Units by item that cannot be had any more, less those that can be had again.
    pub(super) lines: BTreeMap<u32, i64>,
    /// Items of a generated catalogue that cannot be had any more, or can be had again.
    pub(super) taken: BTreeMap<u32, bool>,
    /// Units that are added, by item; taken out where they are negative.
    pub(super) stocks: BTreeMap<u32, i64>,
    /// Units by user, less those that were cancelled.
    pub(super) users: HashMap<String, i64>,
    /// Whether it takes no checkouts, where that changes.
    pub(super) paused: Option<bool>,
    /// When it ends, where that changes.
    pub(super) ended_at: Option<Timestamp>,
    /// When it was closed.
    pub(super) closed: Option<Timestamp>,
}

impl Changes {
    /// Returns whether they change something of a sale that is there.
    pub(super) fn need_a_sale(&self) -> bool {
        let is_changed = self.paused.is_some() || self.ended_at.is_some();
        !self.lines.is_empty()
            || self.sold != 0
            || !self.stocks.is_empty()
            || is_changed
            || self.closed.is_some()
    }

    /// Returns whether the item at `place` is named.
    pub(super) fn names(&self, place: u32) -> bool {
        self.lines.contains_key(&place) || self.stocks.contains_key(&place)
    }
}

impl Changes {
    /// Takes units back from a user who had bought them.
    fn take_back(&mut self, user: &str, quantity: u32, restock: bool) {
        let units = i64::from(quantity);
        self.sold -= units;
        self.gone += if restock { 0 } else { u64::from(quantity) };
        match self.users.get_mut(user) {
            Some(bought) => *bought -= units,
            None => drop(self.users.insert(user.to_owned(), -units)),
        }
    }
}

/// Items of a listed catalogue, from one place on.
pub(super) struct Announced {
    pub(super) first: u32,
    /// Ids and units.
    pub(super) items: Vec<(String, u64)>,
}

/// Something that others want to hear of.
pub(super) struct Event {
    pub(super) lsn: Lsn,
    pub(super) at: Timestamp,
    pub(super) sale: SaleId,
    pub(super) kind: EventKind,
}

pub(super) enum EventKind {
    Created,
    Changed(SaleChange),
    /// Units of an item were added, or taken out.
    StockChanged {
        item: u32,
        units: i64,
    },
    Closed,
    Purchased {
        user: String,
        code: CheckoutCode,
        /// Items and units, of what was sold.
        lines: Vec<(u32, u32)>,
    },
    Cancelled {
        user: String,
        code: CheckoutCode,
        /// Items and units.
        lines: Vec<(u32, u32)>,
        restock: bool,
    },
}

/// A line of a cancellation: item, units, and whether they can be had again.
pub(super) type CancelledLine = (u32, u32, bool);

impl EventKind {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Created => "sale_created",
            Self::Changed(SaleChange::Opened) => "sale_opened",
            Self::Changed(SaleChange::Paused) => "sale_paused",
            Self::Changed(SaleChange::Resumed) => "sale_resumed",
            Self::Changed(SaleChange::Extended(_)) => "sale_extended",
            Self::StockChanged { .. } => "stock_changed",
            Self::Closed => "sale_closed",
            Self::Purchased { .. } => "purchased",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}

impl RedisBatch {
    /// For records of the journal.
    pub(super) fn with_events() -> Self {
        Self {
            tells: true,
            ..Self::silent()
        }
    }

    /// For records of a snapshot, which do not say when they happened.
    pub(super) fn silent() -> Self {
        Self {
            sales: BTreeMap::new(),
            events: Vec::new(),
            effects: 0,
            tells: false,
        }
    }

    /// Makes room for the effects of a record of `sale`; `None` when it belongs into the next batch.
    fn changes(&mut self, sale: SaleId, effects: usize) -> Option<&mut Changes> {
        let known = self.sales.contains_key(&sale);
        let effects = effects + if known { 0 } else { REDIS_EFFECTS_PER_SALE };
        if self.effects > 0 && self.effects + effects > REDIS_EFFECTS_MAX {
            return None;
        }
        self.effects += effects;
        Some(self.sales.entry(sale).or_default())
    }

    fn add_event(&mut self, entry: &Entry<'_>, sale: SaleId, kind: EventKind) {
        if self.tells {
            let (lsn, at) = (entry.lsn, entry.at);
            self.events.push(Event {
                lsn,
                at,
                sale,
                kind,
            });
        }
    }

    fn announce(&mut self, sale: SaleId, first: ItemIndex, items: Items<'_>) -> Option<()> {
        let items: Vec<_> = items
            .iter()
            .map(|item| (item.id.to_owned(), item.stock))
            .collect();
        let changes = self.changes(sale, 2 * items.len())?;
        match &mut changes.announced {
            Some(announced) if first.0 > 0 => announced.items.extend(items),
            announced => {
                *announced = Some(Announced {
                    first: first.0,
                    items,
                });
            }
        }
        Some(())
    }

    fn cancel(
        &mut self,
        entry: &Entry<'_>,
        sale: SaleId,
        (secret, user): (u128, &str),
        lines: CancelledLines<'_>,
        restock: bool,
    ) -> Option<()> {
        let lines: Vec<_> = lines.iter().map(|it| (it.item.0, it.quantity)).collect();
        let changes = self.changes(sale, lines.len() + 2)?;
        for &(item, quantity) in &lines {
            // Also where nothing can be had again: the event names the item.
            let gone = changes.lines.entry(item).or_default();
            if restock {
                *gone -= i64::from(quantity);
                changes.taken.insert(item, false);
            }
            changes.take_back(user, quantity, restock);
        }
        let (user, code) = (user.to_owned(), CheckoutCode { sale, secret });
        let kind = EventKind::Cancelled {
            user,
            code,
            lines,
            restock,
        };
        self.add_event(entry, sale, kind);
        Some(())
    }

    fn purchase(
        &mut self,
        entry: &Entry<'_>,
        sale: SaleId,
        (secret, user): (u128, &str),
        lines: Lines<'_>,
        cancelled: &[CancelledLine],
    ) -> Option<()> {
        let sold = lines.iter().filter(|line| line.sold);
        let lines: Vec<_> = sold.map(|line| (line.item.0, line.quantity)).collect();
        if lines.is_empty() {
            return Some(());
        }
        let changes = self.changes(sale, lines.len() + 2)?;
        let mut units = 0;
        for &(item, quantity) in &lines {
            *changes.lines.entry(item).or_default() += i64::from(quantity);
            changes.taken.insert(item, true);
            units += i64::from(quantity);
        }
        changes.sold += units;
        match changes.users.get_mut(user) {
            Some(bought) => *bought += units,
            None => drop(changes.users.insert(user.to_owned(), units)),
        }
        // In a snapshot, where it stands before the purchase: nobody may have bought them, or somebody else since.
        for &(item, quantity, restock) in cancelled {
            if restock {
                let left = changes.lines.entry(item).or_default();
                *left -= i64::from(quantity);
                if *left == 0 {
                    changes.taken.remove(&item);
                }
            }
            changes.take_back(user, quantity, restock);
        }
        let (user, code) = (user.to_owned(), CheckoutCode { sale, secret });
        self.add_event(entry, sale, EventKind::Purchased { user, code, lines });
        Some(())
    }

    /// Adds the next record, which was decoded from `entry`, and, of a purchase in a snapshot, what was cancelled of it; `false` when it
    /// belongs into the next batch.
    pub(super) fn add(
        &mut self,
        entry: &Entry<'_>,
        record: &Record<'_>,
        cancelled: &[CancelledLine],
    ) -> bool {
        self.take(entry, record, cancelled).is_some()
    }

    fn take(
        &mut self,
        entry: &Entry<'_>,
        record: &Record<'_>,
        cancelled: &[CancelledLine],
    ) -> Option<()> {
        match *record {
            Record::SaleItems { sale, first, items } => self.announce(sale, first, items)?,
            Record::SaleCreated { sale, terms } => {
                let changes = self.changes(sale, 1)?;
                changes.created = Some(terms);
                if matches!(terms.catalogue, CatalogueKind::Generated { .. }) {
                    // What an attempt left that never became a sale.
                    changes.announced = None;
                }
                self.add_event(entry, sale, EventKind::Created);
            }
            Record::SaleClosed { sale } => {
                self.changes(sale, 1)?.closed = Some(entry.at);
                self.add_event(entry, sale, EventKind::Closed);
            }
            Record::SaleChanged { sale, change } => {
                let changes = self.changes(sale, 1)?;
                match change {
                    SaleChange::Opened => {}
                    SaleChange::Paused => changes.paused = Some(true),
                    SaleChange::Resumed => changes.paused = Some(false),
                    SaleChange::Extended(ended_at) => changes.ended_at = Some(ended_at),
                }
                self.add_event(entry, sale, EventKind::Changed(change));
            }
            Record::StockChanged {
                sale, item, units, ..
            } => {
                let changes = self.changes(sale, 4)?;
                *changes.stocks.entry(item.0).or_default() += units;
                let item = item.0;
                self.add_event(entry, sale, EventKind::StockChanged { item, units });
            }
            Record::Purchase {
                sale,
                secret,
                user,
                lines,
                ..
            } => self.purchase(entry, sale, (secret, user), lines, cancelled)?,
            Record::Cancelled {
                sale,
                secret,
                user,
                lines,
                restock,
                ..
            } => self.cancel(entry, sale, (secret, user), lines, restock)?,
            // Who has what in an open checkout is nobody's business here, and the file of an archived sale
            // is read in its turn.
            Record::SaleArchived { .. }
            | Record::Checkout { .. }
            | Record::KeptKey { .. }
            | Record::PaymentBegun { .. }
            | Record::Expired { .. }
            | Record::Released { .. }
            | Record::Refused { .. } => {}
        }
        Some(())
    }
}

impl SinkBatch for RedisBatch {
    fn push(&mut self, entry: &Entry<'_>) -> Result<bool, Undecodable> {
        Ok(self.add(entry, &entry.record()?, &[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::envelope::encode;
    use crate::types::PurchasedLine;

    const SALE: SaleId = SaleId(3);

    /// Adds the purchase of `lines` to `batch`; whether it fits.
    fn push(batch: &mut RedisBatch, lsn: u64, lines: &[PurchasedLine]) -> bool {
        let record = Record::Purchase {
            sale: SALE,
            secret: u128::from(lsn),
            user: "ada",
            key: None,
            payment_ref: None,
            lines: Lines::Slice(lines),
        };
        let mut bytes = Vec::new();
        encode(Timestamp(0), &record, &mut bytes);
        let entry = Entry::whole(Lsn(lsn), &bytes).expect("one record");
        batch.push(&entry).expect("a record")
    }

    fn line(item: u32, sold: bool) -> PurchasedLine {
        PurchasedLine {
            item: ItemIndex(item),
            quantity: 2,
            sold,
        }
    }

    #[test]
    fn purchases_are_folded_and_what_sold_nothing_is_not_told() {
        let mut batch = RedisBatch::with_events();
        assert!(push(&mut batch, 1, &[line(0, true), line(1, false)]));
        assert!(push(&mut batch, 2, &[line(0, true), line(4, true)]));
        assert!(push(&mut batch, 3, &[line(0, false)]));
        let changes = &batch.sales[&SALE];
        assert_eq!(changes.sold, 6);
        assert_eq!(changes.lines, BTreeMap::from([(0, 4), (4, 2)]));
        assert_eq!(changes.users["ada"], 6);
        let told: Vec<_> = batch.events.iter().map(|event| event.lsn.0).collect();
        assert_eq!(told, [1, 2]);
    }

    #[test]
    fn a_batch_is_full_before_it_takes_too_long() {
        let lines = [line(0, true)];
        let mut batch = RedisBatch::with_events();
        let taken = (1..).take_while(|&lsn| push(&mut batch, lsn, &lines));
        let taken = taken.count();
        assert!(taken > 500 && 3 * taken <= REDIS_EFFECTS_MAX);
        let longest: Vec<_> = (0..1000).map(|item| line(item, true)).collect();
        assert!(!push(&mut batch, 1, &longest));
        assert!(push(&mut RedisBatch::with_events(), 1, &longest));
    }
}
