//! Old segments on a standby: they go once nobody is to read them any more, and not before.

use std::path::Path;
use std::sync::Arc;

use flashsale::env::{ManualClock, OsEntropy, RealDisk};
use flashsale::journal::{Durability, Opening, Options, Tools};
use flashsale::record::{Record, RefusedReason};
use flashsale::sale::write_snapshot;
use flashsale::types::{Lsn, Timestamp};

use super::buyers::wait_until_it_sells;
use super::commands::preflight;
use super::group::place_on;
use crate::postgres_pair::PostgresPair;
use crate::postgres_server::{DATABASE, PASSWORD, Postgres, USER};
use crate::server::{Place, Server, wait_for};

/// Records of the journal that the servers begin with.
const RECORDS: u64 = 3_000;
const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");

/// Writes a journal of some segments, all of them years old, with a snapshot that stands for them.
fn write_old_journal(dir: &Path) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_500_000_000)));
    let opening = Opening::lock(Arc::new(RealDisk), dir).expect("nobody has it");
    let replayed = opening.replay(Lsn::ZERO, &mut |_| Ok(())).expect("empty");
    let options = Options {
        durability: Durability::Os,
        segment_bytes: 256 * 1024,
    };
    let tools = Tools {
        clock: clock.clone(),
        entropy: Arc::new(OsEntropy),
        fail_stop: Box::new(|error| panic!("{error}")),
    };
    let journal = opening.start(&replayed, &options, tools).expect("room");
    let refused = Record::Refused {
        sale: None,
        user: &"u".repeat(128),
        item: &"i".repeat(128),
        reason: RefusedReason::ItemNotFound,
    };
    for _ in 0..RECORDS / 10 {
        let last = (0..10)
            .map(|_| journal.append(Timestamp(0), &refused))
            .last();
        journal.wait(last.expect("ten")).expect("the disk works");
    }
    let until = journal.durable();
    assert_eq!(until, Lsn(RECORDS));
    journal.close();
    drop(journal);
    write_snapshot(&RealDisk, dir, until, &*clock, &OsEntropy).expect("room");
}

/// A place with the journal that all begin with.
fn old_place(pair: &PostgresPair, sink: Option<&Postgres>) -> Place {
    let mut place = place_on(&pair.hosts());
    place.set("JOURNAL_RETAIN_HOURS", "1");
    if let Some(sink) = sink {
        let port = sink.port().to_string();
        for (key, value) in [
            ("DB_HOST", sink.host()),
            ("DB_PORT", &port),
            ("DB_USER", USER),
            ("DB_PASSWORD", PASSWORD),
            ("DB_NAME", DATABASE),
            ("DB_SSLMODE", "disable"),
            ("DB_MIGRATIONS_PATH", MIGRATIONS),
        ] {
            place.set(key, value);
        }
    }
    place
}

fn copy_journal(from: &Path, place: Place) -> Place {
    let status = std::process::Command::new("cp")
        .arg("-a")
        .args([from, &place.journal_dir()])
        .status();
    assert!(status.expect("cp runs").success());
    place
}

#[test]
fn a_standby_removes_what_its_database_has_and_nothing_else() {
    let pair = PostgresPair::start();
    let mut sink = Postgres::start_with(&["fsync=off"]);
    // Known, and away.
    sink.stop();
    let origin = tempfile::tempdir().expect("a directory");
    let journal = origin.path().join("journal");
    write_old_journal(&journal);
    let start = |sink| Server::start_in(copy_journal(&journal, old_place(&pair, sink)));
    let mut leader = start(Some(&sink));
    wait_until_it_sells(&leader);
    let (standby, without) = (start(Some(&sink)), start(None));
    let segments = |server: &Server| server.place().segments().len();
    let all = segments(&standby);
    assert!(all > 4, "{all}");

    wait_for(
        "a standby that fills no database to remove what is old",
        || (segments(&without) < all - 2).then_some(()),
    );
    // That had time enough, and the database lacks everything.
    assert!(segments(&standby) >= all, "{}", segments(&standby));
    sink.restart();
    wait_for("the other one to remove what the database has", || {
        (segments(&standby) < all - 2).then_some(())
    });
    without.wait_for_log("this server has none configured");
    let text = preflight(without.place());
    assert!(
        text.contains("warn 127.0.0.1:")
            && text.contains("fills databases or sends webhooks, and this server"),
        "{text}"
    );

    // It takes over, and the database gets the rest.
    without.stop();
    leader.kill_9();
    wait_until_it_sells(&standby);
    standby.client().choose("ann", &["ITM-1-5"]);
    let count = "SELECT count(*) FROM checkouts WHERE user_id = 'ann'";
    wait_for("the checkout in the database", || {
        let found = sink.try_query(DATABASE, count).ok()?;
        (found == "1").then_some(())
    });
    let refused = "SELECT count(*) FROM refused_attempts WHERE user_id LIKE 'uu%'";
    assert_eq!(sink.query(DATABASE, refused), RECORDS.to_string());
}
