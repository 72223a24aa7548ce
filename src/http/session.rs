//! `POST /session`

use super::answer::Answer;
use super::bearer::user_token;
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
    let now = api.engine.clock().now();
    let token = user_token(headers, authority);
    let session = token.and_then(|token| match token {
        Some(token) => authority.exchange(token, now),
        None => Err(authority.refuse(TokenRefusal::Missing)),
    });
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
