//! The rule by which the address of a client is found.

use std::net::IpAddr;

use super::Cidr;

/// The place where the address of a client stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressSource {
    /// The connection itself.
    #[default]
    Peer,
    /// The header `X-Forwarded-For`.
    XForwardedFor,
    /// The header `Forwarded` of RFC 7239.
    Forwarded,
    /// The header of the PROXY protocol, version 2, which begins every connection.
    ProxyV2,
}

impl AddressSource {
    /// The sources, with their names in the configuration.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("peer", Self::Peer),
        ("x-forwarded-for", Self::XForwardedFor),
        ("forwarded", Self::Forwarded),
        ("proxy-v2", Self::ProxyV2),
    ];

    /// Returns the name of the source in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(_, source)| *source == self);
        named.map_or("", |(name, _)| name)
    }
}

/// The rule by which the address of a client is found: where it stands, and which proxies are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientAddress {
    /// The place where the address stands.
    pub source: AddressSource,
    /// The proxies that are believed. Empty for the peer's own address, which nobody else says.
    pub trusted: Vec<Cidr>,
}

impl ClientAddress {
    /// Returns whether `address` is that of a trusted proxy.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|block| block.contains(address))
    }
}
