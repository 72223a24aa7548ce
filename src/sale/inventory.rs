//! The stock of all items of a sale, and the sale's totals.

use std::sync::OnceLock;

use crossbeam_utils::CachePadded;

use super::stock::{Availability, Few, Pool, Single, Units};
use crate::limits;
use crate::sync::{AtomicU64, Ordering};
use crate::types::{ItemIndex, Lsn};

/// The taker of units: the buyer, for stock-1 items, and the thread's lane, for the shards.
#[derive(Clone, Copy, Debug)]
pub struct Taker {
    /// The buyer's number in the sale.
    pub buyer: u32,
    /// Any number; threads with different ones do not disturb each other.
    pub lane: usize,
}

/// The stock of a sale's items.
pub struct Inventory {
    items: ItemStocks,
    total: AtomicU64,
    /// Units that were sold, and taken back since.
    taken_back: AtomicU64,
    totals: Box<[CachePadded<Totals>]>,
}

/// Four bytes an item where every item has stock 1, as in a generated catalogue; sixteen otherwise, and
/// the pool of an item that has one.
enum ItemStocks {
    Singles(Box<[Single]>),
    Mixed(Box<[ItemCounter]>),
}

enum ItemCounter {
    Single(Single),
    Few(Few),
    Pool(Box<Pool>),
}

impl ItemCounter {
    /// The counter for `stock` units, over `shards` if that is worth their memory.
    fn of(stock: u64, shards: usize) -> Self {
        match stock {
            1 => Self::Single(Single::default()),
            limits::SHARDED_STOCK_MIN.. if shards > 1 => {
                Self::Pool(Box::new(Pool::new(stock, shards)))
            }
            2..=Few::STOCK_MAX => Self::Few(Few::new(stock)),
            _ => Self::Pool(Box::new(Pool::new(stock, 1))),
        }
    }
}

