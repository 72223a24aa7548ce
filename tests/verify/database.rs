//! Postgres: everything that can be wrong with a row is found, and the row is named.

use crate::postgres_server::{DATABASE, Postgres};
use crate::verify::fixture::{
    agrees, choose, close, fill, follow, open, place, verify, verify_with,
};
use flashsale::types::SaleId;

/// What somebody does to a database that was in order, and what must be said of it.
const DAMAGE: &[(&str, &str)] = &[
    (
        "DELETE FROM sales WHERE id = 3",
        "one of the sales created: another value there of its kind",
    ),
    (
        "UPDATE sales SET max_items_per_user = 4 WHERE id = 1",
        "record 1, one of the sales created: another value there of terms",
    ),
    (
        "UPDATE sales SET generated_seed = 5 WHERE id = 1",
        "an item of its generated catalogue",
    ),
    (
        "UPDATE sales SET closed_lsn = NULL, closed_at = NULL",
        "the sales closed: it is missing there",
    ),
    (
        "UPDATE sales SET closed_at = closed_at + interval '1 microsecond'",
        "another value there of its time",
    ),
    (
        "DELETE FROM items WHERE sale_id = 1 AND item_index = 59",
        "record 1, one of the sales created: an item of its generated catalogue is missing",
    ),
    (
        "UPDATE items SET name = 'X' WHERE sale_id = 1 AND item_index = 7",
        "record 1, one of the sales created: another value there of an item",
    ),
    (
        "UPDATE items SET name = 'X' WHERE sale_id = 2 AND item_index = 7",
        "lists of items: another value there of items",
    ),
    (
        "DELETE FROM items WHERE sale_id = 2 AND item_index = 7",
        "its items are not one after the other",
    ),
    (
        "DELETE FROM abandoned_items",
        "lists of items: it is missing there",
    ),
    (
        "UPDATE abandoned_items SET stock = stock + 1",
        "lists of items: another value there of items",
    ),
    (
        "DELETE FROM checkouts WHERE lsn = 2",
        "its checkout is missing",
    ),
    (
        "UPDATE checkouts SET user_id = 'eve' WHERE lsn = 2",
        "record 2, one of the checkouts: another value there of user",
    ),
    (
        "UPDATE checkouts SET opened_at = opened_at + interval '1s' WHERE lsn = 2",
        "its checkout was opened at another time",
    ),
    (
        "INSERT INTO checkouts SELECT sale_id, gen_random_uuid(), 'eve', opened_at, hold_until, lsn FROM checkouts WHERE lsn = 2",
        "record 2, a checkout: the item that opened it is missing",
    ),
    (
        "DELETE FROM checkout_items WHERE lsn = 3",
        "record 3, one of the checkouts: it is missing there",
    ),
    (
        "UPDATE checkout_items SET item_index = 9 WHERE lsn = 3",
        "record 3, one of the checkouts: another value there of item",
    ),
    (
        "UPDATE checkout_items SET quantity = 2 WHERE lsn = 3",
        "record 3, one of the checkouts: another value there of quantity",
    ),
    (
        "INSERT INTO checkout_items SELECT sale_id, gen_random_uuid(), 1, 1, added_at, lsn FROM checkout_items WHERE lsn = 3",
        "record 3",
    ),
    (
        "DELETE FROM expired_checkouts",
        "the checkouts expired: it is missing there",
    ),
    (
        "UPDATE expired_checkouts SET expired_at = expired_at + interval '1s'",
        "the checkouts expired: another value there of its time",
    ),
    (
        "UPDATE refused_attempts SET reason = 'item_held' WHERE reason = 'item_not_found'",
        "the refused attempts: another value there of reason",
    ),
    (
        "DELETE FROM refused_attempts",
        "the refused attempts: it is missing there",
    ),
    (
        "INSERT INTO refused_attempts SELECT sale_id, user_id, item_id, reason, attempted_at, 1000000 FROM refused_attempts LIMIT 1",
        "record 1000000, one of the refused attempts: it is there, but behind the watermark",
    ),
    (
        "UPDATE refused_attempts SET lsn = 0 WHERE lsn = (SELECT min(lsn) FROM refused_attempts)",
        "rows of no record: their number is 0, and records are numbered from 1 on",
    ),
    (
        "DELETE FROM purchases WHERE lsn = 4",
        "results belong to no purchase",
    ),
    (
        "UPDATE purchases SET idempotency_key = 'other' WHERE lsn = 4",
        "record 4, one of the purchases: another value there of idempotency key",
    ),
    (
        "UPDATE purchases SET idempotency_key = '' WHERE lsn = 4",
        "its idempotency key is empty",
    ),
    (
        "DELETE FROM purchase_results r USING purchases p WHERE p.secret = r.secret AND p.lsn = 4 AND line = 0",
        "record 4, one of the purchases: a result of it is missing",
    ),
    (
        "DELETE FROM purchase_results r USING purchases p WHERE p.secret = r.secret AND p.lsn = 4",
        "record 4, one of the purchases: its results are missing",
    ),
    (
        "UPDATE purchase_results r SET sold = NOT sold FROM purchases p WHERE p.secret = r.secret AND p.lsn = 4 AND line = 0",
        "record 4, one of the purchases: another value there of results",
    ),
    (
        "UPDATE purchase_results SET is_single = false WHERE sale_id = 1",
        "results say wrongly whether their item exists once",
    ),
    (
        "DELETE FROM payments",
        "the payments begun: it is missing there",
    ),
    (
        "DELETE FROM payments WHERE line = 0",
        "one of the payments begun: a line of it is missing",
    ),
    (
        "UPDATE payments SET reserved = NOT reserved WHERE line = 1",
        "one of the payments begun: another value there of lines",
    ),
    (
        "UPDATE payments SET quantity = 2 WHERE line = 1",
        "one of the payments begun: another value there of lines",
    ),
    (
        "UPDATE payments SET hold_until = hold_until + interval '1s'",
        "one of the payments begun: another value there of the end of its hold",
    ),
    (
        "UPDATE payments SET held_until = held_until + interval '1s'",
        "one of the payments begun: another value there of the end that was told",
    ),
    (
        "UPDATE payments SET begun_at = begun_at + interval '1s'",
        "one of the payments begun: another value there of its time",
    ),
    (
        "UPDATE purchases SET payment_ref = 'other' WHERE payment_ref = 'payment-3'",
        "one of the purchases: another value there of payment reference",
    ),
    (
        "UPDATE purchases SET payment_ref = NULL WHERE payment_ref = 'payment-1'",
        "one of the purchases: another value there of payment reference",
    ),
    (
        "DELETE FROM releases WHERE item_index IS NULL",
        "one of the checkouts given back: it is missing there",
    ),
    (
        "DELETE FROM releases WHERE item_index IS NOT NULL",
        "one of the checkouts given back: it is missing there",
    ),
    (
        "UPDATE releases SET quantity = 2 WHERE quantity = 1",
        "one of the checkouts given back: another value there of",
    ),
    (
        "UPDATE releases SET item_index = NULL, quantity = NULL",
        "one of the checkouts given back: another value there of",
    ),
    (
        "UPDATE releases SET released_at = released_at + interval '1s'",
        "one of the checkouts given back: another value there of its time",
    ),
    (
        "DELETE FROM cancellations WHERE restock",
        "one of the cancellations: it is missing there",
    ),
    (
        "DELETE FROM cancellations WHERE line = 1",
        "one of the cancellations: another value there of units",
    ),
    (
        "DELETE FROM cancellations WHERE line = 0 AND NOT restock",
        "one of the cancellations: a line of it is missing",
    ),
    (
        "UPDATE cancellations SET restock = NOT restock",
        "one of the cancellations: another value there of whether they are free again",
    ),
    (
        "UPDATE cancellations SET quantity = 2 WHERE restock",
        "one of the cancellations: another value there of units",
    ),
    (
        "UPDATE cancellations SET reference = 'other' WHERE restock",
        "one of the cancellations: another value there of reference",
    ),
    (
        "UPDATE cancellations SET cancelled_at = cancelled_at + interval '1s'",
        "one of the cancellations: another value there of its time",
    ),
    (
        "DELETE FROM stock_changes WHERE units < 0",
        "one of the changes of stocks: it is missing there",
    ),
    (
        "UPDATE stock_changes SET units = -units",
        "one of the changes of stocks: another value there of units added",
    ),
    (
        "UPDATE stock_changes SET reference = 'other' WHERE units > 0",
        "one of the changes of stocks: another value there of reference",
    ),
    (
        "UPDATE stock_changes SET item_index = 2 WHERE units > 0",
        "one of the changes of stocks: another value there of item",
    ),
    (
        "UPDATE stock_changes SET item_index = 99 WHERE units > 0",
        "changes the stock of what is no pool",
    ),
    (
        "UPDATE stock_changes SET changed_at = changed_at + interval '1s'",
        "one of the changes of stocks: another value there of its time",
    ),
    (
        "DELETE FROM sale_changes WHERE change = 'resumed'",
        "one of the changes of sales: it is missing there",
    ),
    (
        "UPDATE sale_changes SET change = 'paused' WHERE change = 'opened'",
        "one of the changes of sales: another value there of what is changed",
    ),
    (
        "UPDATE sale_changes SET ended_at = ended_at + interval '1s'",
        "one of the changes of sales: another value there of its new end",
    ),
    (
        "UPDATE sales SET payment_seconds = 2 WHERE payment_seconds = 1",
        "one of the sales created: another value there of terms",
    ),
    (
        "UPDATE sales SET purchase_by = 'buyer' WHERE purchase_by = 'shop'",
        "one of the sales created: another value there of terms",
    ),
    (
        "UPDATE pools SET stock = stock - 1 WHERE item_index = 0 AND sale_id = 4",
        "sale 4: item 0: in pools 2 sold of 11",
    ),
    (
        "UPDATE pools SET sold = sold - 1 WHERE sold > 0",
        "in pools",
    ),
    (
        "DELETE FROM pools WHERE item_index = 3",
        "item 3: in pools missing",
    ),
    ("UPDATE watermark SET lsn = lsn - 1", "behind the watermark"),
    (
        "UPDATE watermark SET lsn = lsn + 1",
        "is ahead of the journal",
    ),
    (
        "UPDATE watermark SET fingerprint = 1",
        "the fingerprint of its watermark is that of another",
    ),
];

