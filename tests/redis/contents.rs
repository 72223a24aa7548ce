//! What Redis holds is exactly what the journal says.

use std::sync::Arc;

use flashsale::env::{Disk, SystemClock};
use flashsale::reconcile::redis::{ProjectedItems, read};
use flashsale::reconcile::{CatchUpProgress, Sink, SinkBatch, SinkError, Watermark};
use flashsale::record::{CatalogueKind, Lines, NewItem, Record, SaleTerms};
use flashsale::types::{ItemIndex, Lsn, PaymentTerms, PurchasedLine, SaleId, Timestamp};
use proptest::prelude::*;

use crate::redis::fixture::{Place, options, run, sink, wait_until_equal};
use crate::redis::story::Story;
use crate::redis_server::RedisServer;
use crate::server::wait_for;

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_story_arrives_as_it_was_told(seed: u64, pieces in 1usize..6) {
        let (server, place) = (RedisServer::start(), Place::new());
        let options = options(&server);
        let mut story = Story::new(seed);
        for _ in 0..pieces {
            let following = place.follow(&options);
            let last = story.tell(&place.journal, 400);
            following.wait_for(last);
            wait_until_equal(&place.fold(last), &options);
            no_open_code_is_there(&server, &story);
        }
    }
}

/// Looks at every key for the codes of open checkouts.
fn no_open_code_is_there(server: &RedisServer, story: &Story) {
    let events = format!(
        "{:?}",
        server.command(&["XRANGE", "{flashsale}:events", "-", "+"])
    );
    let secrets = story.open_secrets();
    assert!(secrets.iter().all(|secret| !events.contains(&**secret)));
}

#[test]
fn events_tell_every_purchase_once_and_in_order() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let mut story = Story::new(5);
    let last = story.tell(&place.journal, 3000);
    let following = place.follow(&options);
    following.wait_for(last);
    let (_, expected) = place.fold(last);

    let events = server.command(&["XRANGE", "{flashsale}:events", "-", "+"]);
    let (mut sold, mut created, mut changed, mut before) = (0, 0, 0, 0);
    let (mut restocked, mut cancelled) = (0, 0);
    for event in events.list() {
        let id = event.list()[0].text();
        let lsn: u64 = id
            .strip_suffix("-0")
            .expect("record-0")
            .parse()
            .expect("a record");
        assert!(lsn > before, "{lsn} follows {before}");
        before = lsn;
        let fields: Vec<_> = event.list()[1]
            .list()
            .iter()
            .map(|field| field.text())
            .collect();
        let field = |name: &str| {
            let pairs = fields.chunks(2);
            let found = pairs.into_iter().find(|pair| pair[0] == name);
            found.map(|pair| pair[1].clone()).expect("a field")
        };
        match &*field("type") {
            "sale_created" => created += 1,
            "sale_paused" | "sale_resumed" => changed += 1,
            "sale_extended" => {
                let ended_at: Result<jiff::Timestamp, _> = field("ended_at").parse();
                assert!(ended_at.is_ok());
                changed += 1;
            }
            "stock_changed" => {
                assert!(!field("item").is_empty());
                let added: i64 = field("added").parse().expect("a number");
                assert_ne!(added, 0);
                restocked += 1;
            }
            "cancelled" => {
                let items: serde_json::Value = serde_json::from_str(&field("items")).expect("JSON");
                for item in items.as_array().expect("a list") {
                    cancelled += item["quantity"].as_u64().expect("a number");
                }
                assert!(["true", "false"].contains(&&*field("restock")));
            }
            "purchased" => {
                let items: serde_json::Value = serde_json::from_str(&field("items")).expect("JSON");
                for item in items.as_array().expect("a list") {
                    assert!(!item["item"].as_str().expect("an id").is_empty());
                    sold += item["quantity"].as_u64().expect("a number");
                }
                assert!(field("code").starts_with(&format!("CHK-{}-", field("sale"))));
            }
            _ => {}
        }
    }
    assert!(cancelled > 0, "nothing was cancelled");
    assert_eq!(
        sold - cancelled,
        expected.sales.values().map(|sale| sale.sold).sum::<u64>()
    );
    assert_eq!(created, story.last_sale());
    assert!(changed > 0, "no sale was changed");
    assert!(restocked > 0, "no stock was changed");
}

