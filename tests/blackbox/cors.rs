//! Pages of other origins: what a browser lets them read, and what `OPTIONS` says.

use std::io::Read;
use std::net::TcpStream;

use crate::client::Answer;
use crate::server::{Place, Server};

const SHOP: &str = "https://shop.example";
const PUBLIC: [&str; 7] = [
    "/",
    "/sales",
    "/sales/active",
    "/sales/1",
    "/sales/1/items",
    "/openapi.json",
    "/images/none.svg",
];
const PRIVATE: [&str; 9] = [
    "/health",
    "/health/histogram",
    "/metrics",
    "/livez",
    "/readyz",
    "/ops",
    "/admin/sales",
    "/admin/nothing",
    "/api/v1/admin/checkouts/C",
];
const EXPOSED: &str = "Link, Retry-After, Location, Leader, RateLimit, RateLimit-Policy";

/// Returns the origin that the answer allows, and asserts that it never allows credentials.
fn allowed(answer: &Answer) -> Option<&str> {
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let origin = answer.header("access-control-allow-origin");
    let exposed = answer.header("access-control-expose-headers");
    assert_eq!(exposed, origin.map(|_| EXPOSED));
    origin
}

#[test]
fn pages_of_all_origins_may_call_the_public_interface_by_default() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let from = [("Origin", SHOP)];
    for path in PUBLIC {
        let answer = client.send("GET", path, &from, b"");
        assert_eq!(allowed(&answer), Some("*"), "{path}");
        assert_eq!(answer.header("vary"), None, "{path}");
    }
    for (path, status) in [("/checkout", 400), ("/purchase?code=CHK-1-0", 404)] {
        let answer = client.send("POST", path, &from, b"");
        assert_eq!(
            (answer.status, allowed(&answer)),
            (status, Some("*")),
            "{path}"
        );
    }
    let refused = client.send("PUT", "/checkout", &from, b"");
    assert_eq!((refused.status, allowed(&refused)), (405, Some("*")));
    for path in PRIVATE {
        for method in ["GET", "OPTIONS"] {
            let asks = [("Origin", SHOP), ("Access-Control-Request-Method", "GET")];
            let answer = client.send(method, path, &asks, b"");
            assert_eq!(allowed(&answer), None, "{method} {path}");
            assert_eq!(answer.header("access-control-allow-methods"), None);
            assert_eq!(answer.header("vary"), None, "{method} {path}");
        }
    }
    let stream = b"GET /sales/1/stream HTTP/1.1\r\nhost: a\r\n\r\n";
    client.write(stream).expect("connected");
    let head = client.read().expect("a head");
    assert_eq!((head.status, allowed(&head)), (200, Some("*")));
}

#[test]
fn a_preflight_is_answered() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let asks = [
        ("Origin", SHOP),
        ("Access-Control-Request-Method", "POST"),
        (
            "Access-Control-Request-Headers",
            "content-type,idempotency-key",
        ),
    ];
    let answer = client.send("OPTIONS", "/api/v1/checkout", &asks, b"");
    assert_eq!((answer.status, answer.text()), (204, ""));
    assert_eq!(allowed(&answer), Some("*"));
    assert_eq!(
        answer.header("access-control-allow-methods"),
        Some("GET, HEAD, POST, OPTIONS")
    );
    assert_eq!(
        answer.header("access-control-allow-headers"),
        Some("*, Authorization")
    );
    assert_eq!(answer.header("access-control-max-age"), Some("7200"));
    // It is no refused checkout.
    let health = client.get("/health").json();
    assert!(
        health["latency"]["checkout"].get("refused").is_none(),
        "{health}"
    );
}

#[test]
fn options_is_204_with_allow_on_any_path() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (path, methods) in [
        ("*", "GET, HEAD, POST, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
        ("/nowhere", "GET, HEAD, POST, OPTIONS"),
        ("/checkout", "GET, HEAD, POST, OPTIONS"),
        ("/purchase", "POST, OPTIONS"),
        ("/sales/1/stream", "GET, HEAD, OPTIONS"),
        ("/health", "GET, HEAD, OPTIONS"),
        ("/admin/sales", "POST, OPTIONS"),
    ] {
        let answer = client.send("OPTIONS", path, &[], b"");
        assert_eq!((answer.status, answer.text()), (204, ""), "{path}");
        assert_eq!(answer.header("allow"), Some(methods), "{path}");
        assert_eq!(answer.header("content-length"), None, "{path}");
    }
    // As HAProxy's `option httpchk` asks by default.
    let mut stream = TcpStream::connect(server.addr()).expect("it listens");
    std::io::Write::write_all(&mut stream, b"OPTIONS / HTTP/1.0\r\n\r\n").expect("connected");
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .expect("an answer, and a close");
    assert!(text.starts_with("HTTP/1.0 204 "), "{text}");
}

#[test]
fn only_pages_of_listed_origins_may_call_where_some_are_listed() {
    let listed = format!("http://localhost:3000, {SHOP}");
    let server = Server::start(&[("SERVER_CORS_ORIGINS", &listed)]);
    let mut client = server.client();
    for (origin, granted) in [
        (SHOP, Some(SHOP)),
        ("http://localhost:3000", Some("http://localhost:3000")),
        ("https://shop.example.evil", None),
        ("http://shop.example", None),
        ("null", None),
    ] {
        let asks = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
        ];
        for (method, path) in [
            ("GET", "/sales/9"),
            ("POST", "/checkout"),
            ("OPTIONS", "/checkout"),
        ] {
            let answer = client.send(method, path, &asks, b"");
            assert_eq!(allowed(&answer), granted, "{method} {path} from {origin}");
            assert_eq!(
                answer.header("vary"),
                Some("Origin"),
                "{method} {path} from {origin}"
            );
            let methods = answer.header("access-control-allow-methods");
            assert_eq!(methods.is_some(), method == "OPTIONS" && granted.is_some());
        }
    }
    let unasked = client.get("/sales");
    assert_eq!(
        (allowed(&unasked), unasked.header("vary")),
        (None, Some("Origin"))
    );
    let private = client.send("GET", "/health", &[("Origin", SHOP)], b"");
    assert_eq!((allowed(&private), private.header("vary")), (None, None));
}

#[test]
fn an_origin_that_no_browser_sends_stops_the_start() {
    let place = Place::new(&[("SERVER_CORS_ORIGINS", "https://shop.example/")]);
    let (code, said) = place.failure(&["serve"]);
    assert_eq!(code, Some(78), "{said}");
    for part in [
        "server.cors_origins",
        "SERVER_CORS_ORIGINS",
        "https://shop.example or",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_refusal_below_http_can_be_read_by_pages_of_other_origins() {
    for (origins, count) in [("*", 1), (SHOP, 0)] {
        let server = Server::start(&[("SERVER_CORS_ORIGINS", origins)]);
        let mut stream = TcpStream::connect(server.addr()).expect("it listens");
        let request = b"GET /sales HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n";
        std::io::Write::write_all(&mut stream, request).expect("connected");
        let mut text = String::new();
        stream
            .read_to_string(&mut text)
            .expect("an answer, and a close");
        assert!(text.contains("malformed_request"), "{text}");
        let found = text
            .matches("\r\naccess-control-allow-origin: *\r\n")
            .count();
        assert_eq!(found, count, "{text}");
    }
}
