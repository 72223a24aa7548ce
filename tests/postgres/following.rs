//! A follower between a real journal and a real Postgres.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use flashsale::env::{ManualClock, OsEntropy, SeededEntropy, SimulatedDisk, SystemClock};
use flashsale::journal::{self, Durability, Journal, Opening, Options, Tools, trim};
use flashsale::reconcile::postgres::{PostgresOptions, PostgresSink};
use flashsale::reconcile::{Follower, FollowerTools, RecordSource, SinkError};
use flashsale::record::{Lines, Record};
use flashsale::telemetry::SinkGauge;
use flashsale::types::{ItemIndex, Lsn, PurchasedLine, SaleId, Timestamp};

use crate::postgres::driver::{generated, options};
use crate::postgres_server::{DATABASE, Postgres};
use crate::proxy::{AtCommit, Proxy};

const PATIENCE: Duration = Duration::from_secs(60);
const DIR: &str = "journal";

fn open(disk: &SimulatedDisk, seed: u64) -> Arc<Journal> {
    let opening = Opening::lock(Arc::new(disk.clone()), Path::new(DIR)).expect("free");
    let replayed = opening.replay(Lsn::ZERO, &mut |_| Ok(())).expect("intact");
    let tools = Tools {
        clock: Arc::new(ManualClock::at(Timestamp::from_seconds(100))),
        entropy: Arc::new(SeededEntropy::new(seed)),
        fail_stop: Box::new(|error| panic!("{error}")),
    };
    let options = Options {
        durability: Durability::Fsync,
        segment_bytes: 64 * 1024,
    };
    Arc::new(opening.start(&replayed, &options, tools).expect("room"))
}

struct Following {
    follower: Follower,
    gauge: Arc<SinkGauge>,
}

fn follow(journal: &Arc<Journal>, options: PostgresOptions) -> Following {
    let gauge = Arc::new(SinkGauge::default());
    let tools = FollowerTools {
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy),
        gauge: Arc::clone(&gauge),
    };
    let source = RecordSource::new(Arc::clone(journal), false);
    let follower = Follower::start(move || PostgresSink::new(options), source, tools);
    Following {
        follower: follower.expect("a thread"),
        gauge,
    }
}

