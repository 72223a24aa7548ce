//! `X-Forwarded-For` and `Forwarded`, from a proxy that is trusted and from strangers. The tests are the proxy.

use super::{client_from, guess, lock_out, metric, wait_until_logged};
use crate::client::Client;
use crate::server::{Place, Server};

/// A server that takes the loopback's first address for a proxy.
fn server(source: &str) -> Server {
    Server::start(&[
        ("SERVER_CLIENT_ADDRESS", source),
        ("SERVER_TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8"),
        ("SALE_TOTAL_ITEMS", "10"),
    ])
}

fn proxy(server: &Server) -> Client {
    Client::connect(server.addr()).expect("a connection")
}

#[test]
fn a_client_that_invents_addresses_is_locked_out_all_the_same() {
    let server = server("x-forwarded-for");
    let mut proxy = proxy(&server);
    lock_out(&mut proxy, |guess| {
        let chain = format!("10.9.9.{guess}, 198.51.100.{guess}, 192.0.2.1, 10.0.0.7");
        Some(("X-Forwarded-For", chain))
    });
    wait_until_logged(&server, "192.0.2.1");
    let alone = guess(&mut proxy, &[("X-Forwarded-For", "192.0.2.1")]);
    assert_eq!(alone.status, 429);
    for other in ["192.0.2.2", "192.0.2.1, 192.0.2.2", "10.0.0.7"] {
        let header = ("X-Forwarded-For", other);
        assert_eq!(guess(&mut proxy, &[header]).status, 401, "{other}");
    }
    // Two lines are one list, in their order.
    let lines = [
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-For", "192.0.2.3"),
    ];
    assert_eq!(guess(&mut proxy, &lines).status, 401);
    let lines = [
        ("X-Forwarded-For", "192.0.2.3"),
        ("X-Forwarded-For", "192.0.2.1"),
    ];
    assert_eq!(guess(&mut proxy, &lines).status, 429);
    // The header that is not configured says nothing.
    let other = [
        ("X-Forwarded-For", "192.0.2.1"),
        ("Forwarded", "for=192.0.2.9"),
    ];
    assert_eq!(guess(&mut proxy, &other).status, 429);
    assert_eq!(metric(&mut proxy, "http_clients_unknown_total"), 0);
}

#[test]
fn a_stranger_is_known_by_its_own_address() {
    for (source, name) in [
        ("x-forwarded-for", "X-Forwarded-For"),
        ("forwarded", "Forwarded"),
    ] {
        let server = server(source);
        let mut stranger = client_from("127.0.0.2", server.addr());
        lock_out(&mut stranger, |guess| {
            let address = format!("192.0.2.{guess}");
            let value = match source {
                "forwarded" => format!("for={address}"),
                _ => address,
            };
            Some((name, value))
        });
        wait_until_logged(&server, "127.0.0.2");
        assert_eq!(guess(&mut proxy(&server), &[]).status, 401);
    }
}

#[test]
fn forwarded_names_clients_of_both_families() {
    let server = server("forwarded");
    let mut proxy = proxy(&server);
    lock_out(&mut proxy, |guess| {
        let chain = format!(
            "for=198.51.100.{guess};proto=http, For=\"[2001:db8:7::{guess}]:4711\";by=_proxy, for=10.0.0.7"
        );
        Some(("Forwarded", chain))
    });
    let same_network = ("Forwarded", "for=\"[2001:db8:7:0:ffff::1]\"");
    assert_eq!(guess(&mut proxy, &[same_network]).status, 429);
    let other = ("Forwarded", "for=\"[2001:db8:7:1::1]\"");
    assert_eq!(guess(&mut proxy, &[other]).status, 401);
}

#[test]
fn a_client_without_an_address_counts_as_the_last_proxy() {
    let server = server("x-forwarded-for");
    let mut proxy = proxy(&server);
    lock_out(&mut proxy, |guess| {
        let wrong = ["unknown", "192.0.2.1, rubbish", "_hidden", "for=192.0.2.1"];
        Some((
            "X-Forwarded-For",
            format!("{}, 10.0.0.7", wrong[guess % wrong.len()]),
        ))
    });
    wait_until_logged(&server, "10.0.0.7");
    assert_eq!(metric(&mut proxy, "http_clients_unknown_total"), 11);
}

#[test]
fn connections_of_a_proxy_have_no_limit_and_those_of_strangers_have() {
    let server = Server::start(&[
        ("SERVER_CLIENT_ADDRESS", "x-forwarded-for"),
        ("SERVER_TRUSTED_PROXIES", "127.0.0.1"),
        ("SERVER_CONNECTIONS_PER_PEER", "2"),
        ("SALE_TOTAL_ITEMS", "10"),
    ]);
    let mut proxies: Vec<_> = (0..5).map(|_| proxy(&server)).collect();
    for proxy in &mut proxies {
        proxy.get("/livez").ok();
    }
    let mut strangers: Vec<_> = (0..2)
        .map(|_| client_from("127.0.0.2", server.addr()))
        .collect();
    for stranger in &mut strangers {
        stranger.get("/livez").ok();
    }
    let refused = client_from("127.0.0.2", server.addr()).read();
    refused
        .expect("an answer")
        .refused(503, "overloaded", "from this address");
}

#[test]
fn a_proxy_that_nobody_has_configured_is_told_once() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "10")]);
    let mut client = server.client();
    client.get("/sales/1/items").ok();
    assert_eq!(metric(&mut client, "http_forwarded_headers_ignored"), 0);
    for header in [
        ("X-Forwarded-For", "192.0.2.1"),
        ("Forwarded", "for=192.0.2.1"),
    ] {
        client.send("GET", "/sales/1/items", &[header], b"").ok();
    }
    assert_eq!(metric(&mut client, "http_forwarded_headers_ignored"), 1);
    let told = "which are not read: all clients behind the proxy count as one";
    server.wait_for_log(told);
    assert_eq!(server.log().matches(told).count(), 1);
    let port = server.addr().port().to_string();
    let mut place = Place::new(&[("SERVER_PORT", &port), ("SALE_TOTAL_ITEMS", "10")]);
    place.set(
        "JOURNAL_DIR",
        &server.place().journal_dir().display().to_string(),
    );
    let report = place.run(&["preflight"]).stdout;
    let report = String::from_utf8(report).expect("UTF-8");
    assert!(
        report.contains("X-Forwarded-For or Forwarded, which the server does not read"),
        "{report}"
    );
}
