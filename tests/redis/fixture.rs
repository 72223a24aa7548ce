//! A journal in memory, a Redis that follows it, and what both have to agree on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use flashsale::env::{Clock, Disk, ManualClock, SeededEntropy, SimulatedDisk, SystemClock};
use flashsale::journal::frame::FrameAlign;
use flashsale::journal::record_file::RecordFileWriter;
use flashsale::journal::segment::SegmentHeader;
use flashsale::journal::{
    self, Durability, Journal, JournalError, Opening, Options, Tools, snapshot,
};
use flashsale::reconcile::redis::{Projection, RedisOptions, RedisServers, RedisSink, read};
use flashsale::reconcile::{Follower, FollowerTools, RecordSource, SinkError, Watermark};
use flashsale::record::{Entry, Record, envelope};
use flashsale::telemetry::{SinkFigures, SinkGauge};
use flashsale::types::{Lsn, ServerAddress, Timestamp};

use crate::redis::watched::Watched;
use crate::redis_server::RedisServer;
use crate::server::{PATIENCE, wait_for};

/// The options of a server that lets anybody in.
pub fn options(server: &RedisServer) -> RedisOptions {
    at(RedisServers::Single(address(server)))
}

/// Where a server listens.
pub fn address(server: &RedisServer) -> ServerAddress {
    ServerAddress {
        host: "127.0.0.1".into(),
        port: server.port(),
    }
}

/// The options of servers that let anybody in.
pub fn at(servers: RedisServers) -> RedisOptions {
    RedisOptions {
        servers,
        user: None,
        password: None,
        db: 0,
        tls: false,
        authorities: None,
    }
}

pub fn sink(options: &RedisOptions) -> RedisSink {
    RedisSink::new(options.clone(), Arc::new(SeededEntropy::new(11)))
}

/// Runs a future to its end.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

/// A journal on a disk in memory.
pub struct Place {
    disk: SimulatedDisk,
    pub journal: Arc<Journal>,
}

impl Place {
    pub fn new() -> Self {
        let disk = SimulatedDisk::new();
        Self::on(disk.clone(), Arc::new(disk))
    }

    /// One whose followers tell `look` before they read from a snapshot.
    pub fn watched(look: impl Fn() + Send + Sync + 'static) -> Self {
        let disk = SimulatedDisk::new();
        Self::on(disk.clone(), Arc::new(Watched::new(disk, look)))
    }

    fn on(disk: SimulatedDisk, followed: Arc<dyn Disk>) -> Self {
        let opening = Opening::lock(followed, "journal".as_ref()).expect("free");
        let replayed = opening.replay(Lsn::ZERO, &mut |_| Ok(())).expect("empty");
        let tools = Tools {
            clock: Arc::new(ManualClock::at(Timestamp::from_seconds(100))),
            entropy: Arc::new(SeededEntropy::new(1)),
            fail_stop: Box::new(|error| panic!("{error}")),
        };
        let options = Options {
            durability: Durability::Fsync,
            segment_bytes: 256 * 1024,
        };
        let journal = Arc::new(opening.start(&replayed, &options, tools).expect("room"));
        Self { disk, journal }
    }

    pub fn source(&self) -> RecordSource {
        RecordSource::new(Arc::clone(&self.journal), false)
    }

    /// Folds the records up to `until` into a projection.
    pub fn fold(&self, until: Lsn) -> (Watermark, Projection) {
        let (mut watermark, mut projection) = (Watermark::ZERO, Projection::default());
        self.visit(&mut |entry| {
            if entry.lsn <= until {
                projection.apply(&entry)?;
                watermark = Watermark::at(&entry);
            }
            Ok(())
        });
        (watermark, projection)
    }

    fn visit(&self, visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>) {
        let until = Some(self.journal.durable());
        journal::replay(&self.disk, Path::new("journal"), Lsn::ZERO, until, visit).expect("intact");
    }

