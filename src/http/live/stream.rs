//! Update as Server-Sent Events: of a sale's stock as it changes (`GET /sales/{id}/stream`), and of the whole
//! server, every second (`GET /ops/stream`); and what was told of it before (`GET /ops/history`).

use hyper::body::{Body, Bytes};
use hyper::header::{CONNECTION, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Version};

use super::broadcaster::Topic;
use crate::http::answer::{Answer, JSON};
use crate::http::ops::health::fresh;
use crate::http::payload::Payload;
use crate::http::problem::Problem;
use crate::http::{Api, sales};
use crate::operations::Question;
use crate::sale::Unavailable;
use crate::telemetry::Outcome;

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// Asks nginx, and those who do as it does, to pass events on as they come.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The news of one sale, from its state now to its end.
pub(in crate::http) async fn of_sale<B: Body>(
    api: &Api,
    id: &str,
    request: &Request<B>,
) -> Result<Answer, Problem> {
    let sale = api.find_sale(sales::sale_id(id)?).await?;
    stream(api, Topic::Sale(&sale), request)
}

/// What happens in the whole server, second by second.
pub(in crate::http) fn of_server<B: Body>(
    api: &Api,
    request: &Request<B>,
) -> Result<Answer, Problem> {
    stream(api, Topic::Server(&api.observer), request)
}

fn stream<B: Body>(api: &Api, topic: Topic<'_>, request: &Request<B>) -> Result<Answer, Problem> {
    if api.engine.is_draining() {
        return Err(Problem::draining());
    }
    let events = || {
        let subscriber = api.broadcaster.subscribe(topic);
        Ok(subscriber.ok_or(Unavailable::Overloaded)?.into())
    };
    let mut answer = in_pieces(EVENT_STREAM, request, events)?;
    let headers = answer.response.headers_mut();
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    Ok(answer)
}

/// What those who watch the server were told in the last minutes: a JSON array, oldest first.
pub(in crate::http) async fn history<B: Body>(
    api: &Api,
    request: &Request<B>,
) -> Result<Answer, Problem> {
    let seconds = api.ask(Question::Usual("history", ""), |view| Some(view.shown()));
    let seconds = seconds.await?;
    in_pieces(JSON, request, || Ok(seconds.into()))
}

/// An answer whose body comes piece by piece.
fn in_pieces<B: Body>(
    content_type: HeaderValue,
    request: &Request<B>,
    body: impl FnOnce() -> Result<Payload, Problem>,
) -> Result<Answer, Problem> {
    let body = if request.method() == Method::HEAD {
        Bytes::new().into()
    } else {
        body()?
    };
    let mut answer = fresh(Answer::new(Outcome::Ok, StatusCode::OK, content_type, body));
    *answer.response.version_mut() = request.version();
    if !leaves_connection_open(request) {
        let headers = answer.response.headers_mut();
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
