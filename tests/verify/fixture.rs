//! A journal with a record of every kind that a server writes into one, and a database that has followed it.

use std::num::NonZeroI64;
use std::path::Path;
use std::sync::Arc;

use flashsale::env::{Clock, ManualClock, OsEntropy, RealDisk, SystemClock};
use flashsale::journal::{Durability, Journal, Opening, Options, Tools};
use flashsale::reconcile::postgres::{Encryption, PostgresOptions, PostgresSink};
use flashsale::reconcile::redis::{RedisOptions, RedisServers, RedisSink};
use flashsale::reconcile::{Follower, FollowerTools, RecordSource, Sink};
use flashsale::record::{CatalogueKind, Items, NewItem, Record, SaleTerms};
use flashsale::sale::{
    CancelOutcome, CancelRequest, CheckoutOutcome, CheckoutRequest, ConfirmOutcome, ConfirmRequest,
    ContentsOutcome, Engine, EngineOptions, NewCatalogue, NewSale, PaymentOutcome, Recovered,
    ReleaseRequest, SaleChange, StockChangeRequest,
};
use flashsale::telemetry::SinkGauge;
use flashsale::types::{
    CheckoutCode, IdempotencyKey, ItemId, ItemIndex, PaymentTerms, PurchaseBy, Reference, SaleId,
    ServerAddress, Timestamp, UserId,
};

use crate::postgres_server::{DATABASE, PASSWORD, Postgres, USER};
use crate::redis_server::RedisServer;
use crate::server::{PATIENCE, Place, wait_for};

/// Buyers of each sale.
pub const BUYERS: u32 = 40;

/// The engine of the journal in `dir`, a minute ago: a server may go on with the sales.
pub fn open(dir: &Path) -> (Engine, Arc<ManualClock>) {
    open_with(dir, 256 * 1024)
}

/// Opens an engine on a journal whose new segments have this length.
pub fn open_with(dir: &Path, segment_bytes: u64) -> (Engine, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp(
        SystemClock::new().now().0 - 60_000_000,
    )));
    let opening = Opening::lock(Arc::new(RealDisk), dir).expect("nobody has it");
    let recovered = Recovered::from_journal(&opening).expect("intact");
    let options = Options {
        durability: Durability::Os,
        segment_bytes,
    };
    let tools = Tools {
        clock: clock.clone(),
        entropy: Arc::new(OsEntropy),
        fail_stop: Box::new(|error| panic!("{error}")),
    };
    let journal = opening
        .start(&recovered.replayed, &options, tools)
        .expect("room");
    let options = EngineOptions {
        record_refused: true,
        record_openings: false,
    };
    let engine = Engine::new(
        recovered.state,
        Arc::new(journal),
        clock.clone(),
        Arc::new(OsEntropy),
        options,
    );
    (engine, clock)
}

/// Makes everything durable and gives the journal back.
pub fn close(engine: &Engine) {
    engine.journal().close();
}

/// What a new sale sells, and how.
pub fn create(engine: &Engine, catalogue: NewCatalogue<'_>, hold_seconds: u32) -> SaleId {
    create_paid(engine, catalogue, hold_seconds, PaymentTerms::NONE)
}

fn create_paid(
    engine: &Engine,
    catalogue: NewCatalogue<'_>,
    hold_seconds: u32,
    payment: PaymentTerms,
) -> SaleId {
    let now = engine.clock().now();
    let new = NewSale {
        started_at: now,
        ended_at: now.plus_seconds(31_000_000),
        max_items_per_user: 3,
        hold_seconds,
        payment,
        catalogue,
    };
    engine
        .create_sale(&new)
        .expect("it can be created")
        .outcome
        .id()
}

