//! Cross-origin requests: which pages of other origins may call the public interface from a browser.
//!
//! Administration and what is for operators are never open to other origins, and no answer allows credentials.

use hyper::body::Bytes;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW,
    HeaderMap, HeaderValue, ORIGIN, VARY,
};
use hyper::{Response, StatusCode};

use super::answer::Answer;
use super::payload::Payload;
use super::route::Path;
use crate::limits::PREFLIGHT_SECONDS;
use crate::telemetry::Outcome;

const ANY: HeaderValue = HeaderValue::from_static("*");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Link, Retry-After, Location, RateLimit, RateLimit-Policy");
/// A star does not stand for `Authorization`.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("*, Authorization");
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");

/// The origins whose pages may call the public interface.
#[derive(Clone, Debug)]
pub enum CrossOrigin {
    /// All of them.
    Any,
    /// Only these, each as browsers send it.
    Listed(Vec<HeaderValue>),
}

impl CrossOrigin {
    /// Takes `origins` as they are configured: `*` alone stands for all.
    #[must_use]
    pub fn new(origins: &[String]) -> Self {
        if origins == ["*"] {
            return Self::Any;
        }
        let values = origins.iter().map(|origin| HeaderValue::from_str(origin));
        Self::Listed(values.filter_map(Result::ok).collect())
    }

    /// Decides what the answer on `path` to a request with `headers` allows.
    pub(super) fn grant(&self, path: Path<'_>, headers: &HeaderMap) -> Grant<'_> {
        match self {
            _ if !path.is_public() => Grant::Private,
            Self::Any => Grant::Any,
            Self::Listed(origins) => {
                let asked = headers.get(ORIGIN);
                Grant::Listed(origins.iter().find(|&origin| Some(origin) == asked))
            }
        }
    }
}

/// What one answer allows to pages of other origins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Grant<'a> {
    /// Nothing: the path is not public.
    Private,
    /// All of them may read it.
    Any,
    /// Only this origin may, if any: caches keep the answers to different origins apart.
    Listed(Option<&'a HeaderValue>),
}

impl Grant<'_> {
    /// Adds the headers that say so.
    pub(super) fn apply(self, response: &mut Response<Payload>) {
        let headers = response.headers_mut();
        let origin = match self {
            Self::Private => return,
            Self::Any => Some(ANY),
            Self::Listed(origin) => {
                headers.append(VARY, VARY_ORIGIN);
                origin.cloned()
            }
        };
        if let Some(origin) = origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }

    fn is_allowed(self) -> bool {
        matches!(self, Self::Any | Self::Listed(Some(_)))
    }
}

/// Answers `OPTIONS`: 204 with the methods that `path` takes, and to a preflight with what it may send.
pub(super) fn options(path: Path<'_>, request: &HeaderMap, grant: Grant<'_>) -> Answer {
    let mut response = Response::new(Payload::from(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static(path.methods());
    if grant.is_allowed() && request.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS.into());
    }
    headers.insert(ALLOW, methods);
    Answer {
        outcome: Outcome::Ok,
        response,
    }
}
