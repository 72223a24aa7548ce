//! The `Idempotency-Key`, under which a repeated request gets its first answer again.

use hyper::header::{HeaderMap, HeaderName};

use crate::http::parameters::Parameters;
use crate::types::{IdempotencyKey, Malformed};

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Returns the key of a request, if it has one. An error is added to `parameters`.
pub(in crate::http) fn key<'a>(
    headers: &'a HeaderMap,
    parameters: &mut Parameters<'_>,
) -> Option<IdempotencyKey<'a>> {
    parse(headers).unwrap_or_else(|Malformed(wrong)| {
        parameters.wrong_as("idempotency_key", wrong);
        None
    })
}

fn parse(headers: &HeaderMap) -> Result<Option<IdempotencyKey<'_>>, Malformed> {
    let mut given = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(key) = given.next() else {
        return Ok(None);
    };
    if given.next().is_some() {
        return Err(Malformed("must be given only once"));
    }
    // A value that is not ASCII counts as empty, which has the wrong length.
    IdempotencyKey::new(key.to_str().unwrap_or_default()).map(Some)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(keys: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for key in keys {
            headers.append(&IDEMPOTENCY_KEY, HeaderValue::from_static(key));
        }
        headers
    }

    #[test]
    fn a_key_is_given_at_most_once_and_well_formed() {
        assert_eq!(parse(&headers(&[])), Ok(None));
        let key = IdempotencyKey::new("k-1").expect("a key");
        assert_eq!(parse(&headers(&["k-1"])), Ok(Some(key)));
        for wrong in [&["a", "b"][..], &["a", "a"], &[""], &["a b"]] {
            assert!(parse(&headers(wrong)).is_err(), "{wrong:?}");
        }
        let mut not_ascii = HeaderMap::new();
        let value = HeaderValue::from_bytes(b"\xff").expect("opaque bytes are allowed");
        not_ascii.insert(&IDEMPOTENCY_KEY, value);
        assert!(parse(&not_ascii).is_err());
    }
}
