//! A journal whose beginning is gone: a snapshot stands for it, and Postgres has the records.

use flashsale::env::{OsEntropy, RealDisk, SystemClock};
use flashsale::journal;
use flashsale::sale::{NewCatalogue, write_snapshot};
use flashsale::types::{Lsn, Timestamp};

use crate::fixture::{agrees, choose, close, create, fill, follow, open, place, verify};
use crate::postgres::{DATABASE, Postgres};
use crate::server::Place;

/// A trimmed journal that was followed before; the first record that it still holds.
fn trimmed(place: &Place, postgres: &Postgres) -> Lsn {
    let dir = place.journal_dir();
    fill(&dir);
    let (engine, _) = open(&dir);
    let sale = create(
        &engine,
        NewCatalogue::Generated {
            item_count: 9000,
            seed: 3,
        },
        0,
    );
    for user in 0..9000 {
        choose(
            &engine,
            sale,
            &format!("user-{user}"),
            &format!("ITM-{sale}-{user}"),
        );
        if user % 100 == 0 {
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

fn refused() -> journal::Record<'static> {
    journal::Record::Refused {
        sale: None,
        user: "nobody",
        item: "nothing",
        reason: journal::record::RefusedReason::ItemNotFound,
    }
}

#[test]
fn what_was_trimmed_is_compared_with_the_snapshot() {
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
