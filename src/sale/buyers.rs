//! The buyers of one sale: what each has bought, chosen and finished. Kept under many locks, so
//! that two users seldom meet at one.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::hash_map::Entry;
use hashbrown::{HashMap, HashTable};
use parking_lot::{Mutex, MutexGuard};

use super::outcome::PurchaseResult;
use crate::limits::{BUYER_SHARDS, BUYERS_PER_SALE_MAX, CODE_SHARDS};
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
    /// Its items, in the order of their coming, with their quantities.
    pub lines: Vec<(ItemIndex, u32)>,
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
    codes: Box<[Mutex<HashMap<u128, BuyerRef, foldhash::fast::RandomState>>]>,
    hasher: foldhash::fast::RandomState,
}

/// The buyers under one lock.
pub struct BuyerShard {
    number: u32,
    by_user: HashTable<u32>,
    buyers: Vec<Buyer>,
}

impl Default for Buyers {
    fn default() -> Self {
        let shard = |number| BuyerShard {
            number,
            by_user: HashTable::new(),
            buyers: Vec::new(),
        };
        Self {
            shards: (0..BUYER_SHARDS as u32)
                .map(|number| Mutex::new(shard(number)))
                .collect(),
            codes: (0..CODE_SHARDS).map(|_| Mutex::default()).collect(),
            hasher: foldhash::fast::RandomState::default(),
        }
    }
}

/// A user's shard, locked, with the hash that finds the user in it.
pub struct LockedUser<'a> {
    /// The shard.
    pub shard: MutexGuard<'a, BuyerShard>,
    hasher: &'a foldhash::fast::RandomState,
    hash: u64,
}

impl LockedUser<'_> {
    /// The user's number, if they are a buyer.
    #[must_use]
    pub fn find(&self, user: &str) -> Option<BuyerRef> {
        let buyers = &self.shard.buyers;
        let is_user = |&slot: &u32| &*buyers[slot as usize].user == user;
        let slot = *self.shard.by_user.find(self.hash, is_user)?;
        Some(self.shard.reference(slot))
    }

    /// The user's number, who becomes a buyer if they are none yet.
    ///
    /// # Panics
    /// The sale has [`BUYERS_PER_SALE_MAX`] buyers.
    pub fn find_or_insert(&mut self, user: &str) -> BuyerRef {
        if let Some(found) = self.find(user) {
            return found;
        }
        let shard = &mut *self.shard;
        let slot = shard.buyers.len() as u32;
        assert!(
            slot < BUYERS_PER_SALE_MAX / BUYER_SHARDS as u32,
            "a sale has too many buyers"
        );
        shard.buyers.push(Buyer {
            user: user.into(),
            bought: 0,
            open: None,
            closed: Vec::new(),
        });
        let (buyers, hasher) = (&shard.buyers, self.hasher);
        let rehash = |&slot: &u32| hasher.hash_one(&*buyers[slot as usize].user);
        shard.by_user.insert_unique(self.hash, slot, rehash);
        shard.reference(slot)
    }
}

impl BuyerShard {
    fn reference(&self, slot: u32) -> BuyerRef {
        BuyerRef(slot * BUYER_SHARDS as u32 + self.number)
    }

    /// The buyer with this number, which must be of this shard.
    pub fn buyer(&mut self, reference: BuyerRef) -> &mut Buyer {
        debug_assert_eq!(reference.0 % BUYER_SHARDS as u32, self.number);
        &mut self.buyers[reference.0 as usize / BUYER_SHARDS]
    }

    /// All buyers of the shard with their numbers.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (BuyerRef, &mut Buyer)> {
        let number = self.number;
        let reference = move |slot: usize| BuyerRef(slot as u32 * BUYER_SHARDS as u32 + number);
        self.buyers
            .iter_mut()
            .enumerate()
            .map(move |(slot, buyer)| (reference(slot), buyer))
    }
}

impl Buyers {
    /// Locks the shard that `user` belongs to.
    #[must_use]
    pub fn lock_user(&self, user: &str) -> LockedUser<'_> {
        let hash = self.hasher.hash_one(user);
        // The table uses the low and the very highest bits; the shard takes some in between.
        let index = (hash >> 40) as usize % self.shards.len();
        LockedUser {
            shard: self.shards[index].lock(),
            hasher: &self.hasher,
            hash,
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

    fn codes(&self, secret: u128) -> &Mutex<HashMap<u128, BuyerRef, foldhash::fast::RandomState>> {
        &self.codes[(secret >> 64) as usize % CODE_SHARDS]
    }

    /// The buyer whose checkout has this code.
    #[must_use]
    pub fn by_code(&self, secret: u128) -> Option<BuyerRef> {
        self.codes(secret).lock().get(&secret).copied()
    }

    /// Remembers whose a code is; `false`, and nothing is changed, when the code was there already.
    pub fn insert_code(&self, secret: u128, buyer: BuyerRef) -> bool {
        match self.codes(secret).lock().entry(secret) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(buyer);
                true
            }
        }
    }
}
