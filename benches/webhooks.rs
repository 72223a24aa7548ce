//! The events of a journal to one endpoint on this machine: from the start of its follower to the answer to the last message. The
//! endpoint reads every message and checks that none of its events comes out of order.

mod common;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use criterion::Throughput;
use flashsale::env::{OsEntropy, RealDisk, SystemClock};
use flashsale::events::{EventFilter, EventSales, EventSource, EventWriter};
use flashsale::limits::WEBHOOK_EVENTS_MAX;
use flashsale::reconcile::webhooks::{WebhookOptions, WebhookParts, WebhookSink};
use flashsale::reconcile::{Follower, FollowerTools, RecordSource};
use flashsale::sale::Archive;
use flashsale::types::{Lsn, WebhookUrl};
use serde_json::Value;
use tempfile::TempDir;

use common::{Hall, wishes};

/// Where a file system in memory is mounted, if there is one.
const MEMORY: &str = "/dev/shm";
/// Users who bought one item each: as many events, and one of the sale. The journal has their checkouts, too, which are no events.
const USERS: u64 = 20_000;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

/// An endpoint, which tells how many events each message had.
struct Endpoint {
    addr: SocketAddr,
    messages: Receiver<usize>,
}

impl Endpoint {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let (sender, messages) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, sender) = (stream.expect("a connection"), sender.clone());
                // The end of a connection is an error like any other here.
                thread::spawn(move || receive(stream, &sender));
            }
        });
        Self { addr, messages }
    }

    /// Waits for so many events.
    fn wait_for(&self, mut events: usize) {
        while events > 0 {
            let more = self.messages.recv().expect("it listens for ever");
            assert!((1..=WEBHOOK_EVENTS_MAX).contains(&more));
            events = events.checked_sub(more).expect("none comes twice");
        }
    }
}

/// Answers the messages of one connection, whose events must come in their order.
fn receive(stream: TcpStream, told: &Sender<usize>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut last = 0;
    loop {
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line)? > 2 {
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let events: Vec<Value> = serde_json::from_slice(&body).expect("a batch of events");
        for event in &events {
            let id = event["id"].as_str().expect("an id");
            let id: u64 = id.parse().expect("a number");
            assert!(id > last, "{id} behind {last}");
            last = id;
        }
        writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        if told.send(events.len()).is_err() {
            return Ok(());
        }
    }
}

/// A journal with an endpoint that is told all of it, as often as is wanted.
struct Told {
    hall: Hall,
    archive: Arc<Archive>,
    endpoint: Endpoint,
    rounds: u64,
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
        Self {
            archive: Arc::new(archive),
            endpoint: Endpoint::start(),
            hall,
            rounds: 0,
            _dir: dir,
        }
    }

    /// Tells an endpoint that is new everything from the first record on.
    fn tell_all(&mut self) {
        self.rounds += 1;
        let journal = self.hall.engine.journal();
        let url = format!("http://{}/{}", self.endpoint.addr, self.rounds);
        let sales = EventSales::new(Arc::clone(&self.hall.engine), Arc::clone(&self.archive));
        let parts = WebhookParts {
            options: WebhookOptions {
                number: 1,
                url: WebhookUrl::parse(&url).expect("an address"),
                secrets: SECRET.into(),
                filter: EventFilter::default(),
                allows_private: true,
                authorities: None,
                begins_behind: Some(Lsn::ZERO),
            },
            writer: EventWriter::new(EventSource::passing(&OsEntropy), sales),
            disk: Arc::clone(journal.disk()),
            dir: journal.dir().to_owned(),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
        };
        let tools = FollowerTools {
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(OsEntropy),
            gauge: Arc::default(),
        };
        let source = RecordSource::new(Arc::clone(journal), false);
        let follower = Follower::start(move || WebhookSink::new(parts), source, tools);
        let follower = follower.expect("a thread");
        self.endpoint.wait_for(USERS as usize + 1);
        follower.stop();
    }
}

fn main() {
    let mut criterion = common::criterion();
    let mut told = Told::new();
    let mut group = criterion.benchmark_group("webhooks");
    group.sample_size(10);
    group.throughput(Throughput::Elements(USERS + 1));
    group.bench_function("one_endpoint", |b| b.iter(|| told.tell_all()));
    group.finish();
    // Before its directory goes.
    told.hall.engine.journal().close();
    criterion.final_summary();
}