#[test]
fn all_keys_are_in_one_slot() {
    let (server, place) = (
        RedisServer::start_with(&["cluster-enabled yes"]),
        Place::new(),
    );
    // A node that has every slot to itself.
    server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    wait_for("the cluster", || {
        let info = server.command(&["CLUSTER", "INFO"]).text();
        info.contains("cluster_state:ok").then_some(())
    });
    let options = options(&server);
    let last = Story::new(3).tell(&place.journal, 1000);
    place.follow(&options).wait_for(last);
    let keys = server.command(&["KEYS", "*"]);
    let slot = |key: &str| server.command(&["CLUSTER", "KEYSLOT", key]).number();
    let first = slot("{flashsale}:watermark");
    assert!(keys.list().len() > 5);
    assert!(keys.list().iter().all(|key| slot(&key.text()) == first));
    wait_until_equal(&place.fold(last), &options);
}

#[test]
fn a_closed_sale_expires_and_leaves_the_list() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let create = |id: u32, started_at: Timestamp| {
        let catalogue = CatalogueKind::Generated {
            seed: 1,
            item_count: 3,
        };
        let terms = SaleTerms {
            started_at,
            ended_at: started_at.plus_seconds(10),
            max_items_per_user: 1,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            catalogue,
        };
        let record = Record::SaleCreated {
            sale: SaleId(id),
            terms,
        };
        place.journal.append(started_at, &record)
    };
    // One that has expired long ago, and one that will in many years.
    let (past, future) = (
        Timestamp::from_seconds(1000),
        Timestamp::from_seconds(4_000_000_000),
    );
    create(1, past);
    place
        .journal
        .append(past, &Record::SaleClosed { sale: SaleId(1) });
    create(2, future);
    let close = Record::SaleClosed { sale: SaleId(2) };
    let last = place.journal.append(future.plus_seconds(2), &close);
    place.journal.wait(last).expect("the disk works");
    let following = place.follow(&options);
    following.wait_for(last);

    assert_eq!(
        server.command(&["EXISTS", "{flashsale}:sale:1"]).number(),
        0
    );
    // Closed before its end, it counts from then.
    let at = server
        .command(&["EXPIRETIME", "{flashsale}:sale:2"])
        .number();
    assert_eq!(at, 4_000_000_002 + 7 * 86_400);
    let found = run(read(&options))
        .expect("readable")
        .expect("there")
        .projection;
    let (_, expected) = place.fold(last);
    assert_eq!(expected.differences(&found, 10), Vec::<String>::new());
    assert_eq!(found.sales.len(), 1);
    // The next sale takes the expired one off the list.
    let last = create(3, future);
    place.journal.wait(last).expect("the disk works");
    following.wait_for(last);
    let listed = server.command(&["ZRANGE", "{flashsale}:sales", "0", "-1"]);
    let listed: Vec<_> = listed.list().iter().map(|id| id.text()).collect();
    assert_eq!(listed, ["2", "3"]);
}

#[test]
fn a_second_applier_is_fenced() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let last = Story::new(9).tell(&place.journal, 300);
    let (half, whole) = (Lsn(last.0 / 2), last);
    let (mut first, mut second) = (sink(&options), sink(&options));
    run(async {
        for sink in [&mut first, &mut second] {
            assert_eq!(sink.open().await.expect("open"), Watermark::ZERO);
        }
        let mut progress = CatchUpProgress::new("Redis", Arc::new(SystemClock::new()));
        first
            .start_over(&place.source(), Watermark::ZERO, Lsn::ZERO, &mut progress)
            .await
            .expect("ready");
        let apply_up_to = async |sink: &mut flashsale::reconcile::redis::RedisSink, until: Lsn| {
            let mut batch = sink.batch();
            let mut to = Watermark::ZERO;
            let visit = &mut |entry: flashsale::record::Entry<'_>| {
                if entry.lsn <= until {
                    assert!(batch.push(&entry)?);
                    to = Watermark::at(&entry);
                }
                Ok(())
            };
            let durable = Some(place.journal.durable());
            let dir = "journal".as_ref();
            let disk: &dyn Disk = place.disk();
            flashsale::journal::replay(disk, dir, Lsn::ZERO, durable, visit).expect("intact");
            sink.apply(batch, Watermark::ZERO, to).await
        };
        apply_up_to(&mut first, half)
            .await
            .expect("from the beginning");
        let late = apply_up_to(&mut second, whole).await;
        assert!(matches!(late, Err(SinkError::Moved)), "{late:?}");
    });
    wait_until_equal(&place.fold(half), &options);
    // Whoever fills it again fences those who follow, and is not fenced by the watermark alone.
    server.command(&["HSET", "{flashsale}:watermark", "rebuilding", "a token"]);
    let (from, _) = place.fold(half);
    let late = run(async {
        assert_eq!(first.open().await.expect("open"), Watermark::ZERO);
        first.apply(first.batch(), from, from).await
    });
    assert!(matches!(late, Err(SinkError::Moved)), "{late:?}");
    server.command(&["HDEL", "{flashsale}:watermark", "rebuilding"]);
    wait_until_equal(&place.fold(half), &options);
}

