//! Files for browsers, with validators and a content security policy.

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use sha2::{Digest, Sha256};

use super::answer::Answer;
use super::problem::Problem;
use crate::telemetry::Outcome;

/// Allows only files of this server, nothing inline, and no frames.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// A file for a browser.
pub(super) struct BrowserFile<'a> {
    pub(super) content_type: HeaderValue,
    /// The version of the body: a short text that differs for each content.
    pub(super) version: &'a str,
    pub(super) body: Bytes,
    pub(super) cache_control: HeaderValue,
}

impl BrowserFile<'_> {
    /// Returns 200 with the file, or 304 where the browser has this version.
    pub(super) fn into_answer(self, request: &HeaderMap) -> Result<Answer, Problem> {
        let tag = format!("\"{}\"", self.version);
        let mut answer = match has(request, &tag) {
            true => {
                let status = StatusCode::NOT_MODIFIED;
                Answer::new(Outcome::Ok, status, self.content_type, Bytes::new())
            }
            false => Answer::shown(self.content_type, self.body),
        };
        let headers = answer.response.headers_mut();
        let tag = HeaderValue::try_from(tag).map_err(|_| Problem::internal())?;
        headers.insert(ETAG, tag);
        headers.insert(CACHE_CONTROL, self.cache_control);
        guard(headers);
        Ok(answer)
    }
}

/// Adds what keeps a browser from running, loading or framing anything that is not this server's, and from telling others the
/// address.
pub(super) fn guard(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
}

/// Returns the version of `content`.
pub(super) fn version(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// Whether `If-None-Match` names `tag`.
fn has(request: &HeaderMap, tag: &str) -> bool {
    let lists = request.get_all(IF_NONE_MATCH).iter();
    let mut tags = lists.flat_map(|list| list.to_str().unwrap_or_default().split(','));
    tags.any(|given| {
        let given = given.trim();
        given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_none_match_is_a_list_of_tags() {
        let has = |given: &'static str| {
            let mut request = HeaderMap::new();
            request.insert(IF_NONE_MATCH, HeaderValue::from_static(given));
            has(&request, "\"abc\"")
        };
        assert!(has("\"abc\"") && has("W/\"abc\"") && has("*") && has("\"x\", \"abc\""));
        assert!(!has("\"x\"") && !has("abc") && !has(""));
    }

    #[test]
    fn versions_of_different_contents_differ() {
        assert_eq!(version(b"a"), version(b"a"));
        assert_ne!(version(b"a"), version(b"b"));
        assert_eq!(version(b"").len(), 16);
    }
}
