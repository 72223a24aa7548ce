//! How many connections each peer has open, over all workers.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use parking_lot::Mutex;
use std::hash::BuildHasher;

use crate::limits::PEER_SHARDS;

/// A peer: an IPv4 address, or the first half of an IPv6 address, because whoever has one has all that
/// begin with it. No IPv6 network of the world is as small a number as an IPv4 address.
type Network = u64;

fn network_of(address: IpAddr) -> Network {
    match address.to_canonical() {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => (u128::from(address) >> 64) as u64,
    }
}

/// The address that stands for the peer at `address`: of an IPv6 network, the first one.
pub(super) fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
        address => address,
    }
}

/// The connections of every peer that has any.
#[derive(Debug)]
pub(super) struct Peers {
    connections_max: NonZeroU32,
    hasher: RandomState,
    shards: Box<[Mutex<HashMap<Network, u32, RandomState>>]>,
}

impl Peers {
    pub(super) fn new(connections_max: NonZeroU32) -> Self {
        Self {
            connections_max,
            hasher: RandomState::default(),
            shards: (0..PEER_SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Counts one more connection of the peer at `address`; `None` when it has as many as it may.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Visit> {
        let network = network_of(address);
        let mut shard = self.shard(network).lock();
        let count = shard.entry(network).or_insert(0);
        if *count >= self.connections_max.get() {
            return None;
        }
        *count += 1;
        Some(Visit {
            peers: Arc::clone(self),
            network,
        })
    }

    fn leave(&self, network: Network) {
        let mut shard = self.shard(network).lock();
        if let Entry::Occupied(mut entry) = shard.entry(network) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    fn shard(&self, network: Network) -> &Mutex<HashMap<Network, u32, RandomState>> {
        // The low bits: the map in the shard looks at the high ones first.
        let hash = self.hasher.hash_one(network) as usize;
        &self.shards[hash % self.shards.len()]
    }
}

/// A connection that counts for as long as this lives.
#[derive(Debug)]
pub(super) struct Visit {
    peers: Arc<Peers>,
    network: Network,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.peers.leave(self.network);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::thread;

    use super::*;

    fn peers(connections_max: u32) -> Arc<Peers> {
        Arc::new(Peers::new(NonZeroU32::new(connections_max).expect("not 0")))
    }

    fn at(address: &str) -> IpAddr {
        address.parse().expect("an address")
    }

    fn remembered(peers: &Peers) -> usize {
        peers.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    #[test]
    fn each_peer_has_its_own_limit() {
        let peers = peers(2);
        let visits = [peers.enter(at("10.0.0.1")), peers.enter(at("10.0.0.1"))];
        assert!(visits.iter().all(Option::is_some));
        assert!(peers.enter(at("10.0.0.1")).is_none());
        assert!(
            peers.enter(at("::ffff:10.0.0.1")).is_none(),
            "the same peer"
        );
        assert!(peers.enter(at("10.0.0.2")).is_some());
        drop(visits);
        assert!(peers.enter(at("10.0.0.1")).is_some());
        assert_eq!(remembered(&peers), 0, "who has left is forgotten");
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let peers = peers(1);
        let _visit = peers.enter(at("2001:db8:1:2::1")).expect("the first");
        assert!(peers.enter(at("2001:db8:1:2:ffff::9")).is_none());
        assert!(peers.enter(at("2001:db8:1:3::1")).is_some());
        assert!(peers.enter(at("::1")).is_some());
    }

    /// However threads come and go at once, there are never more than may be, and none is lost.
    #[test]
    fn the_count_is_exact_under_races() {
        const CONNECTIONS_MAX: u32 = 5;
        let (peers, inside) = (peers(CONNECTIONS_MAX), AtomicU32::new(0));
        let come_and_go = || {
            let mut admitted = 0;
            for round in 0..20_000 {
                let address = at(["10.0.0.1", "::ffff:a00:1"][round % 2]);
                let Some(visit) = peers.enter(address) else {
                    continue;
                };
                assert!(inside.fetch_add(1, SeqCst) < CONNECTIONS_MAX);
                admitted += 1;
                if round % 3 == 0 {
                    thread::yield_now();
                }
                inside.fetch_sub(1, SeqCst);
                drop(visit);
            }
            admitted
        };
        let admitted: u32 = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(come_and_go)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .sum()
        });
        assert!(admitted > 0);
        assert_eq!(remembered(&peers), 0);
        let all: Vec<_> = (0..=CONNECTIONS_MAX)
            .map(|_| peers.enter(at("10.0.0.1")))
            .collect();
        assert_eq!(all.iter().flatten().count(), CONNECTIONS_MAX as usize);
    }
}
