//! The buyers of one sale: what each has bought, chosen and finished. Kept under many locks, so
//! that two users seldom meet at one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;

use hashbrown::HashTable;

use super::baskets::{CheckoutEnd, ClosedCheckout, Hold, OpenCheckout, Payment};
use super::cancelled::Cancellations;
use super::codes::Codes;
use super::keys::{CheckoutKeys, KeyedCheckout};
use crate::env::{KeyHasher, key_hasher};
use crate::limits::{BUYER_SHARDS, BUYERS_PER_SALE_MAX};
use crate::record::ReleasedLine;
use crate::sync::{Mutex, MutexGuard};
use crate::types::{ItemIndex, Lsn, Timestamp};
use crate::wheel::Wheel;

/// A buyer's number in its sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuyerRef(pub u32);

/// A user who has opened a checkout in this sale.
pub struct Buyer {
    /// The user's id.
    pub user: Box<str>,
    /// Units bought, and not cancelled since.
    pub bought: u32,
    /// The open checkout.
    pub open: Option<OpenCheckout>,
    /// The finished ones, oldest first.
    pub closed: Vec<ClosedCheckout>,
}

impl Buyer {
    /// The newest record about the buyer, whose outcome may not have been told yet.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        let open = self.open.as_ref().map(|open| open.lsn);
        let closed = self.closed.last().map(|closed| closed.lsn);
        open.max(closed).unwrap_or_default()
    }

    /// Returns the checkout with this code, if it is over.
    #[must_use]
    pub fn closed_checkout(&self, secret: u128) -> Option<&ClosedCheckout> {
        self.closed.iter().find(|closed| closed.secret == secret)
    }

    /// Returns the open checkout, if it has this code.
    #[must_use]
    pub fn open_checkout(&self, secret: u128) -> Option<&OpenCheckout> {
        self.open.as_ref().filter(|open| open.secret == secret)
    }

    /// Returns the units in the open checkout.
    #[must_use]
    pub fn chosen_units(&self) -> u32 {
        self.open.as_ref().map_or(0, OpenCheckout::units)
    }

    /// Takes out the checkout with this code, if it has expired. Returns what was in it.
    pub fn take_expired(&mut self, secret: u128) -> Option<Box<[(ItemIndex, u32)]>> {
        let is_it = |closed: &ClosedCheckout| closed.secret == secret;
        let place = self.closed.iter().position(is_it)?;
        match &mut self.closed[place].end {
            CheckoutEnd::Processed { .. } => None,
            CheckoutEnd::Expired { lines } => {
                let lines = std::mem::take(lines);
                // Those that are left stay in the order of their records.
                self.closed.remove(place);
                Some(lines)
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        let lines = self.open.as_ref().filter(|open| open.lines.spilled());
        let lines = lines.map_or(0, |open| {
            open.lines.capacity() * size_of::<(ItemIndex, u32)>()
        });
        let closed: usize = self.closed.iter().map(ClosedCheckout::heap_bytes).sum();
        self.user.len() + lines + self.closed.capacity() * size_of::<ClosedCheckout>() + closed
    }
}

/// All buyers of a sale.
pub struct Buyers {
    shards: Box<[Mutex<BuyerShard>]>,
    codes: Codes,
    hasher: KeyHasher,
}

/// The buyers under one lock.
pub struct BuyerShard {
    number: u32,
    by_user: HashTable<BuyerSlot>,
    /// In pieces of [`PIECE_BUYERS`], so that growing moves nobody and reserves little.
    pub(super) pieces: Vec<Vec<Buyer>>,
    /// Exactly the open checkouts that hold something. Under the same lock as they are, so that a
    /// purchase and an expiry cannot meet.
    timers: Option<Box<Wheel<BuyerRef>>>,
    /// Units of the open checkouts that hold something: what the stock calls held must be these.
    held: u64,
    /// Open checkouts whose payment is under way.
    paying: u32,
    keys: CheckoutKeys,
    pub(super) cancellations: Cancellations,
}

/// Buyers that are allocated at once.
const PIECE_BUYERS: usize = 32;

/// Where a user is, with half of the hash: a growing table then need not read every user's id.
#[derive(Clone, Copy)]
struct BuyerSlot {
    hash: u32,
    number: u32,
}

impl BuyerSlot {
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
            timers: None,
            held: 0,
            paying: 0,
            keys: CheckoutKeys::default(),
            cancellations: Cancellations::default(),
        };
        Self {
            shards: (0..BUYER_SHARDS as u32)
                .map(|number| Mutex::new(shard(number)))
                .collect(),
            codes: Codes::default(),
            hasher: key_hasher(),
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
        let wanted = BuyerSlot { hash, number: 0 };
        let is_user = |slot: &BuyerSlot| slot.hash == hash && *self.at(slot.number).user == *user;
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
        let slot = BuyerSlot { hash, number };
        let spread = slot.spread();
        self.by_user
            .insert_unique(spread, slot, |slot| slot.spread());
        self.reference(number)
    }

    pub(super) fn at(&self, number: u32) -> &Buyer {
        let number = number as usize;
        &self.pieces[number / PIECE_BUYERS][number % PIECE_BUYERS]
    }

    fn reference(&self, slot: u32) -> BuyerRef {
        reference_of(slot, self.number)
    }

    /// The buyer with this number, which must be of this shard.
    pub fn buyer(&mut self, reference: BuyerRef) -> &mut Buyer {
        debug_assert_eq!(reference.0 % BUYER_SHARDS as u32, self.number);
        let number = reference.0 as usize / BUYER_SHARDS;
        &mut self.pieces[number / PIECE_BUYERS][number % PIECE_BUYERS]
    }

    /// Returns the checkout that this buyer made with this key, with its answer.
    #[must_use]
    pub fn keyed_checkout(&self, reference: BuyerRef, key: &str) -> Option<&KeyedCheckout> {
        self.keys.find(reference.0 / BUYER_SHARDS as u32, key)
    }

    /// Keeps what was answered to a checkout of this buyer that came with a key, in a sale with this limit per
    /// user.
    pub fn keep_key(&mut self, reference: BuyerRef, keyed: KeyedCheckout, limit: u32) {
        self.keys
            .keep(reference.0 / BUYER_SHARDS as u32, keyed, limit);
    }

    /// The checkouts of the shard that came with a key, each buyer's in the order of their coming.
    pub fn keyed_checkouts(&self) -> impl Iterator<Item = (&Buyer, &KeyedCheckout)> {
        let buyers = (0..).zip(self.pieces.iter().flatten());
        buyers.flat_map(|(number, buyer)| {
            let keyed = self.keys.of(number).iter();
            keyed.map(move |keyed| (buyer, keyed))
        })
    }

    /// Lets a buyer's checkout hold its units until then; `now` is when that is said.
    pub fn arm_hold(&mut self, buyer: BuyerRef, until: Timestamp, now: Timestamp) -> Hold {
        let timers = self.timers.get_or_insert_with(|| Box::new(Wheel::new(now)));
        let timer = timers.arm(until, buyer);
        Hold::new(until, timer)
    }

    /// Begins the payment of a buyer's open checkout, which holds its units until `until` from now on, `units` of them since `now`. The
    /// record `lsn` says so.
    pub fn begin_payment(
        &mut self,
        reference: BuyerRef,
        payment: Payment,
        (until, now): (Timestamp, Timestamp),
        units: u32,
        lsn: Lsn,
    ) {
        let open = self.buyer(reference).open.as_mut();
        let before = open.and_then(|open| open.hold.take());
        if let (Some(hold), Some(timers)) = (before, &mut self.timers) {
            timers.cancel(hold.timer);
        }
        let hold = self.arm_hold(reference, until, now).with_payment(payment);
        self.hold_more(units);
        self.paying += 1;
        if let Some(open) = &mut self.buyer(reference).open {
            open.hold = Some(hold);
            open.lsn = lsn;
        }
    }

    /// Returns how many open checkouts have a payment under way.
    #[must_use]
    pub fn paying(&self) -> u32 {
        self.paying
    }

    /// Notes that a checkout holds so many units more, which were taken under the same lock.
    pub fn hold_more(&mut self, units: u32) {
        self.held += u64::from(units);
    }

    /// Units of the open checkouts that hold something.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Ends a buyer's open checkout, if there is one. Its units are still held.
    pub fn take_open(&mut self, reference: BuyerRef) -> Option<OpenCheckout> {
        let open = self.buyer(reference).open.take()?;
        if let (Some(hold), Some(timers)) = (&open.hold, &mut self.timers) {
            timers.cancel(hold.timer);
            self.forget_hold(&open);
        }
        Some(open)
    }

    /// Counts no longer what a checkout held that was taken out.
    fn forget_hold(&mut self, open: &OpenCheckout) {
        self.held -= u64::from(open.held_units());
        self.paying -= u32::from(open.payment().is_some());
    }

    /// Takes out the buyer's open checkout, if its code is this one.
    pub fn take_open_if(&mut self, reference: BuyerRef, secret: u128) -> Option<OpenCheckout> {
        let open = self.buyer(reference).open.as_ref()?;
        (open.secret == secret).then(|| self.take_open(reference))?
    }

    /// Takes units of an item out of a buyer's open checkout, in which others are left. They are still held. Returns whether they were.
    ///
    /// # Panics
    /// Fewer are in it.
    pub fn take_line(&mut self, reference: BuyerRef, line: ReleasedLine, lsn: Lsn) -> bool {
        let open = self.buyer(reference).open.as_mut().expect("it is open");
        let place = open.lines.iter().position(|&(item, _)| item == line.item);
        let place = place.expect("it contains the item");
        let quantity = &mut open.lines[place].1;
        assert!(*quantity >= line.quantity, "it has fewer units");
        *quantity -= line.quantity;
        if *quantity == 0 {
            open.lines.remove(place);
        }
        open.lsn = lsn;
        let held = open.holds(line.item);
        if held {
            self.held -= u64::from(line.quantity);
        }
        held
    }

    /// Takes out the first open checkout whose hold has run out by `steady`.
    pub fn take_expired(&mut self, steady: Timestamp) -> Option<(BuyerRef, OpenCheckout)> {
        let (_, reference) = self.timers.as_mut()?.pop_due(steady)?;
        let open = self.buyer(reference).open.take();
        let open = open.expect("a timer stands for an open checkout");
        self.forget_hold(&open);
        Some((reference, open))
    }

    /// Returns when a hold runs out; not later than the first one does.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.timers.as_ref()?.next_due()
    }

    /// Lets no hold run out later than at `latest`.
    pub fn hasten_holds(&mut self, latest: Timestamp) {
        let Some(timers) = &mut self.timers else {
            return;
        };
        let number = self.number;
        for (slot, buyer) in self.pieces.iter_mut().flatten().enumerate() {
            let hold = buyer.open.as_mut().and_then(|open| open.hold.as_mut());
            if let Some(hold) = hold.filter(|hold| hold.until > latest) {
                timers.cancel(hold.timer);
                hold.timer = timers.arm(latest, reference_of(slot as u32, number));
            }
        }
    }

    /// Lets no hold run out any more, and counts none.
    pub fn forget_holds(&mut self) {
        self.timers = None;
        (self.held, self.paying) = (0, 0);
    }

    /// Memory that the shard takes besides itself, in bytes.
    fn heap_bytes(&self) -> usize {
        let pieces = self.pieces.iter().map(|piece| {
            let buyers: usize = piece.iter().map(Buyer::heap_bytes).sum();
            piece.capacity() * size_of::<Buyer>() + buyers
        });
        self.by_user.allocation_size()
            + self.pieces.capacity() * size_of::<Vec<Buyer>>()
            + pieces.sum::<usize>()
            + self.keys.heap_bytes()
            + self.cancellations.heap_bytes()
    }

    /// All buyers of the shard with their numbers.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (BuyerRef, &mut Buyer)> {
        let number = self.number;
        self.pieces
            .iter_mut()
            .flatten()
            .enumerate()
            .map(move |(slot, buyer)| (reference_of(slot as u32, number), buyer))
    }
}

