//! The buyers of one sale: what each has bought, chosen and finished. Kept under many locks, so
//! that two users seldom meet at one.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use super::codes::Codes;
use super::outcome::PurchaseResult;
use crate::limits::{BUYER_SHARDS, BUYERS_PER_SALE_MAX};
use crate::types::{ItemIndex, Lsn, Timestamp};

/// A buyer's number in its sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuyerRef(pub u32);

/// A user who has opened a checkout in this sale.
pub struct Buyer {
    /// The user's id.
    pub user: Box<str>,
    /// Units bought.
    pub bought: u32,
    /// The open checkout.
    pub open: Option<OpenCheckout>,
    /// The finished ones, oldest first.
    pub closed: Vec<ClosedCheckout>,
}

/// A checkout that takes more items, until it is purchased or expires.
pub struct OpenCheckout {
    /// The secret half of its code.
    pub secret: u128,
    /// Until when its units are held; `None` when the sale knows no holds.
    pub hold_until: Option<Timestamp>,
    /// Its items, in the order of their coming, with their quantities. As many as take no more room
    /// than the pointer to a list are kept in place.
    pub lines: SmallVec<[(ItemIndex, u32); 2]>,
}

impl OpenCheckout {
    /// Units in it.
    #[must_use]
    pub fn units(&self) -> u32 {
        self.lines.iter().map(|(_, quantity)| quantity).sum()
    }

    /// Whether its hold has run out.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.hold_until.is_some_and(|until| until <= now)
    }
}

/// A checkout that is over.
pub struct ClosedCheckout {
    /// The secret half of its code.
    pub secret: u128,
    /// The record that closed it.
    pub lsn: Lsn,
    /// How it ended.
    pub end: CheckoutEnd,
}

/// How a checkout ended.
pub enum CheckoutEnd {
    /// It was purchased, whatever was sold of it.
    Processed {
        /// The idempotency key that came with the purchase.
        key: Option<Box<str>>,
        /// What was answered.
        result: Arc<PurchaseResult>,
    },
    /// Its hold ran out.
    Expired,
}

/// All buyers of a sale.
pub struct Buyers {
    shards: Box<[Mutex<BuyerShard>]>,
    codes: Codes,
    hasher: foldhash::fast::RandomState,
}

/// The buyers under one lock.
pub struct BuyerShard {
    number: u32,
    by_user: HashTable<Slot>,
    /// In pieces of [`PIECE_BUYERS`], so that growing moves nobody and reserves little.
    pieces: Vec<Vec<Buyer>>,
}

/// Buyers that are allocated at once.
const PIECE_BUYERS: usize = 32;

/// Where a user is, with half of the hash: a growing table then need not read every user's id.
#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    number: u32,
}

impl Slot {
    /// The hash for the table, which looks at its lowest and its highest bits.
    fn spread(self) -> u64 {
        u64::from(self.hash) << 32 | u64::from(self.hash)
    }
}

impl Default for Buyers {
    fn default() -> Self {
        let shard = |number| BuyerShard {
            number,
            by_user: HashTable::new(),
            pieces: Vec::new(),
        };
        Self {
            shards: (0..BUYER_SHARDS as u32)
                .map(|number| Mutex::new(shard(number)))
                .collect(),
            codes: Codes::default(),
            hasher: foldhash::fast::RandomState::default(),
        }
    }
}

/// A user's shard, locked, with the hash that finds the user in it.
pub struct LockedUser<'a> {
    /// The shard.
    pub shard: MutexGuard<'a, BuyerShard>,
    hash: u32,
}

impl LockedUser<'_> {
    /// The user's number, if they are a buyer.
    #[must_use]
    pub fn find(&self, user: &str) -> Option<BuyerRef> {
        self.shard.find(user, self.hash)
    }

    /// The user's number, who becomes a buyer if they are none yet.
    ///
    /// # Panics
    /// The sale has [`BUYERS_PER_SALE_MAX`] buyers.
    pub fn find_or_insert(&mut self, user: &str) -> BuyerRef {
        let found = self.find(user);
        found.unwrap_or_else(|| self.shard.insert(user, self.hash))
    }
}

