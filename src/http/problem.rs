//! Errors as answers.

use std::borrow::Cow;

use hyper::StatusCode;
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};

use super::answer::{Answer, JSON, PROBLEM_JSON};
use super::json::{self, write_string};
use super::{kept_bodies, refused_token};
use crate::limits::RETRY_AFTER_SECONDS;
use crate::sale::{NotLoaded, Unavailable};
use crate::telemetry::{Outcome, TokenRefusal};
use crate::types::{Lsn, has_control};

/// The header that says where the leader can be reached.
const LEADER: HeaderName = HeaderName::from_static("leader");

/// The name of a wrong parameter, and what is wrong with it.
pub(super) type FieldError = (Cow<'static, str>, Cow<'static, str>);

/// The form in which a client wants to read errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProblemFormat {
    /// `{"message", "error"}`
    Plain,
    /// RFC 9457, with the members of the plain form among its own.
    Rfc9457,
}

impl ProblemFormat {
    /// Returns the form that the `Accept` header asks for.
    pub(super) fn asked_by(accept: Option<&HeaderValue>) -> Self {
        let problem_json = b"application/problem+json";
        let names_problem_json = |accept: &HeaderValue| {
            accept
                .as_bytes()
                .windows(problem_json.len())
                .any(|part| part.eq_ignore_ascii_case(problem_json))
        };
        if accept.is_some_and(names_problem_json) {
            Self::Rfc9457
        } else {
            Self::Plain
        }
    }
}

/// An error as an answer. The outcome's label is its machine-readable name, `error`.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    outcome: Outcome,
    message: &'static str,
    errors: Vec<FieldError>,
    /// More members of the JSON object, each with a comma before it.
    members: Vec<u8>,
    retry_after_seconds: Option<u64>,
    /// The methods for `Allow`, of a 405; the challenge for `WWW-Authenticate`, of a 401.
    hint: Option<&'static str>,
    /// More headers. In a box, because few errors have any.
    headers: Option<Box<HeaderMap>>,
}

impl Problem {
    /// An error with nothing but its status, name and message.
    pub(super) fn new(status: StatusCode, outcome: Outcome, message: &'static str) -> Self {
        Self {
            status,
            outcome,
            message,
            errors: Vec::new(),
            members: Vec::new(),
            retry_after_seconds: None,
            hint: None,
            headers: None,
        }
    }

