//! The `Idempotency-Key`, under which a repeated request gets its first answer again.

use crate::http::common_headers::CommonHeaders;
use crate::http::parameters::Parameters;
use crate::types::{IdempotencyKey, Malformed};

/// Returns the key of a request, if it has one. An error is added to `parameters`.
pub(in crate::http) fn key<'a>(
    headers: &CommonHeaders<'a>,
    parameters: &mut Parameters<'_>,
) -> Option<IdempotencyKey<'a>> {
    parse(headers).unwrap_or_else(|Malformed(wrong)| {
        parameters.wrong_as("idempotency_key", wrong);
        None
    })
}

fn parse<'a>(headers: &CommonHeaders<'a>) -> Result<Option<IdempotencyKey<'a>>, Malformed> {
    match headers.idempotency_keys {
        [None, _] => Ok(None),
        // A value that is not ASCII counts as empty, which has the wrong length.
        [Some(key), None] => IdempotencyKey::new(key.to_str().unwrap_or_default()).map(Some),
        [Some(_), Some(_)] => Err(Malformed("must be given only once")),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderMap, HeaderValue};

    use super::*;
    use crate::http::common_headers::IDEMPOTENCY_KEY;

    fn headers(keys: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for key in keys {
            headers.append(&IDEMPOTENCY_KEY, HeaderValue::from_static(key));
        }
        headers
    }

    #[test]
    fn a_key_is_given_at_most_once_and_well_formed() {
        let (none, one) = (headers(&[]), headers(&["k-1"]));
        assert_eq!(parse(&CommonHeaders::of(&none)), Ok(None));
        let key = IdempotencyKey::new("k-1").expect("a key");
        assert_eq!(parse(&CommonHeaders::of(&one)), Ok(Some(key)));
        for wrong in [&["a", "b"][..], &["a", "a"], &[""], &["a b"]] {
            let headers = headers(wrong);
            assert!(parse(&CommonHeaders::of(&headers)).is_err(), "{wrong:?}");
        }
        let mut not_ascii = HeaderMap::new();
        let value = HeaderValue::from_bytes(b"\xff").expect("opaque bytes are allowed");
        not_ascii.insert(&IDEMPOTENCY_KEY, value);
        assert!(parse(&CommonHeaders::of(&not_ascii)).is_err());
    }
}
