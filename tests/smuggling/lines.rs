//! Header lines that are none, or too many.

use flashsale::limits::{HEAD_BYTES_MAX, HEADERS_MAX};

use crate::smuggling::case::{Case, checkout, try_plain};

/// Lines that are refused. Behind each stands a request that nobody may execute.
const REFUSED: &[(&str, &str)] = &[
    ("no colon", "no colon\r\n"),
    ("no name", ": y\r\n"),
    ("a space in the name", "x y: z\r\n"),
    ("a space before the colon", "x : y\r\n"),
    ("a NUL in the name", "x\0: y\r\n"),
    ("a control in the name", "x\x01: y\r\n"),
    ("a byte beyond ASCII in the name", "x\u{e9}: y\r\n"),
    ("a bracket in the name", "x(y): z\r\n"),
    ("a line that goes on", "x: y\r\n z\r\n"),
    ("a line that goes on behind a tab", "x: y\r\n\tz\r\n"),
    ("a bare line feed", "x: y\nz: w\r\n"),
    ("a bare line feed in a value", "x: y\n z\r\n"),
    ("a bare carriage return", "x: y\rz: w\r\n"),
    ("a carriage return before the end", "x: y\r\r\n"),
    ("a NUL in a value", "x: y\0z\r\n"),
    ("a control in a value", "x: y\x01z\r\n"),
    ("a delete in a value", "x: y\x7fz\r\n"),
    ("an empty line of line feeds", "x: y\n\n"),
];

#[test]
fn an_invalid_header_line_is_refused() {
    let case = |(name, lines): &(&str, &str)| Case::refused(name, checkout(lines, "<smuggled>"));
    try_plain(&REFUSED.iter().map(case).collect::<Vec<_>>());
}

#[test]
fn lines_are_bounded() {
    let too_large = &["431 Request Header Fields Too Large: headers_too_large"];
    let lines = |count: usize| -> String { (0..count).map(|n| format!("x-{n}: y\r\n")).collect() };
    let long = "y".repeat(HEAD_BYTES_MAX);
    let flood = format!("x: {}\r\n", "y".repeat(1_000)).repeat(HEADERS_MAX / 2);
    try_plain(&[
        // The host and the type of the body are two of them.
        Case::open(
            "as many as may be",
            checkout(&lines(HEADERS_MAX - 2), ""),
            &["200 OK"],
        )
        .executing(1),
        Case::closed(
            "one too many",
            checkout(&lines(HEADERS_MAX - 1), ""),
            too_large,
        ),
        Case::closed("a flood by number", checkout(&lines(1_000), ""), too_large),
        Case::closed("a flood by bytes", checkout(&flood, ""), too_large),
        Case::closed(
            "a huge value",
            checkout(&format!("x: {long}\r\n"), ""),
            too_large,
        ),
        Case::closed(
            "a huge name",
            checkout(&format!("{long}: y\r\n"), ""),
            too_large,
        ),
        Case::closed("no end", checkout(&format!("x: {long}"), ""), too_large),
    ]);
}

/// Harmless: these say nothing about where a request ends.
#[test]
fn values_may_be_odd() {
    let served = |name, lines| Case::open(name, checkout(lines, ""), &["200 OK"]).executing(1);
    try_plain(&[
        served("no value", "x:\r\n"),
        served("a tab in a value", "x: y\tz\r\n"),
        served("bytes beyond ASCII in a value", "x: \u{e9}\u{ff}\r\n"),
        served(
            "a name of all that may be in one",
            "!#$%&'*+-.^_`|~09azAZ: y\r\n",
        ),
        served("the same name twice", "x: y\r\nx: z\r\n"),
    ]);
}
