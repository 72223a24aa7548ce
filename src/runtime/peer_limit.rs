//! The limit of connections of each peer, over all workers.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use parking_lot::Mutex;
use std::hash::BuildHasher;

use crate::limits::PEER_SHARDS;
use crate::types::Network;

/// Counts the open connections of every peer, and refuses those over its limit. A peer is a [`Network`].
#[derive(Debug)]
pub(super) struct PeerLimit {
    connections_max: NonZeroU32,
    hasher: RandomState,
    shards: Box<[Mutex<HashMap<Network, u32, RandomState>>]>,
}

impl PeerLimit {
    pub(super) fn new(connections_max: NonZeroU32) -> Self {
        Self {
            connections_max,
            hasher: RandomState::default(),
            shards: (0..PEER_SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Counts one more connection from `address`; `None` when its peer has as many as it may.
    pub(super) fn acquire(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionPermit> {
        let network = Network::of(address);
        let mut shard = self.shard(network).lock();
        let count = shard.entry(network).or_insert(0);
        if *count >= self.connections_max.get() {
            return None;
        }
        *count += 1;
        Some(ConnectionPermit {
            limit: Arc::clone(self),
            network,
        })
    }

    fn release(&self, network: Network) {
        let mut shard = self.shard(network).lock();
        if let Entry::Occupied(mut entry) = shard.entry(network) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    fn shard(&self, network: Network) -> &Mutex<HashMap<Network, u32, RandomState>> {
        // The low bits: the map in the shard uses the high ones first.
        let hash = self.hasher.hash_one(network) as usize;
        &self.shards[hash % self.shards.len()]
    }
}

/// One counted connection. Dropping it releases the count.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    limit: Arc<PeerLimit>,
    network: Network,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.limit.release(self.network);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::thread;

    use super::*;

    fn limit_of(connections_max: u32) -> Arc<PeerLimit> {
        Arc::new(PeerLimit::new(
            NonZeroU32::new(connections_max).expect("not 0"),
        ))
    }

    fn at(address: &str) -> IpAddr {
        address.parse().expect("an address")
    }

    fn counted(limit: &PeerLimit) -> usize {
        limit.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    #[test]
    fn each_peer_has_its_own_limit() {
        let limit = limit_of(2);
        let permits = [limit.acquire(at("10.0.0.1")), limit.acquire(at("10.0.0.1"))];
        assert!(permits.iter().all(Option::is_some));
        assert!(limit.acquire(at("10.0.0.1")).is_none());
        assert!(
            limit.acquire(at("::ffff:10.0.0.1")).is_none(),
            "the same peer"
        );
        assert!(limit.acquire(at("10.0.0.2")).is_some());
        drop(permits);
        assert!(limit.acquire(at("10.0.0.1")).is_some());
        assert_eq!(counted(&limit), 0, "closed connections are not counted");
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let limit = limit_of(1);
        let _permit = limit.acquire(at("2001:db8:1:2::1")).expect("the first");
        assert!(limit.acquire(at("2001:db8:1:2:ffff::9")).is_none());
        assert!(limit.acquire(at("2001:db8:1:3::1")).is_some());
        assert!(limit.acquire(at("::1")).is_some());
    }

    /// Threads acquire and release at once: the limit is never exceeded, and no count is lost.
    #[test]
    fn the_count_is_exact_under_races() {
        const CONNECTIONS_MAX: u32 = 5;
        let (limit, open) = (limit_of(CONNECTIONS_MAX), AtomicU32::new(0));
        let open_and_close = || {
            let mut acquired = 0;
            for round in 0..20_000 {
                let address = at(["10.0.0.1", "::ffff:a00:1"][round % 2]);
                let Some(permit) = limit.acquire(address) else {
                    continue;
                };
                assert!(open.fetch_add(1, SeqCst) < CONNECTIONS_MAX);
                acquired += 1;
                if round % 3 == 0 {
                    thread::yield_now();
                }
                open.fetch_sub(1, SeqCst);
                drop(permit);
            }
            acquired
        };
        let acquired: u32 = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open_and_close)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .sum()
        });
        assert!(acquired > 0);
        assert_eq!(counted(&limit), 0);
        let all: Vec<_> = (0..=CONNECTIONS_MAX)
            .map(|_| limit.acquire(at("10.0.0.1")))
            .collect();
        assert_eq!(all.iter().flatten().count(), CONNECTIONS_MAX as usize);
    }
}
