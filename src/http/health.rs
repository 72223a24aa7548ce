//! What operators and their load balancers ask: `/health`, `/livez` and `/readyz`.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use super::Api;
use super::answer::{Answer, JSON, TEXT};
use super::problem::{Format, Problem};
use crate::env::ProcessMemory;
use crate::sale::JournalStatus;
use crate::schedule::feed::FeedFigures;
use crate::telemetry::{LatencySummary, SinkFigures, SinkStatus};

/// The body of `/health`. The first four keys are fixed by clients that exist.
#[derive(Serialize)]
struct Health {
    services_status: ServicesStatus,
    uptime: String,
    memory: Memory,
    tasks: u64,
    latency: Latency,
    stock: BTreeMap<String, Stock>,
    sales: Sales,
    journal: JournalStatus,
    reconcile: Reconcile,
    stream: Stream,
}

/// Those who watch a sale, and what that costs.
#[derive(Serialize)]
struct Stream {
    viewers: u64,
    #[serde(flatten)]
    figures: FeedFigures,
}

#[derive(Serialize)]
struct Reconcile {
    database: SinkFigures,
    redis: SinkFigures,
}

#[derive(Serialize)]
struct ServicesStatus {
    app: SinkStatus,
    database: SinkStatus,
    redis: SinkStatus,
}

/// In bytes. `alloc` is in RAM, `total_alloc` all writable pages, `sys` the address space;
/// nothing collects garbage.
#[derive(Serialize)]
struct Memory {
    alloc: u64,
    total_alloc: u64,
    sys: u64,
    num_gc: u32,
}

#[derive(Serialize)]
struct Latency {
    unit: &'static str,
    #[serde(flatten)]
    routes: BTreeMap<&'static str, BTreeMap<&'static str, LatencySummary>>,
}

/// How many sales are where.
#[derive(Serialize)]
struct Sales {
    in_memory: usize,
    archived: usize,
    /// Archived sales that were loaded and are kept for the next who asks.
    loaded: usize,
}

#[derive(Serialize)]
struct Stock {
    total: u64,
    sold: u64,
    held: u64,
    free: u64,
}

/// Everything at a glance.
pub(super) fn health(api: &Api) -> Result<Answer, Problem> {
    let (memory, connections) = (ProcessMemory::read(), api.registry.connections());
    // Looked at once, so that no part of the answer contradicts another.
    let reconcile = reconcile(api);
    let health = Health {
        services_status: ServicesStatus {
            app: SinkStatus::Up,
            database: reconcile.database.status,
            redis: reconcile.redis.status,
        },
        uptime: go_duration(uptime_seconds(api)),
        memory: Memory {
            alloc: memory.resident_bytes,
            total_alloc: memory.data_bytes,
            sys: memory.virtual_bytes,
            num_gc: 0,
        },
        tasks: connections.open + api.registry.worker_count() as u64,
        latency: latency(api),
        stock: stock(api),
        sales: Sales {
            in_memory: api.engine.sales().len(),
            archived: api.engine.ended().count(),
            loaded: api.archive.kept(),
        },
        // Behind the stock: what was sold there has its number in here.
        journal: api.engine.journal().status(),
        reconcile,
        stream: Stream {
            viewers: api.registry.viewers(),
            figures: api.audience.feed_figures(),
        },
    };
    let body = serde_json::to_vec(&health).map_err(|_| Problem::internal())?;
    Ok(fresh(Answer::shown(JSON, body)))
}

fn reconcile(api: &Api) -> Reconcile {
    let sinks = api.registry.sinks();
    let (durable, now) = (api.engine.journal().durable(), api.engine.clock().now());
    Reconcile {
        database: sinks.database.figures(durable, now),
        redis: sinks.redis.figures(durable, now),
    }
}

fn latency(api: &Api) -> Latency {
    let mut routes: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (route, outcome, summary) in api.registry.latency().summaries() {
        routes
            .entry(route.as_str())
            .or_default()
            .insert(outcome.as_str(), summary);
    }
    Latency { unit: "us", routes }
}

/// The units of every sale that is not closed, by the sale's id.
fn stock(api: &Api) -> BTreeMap<String, Stock> {
    let sales = api.engine.open_sales().into_iter();
    sales
        .map(|sale| {
            let figures = sale.figures();
            let stock = Stock {
                total: figures.total,
                sold: figures.sold,
                held: figures.held,
                free: figures.free(),
            };
            (sale.id().to_string(), stock)
        })
        .collect()
}

/// The process turns over, or nobody would answer.
pub(super) fn livez() -> Answer {
    fresh(Answer::shown(TEXT, "ok\n"))
}

/// Whether requests should be sent here. With `?verbose` every condition is listed.
pub(super) fn readyz(api: &Api, query: Option<&str>) -> Result<Answer, Problem> {
    // Nothing is served before recovery has ended.
    let (writable, draining) = (api.engine.journal().is_writable(), api.engine.is_draining());
    let conditions = [
        ("recovered", true),
        ("journal writable", writable),
        ("not draining", !draining),
    ];
    let verbose = query.is_some_and(|query| query.split('&').any(|pair| pair == "verbose"));
    let text = if verbose {
        conditions
            .map(|(name, holds)| format!("[{}]{name}\n", if holds { '+' } else { '-' }))
            .concat()
    } else {
        "ready\n".to_owned()
    };
    let problem = if draining {
        Problem::draining()
    } else if !writable {
        Problem::journal_unavailable()
    } else {
        return Ok(fresh(Answer::shown(TEXT, text)));
    };
    if !verbose {
        return Err(problem);
    }
    let mut answer = problem.into_answer(Format::Plain);
    answer.response.headers_mut().insert(CONTENT_TYPE, TEXT);
    *answer.response.body_mut() = Bytes::from(text).into();
    Ok(fresh(answer))
}

/// What was true a moment ago need not be true now.
fn fresh(mut answer: Answer) -> Answer {
    let headers = answer.response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Whole seconds since the start.
pub(super) fn uptime_seconds(api: &Api) -> u64 {
    api.engine
        .clock()
        .monotonic_us()
        .saturating_sub(api.started_us)
        / 1_000_000
}

/// A duration as Go prints it.
fn go_duration(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_look_like_go() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (3599, "59m59s"),
            (3600, "1h0m0s"),
            (3723, "1h2m3s"),
            (360_000, "100h0m0s"),
        ] {
            assert_eq!(go_duration(seconds), expected);
        }
    }

    #[test]
    fn the_unit_stands_before_the_routes() {
        let latency = Latency {
            unit: "us",
            routes: BTreeMap::from([("checkout", BTreeMap::new())]),
        };
        let json = serde_json::to_string(&latency).expect("plain data");
        assert_eq!(json, r#"{"unit":"us","checkout":{}}"#);
    }
}
