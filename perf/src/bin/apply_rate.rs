//! How fast the Postgres sink takes a journal, beside the plain `COPY` of the same rows: what the way
//! from the journal costs beyond what the server itself needs.
//!
//! Starts a Postgres of its own. The plain side reads files on the server, in one transaction.

#[allow(dead_code, reason = "a part of it is used")]
#[path = "../../../tests/servers/postgres.rs"]
mod postgres_server;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Parser;
use flashsale::env::{Clock, OsEntropy, RealDisk, SystemClock};
use flashsale::journal::{Durability, Journal, Opening, Options, Tools};
use flashsale::reconcile::postgres::{Encryption, PostgresOptions, PostgresSink, migrations};
use flashsale::reconcile::{Follower, FollowerTools, RecordSource};
use flashsale::record::{CatalogueKind, Lines, Record, SaleTerms};
use flashsale::telemetry::SinkGauge;
use flashsale::types::{ItemIndex, Lsn, PaymentTerms, PurchasedLine, SaleId, Timestamp};

use postgres_server::{PASSWORD, Postgres, USER};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// In the order in which rows refer to each other.
const TABLES: [&str; 5] = [
    "items",
    "checkouts",
    "checkout_items",
    "purchases",
    "purchase_results",
];
const FOREIGN_KEYS: &str = "
    ALTER TABLE checkout_items ADD FOREIGN KEY (sale_id, secret) REFERENCES checkouts;
    ALTER TABLE purchases ADD FOREIGN KEY (sale_id, secret) REFERENCES checkouts;
    ALTER TABLE purchase_results ADD FOREIGN KEY (sale_id, secret) REFERENCES purchases";
const PATIENCE: Duration = Duration::from_secs(600);

/// Measures how fast the Postgres sink follows.
#[derive(Parser)]
struct Arguments {
    /// Records of the journal; a sixth of them are purchases
    #[arg(long, default_value_t = 500_000)]
    records: u32,
    /// Times to measure
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Add foreign keys between the tables first
    #[arg(long)]
    foreign_keys: bool,
    /// The directory of the migrations
    #[arg(long, default_value = "migrations")]
    migrations: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let dir = tempfile::tempdir()?;
    let opening = Opening::lock(Arc::new(RealDisk), dir.path())?;
    let replayed = opening.replay(Lsn::ZERO, &mut |_| Ok(()))?;
    let tools = Tools {
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy),
        fail_stop: Box::new(|error| panic!("{error}")),
    };
    let options = Options {
        durability: Durability::Os,
        segment_bytes: 64 << 20,
    };
    let journal = Arc::new(opening.start(&replayed, &options, tools)?);
    fill(&journal, arguments.records)?;
    let postgres = Postgres::start_with(&["shared_buffers=512MB", "max_wal_size=8GB"]);
    let mut ratios = Vec::new();
    for round in 1..=arguments.rounds {
        let database = format!("round_{round}");
        let sink_rate = follow(&journal, &postgres, &database, &arguments)?;
        let copy_rate = copy(&journal, &postgres, &database);
        let ratio = sink_rate / copy_rate;
        println!(
            "round {round}: sink {sink_rate:.0} records/s, COPY {copy_rate:.0} records/s, \
             ratio {ratio:.2}"
        );
        ratios.push(ratio);
        postgres.query("postgres", &format!("DROP DATABASE {database}"));
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[ratios.len() / 2]);
    Ok(())
}

/// A sale with five checkouts to each purchase, which sells its item.
fn fill(journal: &Journal, records: u32) -> Result<(), Box<dyn Error>> {
    let checkouts = records - records / 6;
    let terms = SaleTerms {
        started_at: Timestamp::from_seconds(0),
        ended_at: Timestamp::from_seconds(3600),
        max_items_per_user: 10,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue: CatalogueKind::Generated {
            seed: 7,
            item_count: 100_000,
        },
    };
    let sale = SaleId(1);
    let mut last = journal.append(Timestamp(0), &Record::SaleCreated { sale, terms });
    for number in 0..checkouts {
        // As random as a real secret is, because the index of them is not in order either.
        let secret = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let user = &format!("user-{}", number % 300_000);
        let at = Timestamp(i64::from(number) * 10);
        let item = ItemIndex(number / 5 % 100_000);
        let checkout = Record::Checkout {
            sale,
            secret,
            user,
            item,
            quantity: 1,
            hold_until: None,
            opens: true,
            key: None,
        };
        last = journal.append(at, &checkout);
        if number % 5 == 0 {
            let line = PurchasedLine {
                item,
                quantity: 1,
                sold: number / 5 < 100_000,
            };
            let purchase = Record::Purchase {
                sale,
                secret,
                user,
                key: None,
                payment_ref: None,
                lines: Lines::Slice(&[line]),
            };
            last = journal.append(at, &purchase);
        }
        if number % 1000 == 0 {
            journal.wait(last)?;
        }
    }
    journal.wait(last)?;
    Ok(())
}

/// Records per second that the sink takes into an empty database.
fn follow(
    journal: &Arc<Journal>,
    postgres: &Postgres,
    database: &str,
    arguments: &Arguments,
) -> Result<f64, Box<dyn Error>> {
    postgres.create_database(database);
    let options = PostgresOptions {
        host: postgres.host().into(),
        port: postgres.port(),
        others: Vec::new(),
        user: USER.into(),
        password: Some(PASSWORD.into()),
        dbname: database.into(),
        schema: "public".into(),
        encryption: Encryption::Off,
        authorities: None,
        migrations: arguments.migrations.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(migrations::up(&options))?;
    if arguments.foreign_keys {
        postgres.query(database, FOREIGN_KEYS);
    }
    postgres.query(database, "CHECKPOINT");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let tools = FollowerTools {
        clock,
        entropy: Arc::new(OsEntropy),
        gauge: Arc::new(SinkGauge::default()),
    };
    let source = RecordSource::new(Arc::clone(journal), false);
    let follower = Follower::start(move || PostgresSink::new(options), source, tools)?;
    follower.first_word(PATIENCE).ok_or("no word")??;
    let started = Instant::now();
    while follower.applied().get() < journal.durable() {
        assert!(started.elapsed() < PATIENCE, "it does not catch up");
        sleep(Duration::from_millis(1));
    }
    let rate = journal.durable().0 as f64 / started.elapsed().as_secs_f64();
    follower.stop();
    Ok(rate)
}

/// Copies the rows from files of the server into the emptied tables.
fn copy(journal: &Journal, postgres: &Postgres, database: &str) -> f64 {
    let data = postgres.query(database, "SHOW data_directory");
    let file = |table: &str| format!("'{data}/{table}.copy' (FORMAT binary)");
    for table in TABLES {
        // A partitioned table gives its rows by a query only.
        let to = file(table);
        postgres.query(database, &format!("COPY (SELECT * FROM {table}) TO {to}"));
    }
    let all = TABLES.join(", ");
    postgres.query(database, &format!("TRUNCATE {all}"));
    postgres.query(database, "CHECKPOINT");
    let mut sql = String::from("BEGIN; ");
    for table in TABLES {
        sql.push_str(&format!("COPY {table} FROM {}; ", file(table)));
    }
    sql.push_str("COMMIT");
    let started = Instant::now();
    postgres.query(database, &sql);
    journal.durable().0 as f64 / started.elapsed().as_secs_f64()
}