pub fn choose(engine: &Engine, sale: SaleId, user: &str, item: &str) -> Option<CheckoutCode> {
    let decision = engine.checkout(&CheckoutRequest {
        user: UserId::new(user).expect("a good id"),
        item: ItemId::new(item).expect("a good id"),
        quantity: 1,
        sale: Some(sale),
        key: IdempotencyKey::new(item)
            .ok()
            .filter(|_| user.ends_with(['1', '4', '7'])),
    });
    match decision.outcome {
        CheckoutOutcome::Accepted { code, .. } => Some(code),
        _ => None,
    }
}

/// Every buyer chooses two items, most purchase them; some items are wanted by two.
pub fn sell(engine: &Engine, sale: SaleId, prefix: &str) {
    for buyer in 0..BUYERS {
        let user = format!("user-{buyer}");
        let items = [buyer, buyer + 1].map(|item| format!("{prefix}{item}"));
        let codes = items.map(|item| choose(engine, sale, &user, &item));
        let code = codes.into_iter().flatten().next();
        if let Some(code) = code.filter(|_| buyer % 4 != 3) {
            let key = IdempotencyKey::new("key-1").expect("a good key");
            let _ = engine.purchase(code, (buyer % 3 == 0).then_some(key));
        }
    }
    choose(engine, sale, "nobody", "no-such-item");
}

/// Fills the journal in `dir`: a generated sale, a listed one with holds that run out, items that were
/// announced and abandoned, refusals, an end, and one that is paid.
pub fn fill(dir: &Path) {
    let (engine, clock) = open(dir);
    let generated = NewCatalogue::Generated {
        item_count: 60,
        seed: u64::MAX - 7,
    };
    let sale = create(&engine, generated, 0);
    sell(&engine, sale, &format!("ITM-{sale}-"));
    clock.advance_us(1_000_003);

    // What a crash between announcing and creating leaves.
    let lost = [new_item("lost", "Lost \u{e4}\\N\t", 5)];
    let announced = Record::SaleItems {
        sale: SaleId(sale.0 + 1),
        first: ItemIndex(0),
        items: Items::Slice(&lost),
    };
    engine.journal().append(clock.now(), &announced);

    let ids: Vec<_> = (0..=BUYERS + 10)
        .map(|index| format!("thing-{index}"))
        .collect();
    let things = ids
        .iter()
        .map(|id| new_item(id, "A \"thing\"", 2))
        .collect();
    let sale = create(&engine, NewCatalogue::Explicit(things), 30);
    sell(&engine, sale, "thing-");
    clock.advance_us(31_000_000);
    assert!(engine.release_expired() > 0, "some holds ran out");
    let third = create(
        &engine,
        NewCatalogue::Generated {
            item_count: 5,
            seed: 1,
        },
        0,
    );
    choose(&engine, third, "late", &format!("ITM-{third}-0"));
    engine.close_sale(sale);
    let paid = take_orders(&engine, &clock);
    overtake(&engine, paid);
    close(&engine);
}

