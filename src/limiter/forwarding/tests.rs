use proptest::prelude::*;

use super::*;

/// The proxy of the tests, and the network of others behind it.
const PROXY: &str = "10.0.0.1";

fn rule(source: AddressSource) -> ClientAddress {
    let blocks = ["10.0.0.0/8", "2001:db8:ffff::/48"];
    ClientAddress {
        source,
        trusted: blocks.map(|block| block.parse().expect("a block")).to_vec(),
    }
}

/// Returns the client that is found behind `peer`; with a question mark behind it where it is not known.
fn found(source: AddressSource, peer: &str, lines: &[&str]) -> String {
    let peer = peer.parse().expect("an address");
    let lines = lines.iter().map(|line| line.as_bytes());
    let ForwardedClient { address, is_known } = find(&rule(source), peer, lines);
    format!("{address}{}", if is_known { "" } else { "?" })
}

#[test]
fn x_forwarded_for_is_read_from_the_right() {
    for (lines, client) in [
        (&["192.0.2.1"][..], "192.0.2.1"),
        (&["198.51.100.66, 192.0.2.1"], "192.0.2.1"),
        (&["127.0.0.1,192.0.2.1"], "192.0.2.1"),
        (&["10.9.9.9, 192.0.2.1"], "192.0.2.1"),
        (&["192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        (
            &["198.51.100.66, 192.0.2.1, 10.0.0.2 ,10.0.0.3"],
            "192.0.2.1",
        ),
        (&["192.0.2.1", "10.0.0.2"], "192.0.2.1"),
        (&["198.51.100.66", "192.0.2.1", "10.0.0.2"], "192.0.2.1"),
        (&["rubbish, 192.0.2.1"], "192.0.2.1"),
        (&["rubbish", "192.0.2.1"], "192.0.2.1"),
        (&["192.0.2.1,, ,"], "192.0.2.1"),
        (&["192.0.2.1:5555"], "192.0.2.1"),
        (&["2001:db8::1"], "2001:db8::1"),
        (&["[2001:db8::1]"], "2001:db8::1"),
        (&["[2001:db8::1]:443"], "2001:db8::1"),
        (&["192.0.2.1, 2001:db8:ffff::7"], "192.0.2.1"),
        (&["::ffff:192.0.2.1"], "192.0.2.1"),
        (&["192.0.2.1, ::ffff:10.0.0.2"], "192.0.2.1"),
        (&[], PROXY),
        (&[""], PROXY),
        (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ] {
        assert_eq!(
            found(AddressSource::XForwardedFor, PROXY, lines),
            client,
            "{lines:?}"
        );
    }
}

#[test]
fn what_is_no_address_leaves_the_last_trusted_hop() {
    for (lines, client) in [
        (&["unknown"][..], "10.0.0.1?"),
        (&["192.0.2.1, unknown"], "10.0.0.1?"),
        (&["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2?"),
        (&["192.0.2.1", "rubbish", "10.0.0.2"], "10.0.0.2?"),
        (&["192.0.2.1:"], "10.0.0.1?"),
        (&["192.0.2.1:123456"], "10.0.0.1?"),
        (&["192.0.2.1:x"], "10.0.0.1?"),
        (&["[192.0.2.1]"], "10.0.0.1?"),
        (&["[2001:db8::1"], "10.0.0.1?"),
        (&["2001:db8::1]"], "10.0.0.1?"),
        (&["192.0.2.01"], "10.0.0.1?"),
        (&["192.0.2.1 192.0.2.2"], "10.0.0.1?"),
        (&["\"192.0.2.1\""], "10.0.0.1?"),
        (&["fe80::1%eth0"], "10.0.0.1?"),
        (&["192.0.2.\u{661}"], "10.0.0.1?"),
    ] {
        assert_eq!(
            found(AddressSource::XForwardedFor, PROXY, lines),
            client,
            "{lines:?}"
        );
    }
    let loops = vec!["10.0.0.2"; FORWARDED_HOPS_MAX + 1].join(",");
    let loops = format!("192.0.2.1,{loops}");
    let client = found(AddressSource::XForwardedFor, PROXY, &[&loops]);
    assert_eq!(client, "10.0.0.2?");
}

#[test]
fn a_stranger_is_its_own_address_whatever_it_says() {
    for source in [AddressSource::XForwardedFor, AddressSource::Forwarded] {
        for line in [
            "127.0.0.1",
            "for=127.0.0.1",
            "10.0.0.1",
            "rubbish\"",
            "unknown",
        ] {
            let peer = "203.0.113.5";
            assert_eq!(found(source, peer, &[line]), peer, "{line}");
        }
    }
}

#[test]
fn only_the_header_that_is_configured_is_read() {
    for source in [AddressSource::Peer, AddressSource::ProxyV2] {
        assert_eq!(found(source, PROXY, &["192.0.2.1"]), PROXY);
    }
}

#[test]
fn forwarded_is_read_as_rfc_7239_has_it() {
    for (lines, client) in [
        (&["for=192.0.2.1"][..], "192.0.2.1"),
        (&["For=192.0.2.1;proto=https;by=203.0.113.43"], "192.0.2.1"),
        (&["proto=http ; for=192.0.2.1; ;"], "192.0.2.1"),
        (&["for=198.51.100.66, for=192.0.2.1"], "192.0.2.1"),
        (&["for=192.0.2.1, for=10.0.0.2"], "192.0.2.1"),
        (&["for=192.0.2.1", "for=10.0.0.2"], "192.0.2.1"),
        (&["for=\"[2001:db8::1]\""], "2001:db8::1"),
        (&["for=\"[2001:db8::1]:47011\""], "2001:db8::1"),
        (&["for=\"192.0.2.1:47011\""], "192.0.2.1"),
        (&["for=\"192.0.2.1:_gazonk\""], "192.0.2.1"),
        (&["for=\"\\192.0.2.1\""], "192.0.2.1"),
        (&["for=192.0.2.1;host=\"a,b;c=\\\"d\""], "192.0.2.1"),
        (
            &["host=\"x, for=198.51.100.66\";for=192.0.2.1"],
            "192.0.2.1",
        ),
        (&["for=\"198.51.100.66", "for=192.0.2.1"], "192.0.2.1"),
        (&[], PROXY),
    ] {
        assert_eq!(
            found(AddressSource::Forwarded, PROXY, lines),
            client,
            "{lines:?}"
        );
    }
}

#[test]
fn what_forwarded_hides_or_gets_wrong_leaves_the_last_trusted_hop() {
    for (lines, client) in [
        (&["for=unknown"][..], "10.0.0.1?"),
        (&["for=192.0.2.1, for=_hidden"], "10.0.0.1?"),
        (&["for=192.0.2.1, for=_SEVKISEK, for=10.0.0.2"], "10.0.0.2?"),
        (&["for=192.0.2.1, proto=https"], "10.0.0.1?"),
        (&["for=192.0.2.1;for=192.0.2.2"], "10.0.0.1?"),
        (&["for=[2001:db8::1]"], "10.0.0.1?"),
        (&["for=\"2001:db8::1\""], "10.0.0.1?"),
        (&["for=192.0.2.1:80"], "10.0.0.1?"),
        (&["for=\"192.0.2.1:_\""], "10.0.0.1?"),
        (&["for = 192.0.2.1"], "10.0.0.1?"),
        (&["for"], "10.0.0.1?"),
        (&["for="], "10.0.0.1?"),
        (&["192.0.2.1"], "10.0.0.1?"),
        (&["for=\"192.0.2.1\"x"], "10.0.0.1?"),
        (&["for=\"192.0.2.1"], "10.0.0.1?"),
        // A quote that a client leaves open takes what its proxy adds to the same line with it.
        (&["for=\"198.51.100.66, for=192.0.2.1"], "10.0.0.1?"),
    ] {
        assert_eq!(
            found(AddressSource::Forwarded, PROXY, lines),
            client,
            "{lines:?}"
        );
    }
}

/// An address that no proxy of the tests has.
fn client() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
        any::<u128>().prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
    ]
    .prop_map(|address| address.to_canonical())
    .prop_filter("no proxy", |address| {
        !rule(AddressSource::Peer).trusts(*address)
    })
}

proptest! {
    /// Whatever a client sends, it is found where the proxies saw it come from.
    #[test]
    fn a_client_cannot_choose_its_address(
        forged in prop::collection::vec("[ -~]{0,40}", 0..4),
        client in client(),
        hops in 0..4_u8,
        separate: bool,
    ) {
        let mut lines = forged;
        let added = [client]
            .into_iter()
            .chain((0..hops).map(|hop| IpAddr::from([10, 0, 1, hop])));
        for address in added {
            match lines.last_mut().filter(|_| !separate) {
                Some(line) => *line = format!("{line}, {address}"),
                None => lines.push(address.to_string()),
            }
        }
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let found = found(AddressSource::XForwardedFor, PROXY, &lines);
        prop_assert_eq!(found, client.to_string());
    }

    /// Whatever a client sends in `Forwarded`, it is found where its proxy saw it come from. An open quote in its line hides
    /// that: then it is the proxy, and never
    /// an address that the client chose.
    #[test]
    fn a_client_cannot_choose_its_forwarded_address(
        forged in prop::collection::vec("[ -~]{0,40}", 0..4),
        client in client(),
        separate: bool,
    ) {
        let node = match client {
            IpAddr::V4(address) => format!("for={address}"),
            IpAddr::V6(address) => format!("for=\"[{address}]:1\""),
        };
        let mut lines = forged;
        match lines.last_mut().filter(|_| !separate) {
            Some(line) => *line = format!("{line}, {node}"),
            None => lines.push(node),
        }
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let found = found(AddressSource::Forwarded, PROXY, &lines);
        let last = lines[lines.len() - 1];
        let is_closed = split_elements(last.as_bytes()).is_some();
        let expected = match is_closed {
            true => client.to_string(),
            false => format!("{PROXY}?"),
        };
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_are_answered(
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4),
        forwarded: bool,
    ) {
        let source = match forwarded {
            true => AddressSource::Forwarded,
            false => AddressSource::XForwardedFor,
        };
        let peer = PROXY.parse().expect("an address");
        let _ = find(&rule(source), peer, lines.iter().map(|line| &line[..]));
    }
}
