//! Who is let in to administration.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use flashsale::limits::{ADMIN_BODY_BYTES_MAX, AUTHENTICATION_FAILURES_MAX};
use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::json;

use crate::admin::{JSON, TOKEN, ask, create, shop};
use crate::client::{Answer, Client};
use crate::server::{Place, Server, wait_for};

const PATHS: [(&str, &str); 10] = [
    ("POST", "/admin/sales"),
    ("POST", "/admin/sales/1/close"),
    ("POST", "/admin/sales/1/pause"),
    ("POST", "/admin/sales/1/resume"),
    ("POST", "/admin/sales/1/extend"),
    ("POST", "/admin/sales/1/stock"),
    (
        "POST",
        "/admin/checkouts/CHK-1-00000000000000000000000000000001/cancel",
    ),
    ("GET", "/admin/sales/1/purchases"),
    (
        "GET",
        "/admin/checkouts/CHK-1-00000000000000000000000000000000",
    ),
    ("GET", "/admin/events"),
];

fn guarded() -> (Server, Client) {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "10"), ("ADMIN_TOKEN", TOKEN)]);
    let client = server.client();
    (server, client)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[track_caller]
fn unauthorized(answer: Answer) {
    let answer = answer.refused(401, "unauthorized", "token");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

#[test]
fn without_a_configured_token_nobody_is_let_in_for_their_address() {
    let (server, _) = shop();
    let mut client = Client::connect(server.addr()).expect("a connection");
    for (method, path) in &PATHS[..2] {
        unauthorized(client.send(method, path, &[], b""));
        unauthorized(client.send(method, path, &[("Authorization", &bearer(TOKEN))], b""));
    }
    let token = server.token().expect("a token that was drawn");
    let right = bearer(&token);
    let path = "/api/v1/admin/sales";
    // A proxy in front is no obstacle.
    let head = [
        JSON,
        ("Authorization", &*right),
        ("X-Forwarded-For", "192.0.2.1"),
    ];
    let created = client.send("POST", path, &head, br#"{"total_items":3}"#);
    assert_eq!(created.status, 201, "{}", created.text());
}

#[test]
fn a_token_is_drawn_once_and_kept_for_its_owner() {
    let (mut server, _) = shop();
    let token = server.token().expect("a token that was drawn");
    assert!(token.len() == 64 && token.bytes().all(|it| it.is_ascii_hexdigit()));
    let path = server.place().journal_dir().join("admin.token");
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let log = server.log();
    assert!(
        log.contains("journal/admin.token") && !log.contains(&token),
        "{log}"
    );
    assert!(server.terminate().success());
    let other = TOKEN.to_owned() + "\n";
    fs::write(&path, &other).expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("a file");
    server.restart();
    server.wait_for_log("others may read the token of /admin");
    let mut client = Client::connect(server.addr()).expect("a connection");
    let known = [JSON, ("Authorization", &*bearer(TOKEN))];
    let created = client.send("POST", "/admin/sales", &known, br#"{"total_items":3}"#);
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!(fs::read_to_string(&path).expect("a file"), other);
}

#[test]
fn a_file_that_holds_no_token_closes_administration_and_nothing_else() {
    for make in [
        (|path| fs::write(path, "")) as fn(&Path) -> io::Result<()>,
        |path| fs::create_dir(path),
        |path| mkfifoat(CWD, path, Mode::RUSR).map_err(Into::into),
    ] {
        let place = Place::new(&[("SALE_TOTAL_ITEMS", "10")]);
        fs::create_dir(place.journal_dir()).expect("a directory");
        make(&place.journal_dir().join("admin.token")).expect("an entry");
        let server = Server::start_in(place);
        server.wait_for_log("/admin is closed");
        let mut client = Client::connect(server.addr()).expect("a connection");
        unauthorized(client.post("/admin/sales/1/close"));
        unauthorized(client.send(
            "POST",
            "/admin/sales/1/close",
            &[("Authorization", "Bearer ")],
            b"",
        ));
        client.checkout("ada", "ITM-1-0").ok();
    }
}

#[test]
fn with_a_token_everybody_needs_it() {
    let (server, mut client) = guarded();
    for (method, path) in &PATHS[..2] {
        unauthorized(client.send(method, path, &[], b""));
        let wrong = bearer(&TOKEN[1..]);
        unauthorized(client.send(method, path, &[("Authorization", &wrong)], b""));
    }
    let (right, basic) = (bearer(TOKEN), format!("Basic {TOKEN}"));
    unauthorized(client.send("POST", "/admin/sales", &[("Authorization", &basic)], b"{}"));
    // Whether a sale exists is nobody's business.
    unauthorized(client.post("/admin/sales/99/close"));
    // Nor is a body read that is larger than others may be.
    let mut stranger = server.client();
    let head = format!(
        "POST /admin/sales HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
         content-length: {ADMIN_BODY_BYTES_MAX}\r\n\r\n"
    );
    stranger.write(head.as_bytes()).expect("it is sent");
    unauthorized(stranger.read().expect("an answer"));

    let headers = [JSON, ("Authorization", &*right)];
    let created = client.send("POST", "/admin/sales", &headers, br#"{"total_items":3}"#);
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!(created.header("cache-control"), Some("no-store"));
    let with_origin = [headers[0], headers[1], ("Origin", "https://shop.example")];
    let created = client.send(
        "POST",
        "/admin/sales",
        &with_origin,
        br#"{"total_items":3}"#,
    );
    assert_eq!(created.status, 201, "{}", created.text());
    let metrics = client.get("/metrics").ok();
    assert!(metrics.text().contains("admin_sales"), "{}", metrics.text());
    let log = server.log();
    assert!(log.contains("sale created by an administrator"), "{log}");
    assert!(!log.contains(TOKEN), "the token is in the log");
}

#[test]
fn a_peer_that_fails_too_often_has_to_wait() {
    let (server, mut client) = guarded();
    for attempt in 0..AUTHENTICATION_FAILURES_MAX {
        let wrong = bearer(&format!("not-the-token-{attempt}"));
        unauthorized(client.send("POST", "/admin/sales", &[("Authorization", &wrong)], b""));
    }
    let wrong = bearer("not-the-token-either");
    for header in [("Authorization", &*wrong), ("Accept", "*/*")] {
        // Over another connection, and so perhaps by another worker.
        let answer = server
            .client()
            .send("POST", "/admin/sales/1/close", &[header], b"");
        let answer = answer.refused(429, "too_many_failures", "wait");
        let seconds = answer.header("retry-after").map(str::parse::<u64>);
        assert!(matches!(seconds, Some(Ok(1..=60))), "{answer:?}");
    }
    // Whoever knows the token is let in: behind a proxy everybody has the same address.
    let right = bearer(TOKEN);
    let known = [("Authorization", &*right)];
    client
        .send("POST", "/admin/sales/1/close", &known, b"")
        .ok();
    // Buyers at the same address are not concerned, and other paths stay what they are.
    client.get("/sales/1").ok();
    client.get("/admin/nowhere").refused(404, "not_found", "");
    client
        .get("/admin/sales")
        .refused(405, "method_not_allowed", "");
    let log = server.log();
    assert_eq!(log.matches("wrong too often").count(), 1, "{log}");
    assert!(!log.contains("not-the-token"), "{log}");
}

#[test]
fn other_paths_and_methods_are_refused() {
    let (_server, mut client) = guarded();
    for path in [
        "/admin",
        "/admin/",
        "/admin/sales/",
        "/admin/sales/1",
        "/admin/sales/1/open",
        "/admin/checkouts",
    ] {
        client.get(path).refused(404, "not_found", "");
        client.post(path).refused(404, "not_found", "");
    }
    for (right, path) in PATHS {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            if method != right {
                let answer = client.send(method, path, &[], b"");
                let answer = answer.refused(405, "method_not_allowed", "");
                let allowed = if right == "POST" { "POST" } else { "GET, HEAD" };
                assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
            }
        }
    }
}

#[test]
fn few_large_bodies_are_taken_at_the_same_time() {
    let (server, mut client) = shop();
    let length = 2 * 1024 * 1024;
    let head = format!(
        "POST /admin/sales HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
         authorization: Bearer {}\r\n\
         content-length: {length}\r\nexpect: 100-continue\r\n\r\n",
        server.token().expect("a token")
    );
    let (mut first, mut second) = (server.client(), server.client());
    first.write(head.as_bytes()).expect("it is sent");
    assert_eq!(first.read().expect("leave to go on").status, 100);
    second.write(head.as_bytes()).expect("it is sent");
    let refused = second.read().expect("an answer");
    refused.refused(503, "overloaded", "");
    // A small one has its own room, and buyers do not notice.
    create(&mut client, &json!({"total_items": 3}));
    client.checkout("ada", "ITM-1-0").ok();
    let sale = br#"{"total_items":4}"#;
    let padding = vec![b' '; length - sale.len()];
    first.write(&padding).expect("it is sent");
    first.write(sale).expect("it is sent");
    let answer = first.read().expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.text());
    let large = format!("{}{}", " ".repeat(length), r#"{"total_items":5}"#);
    let answer = server
        .client()
        .send("POST", "/admin/sales", &[JSON], large.as_bytes());
    assert_eq!(answer.status, 201, "there is room again");
}

#[test]
fn a_body_may_come_slowly_but_not_stop() {
    let (server, _client) = shop();
    let sale = br#"{"total_items":4}"#;
    let head = |length: usize| {
        format!(
            "POST /admin/sales HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
         authorization: Bearer {}\r\n\
             content-length: {length}\r\n\r\n",
            server.token().expect("a token")
        )
    };
    let padding = 1_000;
    let (mut slow, mut stopped) = (server.client(), server.client());
    slow.write(head(padding + sale.len()).as_bytes())
        .expect("it is sent");
    stopped.write(head(9).as_bytes()).expect("it is sent");
    let stops = thread::spawn(move || stopped.read_to_close().expect("a close"));
    let mut sent = 0;
    wait_for("the close of a connection that stopped", || {
        slow.write(b" ").expect("it is still open");
        sent += 1;
        thread::sleep(Duration::from_millis(100));
        stops.is_finished().then_some(())
    });
    let rest = vec![b' '; padding - sent];
    slow.write(&[&rest, &sale[..]].concat())
        .expect("it is still open");
    let answer = slow.read().expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[test]
fn a_body_may_be_too_large() {
    let (server, mut client) = shop();
    let head = format!(
        "POST /admin/sales HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
         authorization: Bearer {}\r\n\
         content-length: {}\r\n\r\n",
        server.token().expect("a token"),
        ADMIN_BODY_BYTES_MAX + 1
    );
    client.write(head.as_bytes()).expect("it is sent");
    let answer = client.read().expect("an answer");
    answer.refused(413, "payload_too_large", "");
    let mut client = server.client();
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let answer = client.send("POST", "/admin/sales", &[form], b"total_items=1");
    answer.invalid(&["content_type"]);
    client.post("/admin/sales").invalid(&["content_type"]);
    let answer = ask(&mut client, &json!([])).invalid(&["body"]);
    let wrong = &answer.json()["errors"]["body"];
    assert_eq!(*wrong, "is an array, must be an object");
    client
        .send("POST", "/admin/sales", &[JSON], b"")
        .invalid(&["body"]);
}

#[test]
fn a_byte_order_mark_is_skipped_and_a_content_encoding_is_415() {
    let (_server, mut client) = shop();
    let sale = "\u{feff}{\"total_items\":4,\"seed\":null}".as_bytes();
    let answer = client.send("POST", "/admin/sales", &[JSON], sale);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let encoded = [JSON, ("Content-Encoding", "gzip")];
    let answer = client.send("POST", "/admin/sales", &encoded, sale);
    let answer = answer.refused(415, "unsupported_media_type", "Content-Encoding");
    assert_eq!(answer.header("accept-encoding"), Some("identity"));
}
