//! The client's address in `X-Forwarded-For` and `Forwarded`.
//!
//! Each proxy adds the address that a request came from to the right end. So the lines are read from the right: what a
//! trusted proxy added is believed, and what stands to the left of the first address that is not trusted may be anybody's
//! invention. It is not even parsed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

use crate::limits::FORWARDED_HOPS_MAX;
use crate::types::{AddressSource, ClientAddress};

/// The client of a request, as far as it could be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardedClient {
    /// The address of the client, or of the last trusted proxy before it.
    pub address: IpAddr,
    /// Whether the client is known. Otherwise a trusted proxy did not know it, or wrote something else than an address.
    pub is_known: bool,
}

/// Finds the client of a request that came from `peer`, by the values of the header lines in their order.
#[must_use]
pub fn find<'h>(
    rule: &ClientAddress,
    peer: IpAddr,
    lines: impl DoubleEndedIterator<Item = &'h [u8]>,
) -> ForwardedClient {
    let mut chain = HopChain {
        rule,
        client: peer,
        hops: 0,
    };
    if !rule.trusts(peer) {
        return chain.ends(true);
    }
    for line in lines.rev() {
        let found = match rule.source {
            AddressSource::Peer | AddressSource::ProxyV2 => return chain.ends(true),
            AddressSource::XForwardedFor => chain.follow(elements_from_right(line), address_in),
            AddressSource::Forwarded => match split_elements(line) {
                Some(elements) => chain.follow(elements.into_iter().rev(), address_of_element),
                None => Some(chain.ends(false)),
            },
        };
        if let Some(found) = found {
            return found;
        }
    }
    // All hops are trusted: the leftmost is a client, too, such as a check of a proxy's own.
    chain.ends(true)
}

/// The proxies passed so far, from this server on.
struct HopChain<'r> {
    rule: &'r ClientAddress,
    /// The last trusted hop.
    client: IpAddr,
    hops: usize,
}

impl HopChain<'_> {
    /// Goes on through `elements`. Returns the client once it is found.
    fn follow<'h>(
        &mut self,
        elements: impl Iterator<Item = &'h [u8]>,
        address: impl Fn(&'h [u8]) -> Option<IpAddr>,
    ) -> Option<ForwardedClient> {
        for element in elements {
            let element = trim(element);
            // Lists may have empty elements, which say nothing.
            if element.is_empty() {
                continue;
            }
            self.hops += 1;
            let Some(address) = address(element).filter(|_| self.hops <= FORWARDED_HOPS_MAX) else {
                return Some(self.ends(false));
            };
            self.client = address.to_canonical();
            if !self.rule.trusts(address) {
                return Some(self.ends(true));
            }
        }
        None
    }

    fn ends(&self, is_known: bool) -> ForwardedClient {
        ForwardedClient {
            address: self.client,
            is_known,
        }
    }
}

/// Returns the elements of a list without quoted strings, the last first.
fn elements_from_right(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.rsplit(|&byte| byte == b',')
}

/// Returns the elements of a list, which may have quoted strings; `None` where one does not end.
fn split_elements(line: &[u8]) -> Option<SmallVec<[&[u8]; 8]>> {
    split_outside_quotes(line, b',')
}

fn split_outside_quotes(text: &[u8], separator: u8) -> Option<SmallVec<[&[u8]; 8]>> {
    let (mut parts, mut begin) = (SmallVec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ if byte == separator && !is_quoted => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    (!is_quoted).then_some(parts)
}

/// Parses an element of `X-Forwarded-For`, for which there is no standard: an address, or one with a port. An IPv6 address
/// with a port is in brackets.
fn address_in(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) => node_address(text, is_port),
    }
}

/// Returns the address in `for` of an element of `Forwarded`; `None` where there is none, where it is hidden or unknown, or
/// where the element is wrong.
fn address_of_element(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in split_outside_quotes(element, b';')? {
        let pair = trim(pair);
        if pair.is_empty() {
            continue;
        }
        let at = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (&pair[..at], &pair[at + 1..]);
        if !is_token(name) {
            return None;
        }
        let value = unquoted(value)?;
        // Each parameter may be there once.
        if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return None;
        }
    }
    let found = found?;
    let is_node_port = |port: &str| {
        let obfuscated = port.strip_prefix('_').is_some_and(|rest| !rest.is_empty());
        is_port(port) || obfuscated
    };
    node_address(std::str::from_utf8(&found).ok()?, is_node_port)
}

/// Returns the text of a token or a quoted string.
fn unquoted(value: &[u8]) -> Option<SmallVec<[u8; 64]>> {
    let Some(quoted) = value.strip_prefix(b"\"") else {
        return is_token(value).then(|| SmallVec::from_slice(value));
    };
    let quoted = quoted.strip_suffix(b"\"")?;
    let (mut text, mut bytes) = (SmallVec::new(), quoted.iter());
    while let Some(&byte) = bytes.next() {
        match byte {
            // A quote that is not the last byte: something stands behind the string.
            b'"' => return None,
            b'\\' => text.push(*bytes.next()?),
            byte => text.push(byte),
        }
    }
    Some(text)
}

/// Parses an IPv4 address or an IPv6 address in brackets, with or without a port.
fn node_address(text: &str, is_port: impl Fn(&str) -> bool) -> Option<IpAddr> {
    let (address, rest): (IpAddr, _) = match text.strip_prefix('[') {
        Some(text) => {
            let (address, rest) = text.split_once(']')?;
            (address.parse::<Ipv6Addr>().ok()?.into(), rest)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (address, rest) = text.split_at(end);
            (address.parse::<Ipv4Addr>().ok()?.into(), rest)
        }
    };
    let port = rest.strip_prefix(':');
    (rest.is_empty() || port.is_some_and(is_port)).then_some(address)
}

fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_token(text: &[u8]) -> bool {
    let is_token_byte =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_token_byte)
}

/// Removes spaces and tabs at both ends.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests;
