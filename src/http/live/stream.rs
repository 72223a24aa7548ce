//! Event streams: a sale's stock as it changes (`GET /sales/{id}/stream`), and the server's figures every second
//! (`GET /ops/stream`) and of the last minutes (`GET /ops/history`).

use hyper::body::Bytes;
use hyper::header::{CONNECTION, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Version};

use super::broadcaster::Topic;
use crate::http::answer::{Answer, JSON};
use crate::http::payload::Payload;
use crate::http::problem::Problem;
use crate::http::routes::RoutedRequest;
use crate::http::sales;
use crate::operations::Query;
use crate::sale::Unavailable;
use crate::telemetry::Outcome;

pub(in crate::http) const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// The header with which nginx, and proxies like it, pass events on at once.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// `GET /sales/{id}/stream`: the states of one sale, until it is closed.
pub(in crate::http) async fn of_sale(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let id = sales::sale_id(request.names[0])?;
    let sale = request.api.find_sale(id).await?;
    stream(&request, Topic::Sale(&sale))
}

/// `GET /ops/stream`: the figures of the whole server, second by second.
pub(in crate::http) fn of_server(request: &RoutedRequest<'_>) -> Result<Answer, Problem> {
    stream(request, Topic::Server(&request.api.observer))
}

fn stream(request: &RoutedRequest<'_>, topic: Topic<'_>) -> Result<Answer, Problem> {
    let api = request.api;
    if api.engine.is_draining() {
        return Err(Problem::draining());
    }
    event_stream(request, || {
        let subscriber = api.broadcaster.subscribe(topic);
        Ok(subscriber.ok_or(Unavailable::Overloaded)?.into())
    })
}

/// Returns an answer whose body is an event stream.
pub(in crate::http) fn event_stream(
    request: &RoutedRequest<'_>,
    events: impl FnOnce() -> Result<Payload, Problem>,
) -> Result<Answer, Problem> {
    let mut answer = in_pieces(EVENT_STREAM, request, events)?;
    let headers = answer.response.headers_mut();
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    Ok(answer)
}

/// `GET /ops/history`: the figures of the last minutes, a JSON array, oldest first.
pub(in crate::http) async fn history(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let query = Query::Common("history", "");
    let samples = request
        .api
        .observe(query, |view| Some(view.recent_samples()));
    let samples = samples.await?;
    in_pieces(JSON, &request, || Ok(samples.into()))
}

/// Returns an answer whose body is sent piece by piece.
pub(in crate::http) fn in_pieces(
    content_type: HeaderValue,
    request: &RoutedRequest<'_>,
    body: impl FnOnce() -> Result<Payload, Problem>,
) -> Result<Answer, Problem> {
    let body = if request.head.method == Method::HEAD {
        Bytes::new().into()
    } else {
        body()?
    };
    let mut answer = Answer::new(Outcome::Ok, StatusCode::OK, content_type, body).not_stored();
    *answer.response.version_mut() = request.head.version;
    if !leaves_connection_open(request) {
        let headers = answer.response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}

/// Whether another request may follow on the connection: the end of the stream can be told from the end of the
/// connection, the client did not ask to close it, and nothing of the request is unread.
fn leaves_connection_open(request: &RoutedRequest<'_>) -> bool {
    let asks_to_close = |value: &HeaderValue| {
        let value = value.as_bytes();
        let mut options = value.split(|&byte| byte == b',');
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
    };
    let mut connection = request.head.headers.get_all(CONNECTION).iter();
    request.head.version == Version::HTTP_11
        && request.body.is_end_stream()
        && !connection.any(asks_to_close)
}
