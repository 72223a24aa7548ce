//! The header of the PROXY protocol, version 2, by which a proxy says whose bytes follow on the connection.
//!
//! The parser takes the whole header; [`length`] says how many bytes that is. Extensions are skipped, except for a checksum,
//! which must be right.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::PROXY_HEADER_BYTES_MAX;

/// The bytes that every header begins with. No request and no TLS handshake begins with them.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The bytes up to and with the length of the rest.
pub const FIXED_BYTES: usize = 16;
/// The version and the command of a connection of the proxy's own.
const LOCAL: u8 = 0x20;
/// The version and the command of a connection that is passed on.
const PROXY: u8 = 0x21;
/// The type of the extension that holds a CRC32C of the whole header.
const CHECKSUM: u8 = 0x03;

/// The client that a header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxiedClient {
    /// Another one than the proxy.
    At(IpAddr),
    /// The proxy itself, for example to check that the server is there.
    Proxy,
    /// One without an address of the internet: the proxy does not know it, or it came by a Unix socket.
    Unknown,
}

/// Bytes that are no header of the PROXY protocol, version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyHeaderError {
    /// The connection begins with something else.
    #[error("it does not begin with the signature of the PROXY protocol, version 2")]
    NoSignature,
    /// The version or the command is not known.
    #[error("its version or command is unknown")]
    UnknownCommand,
    /// The header is longer than the bound.
    #[error("it is longer than {PROXY_HEADER_BYTES_MAX} bytes")]
    TooLong,
    /// The lengths in it do not fit.
    #[error("it ends before what it holds")]
    TooShort,
    /// The checksum is wrong.
    #[error("its checksum is wrong")]
    WrongChecksum,
}

/// Returns the length of the rest of a header whose first bytes are `fixed`.
///
/// # Errors
/// When they are not the first bytes of a header.
pub fn length(fixed: &[u8; FIXED_BYTES]) -> Result<usize, ProxyHeaderError> {
    if fixed[..SIGNATURE.len()] != SIGNATURE[..] {
        return Err(ProxyHeaderError::NoSignature);
    }
    if ![LOCAL, PROXY].contains(&fixed[12]) {
        return Err(ProxyHeaderError::UnknownCommand);
    }
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > PROXY_HEADER_BYTES_MAX {
        return Err(ProxyHeaderError::TooLong);
    }
    Ok(length)
}

/// The header of a connection that is no client's: of a check that comes from the proxy, or this machine, itself.
pub const OF_PROXY_ITSELF: [u8; FIXED_BYTES] = *b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Parses a whole header, of as many bytes as [`length`] says.
///
/// # Errors
/// When it is none.
pub fn parse(header: &[u8]) -> Result<ProxiedClient, ProxyHeaderError> {
    let (fixed, rest) = header
        .split_first_chunk::<FIXED_BYTES>()
        .ok_or(ProxyHeaderError::TooShort)?;
    if length(fixed)? != rest.len() {
        return Err(ProxyHeaderError::TooShort);
    }
    // What a local command says of addresses means nothing.
    if fixed[12] == LOCAL {
        return Ok(ProxiedClient::Proxy);
    }
    // The address of the source stands first. A stream is all that we listen for.
    let (client, address_bytes) = match fixed[13] {
        0x11 => (Some(Ipv4Addr::from(address(rest)?).into()), 12),
        0x21 => (Some(Ipv6Addr::from(address(rest)?).into()), 36),
        0x31 => (None, 216),
        // The family may be any other one, whose length nobody knows.
        _ => return Ok(ProxiedClient::Unknown),
    };
    let extensions = rest
        .get(address_bytes..)
        .ok_or(ProxyHeaderError::TooShort)?;
    check_extensions(header, extensions)?;
    Ok(client.map_or(ProxiedClient::Unknown, ProxiedClient::At))
}

fn address<const N: usize>(rest: &[u8]) -> Result<[u8; N], ProxyHeaderError> {
    let first = rest.first_chunk::<N>();
    first.copied().ok_or(ProxyHeaderError::TooShort)
}

/// Checks that the extensions, which end `header`, are whole, and a checksum among them.
fn check_extensions(header: &[u8], extensions: &[u8]) -> Result<(), ProxyHeaderError> {
    let mut rest = extensions;
    while let Some((start, behind)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([start[1], start[2]]));
        let (value, behind) = behind
            .split_at_checked(length)
            .ok_or(ProxyHeaderError::TooShort)?;
        if start[0] == CHECKSUM {
            let given: [u8; 4] = value
                .try_into()
                .map_err(|_| ProxyHeaderError::WrongChecksum)?;
            let at = header.len() - behind.len() - given.len();
            if checksum(header, at) != u32::from_be_bytes(given) {
                return Err(ProxyHeaderError::WrongChecksum);
            }
        }
        rest = behind;
    }
    match rest {
        [] => Ok(()),
        _ => Err(ProxyHeaderError::TooShort),
    }
}

