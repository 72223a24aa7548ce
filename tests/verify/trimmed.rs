//! A journal whose beginning is gone: a snapshot stands for it, and Postgres has the records.

use flashsale::env::{OsEntropy, RealDisk, SystemClock};
use flashsale::journal;
use flashsale::record;
use flashsale::sale::{NewCatalogue, write_snapshot};
use flashsale::types::{Lsn, SaleId, Timestamp};

use crate::postgres_server::{DATABASE, Postgres};
use crate::redis_server::RedisServer;
use crate::server::Place;
use crate::verify::fixture::{
    agrees, choose, close, create, fill, follow, follow_into_redis, open, place, verify,
    verify_with,
};

/// A trimmed journal that was followed before; the first record that it still holds.
fn trimmed(place: &Place, postgres: &Postgres) -> Lsn {
    let dir = place.journal_dir();
    fill(&dir);
    let (engine, _) = open(&dir);
    let sale = create(
        &engine,
        NewCatalogue::Generated {
            item_count: 12_000,
            seed: 3,
        },
        0,
    );
    for user in 0..12_000 {
        choose(
            &engine,
            sale,
            &format!("user-{user}"),
            &format!("ITM-{sale}-{user}"),
        );
        // Now and then, so that nothing is refused as overload.
        if user % 20 == 0 {
            let last = engine.journal().append(Timestamp(0), &refused());
            engine.journal().wait(last).expect("the disk works");
        }
    }
    close(&engine);
    follow(&dir, postgres);
    let (engine, _) = open(&dir);
    let until = engine.journal().durable();
    write_snapshot(&RealDisk, &dir, until, &SystemClock::new(), &OsEntropy).expect("writable");
    let later = Timestamp::from_seconds(i64::from(u32::MAX));
    let removed = journal::trim(&RealDisk, &dir, until, later).expect("writable");
    assert!(removed > 0, "there were not enough segments");
    close(&engine);
    let first = journal::first_lsn(&RealDisk, &dir).expect("readable");
    first.expect("the last segments are kept")
}

fn refused() -> record::Record<'static> {
    record::Record::Refused {
        sale: None,
        user: "nobody",
        item: "nothing",
        reason: record::RefusedReason::ItemNotFound,
    }
}

#[test]
fn trimmed_records_are_compared_by_the_snapshot() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let place = place(&postgres);
    let first = trimmed(&place, &postgres);
    let said = agrees(&place, &[]);
    let expected = format!("the journal begins at record {first}");
    assert!(
        said.contains("lead to the state of the snapshot") && said.contains(&expected),
        "{said}"
    );

    postgres.query(
        DATABASE,
        "UPDATE checkouts SET user_id = 'eve' WHERE user_id = 'late'",
    );
    let (code, said) = verify(&place, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("user \"eve\", one of the checkouts: the records have it"),
        "{said}"
    );
    assert!(
        said.contains("user \"late\", one of the checkouts: the snapshot"),
        "{said}"
    );
    postgres.query(
        DATABASE,
        "UPDATE checkouts SET user_id = 'late' WHERE user_id = 'eve'",
    );
    agrees(&place, &[]);
}

#[test]
fn redis_is_compared_with_the_snapshot_and_what_came_after() {
    let (postgres, redis) = (Postgres::start_with(&["fsync=off"]), RedisServer::start());
    let place = place(&postgres);
    trimmed(&place, &postgres);
    // It is filled from the snapshot, and goes on from there.
    follow_into_redis(&place.journal_dir(), &redis);
    let port = redis.port().to_string();
    let redis_too = [("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", port.as_str())];
    let (code, said) = verify_with(&place, &[], &redis_too);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("Redis: 7 sales as the journal has them"),
        "{said}"
    );

    let (engine, clock) = open(&place.journal_dir());
    clock.advance_us(40_000_000);
    choose(&engine, SaleId(3), "later", "ITM-3-2").expect("it is free");
    close(&engine);
    let (code, said) = verify_with(&place, &[], &redis_too);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("Redis: 1 record behind the journal"),
        "{said}"
    );
    redis.command(&["HINCRBY", "{flashsale}:sale:1:bought", "user-0", "1"]);
    let (code, said) = verify_with(&place, &[], &redis_too);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("DIFFERENT: Redis: "), "{said}");
}
