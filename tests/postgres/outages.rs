//! Whatever is lost on the way, each record is applied once.

use std::time::Duration;

use flashsale::reconcile::SinkError;
use flashsale::record::Entry;
use flashsale::record::envelope::encode;

use crate::postgres::driver::{Driver, checkout, generated, options};
use crate::postgres_server::{DATABASE, PASSWORD, Postgres, wait_for};
use crate::proxy::{AtCommit, Proxy};

fn through(postgres: &Postgres, proxy: &Proxy) -> Driver {
    let mut options = options(postgres);
    options.port = proxy.port();
    Driver::open(options)
}

fn unavailable(result: Result<usize, SinkError>) -> String {
    match result {
        Err(SinkError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unanswered_commit_is_settled_by_the_database() {
    let postgres = Postgres::start();
    let proxy = Proxy::start(postgres.port());
    let mut driver = through(&postgres, &proxy);
    driver.apply(&[generated(1, 100)]).expect("a database");
    let losses = [
        (AtCommit::LoseAnswer, true),
        (AtCommit::Lose, false),
        (AtCommit::LoseAnswer, true),
    ];
    for (secret, (what, arrives)) in (0..).zip(losses) {
        let before = driver.watermark;
        proxy.at_commit(what);
        let records = [checkout(1, secret, 0, 1)];
        let why = unavailable(driver.apply(&records));
        assert_eq!(why, "the connection was lost");
        // It is not used again as it is.
        let why = unavailable(driver.apply(&records));
        assert_eq!(why, "not connected");
        // What has arrived may still be on its way into the log of the database.
        wait_for("the commit that has arrived", || {
            driver.reopen().expect("a database");
            (!arrives || driver.watermark != before).then_some(())
        });
        assert_eq!(driver.watermark != before, arrives);
        if !arrives {
            driver.apply(&records).expect("a database");
        }
    }
    assert_eq!(proxy.commits_lost(), 3);
    let rows = "SELECT count(*), count(DISTINCT lsn), max(lsn) FROM checkout_items";
    assert_eq!(postgres.query(DATABASE, rows), "3|3|4");
}

#[test]
fn a_dropped_batch_leaves_nothing_half_done() {
    let postgres = Postgres::start();
    let proxy = Proxy::start(postgres.port());
    let mut driver = through(&postgres, &proxy);
    driver.apply(&[generated(1, 100)]).expect("a database");
    proxy.delay(Duration::from_millis(400));
    let before = driver.watermark;
    let (runtime, sink) = (&driver.runtime, &mut driver.sink);
    let dropped = runtime.block_on(async {
        use flashsale::reconcile::{Sink, SinkBatch, Watermark};
        let mut batch = sink.batch();
        let (at, mut bytes) = (flashsale::types::Timestamp(0), Vec::new());
        encode(at, &checkout(1, 7, 0, 1), &mut bytes);
        let entry = Entry::whole(before.lsn.next(), &bytes).expect("one record");
        assert_eq!(batch.push(&entry), Ok(true));
        let apply = sink.apply(batch, before, Watermark::at(&entry));
        tokio::time::timeout(Duration::from_millis(1_400), apply).await
    });
    assert!(dropped.is_err(), "several answers take longer");
    proxy.delay(Duration::ZERO);
    driver.reopen().expect("a database");
    assert_eq!(driver.watermark, before);
    driver.apply(&[checkout(1, 7, 0, 1)]).expect("a database");
    assert_eq!(
        postgres.query(DATABASE, "SELECT count(*) FROM checkouts"),
        "1"
    );
}

#[test]
fn a_killed_server_has_what_it_confirmed() {
    let mut postgres = Postgres::start();
    let mut driver = Driver::open(options(&postgres));
    driver.apply(&[generated(1, 100)]).expect("a database");
    for secret in 0..3 {
        postgres.kill_9();
        let why = unavailable(driver.apply(&[checkout(1, secret, 0, 1)]));
        assert_eq!(why, "the connection was lost");
        let error = driver.reopen().expect_err("nobody listens");
        assert_eq!(error.to_string(), "connection refused");
        postgres.restart();
        driver.reopen().expect("a database");
        driver
            .apply(&[checkout(1, secret, 0, 1)])
            .expect("a database");
    }
    postgres.stop();
    postgres.restart();
    driver.reopen().expect("a database");
    assert_eq!(driver.watermark.lsn.0, 4);
    assert_eq!(
        postgres.query(DATABASE, "SELECT count(*) FROM checkouts"),
        "3"
    );
}

#[test]
fn a_server_that_stands_still_is_waited_for() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let mut driver = Driver::open(options(&postgres));
    driver.apply(&[generated(1, 100)]).expect("a database");
    postgres.pause();
    let (runtime, sink) = (&driver.runtime, &mut driver.sink);
    let answer = runtime.block_on(async {
        use flashsale::reconcile::Sink;
        tokio::time::timeout(Duration::from_millis(200), sink.watermark()).await
    });
    assert!(answer.is_err(), "nobody answers");
    postgres.resume();
    let found = driver.ask().expect("it goes on");
    assert_eq!(found, driver.watermark);
    driver.apply(&[checkout(1, 1, 0, 1)]).expect("a database");
}

#[test]
fn a_server_that_hangs_up_is_said_so() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let proxy = Proxy::start(postgres.port());
    let mut driver = through(&postgres, &proxy);
    proxy.refuse(true);
    proxy.cut();
    let error = driver.reopen().expect_err("it hangs up").to_string();
    assert!(
        error.starts_with("the connection was lost before there was an answer with the PostgreSQL"),
        "{error}"
    );
    proxy.refuse(false);
    driver.reopen().expect("a database");
    assert!(!postgres.log().contains(PASSWORD));
}