#[test]
fn every_damaged_row_is_found_and_named() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let place = place(&postgres);
    fill(&place.journal_dir());
    follow(&place.journal_dir(), &postgres);
    let said = agrees(&place, &[]);
    for part in [
        "records are the journal's, field by field",
        "the pools are the sums",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let secrets = postgres.query(
        DATABASE,
        "SELECT replace(secret::text, '-', '') FROM checkouts",
    );
    let mut failed = Vec::new();
    for (index, (damage, expected)) in DAMAGE.iter().enumerate() {
        let name = format!("damaged_{index}");
        postgres.query(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE {DATABASE}"),
        );
        postgres.query(&name, damage);
        let (code, said) = verify_with(&place, &[], &[("DB_NAME", &name)]);
        if code != 1 || !said.contains("DIFFERENT: Postgres") || !said.contains(expected) {
            failed.push(format!(
                "{damage}\n  exit code {code}, without {expected:?}:\n{said}"
            ));
        }
        assert!(
            secrets.lines().all(|secret| !said.contains(secret)),
            "a code is shown: {said}"
        );
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn being_behind_is_no_difference() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let place = place(&postgres);
    fill(&place.journal_dir());
    follow(&place.journal_dir(), &postgres);
    let (engine, clock) = open(&place.journal_dir());
    clock.advance_us(40_000_000);
    choose(&engine, SaleId(3), "later", "ITM-3-2").expect("it is free");
    close(&engine);
    let said = agrees(&place, &[]);
    let lag = "Postgres: 1 record behind the journal; the next start goes on from there";
    assert!(said.contains(lag), "{said}");
}

#[test]
fn a_database_that_cannot_be_asked_is_told() {
    let mut postgres = Postgres::start_with(&["fsync=off"]);
    let place = place(&postgres);
    fill(&place.journal_dir());
    let (code, said) = verify(&place, &[]);
    assert_eq!(code, 2, "a database without the schema: {said}");
    postgres.stop();
    let (code, said) = verify(&place, &[]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("NOT CHECKED: Postgres at ") && said.contains(": connection refused"),
        "{said}"
    );
    assert!(said.contains("not all could be checked"), "{said}");
    postgres.restart();
}