    pub(super) fn bad_request(outcome: Outcome, message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, outcome, message)
    }

    pub(super) fn conflict(outcome: Outcome, message: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, outcome, message)
    }

    pub(super) fn missing(outcome: Outcome, message: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, outcome, message)
    }

    pub(super) fn validation(errors: Vec<FieldError>) -> Self {
        let problem = Self::bad_request(Outcome::ValidationFailed, "Validation failed");
        Self { errors, ..problem }
    }

    pub(super) fn body_incomplete() -> Self {
        Self::validation(vec![(
            "body".into(),
            "ended before its announced end".into(),
        )])
    }

    pub(super) fn not_found() -> Self {
        Self::missing(Outcome::NotFound, "No such path")
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let (status, outcome) = (StatusCode::METHOD_NOT_ALLOWED, Outcome::MethodNotAllowed);
        let problem = Self::new(status, outcome, "This path does not take this method");
        Self {
            hint: Some(allow),
            ..problem
        }
    }

    /// The journal no longer has the events that were asked for. Behind `oldest` it has all.
    pub(super) fn events_gone(oldest: Lsn) -> Self {
        let message =
            "The journal no longer has these events; it has all behind the one that oldest names";
        Self::new(StatusCode::GONE, Outcome::EventsGone, message)
            .with_members(format!(",\"oldest\":\"{oldest}\"").into_bytes())
    }

    /// The bearer token is missing or wrong.
    pub(super) fn unauthorized() -> Self {
        let (status, outcome) = (StatusCode::UNAUTHORIZED, Outcome::Unauthorized);
        let message = "Administration needs the header Authorization: Bearer with the right token";
        Self::new(status, outcome, message)
    }

    /// The token of a user is missing or not accepted.
    pub(super) fn token_refused(reason: TokenRefusal) -> Self {
        let (status, outcome) = (StatusCode::UNAUTHORIZED, Outcome::Unauthorized);
        let (message, challenge) = refused_token::words(reason);
        Self {
            hint: Some(challenge),
            ..Self::new(status, outcome, message)
        }
    }

    /// The token is that of another user than the request, or the checkout, is of.
    pub(super) fn user_mismatch() -> Self {
        let message = "The token is that of another user";
        Self::new(StatusCode::FORBIDDEN, Outcome::UserMismatch, message)
    }

    /// The token names other items or sales than this one.
    pub(super) fn not_invited() -> Self {
        let message = "The token does not allow this item or sale";
        Self::new(StatusCode::FORBIDDEN, Outcome::NotInvited, message)
    }

    /// Neither a parameter nor a token says who the user is.
    pub(super) fn user_missing() -> Self {
        Self::validation(vec![("user_id".into(), "is required".into())])
    }

    pub(super) fn sessions_off() -> Self {
        let message = "This server takes no user tokens (auth.keys is not set)";
        Self::missing(Outcome::NotFound, message)
    }

    pub(super) fn payload_too_large() -> Self {
        let (status, outcome) = (StatusCode::PAYLOAD_TOO_LARGE, Outcome::PayloadTooLarge);
        Self::new(status, outcome, "The body is too large")
    }

    /// The body has a content encoding.
    pub(super) fn unsupported_encoding() -> Self {
        let (status, outcome) = (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Outcome::UnsupportedMediaType,
        );
        let message =
            "Bodies are taken without a Content-Encoding, or with identity, not compressed";
        Self::new(status, outcome, message)
    }

    pub(super) fn internal() -> Self {
        let (status, outcome) = (StatusCode::INTERNAL_SERVER_ERROR, Outcome::InternalError);
        Self::new(status, outcome, "Internal error")
    }

    pub(super) fn journal_unavailable() -> Self {
        Self::unavailable(
            Outcome::JournalUnavailable,
            "Nothing can be stored at the moment",
        )
    }

    fn archive_unavailable() -> Self {
        let message = "What this ended sale consisted of cannot be read at the moment";
        Self::unavailable(Outcome::ArchiveUnavailable, message)
    }

    pub(super) fn sale_not_found() -> Self {
        Self::missing(Outcome::SaleNotFound, "Sale not found")
    }

    /// A reference came before, with something else to do.
    pub(super) fn reference_reused() -> Self {
        let message = "This ref came with something else before";
        Self::conflict(Outcome::ReferenceReused, message)
    }

    /// No sale has such an item.
    pub(super) fn item_not_found() -> Self {
        Self::missing(Outcome::ItemNotFound, "Item not found")
    }

    /// No checkout has this code.
    pub(super) fn checkout_not_found() -> Self {
        Self::missing(Outcome::CheckoutNotFound, "Checkout not found")
    }

    /// The sale has not begun or is over.
    pub(super) fn sale_not_active() -> Self {
        Self::bad_request(Outcome::SaleNotActive, "The sale is not active")
    }

    pub(super) fn draining() -> Self {
        Self::unavailable(Outcome::Draining, "The server is shutting down")
    }

    /// Another server sells, which can be reached at `leader`; that is empty where it is not known.
    pub(super) fn standby(leader: &str) -> Self {
        let message = "This server stands by; another one sells";
        Self::unavailable(Outcome::Standby, message).with_leader(leader)
    }

    /// Only the leader, which can be reached at `leader`, can hand its leadership over.
    pub(super) fn not_leader(leader: &str) -> Self {
        let message = "This server does not lead: ask the one that does";
        Self::conflict(Outcome::NotLeader, message).with_leader(leader)
    }

    pub(super) fn not_replicated() -> Self {
        let message =
            "No log is replicated (replication.engine is off): there is no leadership to hand over";
        Self::conflict(Outcome::NotReplicated, message)
    }

    /// Adds where the leader can be reached; that is empty where it is not known.
    fn with_leader(self, leader: &str) -> Self {
        match HeaderValue::from_str(leader) {
            Ok(leader) if !leader.is_empty() => self.with_header(LEADER, leader),
            _ => self,
        }
    }

    /// Adds a header.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().insert(name, value);
        self
    }

    fn unavailable(outcome: Outcome, message: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, outcome, message)
            .retry_after(u64::from(RETRY_AFTER_SECONDS))
    }

    /// The outcome that the answer is counted under.
    pub(super) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Adds a `Retry-After` of `seconds`.
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        Self {
            retry_after_seconds: Some(seconds),
            ..self
        }
    }

    /// Adds members of the JSON object, each with a comma before it.
    pub(super) fn with_members(self, members: Vec<u8>) -> Self {
        Self { members, ..self }
    }

    /// Returns the answer, in the form that the client asked for.
    pub(super) fn into_answer(self, format: ProblemFormat) -> Answer {
        let body = match format {
            ProblemFormat::Plain if self.errors.is_empty() && self.members.is_empty() => {
                let write = |out: &mut Vec<u8>| self.write_plain(out);
                kept_bodies::of_error(self.outcome, self.message, write)
            }
            ProblemFormat::Plain => json::body(|out| self.write_plain(out)),
            ProblemFormat::Rfc9457 => json::body(|out| self.write_rfc9457(out)),
        };
        let content_type = match format {
            ProblemFormat::Plain => JSON,
            ProblemFormat::Rfc9457 => PROBLEM_JSON,
        };
        debug_assert!(!self.message.contains(['"', '\\']) && !has_control(self.message));
        let mut answer = Answer::new(self.outcome, self.status, content_type, body);
        let headers = answer.response.headers_mut();
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        match (self.status, self.hint) {
            (StatusCode::UNAUTHORIZED, challenge) => {
                let challenge = challenge.unwrap_or("Bearer");
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            (_, Some(methods)) => {
                headers.insert(ALLOW, HeaderValue::from_static(methods));
            }
            (_, None) => {}
        }
        if let Some(more) = self.headers {
            headers.extend(*more);
        }
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        answer
    }

    fn write_plain(&self, out: &mut Vec<u8>) {
        // Messages and labels are constants, in which nothing has to be escaped.
        out.extend_from_slice(b"{\"message\":\"");
        out.extend_from_slice(self.message.as_bytes());
        out.extend_from_slice(b"\",\"error\":\"");
        out.extend_from_slice(self.outcome.as_str().as_bytes());
        out.push(b'"');
        self.write_rest(out);
    }

    fn write_rfc9457(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"about:blank\",\"title\":");
        write_string(self.status.canonical_reason().unwrap_or_default(), out);
        out.extend_from_slice(b",\"status\":");
        out.extend_from_slice(self.status.as_str().as_bytes());
        out.extend_from_slice(b",\"detail\":");
        write_string(self.message, out);
        out.extend_from_slice(b",\"message\":");
        write_string(self.message, out);
        out.extend_from_slice(b",\"error\":");
        write_string(self.outcome.as_str(), out);
        self.write_rest(out);
    }

    fn write_rest(&self, out: &mut Vec<u8>) {
        for (i, (field, wrong)) in self.errors.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b",\"errors\":{" } else { b"," });
            write_string(field, out);
            out.push(b':');
            write_string(wrong, out);
        }
        if !self.errors.is_empty() {
            out.push(b'}');
        }
        out.extend_from_slice(&self.members);
        out.push(b'}');
    }
}

