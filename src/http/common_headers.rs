//! The headers that are looked for in every request.

use hyper::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};

pub(super) static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The headers that are looked for in every request, found in one pass over all: one look-up by name costs as much as to
/// pass several others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CommonHeaders<'h> {
    /// The first `Accept`.
    pub(super) accept: Option<&'h HeaderValue>,
    /// The first two `Idempotency-Key`s: more than one is an error.
    pub(super) idempotency_keys: [Option<&'h HeaderValue>; 2],
}

impl<'h> CommonHeaders<'h> {
    /// Finds them among `headers`.
    pub(super) fn of(headers: &'h HeaderMap) -> Self {
        let mut common = Self::default();
        for (name, value) in headers {
            match *name {
                ACCEPT => {
                    common.accept.get_or_insert(value);
                }
                _ if *name == IDEMPOTENCY_KEY => {
                    let [first, second] = &mut common.idempotency_keys;
                    let free = if first.is_none() { first } else { second };
                    *free = Some(value);
                }
                _ => {}
            }
        }
        common
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ones_are_found() {
        let mut headers = HeaderMap::new();
        let found = CommonHeaders::of(&headers);
        assert_eq!((found.accept, found.idempotency_keys), (None, [None; 2]));
        for value in ["a", "b", "c"].map(HeaderValue::from_static) {
            headers.append("x-other", value.clone());
            headers.append(ACCEPT, value.clone());
            headers.append("Idempotency-Key", value);
        }
        let found = CommonHeaders::of(&headers);
        assert_eq!(found.accept.expect("it is there"), "a");
        let [first, second] = found.idempotency_keys;
        assert_eq!(first.expect("it is there"), "a");
        assert!(second.is_some());
    }
}