#[test]
fn a_catalogue_that_comes_in_pieces_is_whole() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let (sale, at) = (SaleId(1), Timestamp::from_seconds(4_000_000_000));
    let ids: Vec<_> = (0..3000).map(|place| format!("item {place}")).collect();
    let items: Vec<_> = ids
        .iter()
        .map(|id| NewItem {
            id,
            name: "",
            image_url: "",
            stock: 1 << 32,
            max_per_user: None,
        })
        .collect();
    let records: Vec<_> = Record::item_batches(sale, &items).collect();
    // The server that reads on has not seen what came before.
    let follow = |records: &[Record<'_>]| {
        let append = |_, record| place.journal.append(at, record);
        let last = records.iter().fold(Lsn::ZERO, append);
        place.journal.wait(last).expect("the disk works");
        place.follow(&options).wait_for(last);
        last
    };
    follow(&records[..1]);
    follow(&records[1..60]);
    follow(&records[60..]);
    let catalogue = CatalogueKind::Explicit { item_count: 3000 };
    let terms = SaleTerms {
        started_at: at,
        ended_at: at.plus_seconds(10),
        max_items_per_user: 9,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue,
    };
    follow(&[Record::SaleCreated { sale, terms }]);
    let line = |item| PurchasedLine {
        item: ItemIndex(item),
        quantity: 3,
        sold: true,
    };
    let lines = [line(0), line(1500), line(2999)];
    let purchase = Record::Purchase {
        sale,
        secret: 1,
        user: "ada",
        key: None,
        payment_ref: None,
        lines: Lines::Slice(&lines),
    };
    let last = follow(&[purchase]);
    wait_until_equal(&place.fold(last), &options);
    let total = server
        .command(&["HGET", "{flashsale}:sale:1", "total"])
        .number();
    assert_eq!(total, 3000 << 32);
}

#[test]
fn whatever_somebody_changes_is_named() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let last = Story::new(12).tell(&place.journal, 2000);
    place.follow(&options).wait_for(last);
    let (_, expected) = place.fold(last);
    let key = |of: &str| format!("{{flashsale}}:sale:{of}");
    let (mut listed, mut generated) = (String::new(), String::new());
    for (id, sale) in &expected.sales {
        match sale.items {
            ProjectedItems::Listed { .. } => listed = id.to_string(),
            ProjectedItems::Generated(_) => generated = id.to_string(),
        }
    }
    let changes: [&[&str]; 6] = [
        &["HINCRBY", &key(&listed), "sold", "1"],
        &["HINCRBY", &key(&listed), "remaining", "1"],
        &["HSET", &key(&generated), "max_items_per_user", "77"],
        &[
            "SETBIT",
            &key(&format!("{generated}:sold_items")),
            "400000",
            "1",
        ],
        &["HSET", &key(&format!("{listed}:remaining")), "another", "1"],
        &["HSET", &key(&format!("{generated}:bought")), "eve", "1"],
    ];
    for (count, change) in (1..).zip(changes) {
        assert!(!server.command(change).is_error());
        let found = run(read(&options))
            .expect("readable")
            .expect("there")
            .projection;
        let differences = expected.differences(&found, 100);
        assert_eq!(differences.len(), count, "{change:?}: {differences:?}");
    }
}
