//! How fast a journal gets into Redis, and for how long one call keeps Redis from others. Starts its own
//! redis-server.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use flashsale::env::{ManualClock, SeededEntropy, SimulatedDisk, SystemClock};
use flashsale::journal::{Durability, Journal, Opening, Options, Tools};
use flashsale::limits;
use flashsale::reconcile::redis::{RedisOptions, RedisServers, RedisSink};
use flashsale::reconcile::{Follower, FollowerTools, RecordSource};
use flashsale::record::{CatalogueKind, Lines, NewItem, Record, SaleTerms};
use flashsale::telemetry::SinkGauge;
use flashsale::types::{
    ItemIndex, Lsn, PaymentTerms, PurchasedLine, SaleId, ServerAddress, Timestamp,
};

#[allow(dead_code, reason = "a part of it is used")]
#[path = "../../../tests/servers/redis.rs"]
mod redis_server;

use redis_server::RedisServer;

/// A time that nothing expires at while this runs.
const BEGIN: Timestamp = Timestamp(4_000_000_000_000_000);

/// What a journal is filled with.
#[derive(Clone, Copy)]
struct Mix {
    name: &'static str,
    /// One record of so many is a purchase, the others are checkouts.
    records_per_purchase: usize,
    listed: bool,
}

/// Measures how fast the Redis sink follows.
#[derive(Parser)]
struct Arguments {
    /// Records of each journal
    #[arg(long, default_value_t = 400_000)]
    records: usize,
    /// Times to measure
    #[arg(long, default_value_t = 3)]
    rounds: u32,
}

fn main() {
    let Arguments { records, rounds } = Arguments::parse();
    let mix = |name, records_per_purchase, listed| Mix {
        name,
        records_per_purchase,
        listed,
    };
    let mixes = [
        mix("one purchase in five records", 5, false),
        mix("purchases only", 1, false),
        mix("purchases only, listed items", 1, true),
        mix("no purchases", usize::MAX, false),
    ];
    for _ in 0..rounds {
        for mix in mixes {
            measure(mix, records);
        }
    }
}

fn measure(mix: Mix, records: usize) {
    let journal = Arc::new(new_journal());
    let last = fill(&journal, mix, records);
    let server = RedisServer::start();
    let options = RedisOptions {
        servers: RedisServers::Single(ServerAddress {
            host: "127.0.0.1".into(),
            port: server.port(),
        }),
        user: None,
        password: None,
        db: 0,
        tls: false,
        authorities: None,
    };
    let gauge = Arc::new(SinkGauge::default());
    let tools = FollowerTools {
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SeededEntropy::new(2)),
        gauge: Arc::clone(&gauge),
    };
    let make = move || RedisSink::new(options, Arc::new(SeededEntropy::new(3)));
    let started = Instant::now();
    let follower =
        Follower::start(make, RecordSource::new(journal, false), tools).expect("a thread");
    while follower.applied().get() < last {
        thread::sleep(Duration::from_millis(1));
    }
    let took = started.elapsed();
    follower.stop();
    let rate = last.0 as f64 / took.as_secs_f64();
    println!(
        "{}: {rate:.0} records/s ({} in {took:.2?})",
        mix.name, last.0
    );
    // On a machine that others use too, the processor time says more than the time of the clock.
    for section in ["cpu", "commandstats", "latencystats", "memory"] {
        let info = server.command(&["INFO", section]).text();
        let of_interest = ["used_cpu_user:", "used_cpu_sys:", "used_memory_human:"];
        let is_of_interest = |line: &&str| {
            line.contains("_fcall:") || of_interest.iter().any(|start| line.starts_with(start))
        };
        for line in info.lines().filter(is_of_interest) {
            println!("  {line}");
        }
    }
}

fn new_journal() -> Journal {
    let opening = Opening::lock(Arc::new(SimulatedDisk::new()), "journal".as_ref());
    let opening = opening.expect("free");
    let replayed = opening.replay(Lsn::ZERO, &mut |_| Ok(())).expect("empty");
    let tools = Tools {
        clock: Arc::new(ManualClock::at(BEGIN)),
        entropy: Arc::new(SeededEntropy::new(1)),
        fail_stop: Box::new(|error| panic!("{error}")),
    };
    let options = Options {
        durability: Durability::Fsync,
        segment_bytes: 64 << 20,
    };
    opening.start(&replayed, &options, tools).expect("room")
}

fn fill(journal: &Journal, mix: Mix, records: usize) -> Lsn {
    create_sale(journal, mix.listed);
    let mut last = Lsn::ZERO;
    for number in 0..records {
        let is_purchase = (number + 1).is_multiple_of(mix.records_per_purchase);
        let buyer = number / mix.records_per_purchase;
        let (user, item) = (format!("user-{buyer:08}"), item_of(mix, buyer));
        let (sale, secret) = (SaleId(1), buyer as u128);
        let line = PurchasedLine {
            item,
            quantity: 1,
            sold: true,
        };
        let record = if is_purchase {
            Record::Purchase {
                sale,
                secret,
                user: &user,
                key: None,
                payment_ref: None,
                lines: Lines::Slice(&[line]),
            }
        } else {
            Record::Checkout {
                sale,
                secret,
                user: &user,
                item,
                quantity: 1,
                hold_until: None,
                opens: true,
                key: None,
            }
        };
        last = journal.append(BEGIN, &record);
        if journal.admit().is_err() {
            journal.wait(last).expect("the disk works");
        }
    }
    journal.wait(last).expect("the disk works");
    last
}

fn item_of(mix: Mix, buyer: usize) -> ItemIndex {
    let count = if mix.listed {
        LISTED_ITEMS
    } else {
        limits::SALE_ITEMS_MAX as usize
    };
    ItemIndex((buyer % count) as u32)
}

/// Items of a listed catalogue.
const LISTED_ITEMS: usize = 1000;

fn create_sale(journal: &Journal, listed: bool) {
    let sale = SaleId(1);
    let ids: Vec<_> = (0..LISTED_ITEMS)
        .map(|place| format!("sku-{place:06}"))
        .collect();
    let items: Vec<_> = ids
        .iter()
        .map(|id| NewItem {
            id,
            name: "a name",
            image_url: "",
            stock: limits::ITEM_STOCK_MAX,
            max_per_user: None,
        })
        .collect();
    let catalogue = if listed {
        for record in Record::item_batches(sale, &items) {
            journal.append(BEGIN, &record);
        }
        let item_count = LISTED_ITEMS as u32;
        CatalogueKind::Explicit { item_count }
    } else {
        let (seed, item_count) = (1, limits::SALE_ITEMS_MAX);
        CatalogueKind::Generated { seed, item_count }
    };
    let terms = SaleTerms {
        started_at: BEGIN,
        ended_at: BEGIN.plus_seconds(3600),
        max_items_per_user: 10,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue,
    };
    journal.append(BEGIN, &Record::SaleCreated { sale, terms });
}
