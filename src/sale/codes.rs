//! Whose a checkout code is.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::buyers::BuyerRef;
use crate::limits::CODE_SHARDS;
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::types::Lsn;

/// The buyer of every code of a sale. Of a code only half is kept, which is unique in the sale; the
/// buyer, who has the whole of it, tells whether it is right. That makes an entry of 12 bytes, where
/// the whole code would take 32.
pub(super) struct Codes {
    shards: Box<[Mutex<HashTable<Code>>]>,
    /// The newest record by which a code became nobody's; 0 for none.
    removed_lsn: AtomicU64,
}

#[derive(Clone, Copy)]
struct Code {
    /// Half of the secret in two words, for the alignment.
    half: [u32; 2],
    buyer: u32,
}

impl Code {
    /// The half in one piece. Codes are random, so that it is its own hash, too.
    fn half(&self) -> u64 {
        u64::from(self.half[0]) << 32 | u64::from(self.half[1])
    }
}

impl Default for Codes {
    fn default() -> Self {
        Self {
            shards: (0..CODE_SHARDS).map(|_| Mutex::default()).collect(),
            removed_lsn: AtomicU64::new(0),
        }
    }
}

impl Codes {
    /// The buyer of the code with this secret; or of another one with the same half.
    pub(super) fn find(&self, secret: u128) -> Option<BuyerRef> {
        let half = secret as u64;
        let shard = self.shard(secret).lock();
        let code = shard.find(half, |code| code.half() == half)?;
        Some(BuyerRef(code.buyer))
    }

    /// Remembers whose a code is; `false`, and nothing is changed, when its half is taken.
    pub(super) fn insert(&self, secret: u128, buyer: BuyerRef) -> bool {
        let half = secret as u64;
        let mut shard = self.shard(secret).lock();
        match shard.entry(half, |code| code.half() == half, Code::half) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(Code {
                    half: [(half >> 32) as u32, half as u32],
                    buyer: buyer.0,
                });
                true
            }
        }
    }

    /// Forgets a code, whose checkout is over by the record `lsn` and leaves nothing to ask for.
    pub(super) fn remove(&self, secret: u128, lsn: Lsn) {
        let half = secret as u64;
        self.removed_lsn.fetch_max(lsn.0, Ordering::AcqRel);
        let mut shard = self.shard(secret).lock();
        if let Ok(code) = shard.find_entry(half, |code| code.half() == half) {
            code.remove();
        }
    }

    /// Returns the newest record by which a code became nobody's; `None` where none ever did.
    pub(super) fn removed_lsn(&self) -> Option<Lsn> {
        let lsn = self.removed_lsn.load(Ordering::Acquire);
        (lsn > 0).then_some(Lsn(lsn))
    }

    /// Memory that the codes take, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        let tables = self.shards.iter().map(|it| it.lock().allocation_size());
        size_of_val(&*self.shards) + tables.sum::<usize>()
    }

    /// Chosen by bits of the half that the table does not look at first.
    fn shard(&self, secret: u128) -> &Mutex<HashTable<Code>> {
        &self.shards[(secret as u64 >> 40) as usize % CODE_SHARDS]
    }
}
