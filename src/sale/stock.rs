//! Stock counters: how many units are free, held and sold. Exact at the end, fast until then.
//!
//! An item with one unit is one atomic that names its owner. An item with [`Few`] is one that counts
//! them. An item with many is a [`Pool`]: the fast path takes from the calling thread's own shard; the slow path, under a mutex, fills the shard
//! from the reserve or gathers all shards, and is the only one that may say "none is left". The idea
//! is `count_lim_atomic` of McKenney's "Is Parallel Programming Hard", chapter 5.

use crossbeam_utils::CachePadded;

use crate::planted::{Slip, is_planted};
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};

pub use super::single::Single;

/// Whether an item can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Enough units are free.
    Free,
    /// Enough units are unsold, but some of them are held, or in the hands of a thread.
    Held,
    /// Fewer units are unsold than asked for.
    SoldOut,
}

/// Units of one item. `free + held + sold` is its stock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Units that can be bought.
    pub free: u64,
    /// Units that open checkouts hold.
    pub held: u64,
    /// Units sold.
    pub sold: u64,
}

/// The units of an item that has few: how many are free, held and sold, all in one word.
pub struct Few(AtomicU64);

const COUNT_BITS: u32 = 21;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const ONE_FREE: u64 = 1;
const ONE_HELD: u64 = 1 << COUNT_BITS;
const ONE_SOLD: u64 = 1 << (2 * COUNT_BITS);

impl Few {
    /// Most units that it can count.
    pub const STOCK_MAX: u64 = COUNT_MAX;

    /// `stock` free units.
    ///
    /// # Panics
    /// Those are more than [`Self::STOCK_MAX`].
    pub fn new(stock: u64) -> Self {
        assert!(stock <= Self::STOCK_MAX, "few are {COUNT_MAX} at most");
        Self(AtomicU64::new(stock * ONE_FREE))
    }

    fn count(word: u64, one: u64) -> u64 {
        (word / one) & COUNT_MAX
    }

    /// Returns the numbers of free, held and sold units.
    pub fn units(&self) -> Units {
        let word = self.0.load(Ordering::Acquire);
        Units {
            free: Self::count(word, ONE_FREE),
            held: Self::count(word, ONE_HELD),
            sold: Self::count(word, ONE_SOLD),
        }
    }

