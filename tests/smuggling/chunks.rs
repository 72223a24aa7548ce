//! Chunks: their sizes, extensions, ends and trailers.

use crate::smuggling::case::{Case, checkout, try_plain};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// The answer to a body that breaks off: the head was right, and nothing is executed.
const BROKEN: &[&str] = &["400 Bad Request: validation_failed"];

fn broken(name: &str, chunks: &str) -> Case {
    Case::closed(
        name,
        checkout(CHUNKED, &format!("{chunks}<smuggled>")),
        BROKEN,
    )
}

fn served(name: &str, chunks: &str) -> Case {
    Case::open(name, checkout(CHUNKED, chunks), &["200 OK"]).executing(1)
}

#[test]
fn broken_chunks_are_refused() {
    let extension = "x".repeat(20_000);
    let trailers: String = (0..200).map(|index| format!("x-{index}: y\r\n")).collect();
    let trailer = "y".repeat(20_000);
    try_plain(&[
        broken("a size below nothing", "-1\r\nx\r\n0\r\n\r\n"),
        broken("a size with a plus", "+5\r\nx=abc\r\n0\r\n\r\n"),
        broken("a size in C's way", "0x5\r\nx=abc\r\n0\r\n\r\n"),
        broken("a size of 2^64", "10000000000000000\r\nx=abc\r\n0\r\n\r\n"),
        broken(
            "a size of 2^68 and 5",
            "100000000000000005\r\nx=abc\r\n0\r\n\r\n",
        ),
        broken("no size", "\r\nx=abc\r\n0\r\n\r\n"),
        broken("a letter for a size", "g\r\nx=abc\r\n0\r\n\r\n"),
        broken("a space before the size", " 5\r\nx=abc\r\n0\r\n\r\n"),
        broken("two sizes", "5 5\r\nx=abc\r\n0\r\n\r\n"),
        broken("a NUL behind the size", "5\0\r\nx=abc\r\n0\r\n\r\n"),
        broken("a line feed behind the size", "5\nx=abc\r\n0\r\n\r\n"),
        broken("a carriage return behind the size", "5\rx=abc\r\n0\r\n\r\n"),
        broken("no end of a chunk", "5\r\nx=abc0\r\n\r\n"),
        broken("a line feed behind a chunk", "5\r\nx=abc\n0\r\n\r\n"),
        broken("a chunk longer than its size", "5\r\nx=abcd\r\n0\r\n\r\n"),
        broken(
            "a line feed in an extension",
            "5;a\nb\r\nx=abc\r\n0\r\n\r\n",
        ),
        broken(
            "a huge extension",
            &format!("5;{extension}\r\nx=abc\r\n0\r\n\r\n"),
        ),
        broken("a line feed behind the last size", "5\r\nx=abc\r\n0\n\r\n"),
        broken(
            "a flood of trailers",
            &format!("5\r\nx=abc\r\n0\r\n{trailers}\r\n"),
        ),
        broken(
            "a huge trailer",
            &format!("5\r\nx=abc\r\n0\r\nx: {trailer}\r\n\r\n"),
        ),
        broken("a trailer without a colon", "5\r\nx=abc\r\n0\r\nx\r\n\r\n"),
    ]);
}

/// Harmless, because it decides nothing: what a chunk's extension or a trailer says is dropped, and the
/// next request begins where every reader has it.
#[test]
fn chunks_may_say_more() {
    try_plain(&[
        served("several chunks", "2\r\nx=\r\n3\r\nabc\r\n0\r\n\r\n"),
        served(
            "empty lines in a chunk",
            "c\r\nx=\r\n\r\n\r\n\r\nab\r\n0\r\n\r\n",
        ),
        served("capital digits", "A\r\nx=abcdefgh\r\n0\r\n\r\n"),
        served("zeros before the size", "0005\r\nx=abc\r\n000\r\n\r\n"),
        served("an extension", "5;a=b\r\nx=abc\r\n0;c\r\n\r\n"),
        served("a quoted extension", "5;a=\"b;c\"\r\nx=abc\r\n0\r\n\r\n"),
        served("a space behind the size", "5 \r\nx=abc\r\n0\r\n\r\n"),
        served("a trailer", "5\r\nx=abc\r\n0\r\nx: y\r\n\r\n"),
        served(
            "a length in a trailer",
            "5\r\nx=abc\r\n0\r\nContent-Length: 70\r\n\r\n",
        ),
        served(
            "a coding in a trailer",
            "5\r\nx=abc\r\n0\r\nTransfer-Encoding: x\r\n\r\n",
        ),
        served("a host in a trailer", "5\r\nx=abc\r\n0\r\nHost: b\r\n\r\n"),
    ]);
}

/// Harmless, because nothing behind it is executed: what a reader of bare line feeds would take for the
/// next request is the end of the trailers here, and is dropped with them.
#[test]
fn a_line_feed_does_not_end_the_trailers() {
    let sent = checkout(CHUNKED, "5\r\nx=abc\r\n0\r\n\n<smuggled>");
    try_plain(&[Case::open("a line feed at the end", sent, &["200 OK"]).executing(1)]);
}

#[test]
fn the_next_request_follows_the_last_chunk() {
    let followed = |rest: &str| checkout(CHUNKED, &format!("5\r\nx=abc\r\n0\r\n\r\n{rest}"));
    let refused = &["200 OK", "400 Bad Request: malformed_request"];
    try_plain(&[
        Case::open("a request", followed("<smuggled>"), &["200 OK", "200 OK"]).executing(2),
        Case::closed(
            "another chunk",
            followed("5\r\nx=abc\r\n0\r\n\r\n"),
            refused,
        )
        .executing(1),
        Case::closed(
            "a request with a bare line feed",
            followed("POST /checkout?user_id=<user>&id=ITM-1-1 HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
            refused,
        )
        .executing(1),
        Case::closed(
            "a request with two lengths",
            followed(&checkout("Content-Length: 0\r\nContent-Length: 0\r\n", "")),
            refused,
        )
        .executing(1),
    ]);
}
