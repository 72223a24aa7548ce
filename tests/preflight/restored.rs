//! A backup that is older than the sinks: said before the start, refused at the start, and the way out
//! leads out.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use flashsale::env::{OsEntropy, RealDisk, SystemClock};
use flashsale::journal::{self, Durability, Opening, Options, Tools};
use flashsale::record::{Record, RefusedReason};
use flashsale::sale::write_snapshot;
use flashsale::types::{Lsn, Timestamp};

use crate::postgres_server::{DATABASE, PASSWORD, Postgres, USER};
use crate::preflight::report::preflight;
use crate::redis_server::RedisServer;
use crate::server::{Place, Server, wait_for};

/// A new place that uses `postgres`.
fn place_with(postgres: &Postgres) -> Place {
    let mut place = Place::new(&[
        ("DB_HOST", postgres.host()),
        ("DB_USER", USER),
        ("DB_PASSWORD", PASSWORD),
        ("DB_NAME", DATABASE),
        (
            "DB_MIGRATIONS_PATH",
            concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"),
        ),
    ]);
    place.set("DB_PORT", &postgres.port().to_string());
    place
}

/// A server with both sinks, and its backup of before the last sales.
fn sold_after_a_backup(postgres: &Postgres, redis: &RedisServer) -> (Place, Vec<String>) {
    let mut place = place_with(postgres);
    place.set("REDIS_HOST", "127.0.0.1");
    place.set("REDIS_PORT", &redis.port().to_string());
    let server = Server::start_in(place);
    let mut client = server.client();
    let mut sell = |user: &str, item: u32| {
        let code = client.choose(user, &[&format!("ITM-1-{item}")]);
        client.purchase_with_key(&code, "k").ok();
        code
    };
    let mut codes = vec![sell("ada", 1)];
    server
        .place()
        .report(&["journal", "backup", "--to", "backup"]);
    codes.extend((2..6).map(|item| sell("bob", item)));
    let mut client = server.client();
    wait_for("the sinks to follow", || {
        let health = client.get("/health").ok().json();
        let lag = |sink: &str| health["reconcile"][sink]["lag_records"].as_u64();
        (lag("database") == Some(0) && lag("redis") == Some(0)).then_some(())
    });
    (server.stop(), codes)
}

/// Puts the backup where the journal is.
fn put_back(place: &Place) {
    fs::remove_dir_all(place.journal_dir()).expect("it is there");
    fs::rename(place.path().join("backup"), place.journal_dir()).expect("one file system");
}

#[test]
fn a_backup_that_is_older_than_the_database_is_not_sold_from() {
    let (postgres, redis) = (Postgres::start_with(&["fsync=off"]), RedisServer::start());
    let (place, _) = sold_after_a_backup(&postgres, &redis);
    put_back(&place);
    let report = preflight(&place, &[]);
    report.has("fail", "postgres", "recover --from postgres");
    report.has("warn", "redis", "rebuild redis --yes");
    report.fails_only_in("postgres");

    let (code, said) = match Server::try_start_in(place) {
        Err(refused) => refused,
        Ok(_) => panic!("it sells from an older journal"),
    };
    assert_eq!(code, Some(1));
    for part in [
        "restored backup",
        "move the directory away",
        "recover --from postgres",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn the_way_out_of_an_older_backup_is_the_database() {
    let (postgres, redis) = (Postgres::start_with(&["fsync=off"]), RedisServer::start());
    let (place, codes) = sold_after_a_backup(&postgres, &redis);
    // As the server says: the older journal is moved away.
    fs::remove_dir_all(place.journal_dir()).expect("it is there");
    let said = place.report(&["recover", "--from", "postgres"]);
    assert!(said.contains("written and checked"), "{said}");
    assert_eq!(preflight(&place, &[]).code, 0);
    let server = Server::start_in(place);
    let mut client = server.client();
    for code in &codes {
        let again = client.purchase_with_key(code, "k");
        assert_eq!(again.status, 200, "{}", again.text());
    }
    wait_for("the database to be followed", || {
        let health = client.get("/health").ok().json();
        (health["reconcile"]["database"]["status"] == "UP").then_some(())
    });
    server.stop();
}

#[test]
fn a_backup_that_has_gone_another_way_is_told() {
    let (postgres, redis) = (Postgres::start_with(&["fsync=off"]), RedisServer::start());
    let (mut place, _) = sold_after_a_backup(&postgres, &redis);
    put_back(&place);
    // While the database is away it sells more than it had sold.
    place.set("DB_HOST", "");
    let server = Server::start_in(place);
    let mut client = server.client();
    for item in 10..30 {
        client.choose(&format!("eve-{item}"), &[&format!("ITM-1-{item}")]);
    }
    let mut place = server.stop();
    place.set("DB_HOST", postgres.host());
    let report = preflight(&place, &[]);
    let another = "is not the one of this journal: the server will not start";
    report.has("fail", "postgres", another);
    report.has("warn", "redis", "is not the one of this journal");
    let refused = Server::try_start_in(place).map(drop);
    let (_, said) = refused.expect_err("the database is another journal's");
    assert!(said.contains("is not the one of this journal"), "{said}");
}

/// Answers as a server does that is at work: each time that it is asked, its journal is longer.
fn one_that_sells(first_lsn: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for (asked, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            // The request is one segment of a local connection.
            let _ = stream.read(&mut [0; 4096]);
            let lsn = first_lsn + asked as u64;
            let body = format!("{{\"journal\":{{\"durable_lsn\":{lsn}}}}}");
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n");
            let _ = write!(stream, "{head}connection: close\r\n\r\n{body}");
        }
    });
    port.to_string()
}

