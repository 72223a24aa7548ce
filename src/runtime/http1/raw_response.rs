//! Raw HTTP responses written below hyper: for bytes that are not a valid request, and for connections over a limit.

use bytes::Bytes;

use super::framing::Refusal;
use crate::limits::RETRY_AFTER_SECONDS;

/// An upper bound of the length of hyper's own errors.
const BARE_ERROR_BYTES_MAX: usize = 256;

/// Whether `bytes` are an error of hyper's own. Those have no body, whereas the errors of handlers always have one.
#[must_use]
pub fn is_bare_error(bytes: &[u8]) -> bool {
    bytes.get(9) == Some(&b'4')
        && bytes.starts_with(b"HTTP/1.")
        && bytes.len() < BARE_ERROR_BYTES_MAX
        && memchr::memmem::find(bytes, b"\r\ncontent-length: 0\r\n").is_some()
}

/// Returns the response to `refusal`, or to the error `bare` of hyper's, with a body.
#[must_use]
pub fn with_body(bare: &[u8], refusal: Option<Refusal>) -> Bytes {
    match refusal {
        Some(Refusal::TargetTooLong) => uri_too_long(),
        Some(Refusal::HeadTooLong) => head_too_large(),
        Some(Refusal::Framing) => answer(
            "400 Bad Request",
            "It is ambiguous where this request ends or whom it is for",
            "malformed_request",
        ),
        None if bare[9..].starts_with(b"414") => uri_too_long(),
        None if bare[9..].starts_with(b"431") => head_too_large(),
        None => answer(
            "400 Bad Request",
            "This is not an HTTP/1.1 request",
            "malformed_request",
        ),
    }
}

fn uri_too_long() -> Bytes {
    answer("414 URI Too Long", "The target is too long", "uri_too_long")
}

fn head_too_large() -> Bytes {
    answer(
        "431 Request Header Fields Too Large",
        "The headers are too many or too long",
        "headers_too_large",
    )
}

/// Returns the response to plain HTTP on a port that expects TLS.
#[must_use]
pub fn https_required() -> Bytes {
    answer(
        "400 Bad Request",
        "This port speaks HTTPS",
        "https_required",
    )
}

/// Returns the response to a connection over the worker's limit.
#[must_use]
pub fn too_many_connections() -> Bytes {
    unavailable("Too many connections are open")
}

/// Returns the response to a connection over its peer's limit.
#[must_use]
pub fn too_many_of_one_peer() -> Bytes {
    unavailable("Too many connections from this address are open")
}

/// Adds the headers to `answer` that let pages of all origins read it.
#[must_use]
pub fn readable_by_all(answer: &[u8]) -> Bytes {
    let line = memchr::memchr(b'\n', answer).map_or(0, |end| end + 1);
    let allowed = b"access-control-allow-origin: *\r\n\
                    access-control-expose-headers: Retry-After\r\n";
    [&answer[..line], allowed, &answer[line..]].concat().into()
}

fn unavailable(message: &str) -> Bytes {
    let status = format!("503 Service Unavailable\r\nretry-after: {RETRY_AFTER_SECONDS}");
    answer(&status, message, "overloaded")
}

/// Returns a response with `status`, which may be followed by more headers.
fn answer(status: &str, message: &str, error: &str) -> Bytes {
    let body = format!("{{\"message\":\"{message}\",\"error\":\"{error}\"}}");
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\
                          date: Tue, 24 Nov 2026 04:00:00 GMT\r\n\r\n";

    #[test]
    fn only_errors_without_a_body_are_bare() {
        assert!(is_bare_error(BARE));
        assert!(!is_bare_error(
            b"HTTP/1.1 304 Not Modified\r\ncontent-length: 0\r\n\r\n"
        ));
        assert!(!is_bare_error(
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n{\"a\":\"b\"}"
        ));
        assert!(!is_bare_error(b"HTTP/1.1 4"));
        assert!(!is_bare_error(b""));
    }

    #[test]
    fn each_response_has_the_usual_error_object() {
        let framing = Some(Refusal::Framing);
        for (bytes, status, error) in [
            (
                with_body(BARE, None),
                "400 Bad Request",
                "malformed_request",
            ),
            (
                with_body(BARE, framing),
                "400 Bad Request",
                "malformed_request",
            ),
            (
                with_body(b"HTTP/1.1 414 ", None),
                "414 URI Too Long",
                "uri_too_long",
            ),
            (
                with_body(b"HTTP/1.1 431 ", None),
                "431 Request",
                "headers_too_large",
            ),
            (https_required(), "400 Bad Request", "https_required"),
            (
                too_many_connections(),
                "503 Service Unavailable",
                "overloaded",
            ),
            (
                too_many_of_one_peer(),
                "503 Service Unavailable",
                "overloaded",
            ),
        ] {
            let open = readable_by_all(&bytes);
            let open = std::str::from_utf8(&open).expect("ASCII");
            assert!(open.starts_with(&format!("HTTP/1.1 {status}")), "{open}");
            assert!(
                open.contains("\r\naccess-control-allow-origin: *\r\n"),
                "{open}"
            );
            let text = std::str::from_utf8(&bytes).expect("ASCII");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
            assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
            assert_eq!(head.contains("retry-after: "), status.starts_with("503"));
            let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
            assert_eq!(body["error"], error);
        }
    }
}
