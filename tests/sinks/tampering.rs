//! Whatever somebody changes in the database is found and named.

use crate::load::Load;
use crate::places::{postgres, server_with};
use crate::postgres_server::{DATABASE, Postgres};
use crate::server::Server;
use crate::sinks::judge::{agree_running, all_is_well, figure, settle, verify, wait_until_down};

/// What was done in words, in SQL, and what `flashsale verify` says about it; `{}` is the number of
/// the record that [`Tampering::record`] finds.
struct Tampering {
    sql: &'static str,
    record: &'static str,
    said: &'static [&'static str],
}

const FIRST_CHECKOUT: &str = "SELECT min(lsn) FROM checkouts";
const FIRST_PURCHASE: &str =
    "SELECT min(lsn) FROM purchases JOIN purchase_results USING (sale_id, secret) WHERE sold";
const SALE: &str = "SELECT lsn FROM sales";
const LAST: &str = "SELECT lsn FROM watermark";

const TAMPERINGS: [Tampering; 18] = [
    Tampering {
        sql: "DELETE FROM checkout_items WHERE lsn = (SELECT min(lsn) FROM checkouts)",
        record: FIRST_CHECKOUT,
        said: &["record {}, one of the checkouts: it is missing there"],
    },
    Tampering {
        sql: "DELETE FROM checkouts WHERE lsn = (SELECT min(lsn) FROM checkouts)",
        record: FIRST_CHECKOUT,
        said: &["record {}"],
    },
    Tampering {
        sql: "UPDATE checkouts SET user_id = 'mallory'
              WHERE lsn = (SELECT min(lsn) FROM checkouts)",
        record: FIRST_CHECKOUT,
        said: &["record {}, one of the checkouts: another value there of user"],
    },
    Tampering {
        sql: "UPDATE checkout_items SET quantity = 2
              WHERE lsn = (SELECT min(lsn) FROM checkouts)",
        record: FIRST_CHECKOUT,
        said: &["record {}, one of the checkouts: another value there of quantity"],
    },
    Tampering {
        sql: "UPDATE checkout_items SET added_at = added_at + interval '1 microsecond'
              WHERE lsn = (SELECT min(lsn) FROM checkouts)",
        record: FIRST_CHECKOUT,
        said: &["record {}, one of the checkouts: its checkout was opened at another time"],
    },
    Tampering {
        sql: "INSERT INTO checkouts VALUES (1, gen_random_uuid(), 'eve', now(), NULL, 1000000)",
        record: LAST,
        said: &["record 1000000"],
    },
    Tampering {
        sql: "DELETE FROM purchases WHERE lsn = {}",
        record: FIRST_PURCHASE,
        said: &["record {}"],
    },
    Tampering {
        sql: "UPDATE purchases SET idempotency_key = 'other' WHERE lsn = {}",
        record: FIRST_PURCHASE,
        said: &["record {}, one of the purchases: another value there of idempotency key"],
    },
    Tampering {
        sql: "UPDATE purchase_results SET sold = NOT sold
              WHERE secret = (SELECT secret FROM purchases WHERE lsn = {})",
        record: FIRST_PURCHASE,
        said: &["record {}, one of the purchases: another value there of results"],
    },
    Tampering {
        sql: "DELETE FROM purchase_results
              WHERE secret = (SELECT secret FROM purchases WHERE lsn = {})",
        record: FIRST_PURCHASE,
        said: &["record {}"],
    },
    Tampering {
        sql: "INSERT INTO purchase_results
              SELECT 1, secret, 7, 19999, 1, true, true FROM purchases WHERE lsn = {}",
        record: FIRST_PURCHASE,
        said: &["record {}"],
    },
    Tampering {
        sql: "UPDATE sales SET max_items_per_user = 1",
        record: SALE,
        said: &[
            "record {}, one of the sales created: another value there of terms",
            "bought",
        ],
    },
    Tampering {
        sql: "UPDATE items SET name = 'Nothing' WHERE item_index = 17",
        record: SALE,
        said: &["record {}"],
    },
    Tampering {
        sql: "DELETE FROM items WHERE item_index = 17",
        record: SALE,
        said: &["record {}"],
    },
    Tampering {
        sql: "INSERT INTO pools VALUES (1, 0, 5, 5)",
        record: SALE,
        said: &["DIFFERENT: Postgres"],
    },
    Tampering {
        sql: "INSERT INTO expired_checkouts SELECT 1, secret, now(), {} FROM purchases WHERE lsn = {}",
        record: FIRST_PURCHASE,
        said: &["record {}", "both purchased and expired"],
    },
    Tampering {
        sql: "INSERT INTO refused_attempts VALUES (1, 'eve', 'x', 'item_held', now(), {})",
        record: FIRST_PURCHASE,
        said: &["record {}"],
    },
    Tampering {
        sql: "UPDATE watermark SET lsn = lsn + 1",
        record: LAST,
        said: &["ahead of the journal, which ends at {}"],
    },
];

