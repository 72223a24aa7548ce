//! `POST /session`

use super::answer::Answer;
use super::bearer::Bearer;
use super::json::{self, write_string, write_time};
use super::problem::Problem;
use super::routes::RoutedRequest;
use crate::auth::UserSession;
use crate::telemetry::{Outcome, TokenRefusal};

/// Exchanges the token of a user for a session: a short-lived token of our own, which costs less to verify.
pub(super) fn exchange(request: &RoutedRequest<'_>) -> Result<Answer, Problem> {
    let api = request.api;
    let Some(authority) = &api.authority else {
        return Err(Problem::sessions_off());
    };
    let headers = &request.head.headers;
    let now_ns = api.engine.clock().monotonic_ns();
    if let Some(limits) = api.limits_of(request.peer, headers, now_ns) {
        limits.admit(None)?;
    }
    let token = match Bearer::of(headers) {
        Bearer::Missing => Err(authority.refuse(TokenRefusal::Missing)),
        Bearer::Several => Err(authority.refuse(TokenRefusal::Malformed)),
        Bearer::Token(token) => {
            str::from_utf8(token).map_err(|_| authority.refuse(TokenRefusal::Malformed))
        }
    };
    let now = api.engine.clock().now();
    let session = token.and_then(|token| authority.exchange(token, now));
    let UserSession {
        token,
        user,
        expires_at,
    } = session.map_err(Problem::token_refused)?;
    let body = json::body(|out| {
        out.extend_from_slice(b"{\"token\":");
        write_string(&token, out);
        out.extend_from_slice(b",\"user_id\":");
        write_string(&user, out);
        out.extend_from_slice(b",\"expires_at\":\"");
        write_time(expires_at, out);
        out.extend_from_slice(b"\"}");
    });
    Ok(Answer::json(Outcome::Ok, body).not_stored())
}
