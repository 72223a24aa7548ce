//! Requests, as they are when hyper has read their head: the path, the parameters of query and body, and what an
//! administrator wants to sell.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use flashsale::env::{Clock, ManualClock, OsEntropy, SimulatedDisk};
use flashsale::http::{Administration, Api, Peer};
use flashsale::journal::{Durability, Journal, Opening, Options, Tools};
use flashsale::live::Feeds;
use flashsale::operations::{FigureSources, Observer};
use flashsale::sale::{Archive, Engine, EngineOptions, Recovered};
use flashsale::schedule::Rotation;
use flashsale::telemetry::TelemetryRegistry;
use flashsale::types::{PaymentTerms, Timestamp};
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

/// Requests that one server answers, so that what they leave behind does not fill the memory.
const REQUESTS_MAX: u32 = 64;

const ROTATION: Rotation = Rotation {
    interval_seconds: 3_600,
    item_count: 8,
    max_items_per_user: 3,
    hold_seconds: 0,
    payment: PaymentTerms::NONE,
    seed: 0,
};

/// A server without sockets, and how much it has answered.
struct Server {
    runtime: LocalRuntime,
    api: Rc<Api>,
    journal: Arc<Journal>,
    answered: u32,
}

/// Answers the request that `bytes` describe: `METHOD TARGET`, headers and a body, as HTTP has them, but with plain
/// line feeds. Whatever it is, nothing goes wrong on the server's side.
pub fn take(bytes: &[u8]) {
    thread_local! {
        static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
    }
    let Some(request) = request(bytes) else {
        return;
    };
    SERVER.with_borrow_mut(|slot| {
        let server = slot.get_or_insert_with(Server::new);
        server.answer(request);
        if server.answered >= REQUESTS_MAX {
            *slot = None;
        }
    });
}

fn request(bytes: &[u8]) -> Option<Request<Full<Bytes>>> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (bytes, &[][..]),
    };
    let mut lines = head.split(|&byte| byte == b'\n');
    let first = lines.next()?;
    let space = first.iter().position(|&byte| byte == b' ')?;
    let mut request = Request::builder()
        .method(&first[..space])
        .uri(&first[space + 1..]);
    for line in lines {
        let colon = line.iter().position(|&byte| byte == b':')?;
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    let body = Full::new(Bytes::copy_from_slice(body));
    request.body(body).ok()
}

impl Server {
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_seconds(3_700)));
        let opening = Opening::lock(Arc::new(SimulatedDisk::new()), Path::new("/journal"));
        let opening = opening.expect("an empty disk");
        let recovered = Recovered::from_journal(&opening).expect("an empty journal");
        let options = Options {
            durability: Durability::Fsync,
            segment_bytes: 4 << 20,
        };
        let tools = Tools {
            clock: Arc::clone(&clock),
            entropy: Arc::new(OsEntropy),
            fail_stop: Box::new(|error| panic!("{error}")),
        };
        let journal = opening.start(&recovered.replayed, &options, tools);
        let journal = Arc::new(journal.expect("the disk works"));
        let engine = Arc::new(Engine::new(
            recovered.state,
            Arc::clone(&journal),
            clock,
            Arc::new(OsEntropy),
            EngineOptions::default(),
        ));
        ROTATION.run(&engine).expect("the first sale");
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .expect("a runtime");
        let api = runtime.block_on(async { Rc::new(api(&engine)) });
        let driven = Rc::clone(&api);
        runtime.spawn_local(async move { driven.drive().await });
        Self {
            runtime,
            api,
            journal,
            answered: 0,
        }
    }

    fn answer(&mut self, request: Request<Full<Bytes>>) {
        self.answered += 1;
        let peer = Peer::new(Ipv4Addr::LOCALHOST.into());
        let api = &self.api;
        let (status, body) = self.runtime.block_on(async {
            let response = api.handle(request, &peer).await;
            let status = response.status();
            let is_json = response.headers()["content-type"] == "application/json";
            let mut body = response.into_body();
            // Streams have no end.
            let whole = is_json && body.take_pieces().is_none();
            let body = match whole {
                true => Some(body.collect().await.expect("it cannot fail").to_bytes()),
                false => None,
            };
            (status, body)
        });
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(body) = body.filter(|body| !body.is_empty()) {
            let json: Result<serde_json::Value, _> = serde_json::from_slice(&body);
            assert!(json.is_ok(), "{body:?}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.journal.close();
    }
}

fn api(engine: &Arc<Engine>) -> Api {
    let archive = Archive::start(Arc::clone(engine), None).expect("a thread");
    let sources = FigureSources {
        engine: Arc::clone(engine),
        archive: Arc::new(archive),
        feeds: Feeds::new(Arc::clone(engine)),
        registry: Arc::new(TelemetryRegistry::new()),
        rotation: ROTATION,
        configuration: String::new(),
        replica: None,
        started_us: 0,
    };
    Api::new(
        Arc::clone(engine),
        Arc::clone(&sources.archive),
        sources.registry.add_worker(),
        Arc::clone(&sources.feeds),
        Arc::new(Administration::new("0123456789abcdef".into(), ROTATION)),
        Observer::start(sources).expect("a thread"),
    )
}