fn reference_of(slot: u32, shard: u32) -> BuyerRef {
    BuyerRef(slot * BUYER_SHARDS as u32 + shard)
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

    /// Locks the shard with this number, which must be one of [`Self::expiries`].
    pub fn lock_shard(&self, index: usize) -> MutexGuard<'_, BuyerShard> {
        self.shards[index].lock()
    }

    /// Returns when a hold can run out next in each shard where there is one, with the shard's number, the
    /// first on top.
    pub fn expiries(&self) -> BinaryHeap<Reverse<(Timestamp, usize)>> {
        let expiry = |(index, shard): (usize, MutexGuard<'_, BuyerShard>)| {
            Some(Reverse((shard.next_expiry()?, index)))
        };
        self.lock_each().enumerate().filter_map(expiry).collect()
    }

    /// Memory that the buyers take, in bytes, without what the allocator adds. Reads each of them.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let shards = self.lock_each().map(|shard| shard.heap_bytes());
        size_of_val(&*self.shards) + shards.sum::<usize>() + self.codes.heap_bytes()
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

    /// Forgets a code whose checkout is over by the record `lsn` and leaves nothing to ask for.
    pub fn remove_code(&self, secret: u128, lsn: Lsn) {
        self.codes.remove(secret, lsn);
    }

    /// Returns the record that must be durable before anybody is told that a code is nobody's.
    #[must_use]
    pub fn removed_lsn(&self) -> Option<Lsn> {
        self.codes.removed_lsn()
    }

    /// Remembers whose a code is; `false`, and nothing is changed, when it cannot be told from one
    /// that was there already.
    pub fn insert_code(&self, secret: u128, buyer: BuyerRef) -> bool {
        self.codes.insert(secret, buyer)
    }
}
