//! `Content-Length` in all ways in which it can be understood twofold.

use crate::smuggling::case::{Case, checkout, try_plain};

/// Lengths that are refused: what a reader takes for the end of the body is a matter of taste. Behind each
/// stands a request that would be executed if the length were taken for 0, or for what a part of it says.
const REFUSED: &[(&str, &str)] = &[
    (
        "the same length twice",
        "Content-Length: 0\r\nContent-Length: 0\r\n",
    ),
    ("two lengths", "Content-Length: 0\r\nContent-Length: 70\r\n"),
    (
        "two lengths, the longer first",
        "Content-Length: 70\r\nContent-Length: 0\r\n",
    ),
    (
        "two lengths apart",
        "Content-Length: 0\r\nX: y\r\ncontent-length: 0\r\n",
    ),
    ("a list of the same length", "Content-Length: 0, 0\r\n"),
    ("a list of lengths", "Content-Length: 0, 70\r\n"),
    ("a list that ends early", "Content-Length: 0,\r\n"),
    ("a plus", "Content-Length: +0\r\n"),
    ("a minus", "Content-Length: -0\r\n"),
    ("less than nothing", "Content-Length: -70\r\n"),
    ("hexadecimal", "Content-Length: 0x0\r\n"),
    ("hexadecimal digits", "Content-Length: a\r\n"),
    ("2^63", "Content-Length: 9223372036854775808\r\n"),
    ("2^64", "Content-Length: 18446744073709551616\r\n"),
    ("2^64 and more", "Content-Length: 18446744073709551686\r\n"),
    ("a zero in front", "Content-Length: 00\r\n"),
    ("octal", "Content-Length: 010\r\n"),
    ("nothing", "Content-Length:\r\n"),
    ("only a space", "Content-Length: \r\n"),
    ("a space between digits", "Content-Length: 0 0\r\n"),
    ("a tab in front", "Content-Length:\t0\r\n"),
    ("a tab behind", "Content-Length: 0\t\r\n"),
    ("a vertical tab in front", "Content-Length: \x0b0\r\n"),
    ("a form feed behind", "Content-Length: 0\x0c\r\n"),
    ("a fraction", "Content-Length: 0.0\r\n"),
    ("an exponent", "Content-Length: 0e1\r\n"),
    ("a quoted length", "Content-Length: \"0\"\r\n"),
    ("a parameter", "Content-Length: 0;q=1\r\n"),
    ("a NUL behind", "Content-Length: 0\0\r\n"),
    ("a byte beyond ASCII", "Content-Length: \u{b2}\r\n"),
    ("a space before the colon", "Content-Length : 0\r\n"),
    ("a tab before the colon", "Content-Length\t: 0\r\n"),
    ("a space before the name", "X: y\r\n Content-Length: 70\r\n"),
    ("a length on the next line", "Content-Length:\r\n 70\r\n"),
    (
        "a length behind a bare line feed",
        "X: y\nContent-Length: 70\r\n",
    ),
    (
        "a length behind a bare carriage return",
        "X: y\rContent-Length: 70\r\n",
    ),
];

#[test]
fn no_length_can_be_read_twofold() {
    let case = |(name, lines): &(&str, &str)| Case::refused(name, checkout(lines, "<smuggled>"));
    try_plain(&REFUSED.iter().map(case).collect::<Vec<_>>());
}

#[test]
fn a_plain_length_is_what_it_says() {
    let served =
        |name, lines, rest| Case::open(name, checkout(lines, rest), &["200 OK"]).executing(1);
    try_plain(&[
        served("a length", "Content-Length: 5\r\n", "x=abc"),
        served("in any case", "cOnTeNt-LeNgTh: 5\r\n", "x=abc"),
        served("without a space", "Content-Length:5\r\n", "x=abc"),
        served("spaces around it", "Content-Length:   5  \r\n", "x=abc"),
        served("no body", "Content-Length: 0\r\n", ""),
        served("no length is no body", "", ""),
        // Other names are other fields, whatever a careless reader takes them for; without a length the
        // body is empty.
        served("an underscore", "Content_Length: 70\r\n", ""),
        served("a longer name", "Content-Length-X: 70\r\n", ""),
        served(
            "a request as the body",
            "X: y\r\nContent-Length: 9\r\n",
            "GET / HTT",
        ),
    ]);
}

/// What exceeds a body is the next request, and is judged as such.
#[test]
fn bytes_behind_a_body_are_the_next_request() {
    let exceeding = |rest: &str| checkout("Content-Length: 5\r\n", &format!("x=abc{rest}"));
    try_plain(&[
        Case::open("a request", exceeding("<smuggled>"), &["200 OK", "200 OK"]).executing(2),
        Case::closed(
            "no request",
            exceeding("={}"),
            &["200 OK", "400 Bad Request: malformed_request"],
        )
        .executing(1),
        Case::closed(
            "letters before a request",
            exceeding("abc<smuggled>"),
            &["200 OK", "405 Method Not Allowed: method_not_allowed"],
        )
        .executing(1)
        .finished(),
    ]);
}
