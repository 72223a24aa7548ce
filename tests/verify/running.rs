//! A server that runs: its memory is compared, and its journal read no further than it says.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::postgres_server::Postgres;
use crate::redis_server::RedisServer;
use crate::server::{Server, wait_for};
use crate::verify::fixture::{agrees, settings, verify, verify_with};

fn buy(server: &Server, user: usize) {
    let mut client = server.client();
    let code = client.choose(&format!("user-{user}"), &[&format!("ITM-1-{user}")]);
    client.purchase(&code).ok();
}

#[test]
fn an_idle_server_is_compared_exactly() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "2500"), ("SALE_HOLD_SECONDS", "3600")]);
    (0..20).for_each(|user| buy(&server, user));
    server.client().choose("waits", &["ITM-1-100"]);
    let address = server.addr().to_string();
    let said = agrees(server.place(), &["--server", &address]);
    assert!(
        said.contains("2500 units = 20 sold + 1 held + 2479 free"),
        "{said}"
    );
    let by_name = format!("localhost:{}", server.addr().port());
    agrees(server.place(), &["--server", &by_name]);
    let (code, refused) = verify(server.place(), &["--server", "localhost"]);
    assert_eq!(code, 2, "{refused}");
    assert!(refused.contains("must be HOST:PORT"), "{refused}");
    let memory = "memory: 1 sale, 1 item by item, as in the journal up to record 42";
    assert!(
        said.contains(memory) && said.contains("nothing moved"),
        "{said}"
    );
    server.stop();
}

/// Lets users buy, two at a time, while `look` looks.
fn while_busy(server: &Server, look: impl FnOnce()) {
    let (bought, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for lane in 0..2 {
            let (server, bought, done) = (&server, &bought, &done);
            scope.spawn(move || {
                let mut client = server.client();
                for user in (lane..20_000).step_by(2) {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    let item = format!("ITM-1-{user}");
                    let code = client.choose(&format!("user-{user}"), &[&item]);
                    client.purchase(&code).ok();
                    bought.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let so_far = || bought.load(Ordering::Relaxed);
        wait_for("the first purchases", || (so_far() > 50).then_some(()));
        let before = so_far();
        // Also when it panics, or the buyers would go on until everything is sold.
        let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(look));
        let moved = so_far() > before;
        done.store(true, Ordering::Relaxed);
        looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert!(moved, "it was not busy");
    });
}

const BUSY: [(&str, &str); 2] = [
    ("SALE_TOTAL_ITEMS", "20000"),
    ("SALE_MAX_ITEMS_PER_USER", "1"),
];

#[test]
fn a_busy_server_is_compared_within_bounds() {
    let server = Server::start(&BUSY);
    let address = server.addr().to_string();
    while_busy(&server, || {
        let said = agrees(server.place(), &["--server", &address]);
        assert!(
            said.contains("it kept moving") || said.contains("nothing moved"),
            "{said}"
        );
    });
    server.stop();
}

#[test]
fn a_busy_server_and_its_database_are_compared() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let settings = settings(&postgres);
    let settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
    let all: Vec<_> = BUSY.into_iter().chain(settings).collect();
    let server = Server::start(&all);
    let address = server.addr().to_string();
    let compared = |said: &str| said.contains("records are the journal's, field by field");
    while_busy(&server, || {
        for _ in 0..3 {
            let said = agrees(server.place(), &["--server", &address]);
            assert!(compared(&said), "{said}");
            assert!(!said.contains("the next start"), "{said}");
        }
    });
    // Drained: the database has everything.
    let place = server.stop();
    let said = agrees(&place, &[]);
    assert!(compared(&said) && !said.contains("behind"), "{said}");
}

const SALES: usize = 3;

/// The watermarks move all the time: what was read is held against the record at which it was read.
#[test]
fn verify_beside_a_server_under_load_agrees_with_both_sinks() {
    let (postgres, redis) = (Postgres::start_with(&["fsync=off"]), RedisServer::start());
    let settings = settings(&postgres);
    let settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
    let port = redis.port().to_string();
    let cache = [("REDIS_HOST", "127.0.0.1"), ("REDIS_PORT", &*port)];
    let all: Vec<_> = BUSY.into_iter().chain(settings).chain(cache).collect();
    let server = Server::start(&all);
    let address = server.addr().to_string();
    // So much that no look at all of it fits between two batches.
    let mut client = server.client();
    for sale in 0..SALES {
        let items = (0..10_000)
            .map(|item| format!("{{\"id\":\"{sale}-{item}\",\"name\":\"Item\",\"stock\":1}}"));
        let sale = format!("{{\"items\":[{}]}}", items.collect::<Vec<_>>().join(","));
        let head = [("Content-Type", "application/json")];
        let answer = client.send("POST", "/admin/sales", &head, sale.as_bytes());
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    while_busy(&server, || {
        for _ in 0..2 {
            let said = agrees(server.place(), &["--server", &address]);
            assert!(
                said.contains("records are the journal's, field by field"),
                "{said}"
            );
            let sales = format!("Redis: {} sales as the journal has them", SALES + 1);
            assert!(said.contains(&sales), "{said}");
        }
    });
    agrees(&server.stop(), &[]);
}

/// Nothing was found that differs, because nothing was looked at.
#[test]
fn a_sink_that_only_the_server_knows_is_not_checked() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let settings = settings(&postgres);
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let server = Server::start(&settings);
    let address = server.addr().to_string();
    let without = [&settings[..], &[("DB_HOST", "")]].concat();
    let (code, said) = verify_with(server.place(), &["--server", &address], &without);
    let expected = "NOT CHECKED: Postgres: the server has one, but here none is configured";
    assert!(code == 2 && said.contains(expected), "{said}");
    assert!(!said.contains("NOT CHECKED: Redis"), "{said}");
    server.stop();
}

#[test]
fn a_journal_in_use_needs_its_server() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "10")]);
    let (code, said) = verify(server.place(), &["--server", "127.0.0.1:1"]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("is in use") && said.contains("--server HOST:PORT"),
        "{said}"
    );
    server.stop();
}

#[test]
fn the_memory_of_another_server_is_different() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "100")]);
    let other = Server::start(&[("SALE_TOTAL_ITEMS", "100")]);
    (0..5).for_each(|user| buy(&server, user));
    (10..15).for_each(|user| buy(&other, user));
    let address = other.addr().to_string();
    let (code, said) = verify(server.place(), &["--server", &address]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("DIFFERENT: memory: sale 1, item ITM-1-"),
        "{said}"
    );
    (20..30).for_each(|user| buy(&other, user));
    let (code, said) = verify(server.place(), &["--server", &address]);
    assert_eq!(code, 2, "it is ahead of this journal: {said}");
    assert!(
        said.contains("the server that uses the journal in journal?"),
        "{said}"
    );
    server.stop();
    other.stop();
}