/// Runs a sale that is opened, paused, resumed and put off, and whose payments are confirmed in time, late and not at all. Units are given back,
/// cancelled, added and taken out.
fn take_orders(engine: &Engine, clock: &ManualClock) -> SaleId {
    let items = [("vase", 9), ("bowl", 9), ("print", 1)];
    let items = items.map(|(id, stock)| new_item(id, "To be paid", stock));
    let payment = PaymentTerms {
        seconds: 1,
        purchase_by: PurchaseBy::Shop,
    };
    let sale = create_paid(engine, NewCatalogue::Explicit(items.into()), 0, payment);
    // The first checkout of a sale says so only where a shop is told of events.
    let change = SaleChange::Opened;
    let opened = Record::SaleChanged { sale, change };
    engine.journal().append(clock.now(), &opened);
    let basket = |user: &str, items: &[&str]| {
        let codes = items.iter().map(|item| choose(engine, sale, user, item));
        codes.flatten().last().expect("all can be chosen")
    };
    let pay = |code| match engine.begin_payment(code).outcome {
        PaymentOutcome::Begun(begun) => begun,
        _ => panic!("something is free"),
    };
    let confirm = |code, payment_ref, late| {
        let payment_ref = Reference::new(payment_ref).expect("a good reference");
        let request = ConfirmRequest {
            code,
            payment_ref,
            late,
        };
        let outcome = engine.confirm(&request).outcome;
        assert!(matches!(outcome, ConfirmOutcome::Processed { .. }));
    };

    // Two want the same print: the second payment goes without it.
    let [ada, bob] = ["ada", "bob"].map(|user| basket(user, &["vase", "print"]));
    pay(ada);
    pay(bob);
    confirm(ada, "payment-1", false);
    confirm(bob, "payment-2", false);

    let cleo = basket("cleo", &["bowl", "vase"]);
    for item in [ItemId::new("bowl").ok(), None] {
        let request = ReleaseRequest {
            code: cleo,
            item,
            quantity: None,
        };
        let outcome = engine.release(&request).outcome;
        assert!(matches!(outcome, ContentsOutcome::Contents(_)));
    }

    let [dora, ed] = ["dora", "ed"].map(|user| basket(user, &["bowl", "vase"]));
    pay(dora);
    clock.advance_us(1_500_000);
    assert!(engine.release_expired() > 0, "a payment ran out");
    confirm(dora, "payment-3", true);
    pay(ed);

    for (code, item, restock, reference) in [
        (ada, ItemId::new("print").ok(), true, "refund-1"),
        (dora, None, false, "refund-1"),
    ] {
        let request = CancelRequest {
            code,
            item,
            quantity: None,
            restock,
            reference: Reference::new(reference).expect("a good reference"),
        };
        let outcome = engine.cancel(&request).outcome;
        assert!(matches!(outcome, CancelOutcome::Cancelled { .. }));
    }
    for (item, units, reference) in [("vase", 4, "delivery-1"), ("bowl", -2, "count-1")] {
        let request = StockChangeRequest {
            sale,
            item: ItemId::new(item).expect("a good id"),
            units: NonZeroI64::new(units).expect("some"),
            reference: Reference::new(reference).expect("a good reference"),
        };
        engine.change_stock(&request).expect("it can be changed");
    }
    let later = clock.now().plus_seconds(31_000_000);
    for change in [
        SaleChange::Paused,
        SaleChange::Resumed,
        SaleChange::Extended(later),
    ] {
        let changed = engine.change_sale(sale, change).expect("it goes on");
        assert!(changed.is_some());
    }
    sale
}

/// What stands in a journal where a sale was created while the items of the one before it came, and
/// those of a further one still come.
fn overtake(engine: &Engine, last: SaleId) {
    let [slow, quick, coming] = [1, 2, 3].map(|more| SaleId(last.0 + more));
    let items = ["x", "y"].map(|id| [new_item(id, "Overtaken", 3)]);
    let announced = |sale, first| Record::SaleItems {
        sale,
        first: ItemIndex(first),
        items: Items::Slice(&items[first as usize]),
    };
    let created = |sale, catalogue| {
        let started_at = engine.clock().now();
        let terms = SaleTerms {
            started_at,
            ended_at: started_at.plus_seconds(31_000_000),
            max_items_per_user: 3,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            catalogue,
        };
        Record::SaleCreated { sale, terms }
    };
    let (seed, item_count) = (5, 2);
    for record in [
        announced(slow, 0),
        created(quick, CatalogueKind::Generated { seed, item_count }),
        announced(coming, 0),
        announced(slow, 1),
        created(slow, CatalogueKind::Explicit { item_count }),
    ] {
        engine.journal().append(engine.clock().now(), &record);
    }
}

fn new_item<'a>(id: &'a str, name: &'a str, stock: u64) -> NewItem<'a> {
    NewItem {
        id,
        name,
        image_url: "/images/00.svg",
        stock,
        max_per_user: None,
    }
}

