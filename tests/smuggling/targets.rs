//! The first line of a request: its method, target and version.

use flashsale::limits::HEAD_BYTES_MAX;

use crate::smuggling::case::{Case, try_plain};

/// A request with this first line.
fn request(line: &str) -> String {
    format!("{line}\r\nHost: a\r\n\r\n")
}

fn refused(name: &str, line: &str) -> Case {
    Case::refused(name, request(line) + "<smuggled>")
}

#[test]
fn an_invalid_request_line_is_refused() {
    try_plain(&[
        refused("HTTP/1.2", "GET /livez HTTP/1.2"),
        refused("HTTP/2.0", "GET /livez HTTP/2.0"),
        refused("HTTP/1.10", "GET /livez HTTP/1.10"),
        refused("HTTP/1.01", "GET /livez HTTP/1.01"),
        refused("a small http/1.1", "GET /livez http/1.1"),
        refused("no version", "GET /livez"),
        refused("a space behind the version", "GET /livez HTTP/1.1 "),
        refused("a space in front", " GET /livez HTTP/1.1"),
        refused("two spaces before the target", "GET  /livez HTTP/1.1"),
        refused("two spaces behind the target", "GET /livez  HTTP/1.1"),
        refused("a tab before the target", "GET\t/livez HTTP/1.1"),
        refused("no target", "GET HTTP/1.1"),
        refused("a space in the target", "GET /li vez HTTP/1.1"),
        refused("a tab in the target", "GET /li\tvez HTTP/1.1"),
        refused("a NUL in the target", "GET /livez\0 HTTP/1.1"),
        refused("a carriage return in the target", "GET /livez\r HTTP/1.1"),
        refused("a NUL in the method", "G\0T /livez HTTP/1.1"),
        refused("a colon in the method", "G:T /livez HTTP/1.1"),
        refused(
            "a byte beyond ASCII in the method",
            "G\u{c9}T /livez HTTP/1.1",
        ),
        refused("the preface of HTTP/2", "PRI * HTTP/2.0"),
        Case::refused("HTTP/0.9", "GET /livez\r\n\r\n<smuggled>"),
        Case::refused(
            "a bare line feed behind it",
            "GET /livez HTTP/1.1\nHost: a\r\n\r\n",
        ),
        Case::refused(
            "only line feeds",
            "GET /livez HTTP/1.1\nHost: a\n\n<smuggled>",
        ),
        Case::refused(
            "a line feed in front",
            "\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        Case::refused(
            "a TLS handshake",
            "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
        ),
        Case::refused("a NUL", "\0"),
    ]);
}

#[test]
fn a_first_line_is_bounded() {
    let too_long = &["414 URI Too Long: uri_too_long"];
    let long = "x".repeat(HEAD_BYTES_MAX);
    let target = format!("GET /livez?{long} HTTP/1.1");
    let method = format!("{long} /livez HTTP/1.1");
    try_plain(&[
        Case::closed("a target", request(&target), too_long),
        Case::closed(
            "a target without an end",
            format!("GET /livez?{long}"),
            too_long,
        ),
        Case::closed("a method", request(&method), too_long),
    ]);
}

/// Harmless: the host decides nothing here, and all paths are compared as they are written.
#[test]
fn targets_are_taken_as_they_are() {
    let answered = |name, line: &str, answer| Case::open(name, request(line), &[answer]);
    let unknown = "404 Not Found: not_found";
    try_plain(&[
        answered(
            "an absolute target",
            "GET http://a/livez HTTP/1.1",
            "200 OK",
        ),
        answered("of another host", "GET http://b:1/livez HTTP/1.1", "200 OK"),
        answered(
            "of another scheme",
            "GET https://a/livez HTTP/1.1",
            "200 OK",
        ),
        answered("an asterisk", "OPTIONS * HTTP/1.1", "204 No Content"),
        answered("an asterisk to get", "GET * HTTP/1.1", unknown),
        answered("two slashes", "GET //livez HTTP/1.1", unknown),
        answered("dots", "GET /x/../livez HTTP/1.1", unknown),
        answered("escaped dots", "GET /%2e/livez HTTP/1.1", unknown),
        answered("an escaped letter", "GET /%6civez HTTP/1.1", unknown),
        answered("a fragment", "GET /livez#x HTTP/1.1", "200 OK"),
        answered("an empty query", "GET /livez? HTTP/1.1", "200 OK"),
        answered(
            "a small method",
            "get /livez HTTP/1.1",
            "405 Method Not Allowed: method_not_allowed",
        ),
        answered(
            "a method of their own",
            "BREW /livez HTTP/1.1",
            "405 Method Not Allowed: method_not_allowed",
        ),
        answered(
            "a long method",
            &format!("{} /livez HTTP/1.1", "X".repeat(1_000)),
            "405 Method Not Allowed: method_not_allowed",
        ),
        // Refused by the path, so that no tunnel is ever opened, and what follows is a request.
        answered("CONNECT", "CONNECT a:80 HTTP/1.1", unknown),
        answered(
            "CONNECT to a path",
            "CONNECT /livez HTTP/1.1",
            "405 Method Not Allowed: method_not_allowed",
        ),
        answered("an authority", "GET a:80 HTTP/1.1", unknown),
        Case::open(
            "empty lines in front",
            format!("\r\n\r\n{}", request("GET /livez HTTP/1.1")),
            &["200 OK"],
        ),
    ]);
}