#[cfg(test)]
impl Problem {
    /// The names of the wrong parameters.
    pub(super) fn fields(&self) -> Vec<&str> {
        self.errors.iter().map(|(name, _)| &**name).collect()
    }

    /// The errors of the wrong parameters, by name.
    pub(super) fn errors(&self) -> serde_json::Value {
        let errors = self.errors.iter();
        let errors = errors.map(|(name, wrong)| (name.clone().into_owned(), wrong.clone().into()));
        serde_json::Value::Object(errors.collect())
    }
}

impl From<Unavailable> for Problem {
    fn from(reason: Unavailable) -> Self {
        match reason {
            Unavailable::Overloaded => {
                Self::unavailable(Outcome::Overloaded, "Too many requests at once")
            }
            Unavailable::Draining => Self::draining(),
            Unavailable::Journal => Self::journal_unavailable(),
        }
    }
}

impl From<NotLoaded> for Problem {
    fn from(reason: NotLoaded) -> Self {
        match reason {
            NotLoaded::Unknown => Self::sale_not_found(),
            NotLoaded::Overloaded => Unavailable::Overloaded.into(),
            NotLoaded::Unavailable => Self::archive_unavailable(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn text(problem: Problem, format: ProblemFormat) -> String {
        let body = problem.into_answer(format).response.into_body();
        let bytes = body
            .collect()
            .await
            .expect("a full body cannot fail")
            .to_bytes();
        String::from_utf8(bytes.to_vec()).expect("UTF-8")
    }

    #[tokio::test]
    async fn errors_are_listed_by_field() {
        let errors = vec![
            ("user_id".into(), "is required".into()),
            ("id".into(), "is \"odd\"".into()),
        ];
        let expected = r#"{"message":"Validation failed","error":"validation_failed","errors":{"user_id":"is required","id":"is \"odd\""}}"#;
        assert_eq!(
            text(Problem::validation(errors), ProblemFormat::Plain).await,
            expected
        );
    }

    #[tokio::test]
    async fn rfc_9457_on_request() {
        assert_eq!(ProblemFormat::asked_by(None), ProblemFormat::Plain);
        let accept = HeaderValue::from_static("text/html, Application/Problem+JSON;q=0.9");
        let format = ProblemFormat::asked_by(Some(&accept));
        assert_eq!(format, ProblemFormat::Rfc9457);
        let expected = r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"No such path","message":"No such path","error":"not_found"}"#;
        assert_eq!(
            text(Problem::not_found(), ProblemFormat::Rfc9457).await,
            expected
        );
    }

    #[test]
    fn unavailable_says_when_to_ask_again() {
        for reason in [
            Unavailable::Overloaded,
            Unavailable::Draining,
            Unavailable::Journal,
        ] {
            let response = Problem::from(reason)
                .into_answer(ProblemFormat::Plain)
                .response;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(
                response.headers()[RETRY_AFTER],
                RETRY_AFTER_SECONDS.to_string()
            );
        }
    }
}
