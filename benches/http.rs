//! A request from its head to its answer, without sockets. Pairs of requests that differ in one step
//! show what that step costs: `livez` is what every request pays, `unknown_item` adds the reading of
//! parameters, `sold_out` the engine and a problem's body, `purchase_repeated` a purchase's body.

mod common;

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput};
use flashsale::http::{Administration, Api, Payload, Peer};
use flashsale::live::Feeds;
use flashsale::operations::{FigureSources, Observer};
use flashsale::sale::Archive;
use flashsale::schedule::Rotation;
use flashsale::telemetry::TelemetryRegistry;
use flashsale::types::PaymentTerms;
use futures_util::FutureExt;
use futures_util::future::join_all;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::{Method, Request, Response};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;

use common::{Hall, in_pieces, wishes};

const ITEMS: u32 = 1_000_000;
/// Requests that wait for the disk together.
const CONCURRENT: usize = 64;

const ROTATION: Rotation = Rotation {
    interval_seconds: 3_600,
    item_count: 1,
    max_items_per_user: 10,
    hold_seconds: 0,
    payment: PaymentTerms::NONE,
    seed: 0,
};

fn peer() -> Peer {
    Peer::new(Ipv4Addr::LOCALHOST.into())
}

fn api(hall: &Hall) -> Api {
    let archive = Archive::start(Arc::clone(&hall.engine), None).expect("a thread");
    let sources = FigureSources {
        engine: Arc::clone(&hall.engine),
        archive: Arc::new(archive),
        feeds: Feeds::new(Arc::clone(&hall.engine)),
        registry: Arc::new(TelemetryRegistry::new()),
        rotation: ROTATION,
        configuration: String::new(),
        replica: None,
        started_us: 0,
    };
    Api::new(
        Arc::clone(&hall.engine),
        Arc::clone(&sources.archive),
        sources.registry.add_worker(),
        Arc::clone(&sources.feeds),
        Arc::new(Administration::new("0123456789abcdef".into(), ROTATION)),
        Observer::start(sources).expect("a thread"),
    )
}

fn request(method: Method, target: &str) -> Request<Empty<Bytes>> {
    let request = Request::builder().method(method).uri(target);
    let request = request.header("host", "sale").header("content-length", "0");
    request.body(Empty::new()).expect("a request")
}

fn checkout(user: &str, item: &str) -> Request<Empty<Bytes>> {
    request(Method::POST, &format!("/checkout?user_id={user}&id={item}"))
}

/// Requests that are answered at once, because nothing is to be made durable for them.
fn at_once(criterion: &mut Criterion) {
    let hall = Hall::new(1_000);
    let sold = hall.checkout("winner", "ITM-1-0");
    let bought = hall.engine.purchase(sold, None).lsn.expect("a record");
    hall.engine.journal().wait(bought).expect("the disk works");
    let (api, peer) = (api(&hall), peer());
    let percents = "user_id=%C3%84da%20L.&item_id=ITM-1%2D5000&quantity=1&utm=%20a%20b&sale_id=1";
    let cases = [
        ("livez", 200, request(Method::GET, "/livez")),
        ("active_sale", 200, request(Method::GET, "/sales/active")),
        (
            "items_page",
            200,
            request(Method::GET, "/sales/1/items?limit=100"),
        ),
        (
            "path_unknown",
            404,
            request(Method::GET, "/sales/1/items/1"),
        ),
        ("unknown_item", 404, checkout("user-0000001", "ITM-1-5000")),
        (
            "unknown_item_escaped",
            404,
            request(Method::POST, &format!("/api/v1/checkout?{percents}")),
        ),
        ("sold_out", 409, checkout("user-0000001", "ITM-1-0")),
        (
            "purchase_repeated",
            409,
            request(Method::POST, &format!("/purchase?code={sold}")),
        ),
    ];
    let mut group = criterion.benchmark_group("http/at_once");
    for (name, status, asked) in cases {
        let answer = |request| -> Response<Payload> {
            let answer = api.handle(request, &peer).now_or_never();
            answer.expect("it waits for nothing")
        };
        assert_eq!(answer(asked.clone()).status(), status, "{name}");
        group.bench_function(name, |b| {
            b.iter_batched(|| asked.clone(), answer, BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// Checkouts and purchases that wait for a disk that is always ready, some at a time. The cost of
/// one, with its share of the commits.
fn durable(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("http/durable");
    group.throughput(Throughput::Elements(1));
    group.bench_function("checkout", |b| {
        b.iter_custom(|iterations| {
            in_pieces(iterations, |count| {
                let hall = Hall::new(ITEMS);
                let wishes = wishes(0..count);
                let requests = wishes.iter().map(|(user, item)| checkout(user, item));
                answer_all(&hall, requests.collect())
            })
        });
    });
    group.bench_function("purchase", |b| {
        b.iter_custom(|iterations| {
            in_pieces(iterations, |count| {
                let hall = Hall::new(ITEMS);
                let codes: Vec<_> = wishes(0..count)
                    .iter()
                    .map(|(user, item)| hall.checkout(user, item))
                    .collect();
                let purchase = |code| request(Method::POST, &format!("/purchase?code={code}"));
                answer_all(&hall, codes.into_iter().map(purchase).collect())
            })
        });
    });
    group.finish();
}

/// Has all requests answered, with 200; how long that took.
fn answer_all(hall: &Hall, requests: Vec<Request<Empty<Bytes>>>) -> Duration {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .expect("a runtime");
    runtime.block_on(async {
        let api = Rc::new(api(hall));
        let driven = Rc::clone(&api);
        let driver = spawn_local(async move { driven.drive().await });
        let (mut requests, peer) = (requests.into_iter(), peer());
        let started = Instant::now();
        loop {
            let together: Vec<_> = requests.by_ref().take(CONCURRENT).collect();
            if together.is_empty() {
                break;
            }
            let handle = |request| api.handle(request, &peer);
            let answers = join_all(together.into_iter().map(handle)).await;
            assert!(answers.iter().all(|answer| answer.status() == 200));
        }
        let time = started.elapsed();
        driver.abort();
        time
    })
}

fn main() {
    let mut criterion = common::criterion();
    at_once(&mut criterion);
    durable(&mut criterion);
    criterion.final_summary();
}
