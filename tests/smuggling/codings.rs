//! `Transfer-Encoding`, alone and next to a length.

use crate::smuggling::case::{Case, checkout, try_plain};

/// Codings that are refused. Behind each stands the shortest chunked body and a request that would be
/// executed if the coding were understood, or were not.
pub const REFUSED: &[(&str, &str)] = &[
    (
        "a length before it",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    ),
    (
        "a length behind it",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ),
    (
        "the length 0 before it",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    ),
    (
        "the length 0 behind it",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    ),
    (
        "a length and an unknown coding",
        "Content-Length: 5\r\nTransfer-Encoding: x\r\n",
    ),
    (
        "twice",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ),
    (
        "identity behind it",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    ),
    (
        "identity before it",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    ),
    ("twice in a list", "Transfer-Encoding: chunked, chunked\r\n"),
    ("identity", "Transfer-Encoding: identity\r\n"),
    (
        "identity in a list",
        "Transfer-Encoding: identity, chunked\r\n",
    ),
    ("gzip before it", "Transfer-Encoding: gzip, chunked\r\n"),
    ("gzip behind it", "Transfer-Encoding: chunked, gzip\r\n"),
    ("gzip", "Transfer-Encoding: gzip\r\n"),
    ("a letter in front", "Transfer-Encoding: xchunked\r\n"),
    ("a letter behind", "Transfer-Encoding: chunkedx\r\n"),
    ("a comma in front", "Transfer-Encoding: ,chunked\r\n"),
    ("a comma behind", "Transfer-Encoding: chunked,\r\n"),
    ("a parameter", "Transfer-Encoding: chunked;q=1\r\n"),
    ("in quotes", "Transfer-Encoding: \"chunked\"\r\n"),
    ("nothing", "Transfer-Encoding:\r\n"),
    ("a tab in front", "Transfer-Encoding:\tchunked\r\n"),
    ("a tab behind", "Transfer-Encoding: chunked\t\r\n"),
    (
        "a vertical tab in front",
        "Transfer-Encoding: \x0bchunked\r\n",
    ),
    ("a form feed behind", "Transfer-Encoding: chunked\x0c\r\n"),
    ("a NUL inside", "Transfer-Encoding: chun\0ked\r\n"),
    (
        "a byte beyond ASCII",
        "Transfer-Encoding: chunked\u{a0}\r\n",
    ),
    (
        "a space before the colon",
        "Transfer-Encoding : chunked\r\n",
    ),
    ("a tab before the colon", "Transfer-Encoding\t: chunked\r\n"),
    (
        "a space before the name",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
    ),
    ("on the next line", "Transfer-Encoding:\r\n chunked\r\n"),
    (
        "behind a bare line feed",
        "X: y\nTransfer-Encoding: chunked\r\n",
    ),
    (
        "behind a bare carriage return",
        "X: y\rTransfer-Encoding: chunked\r\n",
    ),
    (
        "before a bare line feed",
        "Transfer-Encoding: chunked\nX: y\r\n",
    ),
];

pub fn refused() -> Vec<Case> {
    let case =
        |(name, lines): &(&str, &str)| Case::refused(name, checkout(lines, "0\r\n\r\n<smuggled>"));
    REFUSED.iter().map(case).collect()
}

#[test]
fn no_coding_can_be_read_twofold() {
    try_plain(&refused());
}

#[test]
fn http_1_0_knows_no_coding() {
    let head =
        |lines: &str| format!("POST /checkout?user_id=<user>&id=ITM-1-0 HTTP/1.0\r\n{lines}\r\n");
    let chunked = "Transfer-Encoding: chunked\r\n";
    let kept = "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n";
    try_plain(&[
        Case::refused("a coding", head(chunked) + "0\r\n\r\n<smuggled>"),
        Case::refused(
            "a coding and keep-alive",
            head(kept) + "0\r\n\r\n<smuggled>",
        ),
    ]);
}

#[test]
fn chunked_is_understood() {
    let served = |name, lines| {
        let sent = checkout(lines, "5\r\nx=abc\r\n0\r\n\r\n");
        Case::open(name, sent, &["200 OK"]).executing(1)
    };
    try_plain(&[
        served("chunked", "Transfer-Encoding: chunked\r\n"),
        served("in any case", "transfer-ENCODING: ChUnKeD\r\n"),
        served("without a space", "Transfer-Encoding:chunked\r\n"),
        served("spaces around it", "Transfer-Encoding:  chunked \r\n"),
        // What a client takes in answers says nothing about its request.
        served(
            "next to TE",
            "TE: chunked, trailers\r\nTransfer-Encoding: chunked\r\n",
        ),
        // Another name is another field.
        served(
            "next to an underscore",
            "Transfer_Encoding: x\r\nTransfer-Encoding: chunked\r\n",
        ),
    ]);
}
