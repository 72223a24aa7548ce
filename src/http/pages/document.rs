//! A file for a browser: what it may do, how long it may be kept, and whether it has changed.

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use sha2::{Digest, Sha256};

use crate::http::answer::Answer;
use crate::http::problem::Problem;
use crate::telemetry::Outcome;

/// Nothing but our own files, nothing inline, and in nobody's frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
/// It may be kept, and must be asked for each time whether it still is what it was.
pub(in crate::http) const CHECKED_EACH_TIME: HeaderValue = HeaderValue::from_static("no-cache");

/// A file for a browser.
pub(in crate::http) struct Document<'a> {
    pub(in crate::http) content_type: HeaderValue,
    /// Another one for another body.
    pub(in crate::http) version: &'a str,
    pub(in crate::http) body: Bytes,
    pub(in crate::http) cache_control: HeaderValue,
}

impl Document<'_> {
    /// 200, or 304 where the browser has it already.
    pub(in crate::http) fn into_answer(self, request: &HeaderMap) -> Result<Answer, Problem> {
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
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
        headers.insert(REFERRER_POLICY, NO_REFERRER);
        Ok(answer)
    }
}

/// A short text that is another one for another content.
pub(in crate::http) fn version(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// Whether the browser has what `tag` stands for.
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
    fn a_browser_names_what_it_has() {
        let has = |given: &'static str| {
            let mut request = HeaderMap::new();
            request.insert(IF_NONE_MATCH, HeaderValue::from_static(given));
            has(&request, "\"abc\"")
        };
        assert!(has("\"abc\"") && has("W/\"abc\"") && has("*") && has("\"x\", \"abc\""));
        assert!(!has("\"x\"") && !has("abc") && !has(""));
    }

    #[test]
    fn a_version_tells_contents_apart() {
        assert_eq!(version(b"a"), version(b"a"));
        assert_ne!(version(b"a"), version(b"b"));
        assert_eq!(version(b"").len(), 16);
    }
}