#[derive(Clone, Copy)]
enum ItemCounterRef<'a> {
    Single(&'a Single),
    Few(&'a Few),
    Pool(&'a Pool),
}

/// One lane's part of the totals; both may wrap below zero, the sums of all do not while nothing moves.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) sold: AtomicU64,
    pub(super) held: AtomicU64,
    last_sold_lsn: AtomicU64,
}

impl Inventory {
    /// `item_count` items of stock 1.
    #[must_use]
    pub fn singles(item_count: u32) -> Self {
        let items = ItemStocks::Singles((0..item_count).map(|_| Single::default()).collect());
        Self::new(items, u64::from(item_count))
    }

    /// Items of the given stocks.
    #[must_use]
    pub fn of(stocks: impl ExactSizeIterator<Item = u64>) -> Self {
        // A shard is a cache line, which keeps threads apart that want the same item.
        let is_sharded = stocks.len() <= limits::SHARDED_ITEMS_MAX;
        let shards = if is_sharded { lanes() } else { 1 };
        let mut total = 0;
        let slot = |stock| {
            total += stock;
            ItemCounter::of(stock, shards)
        };
        let items = ItemStocks::Mixed(stocks.map(slot).collect());
        Self::new(items, total)
    }

    fn new(items: ItemStocks, total: u64) -> Self {
        Self {
            items,
            total: AtomicU64::new(total),
            taken_back: AtomicU64::new(0),
            totals: (0..lanes()).map(|_| CachePadded::default()).collect(),
        }
    }

    fn slot(&self, item: ItemIndex) -> ItemCounterRef<'_> {
        let index = item.0 as usize;
        match &self.items {
            ItemStocks::Singles(singles) => ItemCounterRef::Single(&singles[index]),
            ItemStocks::Mixed(slots) => match &slots[index] {
                ItemCounter::Single(single) => ItemCounterRef::Single(single),
                ItemCounter::Few(few) => ItemCounterRef::Few(few),
                ItemCounter::Pool(pool) => ItemCounterRef::Pool(pool),
            },
        }
    }

    pub(super) fn totals(&self, lane: usize) -> &Totals {
        &self.totals[lane % self.totals.len()]
    }

    /// Notes that units were sold, or taken out of the stock, by the record `lsn`. To be called under the buyer's lock, as the sale of
    /// the units; where no buyer has them, under anybody's.
    pub fn note_sold(&self, lsn: Lsn, lane: usize) {
        self.totals(lane)
            .last_sold_lsn
            .fetch_max(lsn.0, Ordering::AcqRel);
    }

    /// The newest record by which units were sold, as far as it was noted; 0 where none was since the start.
    #[must_use]
    pub fn last_sold_lsn(&self) -> Lsn {
        let lanes = self.totals.iter();
        let lsns = lanes.map(|totals| totals.last_sold_lsn.load(Ordering::Acquire));
        Lsn(lsns.max().unwrap_or(0))
    }

    /// The buyer to whom the item was sold, where it has one unit.
    #[must_use]
    pub fn owner(&self, item: ItemIndex) -> Option<u32> {
        match self.slot(item) {
            ItemCounterRef::Single(single) => single.owner(),
            ItemCounterRef::Few(_) | ItemCounterRef::Pool(_) => None,
        }
    }

    /// Memory that the stock takes, in bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let items = match &self.items {
            ItemStocks::Singles(singles) => size_of_val(&**singles),
            ItemStocks::Mixed(slots) => {
                let pools = slots.iter().map(|slot| match slot {
                    ItemCounter::Pool(pool) => pool.heap_bytes(),
                    ItemCounter::Single(_) | ItemCounter::Few(_) => 0,
                });
                size_of_val(&**slots) + pools.sum::<usize>()
            }
        };
        items + size_of_val(&*self.totals)
    }

    /// Returns whether the item has one unit only.
    #[must_use]
    pub fn is_single(&self, item: ItemIndex) -> bool {
        matches!(self.slot(item), ItemCounterRef::Single(_))
    }

    /// Free to sold: all of `quantity`, or nothing and `false`.
    pub fn sell(&self, item: ItemIndex, quantity: u32, taker: Taker) -> bool {
        let sold = match self.slot(item) {
            ItemCounterRef::Single(single) => quantity == 1 && single.sell(taker.buyer),
            ItemCounterRef::Few(few) => few.sell(u64::from(quantity)),
            ItemCounterRef::Pool(pool) => pool.sell(taker.lane, u64::from(quantity)),
        };
        if sold {
            let units = u64::from(quantity);
            self.totals(taker.lane)
                .sold
                .fetch_add(units, Ordering::AcqRel);
        }
        sold
    }

    /// Free to held: all of `quantity`, or nothing and `false`.
    pub fn hold(&self, item: ItemIndex, quantity: u32, taker: Taker) -> bool {
        let held = match self.slot(item) {
            ItemCounterRef::Single(single) => quantity == 1 && single.hold(taker.buyer),
            ItemCounterRef::Few(few) => few.hold(u64::from(quantity)),
            ItemCounterRef::Pool(pool) => pool.hold(taker.lane, u64::from(quantity)),
        };
        if held {
            let units = u64::from(quantity);
            self.totals(taker.lane)
                .held
                .fetch_add(units, Ordering::AcqRel);
        }
        held
    }

    /// Held to sold.
    ///
    /// # Panics
    /// The taker does not hold that much.
    pub fn sell_held(&self, item: ItemIndex, quantity: u32, taker: Taker) {
        let units = u64::from(quantity);
        match self.slot(item) {
            ItemCounterRef::Single(single) => single.sell_held(taker.buyer),
            ItemCounterRef::Few(few) => few.sell_held(units),
            ItemCounterRef::Pool(pool) => pool.sell_held(taker.lane, units),
        }
        let totals = self.totals(taker.lane);
        totals.held.fetch_sub(units, Ordering::AcqRel);
        totals.sold.fetch_add(units, Ordering::AcqRel);
    }

    /// Held to free. The record that says so must be enqueued already.
    ///
    /// # Panics
    /// The taker does not hold that much.
    pub fn release(&self, item: ItemIndex, quantity: u32, taker: Taker) {
        let units = u64::from(quantity);
        match self.slot(item) {
            ItemCounterRef::Single(single) => single.release(taker.buyer),
            ItemCounterRef::Few(few) => few.release(units),
            ItemCounterRef::Pool(pool) => pool.release(units),
        }
        self.totals(taker.lane)
            .held
            .fetch_sub(units, Ordering::AcqRel);
    }

    /// Sold to free, or out of the stock where they are not restocked. The record that says so must be enqueued already.
    ///
    /// # Panics
    /// That much was not sold to the taker.
    pub fn take_back(&self, item: ItemIndex, quantity: u32, taker: Taker, restock: bool) {
        let units = u64::from(quantity);
        match self.slot(item) {
            ItemCounterRef::Single(single) => single.take_back(taker.buyer, restock),
            ItemCounterRef::Few(few) => few.take_back(units, restock),
            ItemCounterRef::Pool(pool) => pool.take_back(units, restock),
        }
        let totals = self.totals(taker.lane);
        totals.sold.fetch_sub(units, Ordering::AcqRel);
        if !restock {
            self.total.fetch_sub(units, Ordering::AcqRel);
        }
        self.note_taken_back(units);
    }

    /// Notes units that were sold, and taken back since.
    pub fn note_taken_back(&self, units: u64) {
        self.taken_back.fetch_add(units, Ordering::AcqRel);
    }

    /// Returns how many units were sold, and taken back since.
    #[must_use]
    pub fn taken_back(&self) -> u64 {
        self.taken_back.load(Ordering::Acquire)
    }

    /// Takes free units out of the stock of any item, also where it exists once; `false` where fewer are free.
    pub fn write_off(&self, item: ItemIndex, units: u64, lane: usize) -> bool {
        let ItemCounterRef::Single(single) = self.slot(item) else {
            return self.withdraw(item, units, lane);
        };
        let withdrawn = units == 1 && single.withdraw();
        if withdrawn {
            self.total.fetch_sub(1, Ordering::AcqRel);
        }
        withdrawn
    }

    /// Takes free units out of the stock of an item: all of them, or none and `false`. Items that exist once keep theirs.
    pub fn withdraw(&self, item: ItemIndex, units: u64, lane: usize) -> bool {
        let withdrawn = match self.slot(item) {
            ItemCounterRef::Single(_) => false,
            ItemCounterRef::Few(few) => few.withdraw(units),
            ItemCounterRef::Pool(pool) => pool.withdraw(lane, units),
        };
        if withdrawn {
            self.total.fetch_sub(units, Ordering::AcqRel);
        }
        withdrawn
    }

    /// Adds free units to the stock of an item. The record that says so must be enqueued already. Only one may change a stock at a time.
    ///
    /// # Panics
    /// The item exists once, or has more units then than its counter counts.
    pub fn restock(&self, item: ItemIndex, units: u64) {
        self.total.fetch_add(units, Ordering::AcqRel);
        match self.slot(item) {
            ItemCounterRef::Single(_) => panic!("an item that exists once gets no more units"),
            ItemCounterRef::Few(few) => few.restock(units),
            ItemCounterRef::Pool(pool) => pool.restock(units),
        }
    }

    /// Returns whether `quantity` units can be had.
    #[must_use]
    pub fn availability(&self, item: ItemIndex, quantity: u32) -> Availability {
        match self.slot(item) {
            ItemCounterRef::Few(few) => few.availability(u64::from(quantity)),
            ItemCounterRef::Pool(pool) => pool.availability(u64::from(quantity)),
            ItemCounterRef::Single(single) => match single.units() {
                Units { free: 1, .. } => Availability::Free,
                Units { held: 1, .. } => Availability::Held,
                _ => Availability::SoldOut,
            },
        }
    }

    /// Returns how many units of the item are not sold.
    #[must_use]
    pub fn unsold(&self, item: ItemIndex) -> u64 {
        match self.slot(item) {
            ItemCounterRef::Single(single) => {
                let Units { free, held, .. } = single.units();
                free + held
            }
            ItemCounterRef::Few(few) => few.unsold(),
            ItemCounterRef::Pool(pool) => pool.unsold(),
        }
    }

    /// Returns whether the item has one unit and it was sold to `buyer`.
    #[must_use]
    pub fn is_sold_to(&self, item: ItemIndex, buyer: u32) -> bool {
        matches!(self.slot(item), ItemCounterRef::Single(single) if single.is_sold_to(buyer))
    }

    /// The buyer who holds it, where the item has one unit.
    #[must_use]
    pub fn holder(&self, item: ItemIndex) -> Option<u32> {
        match self.slot(item) {
            ItemCounterRef::Single(single) => single.holder(),
            ItemCounterRef::Few(_) | ItemCounterRef::Pool(_) => None,
        }
    }

    /// Returns the numbers of an item's free, held and sold units.
    #[must_use]
    pub fn units(&self, item: ItemIndex) -> Units {
        match self.slot(item) {
            ItemCounterRef::Single(single) => single.units(),
            ItemCounterRef::Few(few) => few.units(),
            ItemCounterRef::Pool(pool) => pool.units(),
        }
    }

    /// Returns how many units of an item there are in all.
    #[must_use]
    pub fn stock(&self, item: ItemIndex) -> u64 {
        match self.slot(item) {
            ItemCounterRef::Single(single) => {
                let Units { free, held, sold } = single.units();
                free + held + sold
            }
            ItemCounterRef::Few(few) => few.stock(),
            ItemCounterRef::Pool(pool) => pool.stock(),
        }
    }

    /// The totals as they are counted: sold, held and in all, each of which may be wrong for a moment.
    fn counted(&self) -> (u64, u64, u64) {
        let sum = |of: fn(&Totals) -> &AtomicU64| {
            let parts = self
                .totals
                .iter()
                .map(|totals| of(totals).load(Ordering::Acquire));
            parts.fold(0_u64, u64::wrapping_add)
        };
        let (sold, held) = (sum(|totals| &totals.sold), sum(|totals| &totals.held));
        (sold, held, self.total())
    }

    /// Returns the numbers of all free, held and sold units, from the totals.
    #[must_use]
    pub fn totals_now(&self) -> Units {
        let (sold, held, total) = self.counted();
        // A unit that comes from one lane and goes back to another while the lanes are read may be missing
        // from the sum, or be in it twice.
        let sold = sold.cast_signed().max(0).cast_unsigned().min(total);
        let held = held.cast_signed().max(0).cast_unsigned();
        let held = held.min(total - sold);
        Units {
            free: total - sold - held,
            held,
            sold,
        }
    }

    /// Returns how many units of all items there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Acquire)
    }

    /// Checks that `free + held + sold == stock` for every item and for the sale as a whole. Exact only
    /// while nobody takes or gives back.
    ///
    /// # Errors
    /// Names the first item whose units do not add up.
    pub fn check_conserved(&self, item_count: u32) -> Result<(), String> {
        for item in (0..item_count).map(ItemIndex) {
            let Units { free, held, sold } = self.units(item);
            let stock = self.stock(item);
            if free + held + sold != stock {
                let index = item.0;
                return Err(format!(
                    "item {index}: {free} free + {held} held + {sold} sold != {stock}"
                ));
            }
        }
        let gap = self.gap(self.counted(), item_count);
        if gap == Gap::default() {
            Ok(())
        } else {
            Err(gap.to_string())
        }
    }

    /// Counts all units while others go on to take and to give back.
    #[must_use]
    pub fn balance(&self, item_count: u32) -> Balance {
        let before = self.counted();
        let gap = self.gap(before, item_count);
        if gap == Gap::default() {
            Balance::Even
        } else if self.counted() == before {
            Balance::Uneven(gap)
        } else {
            Balance::Moving
        }
    }

    /// Returns the sums over the items less the counted totals, not the shown totals, which are clamped.
    fn gap(&self, (sold, held, total): (u64, u64, u64), item_count: u32) -> Gap {
        let mut sum = Units::default();
        for item in (0..item_count).map(ItemIndex) {
            let Units { free, held, sold } = self.units(item);
            sum.free += free;
            sum.held += held;
            sum.sold += sold;
        }
        let difference = |items: u64, total: u64| items.wrapping_sub(total).cast_signed();
        Gap {
            sold: difference(sum.sold, sold),
            held: difference(sum.held, held),
            units: difference(sum.free + sum.held + sum.sold, total),
        }
    }
}

/// By how many units the items of a sale say more than its totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// Sold.
    pub sold: i64,
    /// Held.
    pub held: i64,
    /// In all.
    pub units: i64,
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sold, held, units } = self;
        write!(
            f,
            "items less totals: {sold} sold, {held} held, {units} in all"
        )
    }
}

/// The result of counting a sale's units while it sells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// They do.
    Even,
    /// They moved while they were counted.
    Moving,
    /// They do not, although the totals are as before. A thread that stands still between an item and the
    /// totals looks like this, and so do units that went and came back meanwhile; but not for long, and
    /// not by the same number again and again.
    Uneven(Gap),
}

/// Returns how many shards a stock has. Asks the operating system once, which takes its time.
fn lanes() -> usize {
    static LANES: OnceLock<usize> = OnceLock::new();
    *LANES.get_or_init(|| {
        let processors = std::thread::available_parallelism();
        let processors = processors.map_or(1, usize::from);
        processors.min(limits::STOCK_SHARDS_MAX)
    })
}
