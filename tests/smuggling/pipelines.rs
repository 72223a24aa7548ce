//! Several requests at once, requests with bodies that nobody reads, and connections that break off.

use std::io::{Read, Write};

use crate::smuggling::case::{Case, Connection, SMUGGLED, checkout, connect, server, try_plain};

const LOOK: &str = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";

/// A request that is shown something, with a body that looks like a request.
fn look_with_body(target: &str, method: &str) -> String {
    // As long as it is when the user is filled in, who has one digit.
    let length = SMUGGLED.len() - "<user>".len() + "user-0".len();
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n<smuggled>")
}

#[test]
fn requests_are_answered_in_order() {
    let hundred: Vec<_> = (0..100)
        .map(|n| {
            if n % 2 == 0 {
                "200 OK"
            } else {
                "404 Not Found: not_found"
            }
        })
        .collect();
    let looks = format!("{LOOK}GET /no HTTP/1.1\r\nHost: a\r\n\r\n").repeat(50);
    let with_bodies = checkout("Content-Length: 5\r\n", "x=abc");
    let again = "400 Bad Request: item_already_in_checkout";
    let refused = "400 Bad Request: malformed_request";
    let broken = checkout("Content-Length: 0\r\nContent-Length: 0\r\n", "");
    try_plain(&[
        Case::open("a hundred", looks, &hundred),
        Case::open(
            "with bodies",
            with_bodies.repeat(3),
            &["200 OK", again, again],
        )
        .executing(1),
        Case::closed(
            "a good one, and a bad one",
            with_bodies + &broken,
            &["200 OK", refused],
        )
        .executing(1),
        Case::refused("a bad one, and a good one", broken + "<smuggled>"),
        Case::closed(
            "a bad one among many",
            LOOK.repeat(9) + "GET /livez HTTP/1.1\r\n\r\n" + LOOK,
            &[&["200 OK"; 9][..], &[refused]].concat(),
        ),
    ]);
}

#[test]
fn a_body_that_nobody_reads_is_not_a_request() {
    let chunked = "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let unknown = "404 Not Found: not_found";
    try_plain(&[
        Case::open("of a look", look_with_body("/livez", "GET"), &["200 OK"]),
        Case::open(
            "of an unknown path",
            look_with_body("/no", "POST"),
            &[unknown],
        ),
        Case::closed(
            "chunks of a look",
            format!("GET /livez HTTP/1.1\r\n{chunked}"),
            &["200 OK"],
        )
        .finished(),
        Case::closed(
            "chunks for an unknown path",
            format!("POST /no HTTP/1.1\r\n{chunked}<smuggled>"),
            &[unknown],
        ),
        Case::closed(
            "a trailer that breaks off",
            "POST /no HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx",
            &[unknown],
        ),
    ]);
}

/// A client that keeps its connections would else send the next request into one that ends.
#[test]
fn a_connection_that_ends_behind_chunks_says_so() {
    let server = server();
    let chunked = "POST /no HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let read = checkout("Transfer-Encoding: chunked\r\n", "0\r\n\r\n").replace("<user>", "ada");
    for (sent, ends) in [(chunked, true), (read.as_str(), false)] {
        let mut connection = connect(&server);
        connection.write_all(sent.as_bytes()).expect("connected");
        connection.finish().expect("a half-close");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("an answer");
        assert_eq!(answer.contains("connection: close\r\n"), ends, "{answer}");
    }
}

/// Whether the stream goes on or the connection ends with it: the body is never taken for a request.
#[test]
fn a_body_before_a_stream_is_not_a_request() {
    let chunked = "GET /sales/1/stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let length = SMUGGLED.len();
    let server = server();
    for (sent, user) in [
        (
            look_with_body("/sales/1/stream", "GET").replace("<smuggled>", SMUGGLED),
            "user-0",
        ),
        (
            format!(
                "GET /sales/1/stream HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n{SMUGGLED}"
            ),
            "user-1",
        ),
        (
            format!("{chunked}{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n"),
            "user-2",
        ),
    ] {
        let mut connection = connect(&server);
        let sent = sent.replace("<user>", user);
        connection.write_all(sent.as_bytes()).expect("connected");
        connection.finish().expect("a half-close");
        let mut answers = String::new();
        connection.read_to_string(&mut answers).expect("a close");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
        let first = server.client().checkout(user, "ITM-1-9").ok();
        assert_eq!(first.json()["items_count"], 1);
    }
}

#[test]
fn a_body_that_is_too_large_is_not_waited_for() {
    let expected = &["413 Payload Too Large: payload_too_large"];
    try_plain(&[
        Case::closed(
            "the beginning of it",
            checkout("Content-Length: 20000\r\n", "<smuggled>"),
            expected,
        ),
        Case::closed(
            "only its length",
            checkout("Content-Length: 999999999999999999\r\n", ""),
            expected,
        ),
    ]);
}

#[test]
fn a_request_that_breaks_off_is_not_executed() {
    let whole = checkout("Content-Length: 5\r\n", "x=abc");
    let broken = &["400 Bad Request: validation_failed"];
    try_plain(&[
        Case::closed("in the first line", &whole[..20], &[]).finished(),
        Case::closed("in a header", &whole[..70], &[]).finished(),
        Case::closed("before the empty line", &whole[..whole.len() - 7], &[]).finished(),
        Case::closed("before a body", &whole[..whole.len() - 5], broken).finished(),
        Case::closed("in a body", &whole[..whole.len() - 1], broken).finished(),
        Case::closed(
            "in a chunk",
            checkout("Transfer-Encoding: chunked\r\n", "5\r\nx="),
            broken,
        )
        .finished(),
        Case::closed(
            "before the last chunk",
            checkout("Transfer-Encoding: chunked\r\n", "5\r\nx=abc\r\n"),
            broken,
        )
        .finished(),
        Case::closed(
            "behind a whole one",
            whole.clone() + &whole[..20],
            &["200 OK"],
        )
        .executing(1)
        .finished(),
    ]);
}