    /// Writes a snapshot of all there is: records that matter, in the journal's order but without
    /// checkouts. What closed comes at the snapshot's own time.
    pub fn snapshot(&self) -> Lsn {
        let lsn = self.journal.durable();
        let created_at = Timestamp::from_seconds(crate::redis::story::BEGIN_SECONDS + 100_000);
        let header = SegmentHeader {
            number: lsn.0,
            seed: 5,
            length_bytes: 0,
            created_at,
            align: FrameAlign::NARROW,
        };
        let path = snapshot::path_of(Path::new("journal"), lsn);
        let mut writer = RecordFileWriter::create(&self.disk, path, header).expect("room");
        // What was cancelled of a purchase stands before it.
        let mut cancelled: BTreeMap<_, Vec<Vec<u8>>> = BTreeMap::new();
        self.visit(&mut |entry| {
            let record = entry.record()?;
            if let Record::Cancelled { sale, secret, .. } = record {
                let mut bytes = Vec::new();
                envelope::encode(created_at, &record, &mut bytes);
                cancelled.entry((sale, secret)).or_default().push(bytes);
            }
            Ok(())
        });
        self.visit(&mut |entry| {
            let record = entry.record()?;
            if let Record::Purchase { sale, secret, .. } = record {
                for bytes in cancelled.get(&(sale, secret)).into_iter().flatten() {
                    let cancelled = Entry::whole(Lsn::ZERO, bytes)?;
                    writer.push(created_at, &cancelled.record()?)?;
                }
            }
            match record {
                Record::Checkout { .. } | Record::Refused { .. } | Record::Cancelled { .. } => {
                    Ok(())
                }
                record => writer.push(created_at, &record),
            }
        });
        writer.finish().expect("room");
        lsn
    }

    /// Removes what the snapshot at `covered` stands for.
    pub fn trim(&self, covered: Lsn) {
        let later = Timestamp::from_seconds(101);
        let removed = journal::trim(&self.disk, Path::new("journal"), covered, later);
        assert!(
            removed.expect("writable") > 0,
            "the journal is too short for this test"
        );
    }

    pub fn disk(&self) -> &dyn Disk {
        &self.disk
    }

    /// Starts to feed Redis.
    pub fn follow(&self, options: &RedisOptions) -> Following {
        let gauge = Arc::new(SinkGauge::default());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let tools = FollowerTools {
            clock: Arc::clone(&clock),
            entropy: Arc::new(SeededEntropy::new(2)),
            gauge: Arc::clone(&gauge),
        };
        let options = options.clone();
        let follower = Follower::start(move || sink(&options), self.source(), tools);
        Following {
            follower: Some(follower.expect("a thread")),
            gauge,
            clock,
        }
    }
}

/// A follower that ends with this.
pub struct Following {
    follower: Option<Follower>,
    gauge: Arc<SinkGauge>,
    clock: Arc<dyn Clock>,
}

impl Following {
    /// Returns the figures that the server would show.
    pub fn figures(&self) -> SinkFigures {
        self.gauge.figures(Lsn::ZERO, self.clock.now())
    }

    /// Waits until the reason for a failure contains `text`.
    pub fn wait_for_reason(&self, text: &str) {
        wait_for(text, || self.figures().reason.contains(text).then_some(()));
    }

    /// Waits until it has applied everything up to `lsn` and is up.
    pub fn wait_for(&self, lsn: Lsn) {
        wait_for("the follower", || {
            let figures = self.figures();
            let up = figures.reason.is_empty();
            (up && figures.applied_lsn == Some(lsn.0)).then_some(())
        });
    }

    /// The first thing that was heard of the sink.
    pub fn first_word(&self) -> Result<(), SinkError> {
        let follower = self.follower.as_ref().expect("it runs");
        follower.first_word(PATIENCE).expect("a word in time")
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the follower: {:?}", self.figures());
        }
        if let Some(follower) = self.follower.take() {
            follower.stop();
        }
    }
}

/// Waits until Redis holds exactly the fold of the journal up to `lsn`.
pub fn wait_until_equal(place: &(Watermark, Projection), options: &RedisOptions) {
    let (watermark, expected) = place;
    let found = wait_for("the watermark", || match run(read(options)) {
        // A server that fills Redis again lists sales that come behind the list.
        Ok(Some(found)) if found.watermark == *watermark && found.last() == *watermark => {
            Some(found.projection)
        }
        _ => None,
    });
    assert_eq!(expected.differences(&found, 10), Vec::<String>::new());
    let count = |projection: &Projection| projection.sales.len();
    assert_eq!(count(expected), count(&found));
}

/// Checks that the stream of events in `server`, which has a password, is the one that a Redis gets which nothing
/// happened to.
pub fn compare_events(place: &Place, last: Lsn, server: &RedisServer, password: &str) {
    let untouched = RedisServer::start_with(&[&format!("requirepass {password}")]);
    let mut options = options(&untouched);
    options.password = Some(password.into());
    place.follow(&options).wait_for(last);
    let events = |server: &RedisServer| server.command(&["XRANGE", "{flashsale}:events", "-", "+"]);
    assert_eq!(
        events(&untouched),
        events(server),
        "events are missing or twice"
    );
}
