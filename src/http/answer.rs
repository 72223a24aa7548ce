//! Answers: responses with the labels that they are counted under.

use std::sync::LazyLock;

use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};

use super::cors::Grant;
use super::payload::Payload;
use crate::telemetry::Outcome;

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// `Cache-Control` of an answer that never changes.
pub(super) const IMMUTABLE: HeaderValue =
    HeaderValue::from_static("public, max-age=31536000, immutable");
/// `Cache-Control` of an answer that may be kept, and must be revalidated before each use.
pub(super) const REVALIDATED: HeaderValue = HeaderValue::from_static("no-cache");
const NOT_STORED: HeaderValue = HeaderValue::from_static("no-store");

/// The headers of an answer that is JSON, may be read by all pages, and has no others: of most answers to buyers. A copy
/// of them costs less than finding a place for each.
static JSON_FOR_ALL: LazyLock<HeaderMap> = LazyLock::new(|| {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, JSON);
    Grant::Any.apply(&mut headers);
    headers
});

/// A response, and the label of the outcome that it is counted under.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// The type of the body. It comes into the headers at last.
    pub(super) content_type: Option<HeaderValue>,
    pub(super) response: Response<Payload>,
}

impl Answer {
    pub(super) fn new(
        outcome: Outcome,
        status: StatusCode,
        content_type: HeaderValue,
        body: impl Into<Payload>,
    ) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        Self {
            outcome,
            content_type: Some(content_type),
            response,
        }
    }

    /// Returns the response, with the headers of its type and of `grant`.
    pub(super) fn into_response(self, grant: Grant<'_>) -> Response<Payload> {
        let Self {
            content_type,
            mut response,
            ..
        } = self;
        let headers = response.headers_mut();
        let is_json = content_type.as_ref() == Some(&JSON);
        if is_json && matches!(grant, Grant::Any) && headers.is_empty() {
            headers.clone_from(&JSON_FOR_ALL);
            return response;
        }
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        grant.apply(headers);
        response
    }

    /// 200 with JSON.
    pub(super) fn json(outcome: Outcome, body: Bytes) -> Self {
        Self::new(outcome, StatusCode::OK, JSON, body)
    }

    /// 200 with a body that changes nothing.
    pub(super) fn shown(content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        let body: Bytes = body.into();
        Self::new(Outcome::Ok, StatusCode::OK, content_type, body)
    }

    /// Forbids caches to store the answer: it may be outdated a moment later, or secret.
    pub(super) fn not_stored(mut self) -> Self {
        let headers = self.response.headers_mut();
        headers.insert(CACHE_CONTROL, NOT_STORED);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prepared_headers_are_those_of_all_other_answers() {
        let json = || Answer::json(Outcome::Ok, Bytes::new());
        let headers = |answer: Answer| answer.into_response(Grant::Any).into_parts().0.headers;
        let mut others = headers(json().not_stored());
        others.remove(CACHE_CONTROL);
        assert_eq!(headers(json()), others);
        let private = json().into_response(Grant::Private).into_parts().0.headers;
        assert_eq!(private.len(), 1);
        assert_eq!(private[CONTENT_TYPE], JSON);
    }
}
