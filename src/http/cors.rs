//! Cross-origin requests: which pages of other origins may call the public interface from a browser.
//!
//! Routes of administrators and operators are never open to other origins, and no answer allows credentials.

use hyper::body::Bytes;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW,
    HeaderMap, HeaderValue, ORIGIN, VARY,
};
use hyper::{Response, StatusCode};

use super::answer::Answer;
use super::payload::Payload;
use super::routes::{Access, Endpoint};
use crate::limits::PREFLIGHT_SECONDS;
use crate::telemetry::Outcome;

const ANY: HeaderValue = HeaderValue::from_static("*");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Link, Retry-After, Location, Leader, RateLimit, RateLimit-Policy");
/// The methods that any route takes.
const ALL_METHODS: &str = "GET, HEAD, POST, OPTIONS";
/// A star does not stand for `Authorization`.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("*, Authorization");
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");

/// The origins whose pages may call the public interface.
#[derive(Clone, Debug)]
pub enum CrossOrigin {
    /// All origins.
    Any,
    /// Only these, each in the form that browsers send.
    Listed(Vec<HeaderValue>),
}

impl CrossOrigin {
    /// Creates it from the configured origins: `*` alone stands for all.
    #[must_use]
    pub fn new(origins: &[String]) -> Self {
        if origins == ["*"] {
            return Self::Any;
        }
        let values = origins.iter().map(|origin| HeaderValue::from_str(origin));
        Self::Listed(values.filter_map(Result::ok).collect())
    }

    /// Returns what the answer of `endpoint` to a request with `headers` allows.
    pub(super) fn grant(&self, endpoint: Option<&Endpoint>, headers: &HeaderMap) -> Grant<'_> {
        match self {
            _ if endpoint.is_none_or(|endpoint| endpoint.access != Access::Public) => {
                Grant::Private
            }
            Self::Any => Grant::Any,
            Self::Listed(origins) => {
                let given = headers.get(ORIGIN);
                Grant::Listed(origins.iter().find(|&origin| Some(origin) == given))
            }
        }
    }
}

/// The permission that one answer gives to pages of other origins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Grant<'a> {
    /// Nothing: the route is not public.
    Private,
    /// All pages may read it.
    Any,
    /// Only pages of this origin, if any, may read it. Caches keep the answers to different origins apart.
    Listed(Option<&'a HeaderValue>),
}

impl Grant<'_> {
    /// Adds its headers to those of a response.
    pub(super) fn apply(self, headers: &mut HeaderMap) {
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

/// Answers `OPTIONS`: 204 with the methods of `endpoint`, and for a preflight with the headers that it allows. For an
/// unknown path, and for `*`, these are the methods that any route takes.
pub(super) fn options(
    endpoint: Option<&Endpoint>,
    request: &HeaderMap,
    grant: Grant<'_>,
) -> Answer {
    let mut response = Response::new(Payload::from(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    let methods = endpoint.map_or(ALL_METHODS, Endpoint::methods_and_options);
    let methods = HeaderValue::from_static(methods);
    if grant.is_allowed() && request.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS.into());
    }
    headers.insert(ALLOW, methods);
    Answer {
        outcome: Outcome::Ok,
        content_type: None,
        response,
    }
}
