//! The bearer token of a request (RFC 6750), whatever it opens.

use hyper::header::{AUTHORIZATION, HeaderMap};

use crate::auth::Authority;
use crate::telemetry::TokenRefusal;

/// The scheme of the `Authorization` header.
const BEARER: &[u8] = b"bearer ";

/// What a request has for a bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bearer<'h> {
    /// None: no `Authorization`, or one of another scheme.
    Missing,
    /// This one.
    Token(&'h [u8]),
    /// More than one `Authorization`, of which none is believed.
    Several,
}

impl<'h> Bearer<'h> {
    /// Finds it among `headers`.
    pub(super) fn of(headers: &'h HeaderMap) -> Self {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let value = match (given.next(), given.next()) {
            (None, _) => return Self::Missing,
            (Some(_), Some(_)) => return Self::Several,
            (Some(value), None) => value.as_bytes(),
        };
        match value.split_at_checked(BEARER.len()) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(BEARER) => Self::Token(token),
            _ => Self::Missing,
        }
    }
}

/// Returns the token of a user in `headers`; `None` where there is none.
///
/// # Errors
/// There are several, or it is no text. That is counted by `authority`.
pub(super) fn user_token<'h>(
    headers: &'h HeaderMap,
    authority: &Authority,
) -> Result<Option<&'h str>, TokenRefusal> {
    let token = match Bearer::of(headers) {
        Bearer::Missing => return Ok(None),
        Bearer::Several => None,
        Bearer::Token(token) => str::from_utf8(token).ok(),
    };
    match token {
        Some(token) => Ok(Some(token)),
        None => Err(authority.refuse(TokenRefusal::Malformed)),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn one_token_is_found_and_of_two_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(Bearer::of(&headers), Bearer::Missing);
        for (value, expected) in [
            ("Bearer abc", Bearer::Token(b"abc")),
            ("bEARER a b", Bearer::Token(b"a b")),
            ("Bearer ", Bearer::Token(b"")),
            ("Bearer", Bearer::Missing),
            ("Basic abc", Bearer::Missing),
        ] {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(Bearer::of(&headers), expected, "{value}");
        }
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer abc"));
        assert_eq!(Bearer::of(&headers), Bearer::Several);
    }
}
