//! Limits of rates for any number of clients, in a table that does not grow.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::gcra::{ArrivalRate, RateSet, TAG_BITS};
use crate::env::Entropy;
use crate::limits::LIMIT_SETS;
use crate::types::RateLimit;

/// The rates of the clients of all workers.
///
/// **Invariant:** a client may do no more than its limit allows, on however many connections and workers, except that what it has
/// done may be forgotten while more clients are active than the table has cells. An arrival takes no lock and no memory.
#[derive(Debug)]
pub struct RateTable {
    limit: RateLimit,
    rate: ArrivalRate,
    sets: Box<[RateSet]>,
    /// Has taken in a key that nobody can guess, so that no client can choose names that fall together with others'.
    hasher: DefaultHasher,
}

impl RateTable {
    /// Creates a table in which nobody has come yet.
    #[must_use]
    pub fn new(limit: RateLimit, entropy: &dyn Entropy) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write_u128(entropy.bits_128());
        Self {
            limit,
            rate: ArrivalRate::new(limit),
            sets: (0..LIMIT_SETS).map(|_| RateSet::default()).collect(),
            hasher,
        }
    }

    /// Returns the limit of each client.
    #[must_use]
    pub fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Counts an arrival of `client` at `now_ns`, if its limit allows it.
    ///
    /// # Errors
    /// Returns the nanoseconds after which it would.
    pub fn arrive(&self, client: impl Hash, now_ns: u64) -> Result<(), u64> {
        let mut hasher = self.hasher.clone();
        client.hash(&mut hasher);
        let hash = hasher.finish();
        let set = &self.sets[hash as usize % LIMIT_SETS];
        set.arrive(hash >> (u64::BITS - TAG_BITS), now_ns, self.rate)
    }
}

#[cfg(test)]
mod tests;
