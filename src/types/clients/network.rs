//! Networks of addresses: those that limits hold for, and those that are trusted.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The network of a client, for which limits hold: an IPv4 address or, because one machine has all of its addresses, an
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

/// A block of addresses in CIDR notation, such as `10.0.0.0/8`. An IPv4 block also has the IPv4-mapped IPv6 addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// The first address, as an IPv6 address; of IPv4 as the mapped one.
    first: u128,
    /// The length of the prefix in bits, of an IPv6 address.
    prefix_bits: u8,
}

/// The bits of an IPv4-mapped IPv6 address before the IPv4 address.
const MAPPED_BITS: u8 = 96;

impl Cidr {
    /// Returns whether `address` is in the block.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        (as_ipv6(address) ^ self.first) & mask(self.prefix_bits) == 0
    }

    /// Returns whether the block has all addresses of IPv4 or of IPv6.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.prefix_bits == 0 || (self.is_ipv4() && self.prefix_bits == MAPPED_BITS)
    }

    fn is_ipv4(&self) -> bool {
        self.prefix_bits >= MAPPED_BITS && self.first >> 32 == 0xffff
    }
}

impl FromStr for Cidr {
    type Err = ();

    /// Parses an address with a prefix length behind a slash, or a single address. No bit may be set behind the prefix.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(drop)?;
        let (longest, before) = match address {
            IpAddr::V4(_) => (32, MAPPED_BITS),
            IpAddr::V6(_) => (128, 0),
        };
        let bits = match bits {
            None => longest,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(drop)?
            }
            Some(_) => return Err(()),
        };
        let (first, prefix_bits) = (as_ipv6(address), before + bits.min(longest));
        let fits = bits <= longest && first & !mask(prefix_bits) == 0;
        fits.then_some(Self { first, prefix_bits }).ok_or(())
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from(self.first);
        match address.to_ipv4_mapped().filter(|_| self.is_ipv4()) {
            Some(address) => write!(f, "{address}/{}", self.prefix_bits - MAPPED_BITS),
            None => write!(f, "{address}/{}", self.prefix_bits),
        }
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn as_ipv6(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// Returns the first `bits` bits, set.
fn mask(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
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
    fn a_block_has_the_addresses_of_its_prefix() {
        for (block, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::a01:203"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.6/31", "192.0.2.7", "192.0.2.8"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "9.9.9.9"),
        ] {
            let block: Cidr = block.parse().expect("a block");
            let contains = |address: &str| block.contains(address.parse().expect("an address"));
            assert!(contains(inside), "{block} {inside}");
            assert!(!contains(outside), "{block} {outside}");
        }
        let everything: Cidr = "::/0".parse().expect("a block");
        for address in ["::", "192.0.2.1", "ffff::"] {
            assert!(everything.contains(address.parse().expect("an address")));
        }
    }

    #[test]
    fn blocks_are_written_in_one_form() {
        for (given, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:DB8:0::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(given.parse::<Cidr>().expect("a block").to_string(), shown);
        }
        for wrong in [
            "",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/08x",
            "10.0.0/8",
            "::1/64",
            "::/129",
            "::/300",
            "[::1]",
            "proxy",
            "10.0.0.0 /8",
        ] {
            assert_eq!(wrong.parse::<Cidr>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn blocks_of_everybody_are_known() {
        for (block, everybody) in [
            ("0.0.0.0/0", true),
            ("::/0", true),
            ("0.0.0.0/1", false),
            ("::/1", false),
        ] {
            let block: Cidr = block.parse().expect("a block");
            assert_eq!(block.is_everybody(), everybody, "{block}");
        }
    }
}
