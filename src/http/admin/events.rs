//! `GET /admin/events`

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};

use crate::events::{EventFeed, EventFilter, EventForm, EventQuery, FeedError, ReadError};
use crate::http::answer::Answer;
use crate::http::live::stream::event_stream;
use crate::http::pagination::linked_to_next;
use crate::http::problem::Problem;
use crate::http::query_enums::QueryEnums;
use crate::http::routes::RoutedRequest;
use crate::http::values::{Place, Whole, not_up_to};
use crate::limits::{
    EVENT_PIECE_EVENTS_MAX, EVENT_WAIT_SECONDS_MAX, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX,
    STREAM_RETRY_MS_MIN,
};
use crate::sale::Unavailable;
use crate::telemetry::Outcome;
use crate::types::{EventType, Lsn, Malformed, SaleId};

const BATCH: HeaderValue = HeaderValue::from_static("application/cloudevents-batch+json");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The events of the journal behind a place: a page, or a stream for clients that accept one.
pub(in crate::http) async fn events(request: RoutedRequest<'_>) -> Result<Answer, Problem> {
    let asked = AskedEvents::read(&request)?;
    let feed = request.api.events.as_ref().ok_or_else(Problem::not_found)?;
    match asked.query.form {
        EventForm::Batch => page(&request, feed, asked).await,
        EventForm::Stream => stream(&request, feed, asked).await,
    }
}

async fn page(
    request: &RoutedRequest<'_>,
    feed: &EventFeed,
    asked: AskedEvents,
) -> Result<Answer, Problem> {
    let page = feed.page(asked.query, asked.wait_seconds).await?;
    let body = Bytes::from(page.body);
    let answer = Answer::new(Outcome::Ok, StatusCode::OK, BATCH, body);
    linked_to_next(answer, &request.head.uri, "after", page.last)
}

async fn stream(
    request: &RoutedRequest<'_>,
    feed: &EventFeed,
    asked: AskedEvents,
) -> Result<Answer, Problem> {
    let filter = asked.query.filter.clone();
    // What cannot be read is an answer, and no stream.
    let page = feed.page(asked.query, 0).await?;
    event_stream(request, || {
        let mut first = format!("retry: {STREAM_RETRY_MS_MIN}\n\n").into_bytes();
        first.extend_from_slice(&page.body);
        Ok(feed.subscribe(page.last, filter, first.into())?.into())
    })
}

/// The events that a request asks for.
struct AskedEvents {
    query: EventQuery,
    wait_seconds: u32,
}

impl AskedEvents {
    fn read(request: &RoutedRequest<'_>) -> Result<Self, Problem> {
        let kinds: Vec<_> = EventType::ALL
            .iter()
            .map(|kind| (kind.name(), *kind))
            .collect();
        let headers = &request.head.headers;
        let mut given = QueryEnums::of(request.query());
        let after = given.parsed("after").unwrap_or(Place(Lsn::ZERO)).0;
        let Whole(limit) = given.parsed("limit").unwrap_or(Whole(PAGE_ITEMS_DEFAULT));
        let Whole(wait_seconds) = given.parsed("wait").unwrap_or(Whole(0));
        let kinds = given.some_of("type", &kinds);
        let sale: Option<SaleId> = given.parsed("sale_id");
        if !(1..=PAGE_ITEMS_MAX).contains(&limit) {
            given.wrong("limit", not_up_to(PAGE_ITEMS_MAX));
        }
        if wait_seconds > EVENT_WAIT_SECONDS_MAX {
            let allowed = format!("must be 0 to {EVENT_WAIT_SECONDS_MAX} seconds");
            given.wrong("wait", allowed);
        }
        let is_stream = accepts_event_stream(headers);
        let (mut place, mut after) = ("after", after);
        if is_stream && let Some(last) = last_event_id(headers, &mut given) {
            (place, after) = ("last-event-id", last);
        }
        let newest = request.api.engine.durable_lsn();
        // Another server of a replicated log may have told more.
        if after > newest && !request.api.is_replica() {
            let wrong = format!(
                "must be up to {newest}, the newest record: what is behind it is of another journal, or of one that was \
                 restored from a backup since"
            );
            given.wrong(place, wrong);
        }
        given.check()?;
        let (form, limit) = match is_stream {
            true => (EventForm::Stream, EVENT_PIECE_EVENTS_MAX),
            false => (EventForm::Batch, limit as usize),
        };
        let sales = sale.into_iter().collect();
        Ok(Self {
            query: EventQuery {
                after,
                limit,
                filter: EventFilter { kinds, sales },
                form,
            },
            wait_seconds,
        })
    }
}

/// Returns whether a client wants a stream: it names the type.
fn accepts_event_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    let mut ranges = accepted.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    ranges.any(|range| {
        let name = range.split(|&byte| byte == b';').next();
        let name = name.unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"text/event-stream")
    })
}

/// Returns the place of a client that comes again.
fn last_event_id(headers: &HeaderMap, given: &mut QueryEnums<'_>) -> Option<Lsn> {
    let value = headers
        .get(&LAST_EVENT_ID)
        .filter(|value| !value.is_empty())?;
    let place = value.to_str().unwrap_or("?").parse();
    match place {
        Ok(Place(lsn)) => Some(lsn),
        Err(Malformed(wrong)) => {
            given.wrong("last-event-id", wrong);
            None
        }
    }
}

impl From<FeedError> for Problem {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Unread(ReadError::Gone { oldest }) => Self::events_gone(oldest),
            FeedError::Unread(ReadError::Sale(not_loaded)) => not_loaded.into(),
            FeedError::Unread(ReadError::Journal) => Self::journal_unavailable(),
            FeedError::Overloaded => Unavailable::Overloaded.into(),
            FeedError::Draining => Self::draining(),
        }
    }
}
