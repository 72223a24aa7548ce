//! One sale: its terms, catalogue, stock and buyers.

use std::sync::OnceLock;

use super::baskets::CheckoutEnd;
use super::buyers::{BuyerRef, Buyers};
use super::catalogue::Catalogue;
use super::inventory::{Balance, Inventory, Taker};
use super::outcome::{CheckoutOutcome, Decision, StockFigures, Unavailable};
use super::phase::{Phase, SalePhase};
use super::sold_out::SoldOut;
use super::stock_changes::StockChanges;
use crate::planted::{Slip, is_planted};
use crate::record::SaleTerms;
use crate::sync::{AtomicI64, Mutex, Ordering};
use crate::types::{ItemId, ItemIndex, Lsn, SaleId, Timestamp};

/// The status of a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaleStatus {
    /// The sale has not begun.
    Scheduled,
    /// The sale sells.
    Active,
    /// The sale sells no more.
    Ended,
}

/// An item as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The address of its picture.
    pub image_url: String,
    /// Units of it in all.
    pub stock: u64,
    /// Units sold.
    pub sold: u64,
    /// Units that can be bought now.
    pub remaining: u64,
    /// Units that one user may buy, where it has a limit of its own.
    pub max_per_user: Option<u32>,
}

/// A sale.
pub struct Sale {
    pub(super) id: SaleId,
    /// The terms that it was created with, of which the end may have changed.
    pub(super) terms: SaleTerms,
    /// From when on it sells no more, unless it is closed before: in microseconds by the wall clock.
    ends_at_us: AtomicI64,
    /// The end by which the payments under way were counted: it has passed, even where the clock is set back behind that.
    passed_end_us: AtomicI64,
    /// The lowest limit per user, of the sale or of one of its items: who stays within it need not be held against any other.
    pub(super) lowest_limit: u32,
    pub(super) catalogue: Catalogue,
    pub(super) inventory: Inventory,
    pub(super) buyers: Buyers,
    pub(super) sold_out: SoldOut,
    /// What was changed of the stock of its items.
    pub(super) stock_changes: Mutex<StockChanges>,
    /// Where nothing is decided any more, [`Self::closing`] follows at once.
    pub(super) phase: SalePhase,
    pub(super) closing: OnceLock<Closing>,
    /// When a hold can run out next, in microseconds of the steady clock; [`NEVER`] for none.
    next_expiry_us: AtomicI64,
}

/// The closing of a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The time.
    pub at: Timestamp,
    /// The record that says so.
    pub lsn: Lsn,
}

/// Returns when a sale with these terms sold for the last time: not before it began, where it never did.
pub(super) fn shown_end(terms: &SaleTerms, closing: &Closing) -> Timestamp {
    closing.at.min(terms.ended_at).max(terms.started_at)
}

const NEVER: i64 = i64::MAX;

impl Sale {
    pub(super) fn new(id: SaleId, terms: SaleTerms, catalogue: Catalogue) -> Self {
        let inventory = match &catalogue {
            Catalogue::Generated { item_count, .. } => Inventory::singles(*item_count),
            Catalogue::Explicit(items) => Inventory::of(items.stocks()),
        };
        let item_count = catalogue.item_count();
        let limit = terms.max_items_per_user;
        let lowest_limit = catalogue.lowest_limit().unwrap_or(limit).min(limit);
        Self {
            id,
            terms,
            ends_at_us: AtomicI64::new(terms.ended_at.0),
            passed_end_us: AtomicI64::new(NEVER),
            lowest_limit,
            catalogue,
            inventory,
            buyers: Buyers::default(),
            sold_out: SoldOut::new(item_count),
            stock_changes: Mutex::default(),
            phase: SalePhase::default(),
            closing: OnceLock::new(),
            next_expiry_us: AtomicI64::new(NEVER),
        }
    }