/// Computes the checksum of a header, in which it stands at `at` and counts as four zeros.
fn checksum(header: &[u8], at: usize) -> u32 {
    let crc = crc32c::crc32c(&header[..at]);
    let crc = crc32c::crc32c_append(crc, &[0; 4]);
    crc32c::crc32c_append(crc, &header[at + 4..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header with this command, family and rest.
    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short");
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    const IPV4: [u8; 12] = [192, 0, 2, 1, 203, 0, 113, 1, 0x30, 0x39, 0, 80];

    /// The addresses of IPv4 with these extensions behind them.
    fn extended(extensions: &[(u8, &[u8])]) -> Vec<u8> {
        let mut rest = IPV4.to_vec();
        for (kind, value) in extensions {
            rest.push(*kind);
            rest.extend(u16::try_from(value.len()).expect("short").to_be_bytes());
            rest.extend(*value);
        }
        header(0x21, 0x11, &rest)
    }

    fn at(address: &str) -> Result<ProxiedClient, ProxyHeaderError> {
        Ok(ProxiedClient::At(address.parse().expect("an address")))
    }

    #[test]
    fn the_source_of_a_proxied_connection_is_the_client() {
        assert_eq!(parse(&header(0x21, 0x11, &IPV4)), at("192.0.2.1"));
        let mut ipv6 = [0; 36];
        ipv6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        ipv6[15] = 7;
        assert_eq!(parse(&header(0x21, 0x21, &ipv6)), at("2001:db8::7"));
        let named = [(0x05, &b"unique"[..]), (0xea, b"\x01vpce"), (0x04, b"")];
        assert_eq!(parse(&extended(&named)), at("192.0.2.1"));
    }

    #[test]
    fn a_connection_without_an_address_is_known_as_such() {
        use ProxiedClient::{Proxy, Unknown};
        for (bytes, client) in [
            (header(0x20, 0x00, &[]), Proxy),
            (OF_PROXY_ITSELF.to_vec(), Proxy),
            (header(0x20, 0x11, &IPV4), Proxy),
            (header(0x20, 0x00, &[9; 40]), Proxy),
            (header(0x21, 0x00, &[]), Unknown),
            (header(0x21, 0x00, &[9; 40]), Unknown),
            (header(0x21, 0x31, &[0; 216]), Unknown),
            (header(0x21, 0x12, &IPV4), Unknown),
            (header(0x21, 0xff, &[]), Unknown),
        ] {
            assert_eq!(parse(&bytes), Ok(client), "{bytes:?}");
        }
    }

    #[test]
    fn anything_else_is_an_error() {
        use ProxyHeaderError::{NoSignature, TooLong, TooShort, UnknownCommand};
        for (bytes, error) in [
            (
                b"PROXY TCP4 192.0.2.1 203.0.113.1 1 2\r\n".to_vec(),
                NoSignature,
            ),
            (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(), NoSignature),
            (
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefg".to_vec(),
                NoSignature,
            ),
            (header(0x11, 0x11, &IPV4), UnknownCommand),
            (header(0x22, 0x11, &IPV4), UnknownCommand),
            (header(0x31, 0x11, &IPV4), UnknownCommand),
            (header(0x21, 0x11, &IPV4[..11]), TooShort),
            (header(0x21, 0x21, &[0; 35]), TooShort),
            (header(0x21, 0x31, &[0; 215]), TooShort),
            (header(0x21, 0x11, &[&IPV4[..], &[1]].concat()), TooShort),
            (
                header(0x21, 0x11, &[&IPV4[..], &[1, 0, 2, 9]].concat()),
                TooShort,
            ),
            (
                header(0x21, 0x11, &[0; PROXY_HEADER_BYTES_MAX + 1]),
                TooLong,
            ),
            (header(0x21, 0x11, &IPV4)[..20].to_vec(), TooShort),
            (Vec::new(), TooShort),
        ] {
            assert_eq!(parse(&bytes), Err(error), "{bytes:?}");
        }
        let longest = header(0x21, 0x00, &[0; PROXY_HEADER_BYTES_MAX]);
        assert_eq!(parse(&longest), Ok(ProxiedClient::Unknown));
    }

    #[test]
    fn a_checksum_must_be_right() {
        let mut bytes = extended(&[(CHECKSUM, &[0; 4]), (0x04, b"xx")]);
        let at_checksum = FIXED_BYTES + IPV4.len() + 3;
        assert_eq!(parse(&bytes), Err(ProxyHeaderError::WrongChecksum));
        let right = checksum(&bytes, at_checksum).to_be_bytes();
        bytes[at_checksum..][..4].copy_from_slice(&right);
        assert_eq!(parse(&bytes), at("192.0.2.1"));
        bytes[FIXED_BYTES] ^= 1;
        assert_eq!(parse(&bytes), Err(ProxyHeaderError::WrongChecksum));
        let short = extended(&[(CHECKSUM, &[0; 3])]);
        assert_eq!(parse(&short), Err(ProxyHeaderError::WrongChecksum));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_rest_is_answered(
            command in prop::sample::select(&[LOCAL, PROXY][..]),
            family in prop::sample::select(&[0x00, 0x11, 0x21, 0x31, 0x12][..]),
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let whole = header(command, family, &rest);
            let fixed = whole.first_chunk().expect("16 bytes");
            prop_assert_eq!(length(fixed), Ok(rest.len()));
            let parsed = parse(&whole);
            prop_assert!(command == PROXY || parsed == Ok(ProxiedClient::Proxy));
            // A part of a header is none.
            prop_assert!(parse(&whole[..whole.len() - 1]).is_err());
        }
    }
}