impl BuyerShard {
    fn find(&self, user: &str, hash: u32) -> Option<BuyerRef> {
        let wanted = Slot { hash, number: 0 };
        let is_user = |slot: &Slot| slot.hash == hash && *self.at(slot.number).user == *user;
        let slot = self.by_user.find(wanted.spread(), is_user)?;
        Some(self.reference(slot.number))
    }

    fn insert(&mut self, user: &str, hash: u32) -> BuyerRef {
        let full = self
            .pieces
            .last()
            .is_none_or(|piece| piece.len() == PIECE_BUYERS);
        if full {
            self.pieces.push(Vec::with_capacity(PIECE_BUYERS));
        }
        let place = self.pieces.len() - 1;
        let piece = &mut self.pieces[place];
        let number = (place * PIECE_BUYERS + piece.len()) as u32;
        assert!(
            number < BUYERS_PER_SALE_MAX / BUYER_SHARDS as u32,
            "a sale has too many buyers"
        );
        piece.push(Buyer {
            user: user.into(),
            bought: 0,
            open: None,
            closed: Vec::new(),
        });
        let slot = Slot { hash, number };
        let spread = slot.spread();
        self.by_user
            .insert_unique(spread, slot, |slot| slot.spread());
        self.reference(number)
    }

    fn at(&self, number: u32) -> &Buyer {
        let number = number as usize;
        &self.pieces[number / PIECE_BUYERS][number % PIECE_BUYERS]
    }

    fn reference(&self, slot: u32) -> BuyerRef {
        BuyerRef(slot * BUYER_SHARDS as u32 + self.number)
    }

    /// The buyer with this number, which must be of this shard.
    pub fn buyer(&mut self, reference: BuyerRef) -> &mut Buyer {
        debug_assert_eq!(reference.0 % BUYER_SHARDS as u32, self.number);
        let number = reference.0 as usize / BUYER_SHARDS;
        &mut self.pieces[number / PIECE_BUYERS][number % PIECE_BUYERS]
    }

    /// All buyers of the shard with their numbers.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (BuyerRef, &mut Buyer)> {
        let number = self.number;
        let reference = move |slot: usize| BuyerRef(slot as u32 * BUYER_SHARDS as u32 + number);
        self.pieces
            .iter_mut()
            .flatten()
            .enumerate()
            .map(move |(slot, buyer)| (reference(slot), buyer))
    }
}

impl Buyers {
    /// Locks the shard that `user` belongs to.
    #[must_use]
    pub fn lock_user(&self, user: &str) -> LockedUser<'_> {
        let hash = self.hasher.hash_one(user);
        // The table has the lower half; the shard is chosen by the upper one.
        let index = (hash >> 32) as usize % self.shards.len();
        LockedUser {
            shard: self.shards[index].lock(),
            hash: hash as u32,
        }
    }

    /// Locks the shard of a buyer.
    pub fn lock_buyer(&self, reference: BuyerRef) -> MutexGuard<'_, BuyerShard> {
        self.shards[reference.0 as usize % BUYER_SHARDS].lock()
    }

    /// Every shard in turn, locked one at a time.
    pub fn lock_each(&self) -> impl Iterator<Item = MutexGuard<'_, BuyerShard>> {
        self.shards.iter().map(|shard| shard.lock())
    }

    /// The buyer whose checkout has this code; or some buyer, for a code that nobody has: whoever
    /// locks them sees which.
    #[must_use]
    pub fn by_code(&self, secret: u128) -> Option<BuyerRef> {
        self.codes.find(secret)
    }

    /// Remembers whose a code is; `false`, and nothing is changed, when it cannot be told from one
    /// that was there already.
    pub fn insert_code(&self, secret: u128, buyer: BuyerRef) -> bool {
        self.codes.insert(secret, buyer)
    }
}