#[test]
fn a_server_that_goes_on_selling_meanwhile_is_not_behind_its_sinks() {
    let (postgres, redis) = (Postgres::start_with(&["fsync=off"]), RedisServer::start());
    let (mut place, _) = sold_after_a_backup(&postgres, &redis);
    let applied = postgres.query(DATABASE, "SELECT lsn FROM watermark");
    let applied: u64 = applied.parse().expect("a number");
    // The first answer is older than the watermark that is read behind it.
    place.set("SERVER_PORT", &one_that_sells(applied - 1));
    let report = preflight(&place, &[]);
    report.has("ok", "postgres", "behind the journal");
    report.has("ok", "redis", "behind the journal");
}

#[test]
fn a_journal_that_cannot_be_read_is_not_an_empty_one() {
    let (postgres, redis) = (Postgres::start_with(&["fsync=off"]), RedisServer::start());
    let (mut place, _) = sold_after_a_backup(&postgres, &redis);
    let file = place.path().join("file");
    fs::write(&file, "").expect("a file");
    place.set("JOURNAL_DIR", "file");
    let report = preflight(&place, &[]);
    report.has("warn", "postgres", "cannot be compared");
    report.has("warn", "redis", "cannot be compared");
    report.fails_only_in("journal");
}

/// A journal whose first segments are gone, behind a snapshot.
fn write_trimmed(dir: &Path) {
    let refused = Record::Refused {
        sale: None,
        user: "nobody",
        item: "nothing",
        reason: RefusedReason::ItemNotFound,
    };
    let opening = Opening::lock(Arc::new(RealDisk), dir).expect("a new directory");
    let replayed = opening.replay(Lsn::ZERO, &mut |_| Ok(()));
    let options = Options {
        durability: Durability::Os,
        segment_bytes: 64 << 10,
    };
    let tools = Tools {
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy),
        fail_stop: Box::new(|error| panic!("{error}")),
    };
    let journal = opening.start(&replayed.expect("empty"), &options, tools);
    let journal = journal.expect("room");
    for _ in 0..100 {
        let lsns = [0; 100].map(|at| journal.append(Timestamp(at), &refused));
        journal.wait(lsns[99]).expect("the disk works");
    }
    let last = journal.durable();
    drop(journal);
    write_snapshot(&RealDisk, dir, last, &SystemClock::new(), &OsEntropy).expect("room");
    let later = Timestamp::from_seconds(i64::from(u32::MAX));
    let removed = journal::trim(&RealDisk, dir, last, later).expect("our own");
    assert!(removed > 0, "there were not enough segments");
}

#[test]
fn a_database_that_the_journal_cannot_fill_does_not_stop_the_sale() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let place = place_with(&postgres);
    place.report(&["migrate", "up"]);
    write_trimmed(&place.journal_dir());
    let report = preflight(&place, &[]);
    let what = "is empty, but the journal begins at record";
    report.has("fail", "postgres", what);
    report.fails_only_in("postgres");
    let server = Server::start_in(place);
    let mut client = server.client();
    let reason = wait_for("the database to be down", || {
        let health = client.get("/health").ok().json();
        let database = &health["reconcile"]["database"];
        let reason = database["reason"].as_str().unwrap_or_default().to_owned();
        (database["status"] == "DOWN")
            .then_some(reason)
            .filter(|reason| reason.contains(what))
    });
    assert!(reason.contains("restore a backup"), "{reason}");
    let (sale, _) = client.active_sale();
    let code = client.choose("ada", &[&format!("ITM-{sale}-0")]);
    client.purchase(&code).ok();
    server.stop();
}

#[test]
fn a_redis_that_is_ahead_says_how_it_is_filled_again() {
    let (postgres, redis) = (Postgres::start_with(&["fsync=off"]), RedisServer::start());
    let (mut place, _) = sold_after_a_backup(&postgres, &redis);
    put_back(&place);
    place.set("DB_HOST", "");
    let server = Server::start_in(place);
    let mut client = server.client();
    let reason = wait_for("a refusal", || {
        let health = client.get("/health").ok().json();
        let redis = &health["reconcile"]["redis"];
        let reason = redis["reason"].as_str().unwrap_or_default().to_owned();
        (redis["status"] == "DOWN" && reason.contains("holds records")).then_some(reason)
    });
    assert!(reason.contains("flashsale rebuild redis --yes"), "{reason}");
    server.place().report(&["rebuild", "redis", "--yes"]);
    wait_for("Redis to be filled again", || {
        let health = client.get("/health").ok().json();
        let redis = &health["reconcile"]["redis"];
        (redis["status"] == "UP" && redis["lag_records"] == 0).then_some(())
    });
    server.stop();
}
