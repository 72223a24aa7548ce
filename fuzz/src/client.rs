//! The address of a client: the headers in which proxies name it, and the PROXY header of a connection.

use std::net::IpAddr;

use flashsale::limiter::forwarding;
use flashsale::runtime::proxy_header;
use flashsale::types::{AddressSource, ClientAddress};

/// The first byte says what the others are: a PROXY header, or the lines of one of the two headers of requests.
pub fn take(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    let source = match kind % 3 {
        0 => return proxied(bytes),
        1 => AddressSource::XForwardedFor,
        _ => AddressSource::Forwarded,
    };
    let trusted = ["10.0.0.0/8", "2001:db8::/32"].map(|block| block.parse().expect("a block"));
    let rule = ClientAddress {
        source,
        trusted: trusted.to_vec(),
    };
    let lines = bytes.split(|&byte| byte == b'\n');
    let proxy = IpAddr::from([10, 0, 0, 1]);
    let found = forwarding::find(&rule, proxy, lines.clone());
    // A hop that is trusted is the client only where nobody else was found.
    assert!(found.is_known || rule.trusts(found.address));
    // What stands to the left of a client changes nothing.
    let behind = match source {
        AddressSource::Forwarded => &b"for=192.0.2.1"[..],
        _ => b"192.0.2.1",
    };
    let found = forwarding::find(&rule, proxy, lines.clone().chain([behind]));
    assert!(found.is_known && found.address == IpAddr::from([192, 0, 2, 1]));
    // Whatever a stranger says, it is itself.
    let stranger = IpAddr::from([203, 0, 113, 1]);
    assert_eq!(forwarding::find(&rule, stranger, lines).address, stranger);
}

fn proxied(bytes: &[u8]) {
    let _ = proxy_header::parse(bytes);
    // As of a proxy that has nothing else in mind.
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let rest = &bytes[..usize::from(length)];
    for family in [0x00, 0x11, 0x21, 0x31] {
        let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
        header.push(family);
        header.extend(length.to_be_bytes());
        header.extend(rest);
        let _ = proxy_header::parse(&header);
    }
}