    /// Memory that the sale takes, in bytes, without what the allocator adds. Reads every buyer.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.catalogue.heap_bytes()
            + self.inventory.heap_bytes()
            + self.sold_out.heap_bytes()
            + self.stock_changes.lock().heap_bytes()
            + self.buyers.heap_bytes()
    }

    /// The sale's number.
    #[must_use]
    pub fn id(&self) -> SaleId {
        self.id
    }

    /// Returns from when on it sells.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.terms.started_at
    }

    /// Returns from when on it sells no more: the end that its terms say, or an earlier one.
    #[must_use]
    pub fn ended_at(&self) -> Timestamp {
        let terms = self.terms();
        let closing = self.closing.get();
        closing.map_or(terms.ended_at, |closing| shown_end(&terms, closing))
    }

    /// Returns from when on it sells no more, unless it is closed before.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        Timestamp(self.ends_at_us.load(Ordering::Acquire))
    }

    /// Returns the most units of an item that one request may ask for, whatever the item's own limit is.
    pub(super) fn max_quantity(&self, item: ItemIndex) -> u32 {
        match self.inventory.is_single(item) {
            true => 1,
            false => self.terms.max_items_per_user,
        }
    }

    /// Notes that its end has passed. No payment begins any more, unless the end is moved.
    pub(super) fn pass_end(&self) {
        self.passed_end_us
            .store(self.ends_at().0, Ordering::Release);
    }

    /// Returns whether its end has passed at `now`, or was noted to have before.
    pub(super) fn has_passed_end(&self, now: Timestamp) -> bool {
        let ends_at = self.ends_at();
        now >= ends_at || self.passed_end_us.load(Ordering::Acquire) == ends_at.0
    }

    /// Returns its terms as they are now.
    #[must_use]
    pub fn terms(&self) -> SaleTerms {
        SaleTerms {
            ended_at: self.ends_at(),
            ..self.terms
        }
    }

    /// The sale's status.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> SaleStatus {
        if self.is_closed() || now >= self.ends_at() {
            SaleStatus::Ended
        } else if now < self.terms.started_at {
            SaleStatus::Scheduled
        } else {
            SaleStatus::Active
        }
    }

    /// Returns whether it was closed, by its end or before it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase.get() == Phase::Closed
    }

    /// Returns whether it takes no checkouts for now.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.phase.get() == Phase::Paused
    }

    /// Returns the refusal of all checkouts, where none is taken; that of `open` where the opening is to be recorded first. To be called
    /// under the buyer's lock: closing and pausing take each lock once after they have begun, so that nobody decides otherwise after that.
    pub(super) fn refusal_of_checkouts(
        &self,
        open: impl FnOnce() -> Result<(), Unavailable>,
    ) -> Option<CheckoutOutcome> {
        match self.phase.get() {
            Phase::Open => None,
            Phase::Unopened => open().err().map(CheckoutOutcome::Unavailable),
            Phase::Paused if is_planted(Slip::IgnoresPause) => None,
            Phase::Paused => Some(CheckoutOutcome::SalePaused),
            Phase::Closed => Some(CheckoutOutcome::SaleNotActive),
        }
    }

    /// Returns when and with which record it was closed.
    #[must_use]
    pub fn closing(&self) -> Option<Closing> {
        self.closing.get().copied()
    }

    /// Counts all units anew, one item after the other, while the sale goes on.
    #[must_use]
    pub fn balance(&self) -> Balance {
        self.inventory.balance(self.item_count())
    }

    /// By how many units what the stock calls held exceeds what open checkouts hold, as far as that can be
    /// seen while the sale goes on: what moves meanwhile explains what is between two looks at the stock.
    #[must_use]
    pub fn unaccounted(&self) -> i64 {
        let held = || self.inventory.totals_now().held.cast_signed();
        let before = held();
        let by_buyers: u64 = self.buyers.lock_each().map(|shard| shard.held()).sum();
        let gaps = [before, held()].map(|held| held - by_buyers.cast_signed());
        match gaps {
            [one, other] if one.signum() != other.signum() => 0,
            [one, other] if one.abs() < other.abs() => one,
            [_, other] => other,
        }
    }

    /// Returns the record that must be acknowledged before anybody is told that fewer than `quantity` units of `item`
    /// are left. No buyer's lock may be held.
    pub(super) fn sold_out_lsn(&self, item: ItemIndex, quantity: u32) -> Lsn {
        let seen = self.sold_out.note_of(item);
        if let Some(lsn) = self.sold_out.lsn(seen, quantity) {
            return lsn;
        }
        // Read before the locks: the LSN of each unit that is gone by now is noted behind them.
        let unsold = self.inventory.unsold(item);
        // Units are sold, and the LSN is noted, under the lock of the buyer; units are taken out of the stock under a lock as well.
        // Behind these locks both is done for every unit that was gone before.
        match self.inventory.owner(item) {
            Some(owner) => drop(self.buyers.lock_buyer(BuyerRef(owner))),
            None => self.buyers.lock_each().for_each(drop),
        }
        let lsn = self.inventory.last_sold_lsn();
        self.sold_out.note(item, seen, unsold, lsn);
        lsn
    }

    /// Units in all, sold and held.
    #[must_use]
    pub fn figures(&self) -> StockFigures {
        let units = self.inventory.totals_now();
        StockFigures {
            total: self.inventory.total(),
            sold: units.sold,
            held: units.held,
        }
    }

    /// Number of items.
    #[must_use]
    pub fn item_count(&self) -> u32 {
        self.catalogue.item_count()
    }

    /// The item with this id.
    #[must_use]
    pub fn find_item(&self, id: ItemId<'_>) -> Option<ItemIndex> {
        self.catalogue.find(id)
    }

    /// An item as it is shown; `None` when there are not so many.
    #[must_use]
    pub fn item_view(&self, index: ItemIndex) -> Option<ItemView> {
        if index.0 >= self.item_count() {
            return None;
        }
        let text = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            String::from_utf8(out).expect("texts are checked where they come in")
        };
        let units = self.inventory.units(index);
        Some(ItemView {
            id: text(&|out| self.catalogue.write_id(index, out)),
            name: text(&|out| self.catalogue.write_name(index, out)),
            image_url: text(&|out| self.catalogue.write_image_url(index, out)),
            stock: self.inventory.stock(index),
            sold: units.sold,
            remaining: units.free,
            max_per_user: self.catalogue.max_per_user(index),
        })
    }

    /// Appends an item's id.
    pub fn write_item_id(&self, index: ItemIndex, out: &mut Vec<u8>) {
        self.catalogue.write_id(index, out);
    }

    /// Appends an item's name.
    pub fn write_item_name(&self, index: ItemIndex, out: &mut Vec<u8>) {
        self.catalogue.write_name(index, out);
    }

    /// Returns whether checkouts of this sale hold what they contain.
    #[must_use]
    pub fn has_holds(&self) -> bool {
        self.terms.hold_seconds > 0
    }

    /// Returns whether payments of this sale reserve what is paid.
    #[must_use]
    pub fn has_payments(&self) -> bool {
        self.terms.payment.seconds > 0
    }

    /// Returns whether units of this sale may be held: by checkouts, or by payments.
    #[must_use]
    pub fn may_hold(&self) -> bool {
        self.has_holds() || self.has_payments()
    }

    /// Returns how many payments are under way. Looks into every shard of a sale that has payments.
    #[must_use]
    pub fn payments_under_way(&self) -> u64 {
        if !self.has_payments() {
            return 0;
        }
        let paying = self.buyers.lock_each().map(|shard| shard.paying());
        paying.map(u64::from).sum()
    }

    /// Returns whether it is not to be closed yet, because payments are under way.
    #[must_use]
    pub fn waits_for_payments(&self) -> bool {
        self.payments_under_way() > 0 && !is_planted(Slip::ClosesWithPayments)
    }

    /// Returns when the next hold can run out, by the steady clock.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Timestamp> {
        let next_us = self.next_expiry_us.load(Ordering::Acquire);
        (next_us != NEVER).then_some(Timestamp(next_us))
    }

    /// Returns until when an item that is not free can be held, by the steady clock.
    pub(super) fn held_until(&self, item: ItemIndex) -> Option<Timestamp> {
        let holder = self.inventory.holder(item).map(BuyerRef);
        let until = holder.and_then(|holder| {
            let mut shard = self.buyers.lock_buyer(holder);
            shard.buyer(holder).open.as_ref()?.hold_until()
        });
        until.or_else(|| self.next_expiry())
    }

    /// Lets no hold last longer from now on than a new one would: since they began, the clock that their
    /// ends were written down by was set back.
    pub(super) fn hasten_holds(&self, steady: Timestamp) {
        let longest = self.terms.hold_seconds.max(self.terms.payment.seconds);
        let latest = steady.plus_seconds(longest);
        for mut shard in self.buyers.lock_each() {
            shard.hasten_holds(latest);
            if let Some(next) = shard.next_expiry() {
                self.expect_expiry(next);
            }
        }
    }

    /// Notes that a hold will run out. Call it under the lock that its buyer is under.
    pub(super) fn expect_expiry(&self, until: Timestamp) {
        // Holds that begin later run out later, so that this is hardly ever written.
        if until.0 < self.next_expiry_us.load(Ordering::Acquire) {
            self.next_expiry_us.fetch_min(until.0, Ordering::AcqRel);
        }
    }

    /// Forgets what was noted. Whoever does looks into every shard afterwards.
    pub(super) fn expect_no_expiry(&self) {
        self.next_expiry_us.store(NEVER, Ordering::Release);
    }

    /// Returns the answer to a code that is nobody's, which rests on the record by which the last one became that.
    pub(super) fn unknown_code<T>(&self, outcome: T) -> Decision<T> {
        let lsn = self.buyers.removed_lsn();
        let lsn = lsn.filter(|_| !is_planted(Slip::ForgetsCodeBeforeDurable));
        Decision { outcome, lsn }
    }

    /// Takes no checkouts from here on. `enqueue` is called behind the records of all that were taken. Returns false where none is taken
    /// already.
    pub(super) fn pause(&self, enqueue: impl FnOnce()) -> bool {
        if !self.phase.pause() {
            return false;
        }
        // As in closing.
        self.buyers.lock_each().for_each(drop);
        enqueue();
        true
    }

    /// Takes checkouts again. The record that says so must be enqueued already. Returns false where it was not paused.
    pub(super) fn resume(&self) -> bool {
        self.phase.resume()
    }

    /// Ends later, at `ends_at`. The record that says so must be enqueued already.
    pub(super) fn extend(&self, ends_at: Timestamp) {
        self.ends_at_us.store(ends_at.0, Ordering::Release);
    }

    /// Decides nothing from here on, and holds nothing; `false` when it was closed before. `enqueue`
    /// is called in between: behind the records of all who were deciding, and before what they hold is
    /// free.
    pub(super) fn close(&self, at: Timestamp, enqueue: impl FnOnce() -> Lsn) -> bool {
        if !self.phase.close() {
            return false;
        }
        // Whoever was deciding under one of these locks has enqueued their record; whoever takes one
        // later sees that the sale is closed.
        self.buyers.lock_each().for_each(drop);
        let lsn = enqueue();
        self.closing.get_or_init(|| Closing { at, lsn });
        for mut shard in self.buyers.lock_each() {
            shard.forget_holds();
            for (reference, buyer) in shard.iter_mut() {
                if let Some(open) = &mut buyer.open
                    && open.hold.is_some()
                {
                    if !is_planted(Slip::ClosesWithHolds) {
                        self.release_lines(reference, open);
                    }
                    open.hold = None;
                }
                // No payment of them can come any more.
                for closed in &mut buyer.closed {
                    if let CheckoutEnd::Expired { lines } = &mut closed.end {
                        *lines = Box::default();
                    }
                }
            }
        }
        self.expect_no_expiry();
        true
    }

    pub(super) fn taker(&self, buyer: BuyerRef) -> Taker {
        Taker {
            buyer: buyer.0,
            lane: super::lane(),
        }
    }
}
