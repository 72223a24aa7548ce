//! `POST /admin/replication/hand-over`

use hyper::StatusCode;

use crate::http::answer::{Answer, JSON};
use crate::http::json::{self, write_number};
use crate::http::problem::Problem;
use crate::http::routes::RoutedRequest;
use crate::telemetry::Outcome;

/// Asks this server to hand its leadership over, and answers before it does: it answers who is in the middle of a request, has
/// everything in the log, offers the leadership to its followers, and starts again as a standby.
pub(in crate::http) async fn hand_over(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let api = request.api;
    let replica = api.replica.as_ref().ok_or_else(Problem::not_replicated)?;
    if api.engine.is_draining() {
        return Err(Problem::draining());
    }
    let Some(epoch) = replica.ask_hand_over() else {
        return Err(Problem::not_leader(&replica.leader()));
    };
    tracing::info!(epoch, "an administrator asks to hand the leadership over");
    let body = json::body(|out| {
        out.extend_from_slice(b"{\"data\":{\"epoch\":");
        write_number(epoch, out);
        out.extend_from_slice(b"}}");
    });
    Ok(Answer::new(Outcome::Ok, StatusCode::ACCEPTED, JSON, body))
}
