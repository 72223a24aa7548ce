//! `GET /sales/{id}/stream`: the sale's stock as it changes, as Server-Sent Events.

use hyper::body::{Body, Bytes};
use hyper::header::{CACHE_CONTROL, CONNECTION, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Version};

use super::Api;
use super::answer::Answer;
use super::looking;
use super::payload::Payload;
use super::problem::Problem;
use crate::sale::Unavailable;
use crate::telemetry::Outcome;

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// Asks nginx, and those who do as it does, to pass events on as they come.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The news of one sale, from its state now to its end.
pub(super) async fn stream<B: Body>(
    api: &Api,
    id: &str,
    request: &Request<B>,
) -> Result<Answer, Problem> {
    let sale = api.find_sale(looking::sale_id(id)?).await?;
    if api.engine.is_draining() {
        return Err(Problem::draining());
    }
    let body: Payload = if request.method() == Method::HEAD {
        Bytes::new().into()
    } else {
        let viewer = api.audience.admit(&sale);
        viewer.ok_or(Unavailable::Overloaded)?.into()
    };
    let mut answer = Answer::new(Outcome::Ok, StatusCode::OK, EVENT_STREAM, body);
    *answer.response.version_mut() = request.version();
    let headers = answer.response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    if !leaves_connection_open(request) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}

/// Whether another request may follow on the connection: the end of the stream can be told from the end
/// of the connection, the client did not ask for it to be closed, and nothing of the request is unread.
fn leaves_connection_open<B: Body>(request: &Request<B>) -> bool {
    let asks_to_close = |value: &HeaderValue| {
        let value = value.as_bytes();
        let mut options = value.split(|&byte| byte == b',');
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
    };
    let mut asked = request.headers().get_all(CONNECTION).iter();
    request.version() == Version::HTTP_11
        && request.body().is_end_stream()
        && !asked.any(asks_to_close)
}
