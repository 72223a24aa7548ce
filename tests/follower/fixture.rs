//! A journal on a simulated disk, a fake sink, and a follower between them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flashsale::env::{Clock, SeededEntropy, SimulatedDisk, SystemClock};
use flashsale::journal::{Durability, Journal, Opening, Options, Tools};
use flashsale::reconcile::{Follower, FollowerTools, RecordSource};
use flashsale::record::Record;
use flashsale::telemetry::{SinkFigures, SinkGauge};
use flashsale::types::{Lsn, SaleId, Timestamp};

use crate::follower::fake::Fake;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub disk: SimulatedDisk,
    pub journal: Arc<Journal>,
    pub fake: Fake,
    pub gauge: Arc<SinkGauge>,
    clock: Arc<dyn Clock>,
}

/// Polls until `look` is true.
pub fn wait_until(what: &str, mut look: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !look() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn dir() -> &'static Path {
    Path::new("/journal")
}

impl World {
    pub fn new() -> Self {
        Self::on(SimulatedDisk::new())
    }

    pub fn on(disk: SimulatedDisk) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let opening = Opening::lock(Arc::new(disk.clone()), dir()).expect("free");
        let replayed = opening.replay(Lsn::ZERO, &mut |_| Ok(())).expect("intact");
        let tools = Tools {
            clock: Arc::clone(&clock),
            entropy: Arc::new(SeededEntropy::new(1)),
            fail_stop: Box::new(|error| panic!("{error}")),
        };
        let options = Options {
            durability: Durability::Fsync,
            segment_bytes: 64 * 1024,
        };
        let journal = opening.start(&replayed, &options, tools).expect("room");
        Self {
            disk,
            journal: Arc::new(journal),
            fake: Fake::default(),
            gauge: Arc::default(),
            clock,
        }
    }

    /// Appends `count` records, whose times are `salt` and more, and waits until they are durable.
    pub fn append(&self, count: u64, salt: i64) {
        let record = Record::SaleClosed { sale: SaleId(1) };
        let mut last = Lsn::ZERO;
        for number in 0..count {
            last = self
                .journal
                .append(Timestamp(salt + number as i64), &record);
            if number % 50 == 49 {
                self.journal.wait(last).expect("the disk works");
            }
        }
        self.journal.wait(last).expect("the disk works");
    }

    pub fn follow(&self) -> Follower {
        let fake = self.fake.clone();
        let source = RecordSource::new(Arc::clone(&self.journal), true);
        let tools = FollowerTools {
            clock: Arc::clone(&self.clock),
            entropy: Arc::new(SeededEntropy::new(5)),
            gauge: Arc::clone(&self.gauge),
        };
        Follower::start(move || fake, source, tools).expect("a thread")
    }

    pub fn figures(&self) -> SinkFigures {
        self.gauge.figures(self.journal.durable(), self.clock.now())
    }

    /// Waits until the sink has all records, and checks that it has each once, in order.
    pub fn wait_for_equality(&self) {
        let durable = self.journal.durable();
        wait_until("the sink to catch up", || {
            self.fake.content(|content| content.watermark.lsn) == durable
        });
        let records = self.fake.content(|content| content.records.clone());
        assert_eq!(records, (1..=durable.0).collect::<Vec<_>>());
    }
}
