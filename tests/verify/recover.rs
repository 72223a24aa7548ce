//! `flashsale recover`: the same journal once more, or none.

use std::fs;

use flashsale::record::NewItem;
use flashsale::sale::NewCatalogue;

use crate::postgres_server::{DATABASE, Postgres};
use crate::server::{Place, Server};
use crate::verify::fixture::{
    agrees, close, create, fill, follow, open_with, place, settings, verify,
};

const RECOVER: [&str; 5] = ["recover", "--from", "postgres", "--dir", "again"];

fn records(place: &Place, dir: &str) -> Vec<String> {
    let report = place.report(&["journal", "inspect", "--records", "--dir", dir]);
    let lines = report.lines().filter(|line| !line.starts_with("segment"));
    lines.map(str::to_owned).collect()
}

fn followed() -> (Postgres, Place) {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let place = place(&postgres);
    fill(&place.journal_dir());
    follow(&place.journal_dir(), &postgres);
    (postgres, place)
}

#[test]
fn a_lost_journal_comes_back_record_by_record() {
    let (postgres, place) = followed();
    let said = place.report(&RECOVER);
    let last = postgres.query(DATABASE, "SELECT lsn FROM watermark");
    let first_line = format!("again: {last} records of 6 sales written and checked");
    for part in [
        &*first_line,
        "may be sold again",
        "cannot be told from",
        "rebuild redis",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(records(&place, "journal") == records(&place, "again"));
    let said = agrees(&place, &["--dir", "again"]);
    assert!(
        said.contains(&format!("{last} records are the journal's")),
        "{said}"
    );
    assert!(!place.path().join("again.recovering").exists());

    // A server goes on with it, and the database with the server.
    let dir = place.path().join("again");
    let settings = settings(&postgres);
    let mut own: Vec<_> = settings
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    own.push(("JOURNAL_DIR", dir.to_str().expect("UTF-8")));
    let server = Server::start(&own);
    let mut client = server.client();
    let code = client.choose("new", &["ITM-3-3"]);
    client.purchase(&code).ok();
    drop(client);
    server.stop();
    follow(&dir, &postgres);
    agrees(&place, &["--dir", "again"]);
    let (code, said) = verify(&place, &["--dir", "journal"]);
    assert_eq!(code, 1, "the old journal is behind now: {said}");
    assert!(said.contains("is ahead of the journal"), "{said}");
}

/// Far more than a segment holds, in records as long as they can be.
#[test]
fn long_lists_of_items_are_no_faster_than_the_disk() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let place = place(&postgres);
    let dir = place.journal_dir();
    let ids: Vec<_> = (0..20_000).map(|item| format!("{item:0128}")).collect();
    let (name, image_url) = ("n".repeat(256), "i".repeat(1024));
    let items = ids.iter().map(|id| NewItem {
        id,
        name: &name,
        image_url: &image_url,
        stock: 1,
        max_per_user: None,
    });
    let (engine, _) = open_with(&dir, 64 << 20);
    create(&engine, NewCatalogue::Explicit(items.collect()), 0);
    close(&engine);
    follow(&dir, &postgres);
    let mut command = place.command(&RECOVER);
    let output = command.env("JOURNAL_SEGMENT_MEBIBYTES", "4").output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("again: 501 records of 1 sale"), "{said}");
}

#[test]
fn a_gap_is_named_and_nothing_is_left() {
    let (postgres, place) = followed();
    for (damage, expected) in [
        (
            "DELETE FROM checkout_items WHERE lsn IN (3, 6)",
            "2 records are missing, the first is 3: 3, 6",
        ),
        (
            "DELETE FROM refused_attempts WHERE lsn = (SELECT min(lsn) FROM refused_attempts)",
            "1 record is missing",
        ),
        (
            "UPDATE refused_attempts SET lsn = -5 WHERE lsn = (SELECT min(lsn) FROM refused_attempts)",
            "rows of no record: their number is -5, and records are numbered from 1 on",
        ),
        (
            "UPDATE watermark SET lsn = lsn + 2",
            "2 records are missing",
        ),
        (
            "UPDATE watermark SET fingerprint = 1",
            "is not the one that the watermark was set for",
        ),
        (
            "DELETE FROM checkouts WHERE lsn = 2",
            "record 2: its checkout is missing",
        ),
        (
            "UPDATE checkout_items SET item_index = 50 WHERE lsn = 2",
            "purchases what they did not choose",
        ),
        (
            "DELETE FROM cancellations WHERE restock",
            "1 record is missing",
        ),
        (
            "DELETE FROM payments WHERE line = 0",
            "a line of it is missing",
        ),
        ("TRUNCATE stock_changes", "2 records are missing"),
        ("TRUNCATE releases", "2 records are missing"),
        ("TRUNCATE purchase_results", "its results are missing"),
        (
            "UPDATE watermark SET lsn = 0, fingerprint = 0",
            "it has not followed any journal",
        ),
    ] {
        let damaged = damage.replace('\'', "''");
        let name = format!("gap_{:08x}", crc32c::crc32c(damaged.as_bytes()));
        postgres.query(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE {DATABASE}"),
        );
        postgres.query(&name, damage);
        let output = place
            .command(&RECOVER)
            .env("DB_NAME", &name)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{damage}: {said}");
        assert!(said.contains(expected), "{damage}: {expected}: {said}");
        for left in ["again", "again.recovering"] {
            assert!(!place.path().join(left).exists(), "{damage}: {left}");
        }
    }
}

#[test]
fn nothing_is_overwritten() {
    let (_postgres, place) = followed();
    let before = records(&place, "journal");
    let (code, said) = place.failure(&["recover", "--from", "postgres"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("journal is not empty"), "{said}");
    assert!(records(&place, "journal") == before);

    // An empty directory is no journal; what an attempt that was killed has left is no obstacle.
    let leftover = place.path().join("again.recovering");
    fs::create_dir(&leftover).expect("a new directory");
    fs::create_dir(place.path().join("again")).expect("a new directory");
    let segment = &place.segments()[0];
    fs::copy(segment, leftover.join(segment.file_name().expect("a name"))).expect("readable");
    place.report(&RECOVER);
    assert!(records(&place, "again") == before);
}

#[test]
fn without_a_database_there_is_nothing_to_recover_from() {
    let place = Place::new(&[]);
    let (code, said) = place.failure(&RECOVER);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no database is configured"), "{said}");
}
