//! The events of a journal to one reader: all pages of it one after the other, and one stream. From the request of the reader to
//! what is written to its connection.

mod common;

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;

use criterion::Throughput;
use flashsale::env::{OsEntropy, RealDisk, SystemClock};
use flashsale::events::{
    EventFeed, EventFilter, EventForm, EventQuery, EventReader, EventSales, EventSource,
    EventWriter,
};
use flashsale::limits::PAGE_ITEMS_MAX;
use flashsale::sale::Archive;
use flashsale::telemetry::EventGauge;
use flashsale::types::Lsn;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use common::{Hall, wishes};

/// Where a file system in memory is mounted, if there is one.
const MEMORY: &str = "/dev/shm";
/// Users who bought one item each. Besides their purchases the journal has their checkouts, which are no events.
const USERS: u64 = 200_000;

/// A journal with its feed.
struct Told {
    hall: Hall,
    feed: EventFeed,
    _dir: TempDir,
}

impl Told {
    fn new() -> Self {
        let root = match Path::new(MEMORY).is_dir() {
            true => MEMORY,
            false => env!("CARGO_TARGET_TMPDIR"),
        };
        let dir = TempDir::new_in(root).expect("a directory");
        let hall = Hall::on_disk(Arc::new(RealDisk), dir.path(), USERS as u32);
        for (user, item) in wishes(0..USERS) {
            hall.purchase(hall.checkout(&user, &item));
        }
        hall.engine.flush().expect("the disk works");
        let archive = Archive::start(Arc::clone(&hall.engine), None).expect("a thread");
        let sales = EventSales::new(Arc::clone(&hall.engine), Arc::new(archive));
        let writer = EventWriter::new(EventSource::passing(&OsEntropy), sales);
        let reader = EventReader::new(Arc::clone(hall.engine.journal()), writer, false);
        let clock = Arc::new(SystemClock::new());
        let feed = EventFeed::start(reader, clock, Arc::<EventGauge>::default());
        Self {
            hall,
            feed: feed.expect("a thread"),
            _dir: dir,
        }
    }

    async fn read_pages(&self) {
        let (mut after, mut events) = (Lsn::ZERO, 0);
        loop {
            let query = EventQuery {
                after,
                limit: PAGE_ITEMS_MAX as usize,
                filter: EventFilter::default(),
                form: EventForm::Batch,
            };
            let page = self.feed.page(query, 0).await.expect("readable");
            if page.last == after {
                break;
            }
            (after, events) = (page.last, events + page.events as u64);
        }
        assert_eq!(events, USERS + 1);
    }

    async fn read_stream(&self) {
        let last = format!("id: {}\n", self.hall.engine.durable_lsn());
        let subscribed = self
            .feed
            .subscribe(Lsn::ZERO, EventFilter::default(), "\n".into());
        let mut stream = subscribed.expect("room");
        loop {
            let piece = poll_fn(|cx| stream.poll_next(cx)).await.expect("more");
            let tail = piece.len().saturating_sub(1024);
            if String::from_utf8_lossy(&piece[tail..]).contains(&last) {
                return;
            }
        }
    }
}

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().build();
    runtime.expect("a runtime")
}

fn main() {
    let mut criterion = common::criterion();
    let (told, runtime) = (Told::new(), runtime());
    let mut group = criterion.benchmark_group("events");
    group.sample_size(10);
    group.throughput(Throughput::Elements(USERS + 1));
    group.bench_function("pages", |b| b.iter(|| runtime.block_on(told.read_pages())));
    group.bench_function("stream", |b| {
        b.iter(|| runtime.block_on(told.read_stream()))
    });
    group.finish();
    told.feed.stop();
    // Before its directory goes.
    told.hall.engine.journal().close();
    criterion.final_summary();
}
