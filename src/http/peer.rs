//! The other end of a connection.

use std::cell::Cell;
use std::net::IpAddr;

/// Who is at the other end of a connection, and whether they may take their time over a body.
#[derive(Debug)]
pub struct Peer {
    address: IpAddr,
    long_body: Cell<bool>,
}

impl Peer {
    /// The peer with this address. An IPv4 address that is written as IPv6 is an IPv4 address.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self {
            address: address.to_canonical(),
            long_body: Cell::new(false),
        }
    }

    /// Where they are.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Says whether the body of their current request may be long: its deadline is then one for
    /// progress, not for its end.
    pub fn set_long_body(&self, long: bool) {
        self.long_body.set(long);
    }

    /// Whether the body of their current request may be long.
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