#[test]
fn every_change_by_hand_is_found() {
    let postgres = postgres();
    let server = server_with(&postgres);
    let bought = Load::purchases(&server, 60);
    let mut place = all_is_well(server, &postgres, &bought);
    let mut unsaid = Vec::new();
    for (number, tampering) in TAMPERINGS.iter().enumerate() {
        let database = format!("tampered_{number}");
        let copy = format!("CREATE DATABASE {database} TEMPLATE {DATABASE} STRATEGY file_copy");
        postgres.query("postgres", &copy);
        let record = postgres.query(&database, tampering.record);
        postgres.query(&database, &tampering.sql.replace("{}", &record));
        place.set("DB_NAME", &database);
        let (code, report) = verify(&place, &[]);
        assert_eq!(code, Some(1), "{}: {report}", tampering.sql);
        for words in tampering.said {
            let words = words.replace("{}", &record);
            if !report.contains(&words) {
                unsaid.push(format!("{}: {words:?} is not in: {report}", tampering.sql));
            }
        }
    }
    assert!(unsaid.is_empty(), "{}", unsaid.join("\n"));
}

/// Moves the watermark; its place and what the start says then.
fn refusal(postgres: &Postgres, server: Server, sql: &str) -> (Server, String) {
    settle(&server);
    let place = server.stop();
    let watermark = postgres.query(DATABASE, "SELECT lsn, fingerprint FROM watermark");
    let (lsn, fingerprint) = watermark.split_once('|').expect("two numbers");
    postgres.query(DATABASE, sql);
    let (code, said) = place.failure(&["serve"]);
    assert_eq!(code, Some(1), "{said}");
    let (code, report) = verify(&place, &[]);
    assert_eq!(code, Some(1), "{report}");
    let back = format!("UPDATE watermark SET lsn = {lsn}, fingerprint = {fingerprint}");
    postgres.query(DATABASE, &back);
    (Server::start_in(place), said)
}

#[test]
fn a_watermark_that_somebody_moves_stops_the_start() {
    let postgres = postgres();
    let server = server_with(&postgres);
    let bought = Load::purchases(&server, 50);
    let forward = "UPDATE watermark SET lsn = lsn + 3";
    let (server, said) = refusal(&postgres, server, forward);
    assert!(said.contains("but the journal ends at"), "{said}");
    let (server, said) = refusal(&postgres, server, "UPDATE watermark SET lsn = lsn - 3");
    assert!(said.contains("is not the one of this journal"), "{said}");
    let lost = "UPDATE watermark SET fingerprint = fingerprint # 1";
    let (server, said) = refusal(&postgres, server, lost);
    assert!(said.contains("is not the one of this journal"), "{said}");
    all_is_well(server, &postgres, &bought);
}

#[test]
fn a_watermark_that_was_once_right_sells_nothing_twice() {
    let postgres = postgres();
    let server = server_with(&postgres);
    let mut bought = Load::purchases(&server, 30);
    settle(&server);
    let earlier = postgres.query(DATABASE, "SELECT lsn, fingerprint FROM watermark");
    let earlier = earlier.replace('|', ", ");
    bought.add(Load::purchases(&server, 30));
    settle(&server);
    let newest = postgres.query(DATABASE, "SELECT lsn, fingerprint FROM watermark");
    let newest = newest.replace('|', ", ");
    let to = |values: &str| format!("UPDATE watermark SET (lsn, fingerprint) = ({values})");
    let counted = "SELECT count(*), count(DISTINCT lsn) FROM checkout_items";
    let before = postgres.query(DATABASE, counted);

    // Under the eyes of the server, and before a start.
    postgres.query(DATABASE, &to(&earlier));
    let why = "the database already holds rows behind its watermark; run `flashsale verify`";
    wait_until_down(&server, "database", why);
    let server = Server::start_in(server.crash());
    wait_until_down(&server, "database", why);
    let (code, report) = verify(server.place(), &["--server", &server.addr().to_string()]);
    assert_eq!(code, Some(1), "{report}");
    assert!(
        report.contains("it is there, but behind the watermark"),
        "{report}"
    );
    bought.add(Load::purchases(&server, 30));
    // It is tried again, but not as fast as it fails, and said once.
    let failures = figure(&server, "database", "failures");
    assert!(failures < 20, "{failures}");
    let said = server.log().matches("is not followed: ").count();
    assert_eq!(said, 1, "{}", server.log());
    assert_eq!(postgres.query(DATABASE, counted), before);

    postgres.query(DATABASE, &to(&newest));
    all_is_well(server, &postgres, &bought);
}

#[test]
fn an_older_backup_and_an_empty_database_are_brought_up() {
    let postgres = postgres();
    let server = server_with(&postgres);
    let mut bought = Load::purchases(&server, 30);
    let place = all_is_well(server, &postgres, &bought);
    let copy = format!("CREATE DATABASE backup TEMPLATE {DATABASE}");
    postgres.query("postgres", &copy);
    postgres.create_database("empty");
    let server = Server::start_in(place);
    bought.add(Load::purchases(&server, 30));
    let mut place = all_is_well(server, &postgres, &bought);
    for database in ["backup", "empty"] {
        place.set("DB_NAME", database);
        let server = Server::start_in(place);
        agree_running(&server);
        assert_eq!(figure(&server, "database", "rebuilds"), 0, "{database}");
        place = server.stop();
    }
    for database in ["backup", "empty", DATABASE] {
        place.set("DB_NAME", database);
        let (code, report) = verify(&place, &[]);
        assert_eq!(code, Some(0), "{report}");
    }
}
