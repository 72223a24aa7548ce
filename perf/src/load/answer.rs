//! The answer to a request: a response, cut out of the bytes of a connection, and what it means.

use flashsale::telemetry::Outcome;
use memchr::memmem;
use serde::Serialize;

/// Most headers that a response may have.
const HEADERS_MAX: usize = 32;

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `POST /checkout`
    Checkout,
    /// `POST /purchase`
    Purchase,
    /// Any `GET`.
    Get,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Checkout, Kind::Purchase, Kind::Get];

    /// Returns the name that is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Checkout => "checkout",
            Kind::Purchase => "purchase",
            Kind::Get => "get",
        }
    }
}

/// The class of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The request did what was asked for.
    Ok,
    /// A refusal that the interface describes.
    Refused,
    /// The server was not able to, or said something that the interface does not know.
    Error,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 3] = [Class::Ok, Class::Refused, Class::Error];

    /// Returns the name that is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::Ok => "ok",
            Class::Refused => "refused",
            Class::Error => "errors",
        }
    }
}

/// Why the bytes of a connection are no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    NotHttp,
    NoLength,
}

/// A whole response at the beginning of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The range of the body.
    pub(crate) body: (usize, usize),
    /// The server closes the connection after it.
    pub(crate) close: bool,
}

/// Parses the response at the beginning of `bytes`; `None` while its head is not whole.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Response>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let body_start = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Malformed::NotHttp),
    };
    let (mut length, mut close) = (None, false);
    for header in head.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            length = std::str::from_utf8(header.value)
                .ok()
                .and_then(|text| text.parse::<usize>().ok());
        } else if header.name.eq_ignore_ascii_case("connection") {
            close = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    let status = head.code.ok_or(Malformed::NotHttp)?;
    let body_end = body_start + length.ok_or(Malformed::NoLength)?;
    Ok(Some(Response {
        status,
        body: (body_start, body_end),
        close,
    }))
}

/// The text of the string that follows `name` in JSON without spaces. Quotation marks within a string
/// are escaped there, so that what looks like a key is one.
pub(crate) fn string_after<'a>(body: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let start = memmem::find(body, name)? + name.len();
    let rest = &body[start..];
    Some(&rest[..memchr::memchr(b'"', rest)?])
}

/// Returns the outcome of an answer, if the interface knows it.
pub(crate) fn outcome(kind: Kind, status: u16, body: &[u8]) -> Option<Outcome> {
    let outcome = match (kind, status) {
        (Kind::Checkout, 200) => Outcome::Accepted,
        (Kind::Purchase, 200) => Outcome::Sold,
        (Kind::Get, 200) => Outcome::Ok,
        _ => {
            let error = string_after(body, b"\"error\":\"")?;
            let is_it = |outcome: &&Outcome| outcome.as_str().as_bytes() == error;
            *Outcome::ALL.iter().find(is_it)?
        }
    };
    (status_of(kind, outcome) == Some(status)).then_some(outcome)
}

/// The status that comes with an outcome; `None` where the interface does not know it.
pub(super) fn status_of(kind: Kind, outcome: Outcome) -> Option<u16> {
    use Kind::{Checkout, Get, Purchase};
    use Outcome as O;
    Some(match (kind, outcome) {
        (Checkout, O::Accepted) | (Purchase, O::Sold) | (Get, O::Ok) => 200,
        (_, O::ValidationFailed)
        | (Checkout | Purchase, O::SaleNotActive)
        | (Checkout, O::UserLimitExceeded | O::ItemAlreadyInCheckout) => 400,
        (Checkout, O::ItemNotFound)
        | (Purchase, O::CheckoutNotFound)
        | (Get, O::SaleNotFound | O::NotFound) => 404,
        (Checkout, O::ItemSoldOut | O::ItemHeld)
        | (Purchase, O::AllItemsSold | O::CheckoutExpired | O::AlreadyProcessed) => 409,
        (Checkout | Purchase, O::Overloaded | O::Draining | O::JournalUnavailable) => 503,
        _ => return None,
    })
}

/// Returns the class of an outcome; one that is not known is an error.
pub(crate) fn class(outcome: Option<Outcome>) -> Class {
    match outcome {
        Some(Outcome::Accepted | Outcome::Sold | Outcome::Ok) => Class::Ok,
        None
        | Some(
            Outcome::ValidationFailed
            | Outcome::Overloaded
            | Outcome::Draining
            | Outcome::JournalUnavailable,
        ) => Class::Error,
        Some(_) => Class::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_whole_when_its_length_is_known() {
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}rest";
        let response = parse(bytes).expect("well-formed").expect("whole");
        assert_eq!(
            &bytes[response.body.0..response.body.1],
            b"{}",
            "{response:?}"
        );
        assert_eq!(parse(&bytes[..20]), Ok(None));
        assert_eq!(
            parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
            Err(Malformed::NoLength)
        );
        assert_eq!(parse(b"hello\r\n\r\n"), Err(Malformed::NotHttp));
    }

    #[test]
    fn only_what_the_interface_describes_is_known() {
        let sold_out = br#"{"message":"x","error":"item_sold_out"}"#;
        assert_eq!(
            outcome(Kind::Checkout, 409, sold_out),
            Some(Outcome::ItemSoldOut)
        );
        assert_eq!(
            outcome(Kind::Checkout, 400, sold_out),
            None,
            "another status"
        );
        assert_eq!(
            outcome(Kind::Purchase, 409, sold_out),
            None,
            "another request"
        );
        let odd = br#"{"message":"x","error":"teapot"}"#;
        assert_eq!(outcome(Kind::Checkout, 418, odd), None);
        assert_eq!(outcome(Kind::Get, 404, b"<html>"), None);
        assert_eq!(outcome(Kind::Get, 200, b"anything"), Some(Outcome::Ok));
        assert_eq!(class(None), Class::Error);
    }
}
