//! Connections that were refused because too many were open, written to the log without flooding it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::grouped;
use crate::limits::{CONNECTIONS_PER_WORKER_MAX, REFUSED_PEERS_COUNTED_MAX};

/// Counts refused connections, and writes at most three lines a second of them: one for the limit of the
/// server, one for the limit of each peer, and one for what no proxy sent; the last two name the peer that was refused most
/// often.
#[derive(Debug, Default)]
pub struct RefusedConnections {
    /// Refused because the server has as many as it can.
    of_server: AtomicU64,
    /// Refused because their peer has as many as it may. Nobody but refused peers waits for this lock.
    of_peers: Mutex<Peers>,
    /// Closed because they do not come from a trusted proxy, or begin with no PROXY header.
    unproxied: Mutex<Peers>,
    /// A header that names clients came, and is not configured to be read.
    ignores_forwarded: AtomicBool,
}

#[derive(Debug, Default)]
struct Peers {
    counts: BTreeMap<IpAddr, u64>,
    /// Connections of peers for which there was no room in `counts`.
    uncounted: u64,
}

/// Connections refused since the line before.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    /// The peer that was refused most often.
    peer: IpAddr,
    connections: u64,
    /// Refused connections of all other peers.
    of_others: u64,
}

impl RefusedConnections {
    /// Counts a connection that was refused because the server has as many as it can.
    pub fn of_server(&self) {
        self.of_server.fetch_add(1, Relaxed);
    }

    /// Counts a connection that was refused because `peer` has as many as it may.
    pub fn of_peer(&self, peer: IpAddr) {
        self.of_peers.lock().count(peer);
    }

    /// Counts a connection from `peer` that does not come from a trusted proxy, or begins with no PROXY header.
    pub fn unproxied(&self, peer: IpAddr) {
        self.unproxied.lock().count(peer);
    }

    /// Notes that a request came by a proxy that says of whom, and that this is not configured to be read. Logs it once.
    pub fn forwarded_ignored(&self) {
        if !self.ignores_forwarded.load(Relaxed) && !self.ignores_forwarded.swap(true, Relaxed) {
            tracing::warn!(
                "requests come with X-Forwarded-For or Forwarded, which are not read: all clients behind the proxy count as one. \
                 Where it is yours, set server.client_address and server.trusted_proxies (docs/security.md)"
            );
        }
    }

    /// Whether [`Self::forwarded_ignored`] was called.
    #[must_use]
    pub fn ignores_forwarded(&self) -> bool {
        self.ignores_forwarded.load(Relaxed)
    }

    /// Writes what was refused since the call before. To be called once a second.
    pub fn write(&self) {
        let refused = self.of_server.swap(0, Relaxed);
        if refused > 0 {
            tracing::warn!(
                refused,
                "connections refused: {}, because as many are open as the server takes: {CONNECTIONS_PER_WORKER_MAX} \
                 for each worker, or what the limit of open files leaves room for (LimitNOFILE, ulimit -n)",
                grouped(refused)
            );
        }
        if let Some(refused) = take_refused(&self.unproxied) {
            let Refused {
                peer,
                connections,
                of_others,
            } = refused;
            tracing::warn!(
                %peer,
                refused = connections,
                refused_of_others = of_others,
                "connections closed: {} from {peer}, {} from others, because they are not from a trusted proxy, or do not \
                 begin with a PROXY header of version 2 (server.client_address, server.trusted_proxies)",
                grouped(connections),
                grouped(of_others)
            );
        }
        if let Some(refused) = take_refused(&self.of_peers) {
            let Refused {
                peer,
                connections,
                of_others,
            } = refused;
            let prefix = if peer.is_ipv6() { "/64" } else { "" };
            let peer = format!("{peer}{prefix}");
            tracing::warn!(
                peer,
                refused = connections,
                refused_of_others = of_others,
                "connections refused: {} of {peer}, {} of other peers, because each has as many as it may \
                 (server.connections_per_peer)",
                grouped(connections),
                grouped(of_others)
            );
        }
    }
}

impl Peers {
    fn count(&mut self, peer: IpAddr) {
        let has_room = self.counts.len() < REFUSED_PEERS_COUNTED_MAX;
        if has_room || self.counts.contains_key(&peer) {
            *self.counts.entry(peer).or_insert(0) += 1;
        } else {
            self.uncounted += 1;
        }
    }
}

fn take_refused(peers: &Mutex<Peers>) -> Option<Refused> {
    let Peers { counts, uncounted } = std::mem::take(&mut *peers.lock());
    let all: u64 = counts.values().sum::<u64>() + uncounted;
    let (peer, connections) = counts.into_iter().max_by_key(|&(_, count)| count)?;
    Some(Refused {
        peer,
        connections,
        of_others: all - connections,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn the_peer_that_was_refused_most_is_named_once() {
        let refused = RefusedConnections::default();
        for number in [1, 2, 2, 3] {
            refused.of_peer(peer(number));
        }
        let expected = Refused {
            peer: peer(2),
            connections: 2,
            of_others: 2,
        };
        assert_eq!(take_refused(&refused.of_peers), Some(expected));
        assert_eq!(take_refused(&refused.of_peers), None);
    }

    #[test]
    fn many_refused_peers_take_bounded_memory_and_are_all_counted() {
        let refused = RefusedConnections::default();
        let peers = 10 * REFUSED_PEERS_COUNTED_MAX as u32;
        (0..peers).for_each(|number| refused.of_peer(peer(number)));
        refused.of_peer(peer(0));
        assert_eq!(
            refused.of_peers.lock().counts.len(),
            REFUSED_PEERS_COUNTED_MAX
        );
        let taken = take_refused(&refused.of_peers).expect("many were refused");
        assert_eq!((taken.peer, taken.connections), (peer(0), 2));
        assert_eq!(taken.of_others, u64::from(peers) - 1);
    }
}
