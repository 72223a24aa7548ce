//! Headers that say whom a request is for, and how the connection goes on.

use crate::smuggling::case::{Case, checkout, try_plain};

/// A look with these lines.
fn look(lines: &str) -> String {
    format!("GET /livez HTTP/1.1\r\n{lines}\r\n")
}

#[test]
fn a_request_is_for_one_host() {
    let refused = |name, lines: &str| Case::refused(name, look(lines) + "<smuggled>");
    let served = |name, lines| Case::open(name, look(lines), &["200 OK"]);
    try_plain(&[
        refused("no host", ""),
        refused("two hosts", "Host: a\r\nHost: b\r\n"),
        refused("the same host twice", "Host: a\r\nHost: a\r\n"),
        refused("a host in two cases", "Host: a\r\nhOST: a\r\n"),
        refused("a list of hosts", "Host: a b\r\n"),
        refused("a user", "Host: u@a\r\n"),
        refused("a path", "Host: a/b\r\n"),
        refused("a query", "Host: a?b\r\n"),
        refused("quotes", "Host: \"a\"\r\n"),
        refused("a byte beyond ASCII", "Host: \u{e9}\r\n"),
        refused("a space before the colon", "Host : a\r\n"),
        refused("a host on the next line", "Host:\r\n a\r\n"),
        served("a host with a port", "Host: a.example:8080\r\n"),
        served("an address", "Host: [2001:db8::1]:8080\r\n"),
        // As a target without a host has it.
        served("an empty host", "Host:\r\n"),
        served("another host", "Host: elsewhere.example\r\n"),
    ]);
}

#[test]
fn http_1_0_is_closed_unless_it_is_kept() {
    let old = |lines: &str| format!("GET /livez HTTP/1.0\r\n{lines}\r\n");
    try_plain(&[
        Case::closed("without a host", old("") + "<smuggled>", &["200 OK"]),
        Case::closed(
            "with a host",
            old("Host: a\r\n") + "<smuggled>",
            &["200 OK"],
        ),
        Case::open("kept", old("Connection: keep-alive\r\n"), &["200 OK"]),
        Case::refused("two hosts", old("Host: a\r\nHost: a\r\n")),
    ]);
}

#[test]
fn a_client_says_how_its_connection_goes_on() {
    let lines = |lines: &str| checkout(lines, "");
    let ok = &["200 OK"];
    try_plain(&[
        Case::closed("close", lines("Connection: close\r\n") + "<smuggled>", ok).executing(1),
        Case::closed(
            "close in a list",
            lines("Connection: x, close\r\n") + "<smuggled>",
            ok,
        )
        .executing(1),
        Case::closed(
            "close and keep-alive",
            lines("Connection: close\r\nConnection: keep-alive\r\n") + "<smuggled>",
            ok,
        )
        .executing(1),
        // Nothing is forwarded, so that there is nothing to leave out.
        Case::open(
            "a length is named",
            lines("Connection: content-length\r\n"),
            ok,
        )
        .executing(1),
    ]);
}

/// No other protocol is spoken, and a client that asks for one is answered in this one.
#[test]
fn nothing_is_upgraded() {
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let served = |name, lines| Case::open(name, checkout(lines, ""), &["200 OK"]).executing(1);
    try_plain(&[
        served("to HTTP/2", h2c),
        served("to a WebSocket", websocket),
        served("to something", "Upgrade: x\r\n"),
    ]);
}

#[test]
fn a_client_may_ask_before_it_sends_its_body() {
    let expects = |value: &str| format!("Expect: {value}\r\nContent-Length: 5\r\n");
    let go_on = &["100 Continue", "200 OK"];
    try_plain(&[
        Case::open(
            "100-continue",
            checkout(&expects("100-continue"), "x=abc"),
            go_on,
        )
        .executing(1),
        Case::open(
            "in any case",
            checkout(&expects("100-Continue"), "x=abc"),
            go_on,
        )
        .executing(1),
        // Nobody waits for an answer that does not come: the body may follow at any time.
        Case::open(
            "something else",
            checkout(&expects("200-ok"), "x=abc"),
            &["200 OK"],
        )
        .executing(1),
        Case::open(
            "without a body",
            checkout("Expect: 100-continue\r\n", ""),
            &["200 OK"],
        )
        .executing(1),
    ]);
}
