//! Limits of rates: of each address, of each user, and not of what is public.

use std::time::Instant;

use serde_json::json;

use crate::admin::{create, in_seconds};
use crate::client::{Answer, Client};
use crate::server::{Server, wait_for};

/// A limit that a slow machine does not notice: one second is longer than a few requests take.
const LIMIT: &str = r#"{"per_second": 1, "burst": 3}"#;
const BURST: u64 = 3;

/// A server whose proxy is the loopback, with a sale of lamps.
fn shop(limit: &str) -> (Server, Client) {
    let server = Server::start(&[
        ("SERVER_CLIENT_ADDRESS", "x-forwarded-for"),
        ("SERVER_TRUSTED_PROXIES", "127.0.0.1"),
        ("SALE_TOTAL_ITEMS", "10"),
        ("SERVER_WORKERS", "2"),
        (limit, LIMIT),
    ]);
    let mut client = server.client();
    create(
        &mut client,
        &json!({
            "items": [{"id": "lamp", "name": "Lamp", "stock": 100_000}, {"id": "chair", "name": "Chair", "stock": 1}],
            "max_items_per_user": 1000,
        }),
    );
    (server, client)
}

/// Asks for a lamp as this user, from this address.
fn checkout(client: &mut Client, user: &str, from: &str, item: &str) -> Answer {
    let target = format!("/checkout?user_id={user}&id={item}");
    client.send("POST", &target, &[("X-Forwarded-For", from)], b"")
}

/// Asserts that `ask` is let through no more often than the limit allows, and returns a refusal.
#[track_caller]
fn is_limited(mut ask: impl FnMut(u64) -> Answer) -> Answer {
    let (begun, mut asked, mut allowed) = (Instant::now(), 0, 0);
    let refusal = wait_for("one too many", || {
        asked += 1;
        let answer = ask(asked);
        match answer.status {
            429 => Some(answer),
            _ => {
                allowed += 1;
                None
            }
        }
    });
    assert!(
        allowed <= BURST + begun.elapsed().as_secs() + 1,
        "{allowed}"
    );
    assert!(allowed >= BURST, "{allowed}");
    refusal
}

#[track_caller]
fn tells(refusal: &Answer, limit: &str) {
    refusal
        .clone()
        .refused(429, "rate_limited", "wait a moment");
    assert_eq!(refusal.header("retry-after"), Some("1"));
    let expected = format!("\"{limit}\";r=0;t=1");
    assert_eq!(refusal.header("ratelimit"), Some(&*expected));
    let expected = format!("\"{limit}\";q=3;w=3");
    assert_eq!(refusal.header("ratelimit-policy"), Some(&*expected));
}

fn limited(client: &mut Client, limit: &str) -> u64 {
    let metrics = client.get("/metrics").ok();
    let name = format!("http_requests_limited_total{{limit=\"{limit}\"}} ");
    let value = metrics
        .text()
        .lines()
        .find_map(|line| line.strip_prefix(&name));
    value.expect("a sample").parse().expect("a number")
}

#[test]
fn an_address_is_limited_whatever_users_it_invents() {
    let (_server, mut client) = shop("LIMITS_ADDRESS");
    let refusal =
        is_limited(|number| checkout(&mut client, &format!("user-{number}"), "192.0.2.1", "lamp"));
    tells(&refusal, "address");
    for (number, other) in ["192.0.2.2", "192.0.2.3", "2001:db8::1"].iter().enumerate() {
        checkout(&mut client, &format!("honest-{number}"), other, "lamp").ok();
    }
    assert!(limited(&mut client, "address") >= 1);
    assert_eq!(limited(&mut client, "user"), 0);
    let plain = client.post("/checkout?user_id=honest&id=lamp").ok();
    assert_eq!(plain.header("ratelimit"), None, "only where it is over");
}

#[test]
fn a_user_is_limited_from_whatever_addresses_it_comes() {
    let (_server, mut client) = shop("LIMITS_USER");
    let refusal = is_limited(|number| {
        let from = format!("198.51.100.{}", number % 256);
        checkout(&mut client, "loud", &from, "lamp")
    });
    tells(&refusal, "user");
    checkout(&mut client, "honest", "198.51.100.1", "lamp").ok();
    assert!(limited(&mut client, "user") >= 1);
    assert_eq!(limited(&mut client, "address"), 0);
}

#[test]
fn ten_thousand_addresses_of_one_network_are_one_client() {
    let (_server, mut client) = shop("LIMITS_ADDRESS");
    let begun = Instant::now();
    let allowed = (0..10_000_u32).filter(|number| {
        let from = format!("2001:db8:1:2:{:x}::{number:x}", number % 7919);
        checkout(&mut client, &format!("user-{number}"), &from, "lamp").status == 200
    });
    let allowed = allowed.count() as u64;
    assert!(
        allowed <= BURST + begun.elapsed().as_secs() + 1,
        "{allowed}"
    );
    checkout(&mut client, "honest", "2001:db8:1:3::1", "lamp").ok();
}

#[test]
fn connections_and_workers_do_not_multiply_the_limit() {
    let (server, _) = shop("LIMITS_ADDRESS");
    let mut clients: Vec<_> = (0..8).map(|_| server.client()).collect();
    let refusal = is_limited(|number| {
        let client = &mut clients[number as usize % 8];
        checkout(client, "loud", "192.0.2.1", "lamp")
    });
    tells(&refusal, "address");
}

#[test]
fn what_is_public_is_answered_before_any_limit() {
    let (_server, mut client) = shop("LIMITS_ADDRESS");
    let later = json!({
        "items": [{"id": "desk", "name": "Desk", "stock": 5}],
        "started_at": in_seconds(3600),
    });
    create(&mut client, &later);
    let code = checkout(&mut client, "first", "192.0.2.9", "chair")
        .ok()
        .code();
    client.purchase(&code).ok();
    is_limited(|number| checkout(&mut client, &format!("user-{number}"), "192.0.2.1", "lamp"));
    for number in 0..20 {
        let user = format!("late-{number}");
        let sold_out = checkout(&mut client, &user, "192.0.2.1", "chair");
        sold_out.refused(409, "item_sold_out", "sold out");
        let not_active = checkout(&mut client, &user, "192.0.2.1", "desk");
        not_active.refused(400, "sale_not_active", "not active");
        let from = [("X-Forwarded-For", "192.0.2.1")];
        client.send("GET", "/sales/active", &from, b"").ok();
    }
}

#[test]
fn codes_cannot_be_tried_without_end() {
    let (_server, mut client) = shop("LIMITS_ADDRESS");
    for (method, path, from) in [
        ("POST", "/purchase", "192.0.2.1"),
        ("GET", "/checkout", "192.0.2.2"),
        ("POST", "/release", "192.0.2.3"),
        ("POST", "/payment", "192.0.2.4"),
    ] {
        let refusal = is_limited(|number| {
            let target = format!("{path}?code=CHK-1-{number:032x}");
            client.send(method, &target, &[("X-Forwarded-For", from)], b"")
        });
        tells(&refusal, "address");
    }
}

#[test]
fn a_body_counts_as_a_query_does() {
    let (_server, mut client) = shop("LIMITS_ADDRESS");
    let headers = [
        ("X-Forwarded-For", "192.0.2.1"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let refusal = is_limited(|number| {
        let body = format!("user_id=user-{number}&id=lamp");
        client.send("POST", "/checkout", &headers, body.as_bytes())
    });
    tells(&refusal, "address");
}