/// Where the database is.
pub fn options(postgres: &Postgres, database: &str) -> PostgresOptions {
    PostgresOptions {
        host: postgres.host().into(),
        port: postgres.port(),
        others: Vec::new(),
        user: USER.into(),
        password: Some(PASSWORD.into()),
        dbname: database.into(),
        schema: "public".into(),
        encryption: Encryption::Off,
        authorities: None,
        migrations: concat!(env!("CARGO_MANIFEST_DIR"), "/migrations").into(),
    }
}

/// Lets the first database follow the journal in `dir` to its end. Nobody may have it open.
pub fn follow(dir: &Path, postgres: &Postgres) {
    let (engine, _) = open(dir);
    follow_journal(engine.journal(), postgres);
    close(&engine);
}

/// Follows a journal that is open.
pub fn follow_journal(journal: &Arc<Journal>, postgres: &Postgres) {
    let options = options(postgres, DATABASE);
    follow_with(journal, move || PostgresSink::new(options));
}

/// Lets Redis follow the journal in `dir` to its end. Nobody may have it open.
pub fn follow_into_redis(dir: &Path, redis: &RedisServer) {
    let options = RedisOptions {
        servers: RedisServers::Single(ServerAddress {
            host: "127.0.0.1".into(),
            port: redis.port(),
        }),
        user: None,
        password: None,
        db: 0,
        tls: false,
        authorities: None,
    };
    let (engine, _) = open(dir);
    follow_with(engine.journal(), move || {
        RedisSink::new(options, Arc::new(OsEntropy))
    });
    close(&engine);
}

fn follow_with<S: Sink>(journal: &Arc<Journal>, make: impl FnOnce() -> S + Send + 'static) {
    let tools = FollowerTools {
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(OsEntropy),
        gauge: Arc::new(SinkGauge::default()),
    };
    let source = RecordSource::new(Arc::clone(journal), false);
    let follower = Follower::start(make, source, tools).expect("a thread");
    follower
        .first_word(PATIENCE)
        .expect("it answers in time")
        .expect("it can be followed");
    let applied = follower.applied();
    wait_for("the sink to follow", || {
        (applied.get() == journal.durable()).then_some(())
    });
    follower.stop();
}

/// A directory in which the binary finds the database.
pub fn place(postgres: &Postgres) -> Place {
    Place::new(
        &settings(postgres)
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect::<Vec<_>>(),
    )
}

/// Returns the options of the database as settings of the environment.
pub fn settings(postgres: &Postgres) -> Vec<(&'static str, String)> {
    vec![
        ("DB_HOST", postgres.host().into()),
        ("DB_PORT", postgres.port().to_string()),
        ("DB_USER", USER.into()),
        ("DB_PASSWORD", PASSWORD.into()),
        ("DB_NAME", DATABASE.into()),
        ("DB_SSLMODE", "disable".into()),
        (
            "DB_MIGRATIONS_PATH",
            concat!(env!("CARGO_MANIFEST_DIR"), "/migrations").into(),
        ),
    ]
}

/// Runs `flashsale verify` with `arguments`; its exit code and what it said.
pub fn verify(place: &Place, arguments: &[&str]) -> (i32, String) {
    verify_with(place, arguments, &[])
}

/// Runs `verify` with the given settings.
pub fn verify_with(place: &Place, arguments: &[&str], settings: &[(&str, &str)]) -> (i32, String) {
    let all: Vec<_> = ["verify"].iter().chain(arguments).copied().collect();
    let mut command = place.command(&all);
    let output = command
        .envs(settings.iter().copied())
        .output()
        .expect("the binary runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(!text.contains(PASSWORD), "{text}");
    (output.status.code().expect("an exit code"), text)
}

/// A verification that must find everything in order.
#[track_caller]
pub fn agrees(place: &Place, arguments: &[&str]) -> String {
    let (code, said) = verify(place, arguments);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.ends_with("verdict: all that was compared agrees\n"),
        "{said}"
    );
    said
}
