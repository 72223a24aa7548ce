//! The client at the other end of a connection, and its network.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The peer of a connection: its address, and whether its current request may have a long body.
#[derive(Debug)]
pub struct Peer {
    address: IpAddr,
    long_body: Cell<bool>,
}

impl Peer {
    /// Creates the peer with this address. An IPv4-mapped IPv6 address becomes the IPv4 address.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self {
            address: address.to_canonical(),
            long_body: Cell::new(false),
        }
    }

    /// The peer's address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Sets whether the body of the current request may be long: its deadline is then one for progress, not for
    /// its end.
    pub fn set_long_body(&self, long: bool) {
        self.long_body.set(long);
    }

    /// Whether the body of the current request may be long.
    #[must_use]
    pub fn has_long_body(&self) -> bool {
        self.long_body.get()
    }
}

/// The network of a peer, for which limits hold: an IPv4 address or, because one machine has all of its addresses, an
/// IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The first half of IPv6 addresses.
    V6(u64),
}

impl Network {
    /// Returns the network of `address`. An IPv4-mapped IPv6 address belongs to the IPv4 address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((u128::from(address) >> 64) as u64),
        }
    }

    /// The network's first address, which stands for it in logs and figures.
    #[must_use]
    pub fn first_address(self) -> IpAddr {
        match self {
            Self::V4(address) => address.into(),
            Self::V6(half) => Ipv6Addr::from(u128::from(half) << 64).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_ipv4_address_or_an_ipv6_64() {
        let network = |address: &str| Network::of(address.parse().expect("an address"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        for (address, first) in [
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2::9", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            assert_eq!(network(address).first_address().to_string(), first);
        }
    }

    #[test]
    fn a_mapped_loopback_is_loopback() {
        for (address, is_loopback) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("::ffff:10.0.0.1", false),
            ("10.0.0.1", false),
            ("2001:db8::1", false),
        ] {
            let peer = Peer::new(address.parse().expect("an address"));
            assert_eq!(peer.address().is_loopback(), is_loopback, "{address}");
        }
    }
}
