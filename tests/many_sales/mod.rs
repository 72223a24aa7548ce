//! Thousands of sales in the past: the server holds a summary of each, however much was sold. What it took
//! is printed and not judged: `cargo nextest run --test many_sales --no-capture`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use flashsale::env::{Clock, ManualClock, OsEntropy, RealDisk, SystemClock};
use flashsale::journal::{Durability, Opening, Options, Tools, snapshot};
use flashsale::limits::LOADED_BYTES_MAX;
use flashsale::sale::{
    CheckoutOutcome, CheckoutRequest, CreateError, Engine, EngineOptions, NewCatalogue, NewSale,
    Recovered, write_snapshot,
};
use flashsale::types::{ItemId, Lsn, PaymentTerms, Timestamp, UserId};

use crate::client::Client;
use crate::server::{Place, Server, wait_for};

const SALES: u32 = 5_000;
const ITEMS: u32 = 20;
const BUYERS: u32 = 5;
/// The past ends some time before now, so that a server goes on behind it.
const PAST_SECONDS: u32 = 2 * SALES * 60;

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let done = work();
    println!("{what}: {:?}", begin.elapsed());
    done
}

fn open(dir: &Path, clock: &Arc<ManualClock>) -> Engine {
    let opening = Opening::lock(Arc::new(RealDisk), dir).expect("nobody has it");
    let recovered = Recovered::from_journal(&opening).expect("intact");
    let options = Options {
        durability: Durability::Os,
        segment_bytes: 4 * 1024 * 1024,
    };
    let tools = Tools {
        clock: clock.clone(),
        entropy: Arc::new(OsEntropy),
        fail_stop: Box::new(|error| panic!("{error}")),
    };
    let journal = opening.start(&recovered.replayed, &options, tools);
    Engine::new(
        recovered.state,
        Arc::new(journal.expect("room")),
        clock.clone(),
        Arc::new(OsEntropy),
        EngineOptions::default(),
    )
}

fn sell(engine: &Engine, now: Timestamp) {
    let new = NewSale {
        started_at: now,
        ended_at: now.plus_seconds(60),
        max_items_per_user: 10,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue: NewCatalogue::Generated {
            item_count: ITEMS,
            seed: 7,
        },
    };
    // It may have to wait for the next segment, as the checkouts below.
    let sale = loop {
        match engine.create_sale(&new) {
            Ok(created) => break created.outcome.id(),
            Err(CreateError::Unavailable(_)) => thread::yield_now(),
            Err(error) => panic!("it is allowed: {error}"),
        }
    };
    for buyer in 0..BUYERS {
        let (user, item) = (format!("user-{buyer}"), format!("ITM-{sale}-{buyer}"));
        let request = CheckoutRequest {
            user: UserId::new(&user).expect("an id"),
            item: ItemId::new(&item).expect("an id"),
            quantity: 1,
            sale: None,
            key: None,
        };
        // It may have to wait for the next segment.
        let code = loop {
            match engine.checkout(&request).outcome {
                CheckoutOutcome::Accepted { code, .. } => break code,
                CheckoutOutcome::Unavailable(_) => thread::yield_now(),
                other => panic!("there is enough: {other:?}"),
            }
        };
        let _ = engine.purchase(code, None);
    }
}

fn fill(engine: &Engine, clock: &ManualClock) {
    for _ in 0..SALES {
        sell(engine, clock.now());
        clock.advance_us(60_000_000);
        engine.close_ended();
        let last = Lsn(engine.journal().status().appended_lsn);
        engine.journal().wait(last).expect("the disk works");
    }
}

/// Figures of `/health`.
fn look(client: &mut Client, name: &str) -> u64 {
    let health = client.get("/health").ok().json();
    let figure = name.split('.').fold(&health, |value, key| &value[key]);
    figure.as_u64().expect("a number")
}

fn page(client: &mut Client, target: &str) -> Vec<serde_json::Value> {
    let list = client.get(target).ok().json();
    list.as_array().expect("a list").clone()
}

/// The nice value of the server's thread of this name.
fn nice_of(server: &Server, name: &str) -> i32 {
    let threads = fs::read_dir(format!("/proc/{}/task", server.pid())).expect("it runs");
    let stat = threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("stat")).ok())
        .find(|stat| stat.contains(&format!("({name})")))
        .expect("there is such a thread");
    // Behind the name, which is the second field; it is the 19th.
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let nice = fields.split(' ').nth(16).expect("19 fields");
    nice.parse().expect("a number")
}