    /// Free to `one`'s place, all or none; nowhere, where that is 0.
    fn take(&self, quantity: u64, one: u64) -> bool {
        let mut word = self.0.load(Ordering::Acquire);
        while Self::count(word, ONE_FREE) >= quantity {
            let taken = self.0.compare_exchange_weak(
                word,
                word - quantity * ONE_FREE + quantity * one,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match taken {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Held to `one`'s place.
    fn give(&self, quantity: u64, one: u64) {
        let moved = (quantity * one).wrapping_sub(quantity * ONE_HELD);
        let word = self.0.fetch_add(moved, Ordering::AcqRel);
        assert!(
            Self::count(word, ONE_HELD) >= quantity,
            "only held units are sold or given back"
        );
    }

    /// Free to sold.
    pub fn sell(&self, quantity: u64) -> bool {
        self.take(quantity, ONE_SOLD)
    }

    /// Free to held.
    pub fn hold(&self, quantity: u64) -> bool {
        self.take(quantity, ONE_HELD)
    }

    /// Held to sold.
    ///
    /// # Panics
    /// Fewer units are held.
    pub fn sell_held(&self, quantity: u64) {
        self.give(quantity, ONE_SOLD);
    }

    /// Held to free.
    ///
    /// # Panics
    /// Fewer units are held.
    pub fn release(&self, quantity: u64) {
        self.give(quantity, ONE_FREE);
    }

    /// Sold to free; or to nowhere, where they are not restocked.
    ///
    /// # Panics
    /// Fewer units are sold.
    pub fn take_back(&self, quantity: u64, restock: bool) {
        let to = if restock { ONE_FREE } else { 0 };
        let moved = (quantity * to).wrapping_sub(quantity * ONE_SOLD);
        let word = self.0.fetch_add(moved, Ordering::AcqRel);
        assert!(
            Self::count(word, ONE_SOLD) >= quantity,
            "only sold units are taken back"
        );
    }

    /// Takes free units out of the stock, all or none.
    pub fn withdraw(&self, quantity: u64) -> bool {
        self.take(quantity, 0)
    }

    /// Adds free units to the stock. Only one may change it at a time.
    ///
    /// # Panics
    /// It becomes more than [`Self::STOCK_MAX`].
    pub fn restock(&self, quantity: u64) {
        let stock = self.stock() + quantity;
        assert!(stock <= Self::STOCK_MAX, "few are {COUNT_MAX} at most");
        self.0.fetch_add(quantity * ONE_FREE, Ordering::AcqRel);
    }

    /// Returns whether `quantity` units can be had.
    pub fn availability(&self, quantity: u64) -> Availability {
        let Units { free, held, .. } = self.units();
        if free >= quantity {
            Availability::Free
        } else if free + held >= quantity {
            Availability::Held
        } else {
            Availability::SoldOut
        }
    }

    /// Returns how many units are not sold.
    pub fn unsold(&self) -> u64 {
        let Units { free, held, .. } = self.units();
        free + held
    }

    /// Returns how many units there are in all.
    pub fn stock(&self) -> u64 {
        let Units { free, held, sold } = self.units();
        free + held + sold
    }
}

/// The units of an item that has many.
pub struct Pool {
    /// Never less than what is free, held and sold.
    stock: AtomicU64,
    /// Units that were sold, and taken back since.
    taken_back: AtomicU64,
    /// Changes only under the `reserve` lock, while the pool can be exhausted; see [`Pool::take`].
    exhausted: AtomicBool,
    held: AtomicU64,
    reserve: Mutex<u64>,
    shards: Box<[CachePadded<Shard>]>,
}

#[derive(Default)]
struct Shard {
    free: AtomicU64,
    sold: AtomicU64,
}

impl Shard {
    fn take(&self, quantity: u64) -> bool {
        let mut free = self.free.load(Ordering::Acquire);
        while free >= quantity {
            let taken = self.free.compare_exchange_weak(
                free,
                free - quantity,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match taken {
                Ok(_) => return true,
                Err(now) => free = now,
            }
        }
        false
    }
}

impl Pool {
    /// A pool of `stock` free units, spread over `shard_count` shards as they are asked for.
    pub fn new(stock: u64, shard_count: usize) -> Self {
        Self {
            stock: AtomicU64::new(stock),
            taken_back: AtomicU64::new(0),
            exhausted: AtomicBool::new(stock == 0),
            held: AtomicU64::new(0),
            reserve: Mutex::new(stock),
            shards: (0..shard_count.max(1))
                .map(|_| CachePadded::default())
                .collect(),
        }
    }

    /// Memory that it takes, itself included, in bytes.
    pub fn heap_bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.shards)
    }

    fn shard(&self, lane: usize) -> &Shard {
        &self.shards[lane % self.shards.len()]
    }

    /// Takes `quantity` units, all or none. `false` means that at one moment of the call fewer
    /// were free.
    fn take(&self, lane: usize, quantity: u64) -> bool {
        if self.exhausted.load(Ordering::Acquire) {
            return false;
        }
        self.shard(lane).take(quantity) || self.take_slowly(lane, quantity)
    }

    // Units enter shards only under the lock. So while it is held the shards only shrink, and what
    // gathering finds is at least what was there in the end: "too few" is exact.
    fn take_slowly(&self, lane: usize, quantity: u64) -> bool {
        let mut reserve = self.reserve.lock();
        if *reserve < quantity {
            let gathered = match is_planted(Slip::GathersTooFewShards) {
                true => &self.shards[1..],
                false => &self.shards[..],
            };
            for shard in gathered {
                *reserve += shard.free.swap(0, Ordering::AcqRel);
            }
        }
        assert!(
            *reserve <= self.stock(),
            "more units are free than there are"
        );
        let enough = *reserve >= quantity;
        if enough {
            *reserve -= quantity;
            let share = *reserve / (2 * self.shards.len() as u64);
            *reserve -= share;
            self.shard(lane).free.fetch_add(share, Ordering::AcqRel);
        }
        if *reserve == 0 && self.free_in_shards() == 0 {
            self.exhausted.store(true, Ordering::Release);
        }
        enough
    }

    fn free_in_shards(&self) -> u64 {
        self.shards
            .iter()
            .map(|shard| shard.free.load(Ordering::Acquire))
            .sum()
    }

    fn sold(&self) -> u64 {
        let ever = self.sold_ever();
        ever.saturating_sub(self.taken_back.load(Ordering::Acquire))
    }

    fn sold_ever(&self) -> u64 {
        self.shards
            .iter()
            .map(|shard| shard.sold.load(Ordering::Acquire))
            .sum()
    }

    /// Returns how many units are not sold; at least as many as at one moment of the call.
    pub fn unsold(&self) -> u64 {
        // In this order: units that are added or taken back in between, and sold, are not to be missing.
        let ever = self.sold_ever();
        let stock = self.stock();
        let taken_back = self.taken_back.load(Ordering::Acquire);
        (stock + taken_back).saturating_sub(ever)
    }

    fn count_sold(&self, lane: usize, quantity: u64) {
        self.shard(lane).sold.fetch_add(quantity, Ordering::AcqRel);
    }

    /// Free to sold.
    pub fn sell(&self, lane: usize, quantity: u64) -> bool {
        let taken = self.take(lane, quantity);
        if taken {
            self.count_sold(lane, quantity);
        }
        taken
    }

    /// Free to held.
    pub fn hold(&self, lane: usize, quantity: u64) -> bool {
        let taken = self.take(lane, quantity);
        if taken {
            self.held.fetch_add(quantity, Ordering::AcqRel);
        }
        taken
    }

    /// Held to sold.
    ///
    /// # Panics
    /// Fewer units are held.
    pub fn sell_held(&self, lane: usize, quantity: u64) {
        let held = self.held.fetch_sub(quantity, Ordering::AcqRel);
        assert!(held >= quantity, "only held units are sold from a hold");
        self.count_sold(lane, quantity);
    }

    /// Held to free.
    ///
    /// # Panics
    /// Fewer units are held.
    pub fn release(&self, quantity: u64) {
        let held = self.held.fetch_sub(quantity, Ordering::AcqRel);
        assert!(held >= quantity, "only held units are given back");
        self.free(&mut self.reserve.lock(), quantity);
    }

    fn free(&self, reserve: &mut u64, quantity: u64) {
        *reserve += quantity;
        assert!(
            *reserve <= self.stock(),
            "more units are free than there are"
        );
        self.exhausted.store(false, Ordering::Release);
    }

    /// Sold to free; or to nowhere, where they are not restocked.
    pub fn take_back(&self, quantity: u64, restock: bool) {
        let mut reserve = self.reserve.lock();
        self.taken_back.fetch_add(quantity, Ordering::AcqRel);
        if restock {
            self.free(&mut reserve, quantity);
        } else {
            self.stock.fetch_sub(quantity, Ordering::AcqRel);
        }
    }

    /// Takes free units out of the stock, all or none.
    pub fn withdraw(&self, lane: usize, quantity: u64) -> bool {
        let taken = self.take(lane, quantity);
        if taken {
            self.stock.fetch_sub(quantity, Ordering::AcqRel);
        }
        taken
    }

    /// Adds free units to the stock.
    pub fn restock(&self, quantity: u64) {
        let mut reserve = self.reserve.lock();
        self.stock.fetch_add(quantity, Ordering::AcqRel);
        self.free(&mut reserve, quantity);
    }

    /// Returns whether `quantity` units can be had. Anything but [`Availability::Free`] means that at one
    /// moment of the call fewer were free; [`Availability::SoldOut`], that it stays so until units are added.
    pub fn availability(&self, quantity: u64) -> Availability {
        let exhausted = self.exhausted.load(Ordering::Acquire);
        if !exhausted && self.free_in_shards() >= quantity {
            return Availability::Free;
        }
        if !exhausted {
            let reserve = self.reserve.lock();
            if *reserve + self.free_in_shards() >= quantity {
                return Availability::Free;
            }
        }
        // What is held may come back by itself, so only what is sold may say "sold out".
        if self.unsold() >= quantity {
            Availability::Held
        } else {
            Availability::SoldOut
        }
    }

    /// Returns the numbers of free, held and sold units. While others take, they may be of slightly different moments.
    pub fn units(&self) -> Units {
        let reserve = self.reserve.lock();
        Units {
            free: *reserve + self.free_in_shards(),
            held: self.held.load(Ordering::Acquire),
            sold: self.sold(),
        }
    }

    /// Returns how many units there are in all.
    pub fn stock(&self) -> u64 {
        self.stock.load(Ordering::Acquire)
    }
}