impl Following {
    fn catch_up(&self, journal: &Journal) {
        let deadline = Instant::now() + PATIENCE;
        while self.follower.applied().get() < journal.durable() {
            let figures = self.figures(journal);
            assert!(Instant::now() < deadline, "still behind: {figures}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn figures(&self, journal: &Journal) -> String {
        let figures = self.gauge.figures(journal.durable(), Timestamp(0));
        format!("{figures:?}")
    }

    fn refusal(&self) -> String {
        match self.follower.first_word(PATIENCE).expect("a word") {
            Err(SinkError::Refused(why) | SinkError::Diverged(why) | SinkError::Behind(why)) => why,
            other => panic!("{other:?}"),
        }
    }
}

/// Sells the `count` items of sale 1 from `first` on, in checkouts of their own.
fn sell(journal: &Journal, first: u32, count: u32) {
    for item in first..first + count {
        let secret = u128::from(item);
        let user = &format!("user-{item}");
        let checkout = Record::Checkout {
            sale: SaleId(1),
            secret,
            user,
            item: ItemIndex(item),
            quantity: 1,
            hold_until: None,
            opens: true,
            key: None,
        };
        journal.append(Timestamp(1), &checkout);
        let line = PurchasedLine {
            item: ItemIndex(item),
            quantity: 1,
            sold: true,
        };
        let purchase = Record::Purchase {
            sale: SaleId(1),
            secret,
            user,
            key: None,
            payment_ref: None,
            lines: Lines::Slice(&[line]),
        };
        let lsn = journal.append(Timestamp(2), &purchase);
        // The segments are small, and what is pending must fit into one.
        if item % 100 == 99 || item == first + count - 1 {
            journal.wait(lsn).expect("the disk works");
        }
    }
}

fn sold(postgres: &Postgres) -> String {
    let sold = "SELECT count(*), count(DISTINCT item_index) FROM purchase_results WHERE sold";
    postgres.query(DATABASE, sold)
}

#[test]
fn the_database_follows_through_every_outage() {
    let mut postgres = Postgres::start();
    let proxy = Proxy::start(postgres.port());
    let disk = SimulatedDisk::new();
    let journal = open(&disk, 1);
    let mut options = options(&postgres);
    options.port = proxy.port();
    let following = follow(&journal, options.clone());
    journal.append(Timestamp(0), &generated(1, 10_000));
    sell(&journal, 0, 1000);
    following.catch_up(&journal);
    assert_eq!(sold(&postgres), "1000|1000");

    proxy.at_commit(AtCommit::LoseAnswer);
    sell(&journal, 1000, 1000);
    following.catch_up(&journal);
    assert_eq!(proxy.commits_lost(), 1);
    proxy.at_commit(AtCommit::Lose);
    sell(&journal, 2000, 1000);
    following.catch_up(&journal);
    assert_eq!(proxy.commits_lost(), 2);
    assert_eq!(sold(&postgres), "3000|3000");

    postgres.kill_9();
    sell(&journal, 3000, 1000);
    postgres.restart();
    sell(&journal, 4000, 1000);
    following.catch_up(&journal);
    assert_eq!(sold(&postgres), "5000|5000");

    // Another start finds its place by itself.
    following.follower.stop();
    sell(&journal, 5000, 1000);
    let following = follow(&journal, options);
    following.catch_up(&journal);
    assert_eq!(sold(&postgres), "6000|6000");
    assert_eq!(
        postgres.query(DATABASE, "SELECT count(*) FROM violations"),
        "0"
    );
    following.follower.stop();
}

#[test]
fn two_followers_apply_each_record_once() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let disk = SimulatedDisk::new();
    let journal = open(&disk, 1);
    let both = [(); 2].map(|()| follow(&journal, options(&postgres)));
    journal.append(Timestamp(0), &generated(1, 10_000));
    for first in (0..5000).step_by(100) {
        sell(&journal, first, 100);
    }
    for following in &both {
        following.catch_up(&journal);
    }
    assert_eq!(sold(&postgres), "5000|5000");
    for following in both {
        following.follower.stop();
    }
}

#[test]
fn a_watermark_that_somebody_moves_is_noticed() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let disk = SimulatedDisk::new();
    let journal = open(&disk, 1);
    journal.append(Timestamp(0), &generated(1, 100));
    sell(&journal, 0, 10);
    let following = follow(&journal, options(&postgres));
    following.catch_up(&journal);
    following.follower.stop();

    postgres.query(DATABASE, "UPDATE watermark SET lsn = lsn + 100");
    let why = follow(&journal, options(&postgres)).refusal();
    assert!(why.contains("but the journal ends at 21"), "{why}");
    postgres.query(DATABASE, "UPDATE watermark SET lsn = lsn - 101");
    let why = follow(&journal, options(&postgres)).refusal();
    assert!(
        why.contains("its record 20 is not the one of this journal"),
        "{why}"
    );
}

#[test]
fn a_journal_without_its_beginning_cannot_fill_a_database() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let disk = SimulatedDisk::new();
    let journal = open(&disk, 1);
    journal.append(Timestamp(0), &generated(1, 10_000));
    sell(&journal, 0, 10);
    let following = follow(&journal, options(&postgres));
    following.catch_up(&journal);
    following.follower.stop();
    for first in (10..4010).step_by(100) {
        sell(&journal, first, 100);
    }
    let last = journal.durable();
    trim(&disk, Path::new(DIR), last, Timestamp::from_seconds(1000)).expect("a disk");

    let why = follow(&journal, options(&postgres)).refusal();
    let first = journal::first_lsn(&disk, Path::new(DIR)).expect("readable");
    let first = first.expect("not empty");
    // One that ends just before it is refused, too: it has no record by which to know the journal.
    let wanted = format!("restore a newer backup of the database, one that holds record {first}");
    assert!(why.contains(&wanted), "{why}");
    postgres.create_database("empty");
    let mut empty = options(&postgres);
    empty.dbname = "empty".into();
    let why = follow(&journal, empty).refusal();
    assert!(
        why.starts_with("the database is empty, but the journal begins at"),
        "{why}"
    );
}
