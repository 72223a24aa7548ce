//! Nothing is applied twice, by whomever, and nothing impossible is accepted.

use flashsale::reconcile::{SinkError, Watermark};
use flashsale::record::Record;

use crate::postgres::driver::{self, Driver, checkout, generated, options};
use crate::postgres_server::{DATABASE, Postgres};

fn purchase(secret: u128, item: u32) -> Record<'static> {
    driver::purchase(1, secret, &[driver::line(item, 1, true)])
}

#[test]
fn a_second_writer_is_fenced() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let mut first = Driver::open(options(&postgres));
    let mut second = Driver::open(options(&postgres));
    first.apply(&[generated(1, 3)]).expect("it is first");
    let moved = second.apply(&[generated(1, 3)]);
    assert!(matches!(moved, Err(SinkError::Moved)), "{moved:?}");
    // Its connection is as good as before, and it learns what the other has made.
    let found = second.ask().expect("a database");
    assert_eq!(found, first.watermark);
    second.watermark = found;
    let next = [checkout(1, 7, 0, 1), purchase(7, 0)];
    second.apply(&next).expect("it knows where to go on");
    let moved = first.apply(&next);
    assert!(matches!(moved, Err(SinkError::Moved)), "{moved:?}");
    let single = "SELECT count(*), bool_and(is_single) FROM purchase_results";
    assert_eq!(postgres.query(DATABASE, single), "1|t");
}

#[test]
fn a_second_writer_waits_for_the_first() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let mut driver = Driver::open(options(&postgres));
    driver.apply(&[generated(1, 3)]).expect("a database");
    // Somebody has the row and has not said what becomes of it.
    let holding = std::thread::scope(|scope| {
        let hold = scope.spawn(|| {
            postgres.query(
                DATABASE,
                "BEGIN; UPDATE watermark SET lsn = lsn + 1; SELECT pg_sleep(1); COMMIT",
            )
        });
        let held = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        while postgres.query(DATABASE, held) == "0" {}
        let moved = driver.apply(&[checkout(1, 7, 0, 1)]);
        hold.join().expect("no panic");
        moved
    });
    assert!(matches!(holding, Err(SinkError::Moved)), "{holding:?}");
}

#[test]
fn rows_behind_the_watermark_are_refused() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let mut driver = Driver::open(options(&postgres));
    driver.apply(&[generated(1, 3)]).expect("a database");
    postgres.query(DATABASE, "UPDATE watermark SET lsn = 0, fingerprint = 0");
    driver.watermark = driver.ask().expect("a database");
    assert_eq!(driver.watermark, Watermark::ZERO);
    let refused = driver.apply(&[generated(1, 3)]);
    let refused = refused.expect_err("the rows are there");
    assert!(refused.lasts(), "{refused:?}");
    let why = refused.shown();
    assert!(
        why.contains("already holds rows behind its watermark"),
        "{why}"
    );
    assert!(why.contains("flashsale verify"), "{why}");
    // The connection was given up, and a new one finds what was there before.
    driver.reopen().expect("a database");
    assert_eq!(driver.watermark, Watermark::ZERO);
}

#[test]
fn a_purchase_in_an_unknown_sale_is_refused() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let mut driver = Driver::open(options(&postgres));
    driver.apply(&[generated(1, 3)]).expect("a database");
    postgres.query(DATABASE, "DELETE FROM sales");
    driver.reopen().expect("a database");
    let refused = driver.apply(&[purchase(7, 0)]);
    let refused = refused.expect_err("there is no such sale");
    assert!(refused.lasts(), "{refused:?}");
}

#[test]
fn a_lost_watermark_is_refused() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let mut driver = Driver::open(options(&postgres));
    postgres.query(DATABASE, "DELETE FROM watermark");
    let refused = driver.reopen();
    assert!(matches!(refused, Err(SinkError::Refused(_))), "{refused:?}");
    postgres.query(DATABASE, "DROP TABLE watermark");
    let refused = driver.reopen().expect_err("no table");
    assert!(refused.to_string().contains("migrate status"), "{refused}");
}

#[test]
fn the_schema_itself_refuses_what_can_never_be() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let mut driver = Driver::open(options(&postgres));
    let records = [generated(1, 3), checkout(1, 7, 0, 1), purchase(7, 0)];
    driver.apply(&records).expect("a database");
    let impossible = [
        (
            "INSERT INTO purchase_results VALUES (1, gen_random_uuid(), 0, 0, 1, true, true)",
            "duplicate key",
        ),
        (
            "INSERT INTO purchase_results VALUES (1, gen_random_uuid(), 0, 1, 2, true, true)",
            "check constraint",
        ),
        (
            "INSERT INTO purchases SELECT * FROM purchases",
            "duplicate key",
        ),
        ("INSERT INTO pools VALUES (1, 0, 5, 6)", "never_oversold"),
        ("INSERT INTO watermark VALUES (true, 1, 1)", "duplicate key"),
        (
            "INSERT INTO watermark VALUES (false, 1, 1)",
            "check constraint",
        ),
        ("UPDATE sales SET closed_at = now()", "check constraint"),
    ];
    for (sql, why) in impossible {
        let error = postgres.try_query(DATABASE, sql).expect_err(sql);
        assert!(error.contains(why), "{sql}: {error}");
    }
}
