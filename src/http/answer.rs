//! Answers: responses with the labels that they are counted under.

use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

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

/// A response, and the label of the outcome that it is counted under.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
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
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        Self { outcome, response }
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
