//! The client at the other end of a connection.

use std::cell::Cell;
use std::net::IpAddr;

/// The peer of a connection: its address, and whether its current request may have a long body.
#[derive(Debug)]
pub struct Peer {
    address: Cell<IpAddr>,
    long_body: Cell<bool>,
}

impl Peer {
    /// Creates the peer with this address. An IPv4-mapped IPv6 address becomes the IPv4 address.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self {
            address: Cell::new(address.to_canonical()),
            long_body: Cell::new(false),
        }
    }

    /// The peer's address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address.get()
    }

    /// Sets the address of the client that a trusted proxy has named for the whole connection.
    pub fn set_address(&self, address: IpAddr) {
        self.address.set(address.to_canonical());
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

#[cfg(test)]
mod tests {
    use super::*;

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