/// Asks for the first 2,000 sales, each once, over eight connections.
fn ask_for_old_sales(server: &Server) {
    let ask = |first: u32| {
        let mut client = server.client();
        for sale in (first..=2_000).step_by(8) {
            let items = page(&mut client, &format!("/sales/{sale}/items?available=true"));
            assert_eq!(items.len(), (ITEMS - BUYERS) as usize, "sale {sale}");
        }
    };
    thread::scope(|scope| {
        for first in 1..=8 {
            scope.spawn(move || ask(first));
        }
    });
}

/// Asks for so many sales that all of them would take some 70 MB: few buyers take the room of many.
fn old_codes_leave_memory_as_it_is(server: &Server) {
    let mut client = server.client();
    let client = &mut client;
    let before = look(client, "memory.alloc");
    timed("2,000 old sales, eight at once, twice", || {
        for _ in 0..2 {
            ask_for_old_sales(server);
        }
    });
    let [archive, main] = ["archive", "flashsale"].map(|name| nice_of(server, name));
    assert!(archive > main, "those who sell go first: {archive}, {main}");
    let (loaded, after) = (look(client, "sales.loaded"), look(client, "memory.alloc"));
    println!("{loaded} of them are kept; resident: {before}, then {after} bytes");
    assert!((1..=1_000).contains(&loaded), "{loaded} sales are kept");
    let grown = after.saturating_sub(before);
    assert!(grown < 2 * LOADED_BYTES_MAX as u64, "{grown} bytes more");
}

#[test]
fn thousands_of_ended_sales_are_summaries() {
    let place = Place::new(&[]);
    let dir = place.journal_dir();
    let now = SystemClock::new().now();
    let begin = Timestamp(now.0 - i64::from(PAST_SECONDS) * 1_000_000);
    let clock = Arc::new(ManualClock::at(begin));
    let engine = open(&dir, &clock);
    timed("5,000 sales held", || fill(&engine, &clock));
    let last = engine.journal().durable();
    engine.journal().close();
    drop(engine);

    let server = timed("start from the journal alone", || Server::start_in(place));
    let mut client = server.client();
    println!(
        "resident with all in memory: {} bytes",
        look(&mut client, "memory.alloc")
    );
    timed("put away", || {
        let mut archived = 0;
        while archived < u64::from(SALES) {
            archived = wait_for("more sales to leave memory", || {
                Some(look(&mut client, "sales.archived")).filter(|now| *now > archived)
            });
        }
    });
    assert_eq!(look(&mut client, "sales.in_memory"), 1);
    println!(
        "resident without: {} bytes",
        look(&mut client, "memory.alloc")
    );
    drop(client);
    let place = server.stop();

    timed("snapshot", || {
        write_snapshot(&RealDisk, &dir, last, &*clock, &OsEntropy).expect("writable");
    });
    let path = snapshot::path_of(&dir, last);
    let bytes = fs::metadata(path).expect("it was written").len();
    println!("bytes of the snapshot: {bytes}");
    assert!(bytes < 100 * u64::from(SALES) + 8 * 1024);

    let server = timed("start from the snapshot", || Server::start_in(place));
    let mut client = server.client();
    println!("resident: {} bytes", look(&mut client, "memory.alloc"));
    let sales = timed("GET /sales?limit=1000", || {
        page(&mut client, "/sales?limit=1000")
    });
    assert_eq!(sales.len(), 1000);
    let target = format!("/sales?limit=100&cursor={}", SALES / 2);
    let sales = timed("a page of the middle", || page(&mut client, &target));
    assert_eq!(sales[0]["id"], (SALES / 2 - 1).to_string());
    assert_eq!(sales[99]["items_sold"], BUYERS);
    let target = format!("/sales/{}/items", SALES / 2);
    let items = timed("GET /sales/{id}/items, loaded", || {
        page(&mut client, &target)
    });
    assert_eq!(items.len(), ITEMS as usize);
    let again = timed("the same, kept", || page(&mut client, &target));
    assert_eq!(items, again);
    assert_eq!(look(&mut client, "sales.loaded"), 1);
    old_codes_leave_memory_as_it_is(&server);
    drop(client);
    let place = server.stop();
    let said = timed("journal verify", || place.report(&["journal", "verify"]));
    assert!(said.contains("5000 files of ended sales: intact"), "{said}");
}
