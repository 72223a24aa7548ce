mod faults;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::*;
use crate::env::{Clock, ManualClock, OsEntropy, SimulatedDisk};
use crate::record::{Record, RefusedReason};
use crate::sale::test_engine::engine_with_a_sale_on;
use crate::sale::{Archive, CheckoutOutcome, CheckoutRequest, Engine, Sale};
use crate::telemetry::EventGauge;
use crate::types::{CheckoutCode, EventType, ItemId, Lsn, Timestamp, UserId};

/// An engine with one sale of ten items, and what reads its events.
struct Shop {
    engine: Arc<Engine>,
    clock: Arc<ManualClock>,
    sale: Arc<Sale>,
}

impl Shop {
    fn new() -> Self {
        Self::on(SimulatedDisk::new())
    }

    fn on(disk: SimulatedDisk) -> Self {
        let (engine, clock, sale) = engine_with_a_sale_on(disk);
        engine.flush().expect("the disk works");
        Self {
            engine,
            clock,
            sale,
        }
    }

    fn reader(&self) -> EventReader {
        self.reader_that(false)
    }

    fn reader_that(&self, syncs: bool) -> EventReader {
        let archive = Archive::start(Arc::clone(&self.engine), None).expect("a thread");
        let sales = EventSales::new(Arc::clone(&self.engine), Arc::new(archive));
        let writer = EventWriter::new(EventSource::passing(&OsEntropy), sales);
        EventReader::new(Arc::clone(self.engine.journal()), writer, syncs)
    }

    fn feed(&self) -> EventFeed {
        let gauge = Arc::<EventGauge>::default();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        EventFeed::start(self.reader(), clock, gauge).expect("a thread")
    }

    fn choose(&self, item: u32) -> CheckoutCode {
        let decision = self.engine.checkout(&CheckoutRequest {
            user: UserId::new("ada").expect("an id"),
            item: ItemId::new(&format!("ITM-1-{item}")).expect("an id"),
            quantity: 1,
            sale: None,
            key: None,
        });
        let CheckoutOutcome::Accepted { code, .. } = decision.outcome else {
            panic!("{:?}", decision.outcome)
        };
        code
    }

    /// Sells an item, durably; the record of the purchase.
    fn sell(&self, item: u32) -> Lsn {
        let sold = self.engine.purchase(self.choose(item), None);
        self.engine.flush().expect("the disk works");
        sold.lsn.expect("a record")
    }
}

fn query(after: u64, limit: usize, form: EventForm) -> EventQuery {
    EventQuery {
        after: Lsn(after),
        limit,
        filter: EventFilter::default(),
        form,
    }
}

fn ids(events: &[Value]) -> Vec<u64> {
    let id = |event: &Value| event["id"].as_str()?.parse().ok();
    events
        .iter()
        .map(|event| id(event).expect("a number"))
        .collect()
}

fn batch(page: &EventPage) -> Vec<Value> {
    let events: Vec<Value> = serde_json::from_slice(&page.body).expect("an array");
    assert_eq!(events.len(), page.events);
    events
}

/// The events of pieces of a stream.
fn streamed(text: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(text).expect("UTF-8");
    let event = |part: &str| {
        let (id, data) = part.strip_prefix("id: ")?.split_once("\ndata: ")?;
        let event: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(event["id"], id);
        Some(event)
    };
    text.split("\n\n").filter_map(event).collect()
}

#[test]
fn nothing_is_told_before_the_replicated_log_has_it() {
    let shop = Shop::new();
    let mut reader = shop.reader();
    let outbox = shop.engine.journal().replicate();
    let before = reader.acknowledged();
    let decision = shop.engine.purchase(shop.choose(0), None);
    let sold = decision.lsn.expect("a record");
    // On this disk it is: the log alone is missing.
    let local = || shop.engine.journal().reached().expect("it is replicated");
    while local().local < sold {
        let _ = shop.engine.journal().pause(Duration::from_millis(1));
    }
    let read = |reader: &mut EventReader| {
        let until = reader.acknowledged();
        let page = reader.read(&query(before.0, 10, EventForm::Batch), until);
        ids(&batch(&page.expect("readable")))
    };
    assert!(read(&mut reader).is_empty());
    outbox.note_replicated(sold);
    assert_eq!(read(&mut reader), [sold.0]);
}

#[test]
fn each_record_is_told_as_it_is_and_open_checkouts_are_not() {
    let shop = Shop::new();
    let open = shop.choose(0);
    let sold = shop.sell(1);
    let other = shop.engine.checkout(&CheckoutRequest {
        user: UserId::new("bob \"B\"").expect("an id"),
        item: ItemId::new("ITM-1-5").expect("an id"),
        quantity: 1,
        sale: None,
        key: None,
    });
    shop.engine
        .close_sale(shop.sale.id())
        .expect("a sale")
        .expect("open");
    shop.engine.flush().expect("the disk works");
    let mut reader = shop.reader();
    let until = reader.acknowledged();
    let page = reader.read(&query(0, 10, EventForm::Batch), until);
    let page = page.expect("readable");
    assert_eq!(page.last, until);
    let events = batch(&page);
    let kinds: Vec<_> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["sale.created", "purchase.completed", "sale.closed"]);
    let expected = serde_json::json!({
        "sale_id": "1", "started_at": "1970-01-01T00:01:40Z", "ended_at": "1970-01-01T00:03:20Z", "total_items": 10,
        "max_items_per_user": 10, "hold_seconds": 0,
    });
    assert_eq!(events[0]["data"], expected);
    // Both items are in the one checkout of its buyer.
    let expected = serde_json::json!({
        "sale_id": "1", "code": open.to_string(), "user_id": "ada",
        "items": [
            {"id": "ITM-1-0", "quantity": 1, "sold": true},
            {"id": "ITM-1-1", "quantity": 1, "sold": true},
        ],
        "total_purchased": 2, "failed_count": 0,
    });
    assert_eq!(events[1]["data"], expected);
    assert_eq!(events[1]["id"], sold.to_string());
    assert_eq!(events[1]["subject"], "sales/1");
    assert_eq!(events[2]["data"], serde_json::json!({"sale_id": "1"}));
    let CheckoutOutcome::Accepted { code, .. } = other.outcome else {
        panic!("{:?}", other.outcome)
    };
    let secret = format!("{:032x}", code.secret);
    assert!(!String::from_utf8_lossy(&page.body).contains(&secret));
}

#[test]
fn a_checkout_whose_items_were_all_gone_is_no_purchase() {
    let shop = Shop::new();
    let buy = |user: &str| {
        let decision = shop.engine.checkout(&CheckoutRequest {
            user: UserId::new(user).expect("an id"),
            item: ItemId::new("ITM-1-3").expect("an id"),
            quantity: 1,
            sale: None,
            key: None,
        });
        let CheckoutOutcome::Accepted { code, .. } = decision.outcome else {
            panic!("{:?}", decision.outcome)
        };
        code
    };
    let codes = ["ada", "bob"].map(buy);
    let records = codes.map(|code| shop.engine.purchase(code, None).lsn.expect("a record"));
    shop.engine.flush().expect("the disk works");
    let mut reader = shop.reader();
    let until = reader.acknowledged();
    assert_eq!(until, records[1], "it is recorded");
    let page = reader.read(&query(1, 10, EventForm::Batch), until);
    let page = page.expect("readable");
    assert_eq!(ids(&batch(&page)), [records[0].0]);
    assert_eq!(page.last, until, "and passed over");
}

#[test]
fn pages_of_any_size_and_streams_tell_the_same_events_once() {
    let shop = Shop::new();
    let mut expected = vec![1];
    expected.extend((0..9).map(|item| shop.sell(item).0));
    let mut reader = shop.reader();
    let until = reader.acknowledged();
    for form in [EventForm::Batch, EventForm::Stream] {
        for limit in [1, 2, 3, 7, 100] {
            let (mut told, mut after) = (Vec::new(), Lsn::ZERO);
            while after < until {
                let page = reader.read(&query(after.0, limit, form), until);
                let page = page.expect("readable");
                assert!(page.events <= limit && page.last > after);
                told.extend(ids(&match form {
                    EventForm::Batch => batch(&page),
                    EventForm::Stream => streamed(&page.body),
                }));
                after = page.last;
            }
            assert_eq!(told, expected, "{form:?} {limit}");
        }
    }
}

#[test]
fn a_filter_leaves_out_what_is_not_wanted_and_goes_on() {
    let shop = Shop::new();
    let sold = shop.sell(2);
    let mut reader = shop.reader();
    let until = reader.acknowledged();
    let mut read = |kinds: &[EventType], sales: &[u32]| {
        let filter = EventFilter {
            kinds: kinds.to_vec(),
            sales: sales.iter().map(|&id| crate::types::SaleId(id)).collect(),
        };
        let wanted = EventQuery {
            filter,
            ..query(0, 10, EventForm::Batch)
        };
        let page = reader.read(&wanted, until).expect("readable");
        assert_eq!(page.last, until);
        ids(&batch(&page))
    };
    assert_eq!(read(&[EventType::PurchaseCompleted], &[]), [sold.0]);
    assert_eq!(read(&[EventType::SaleCreated], &[1, 2]), [1]);
    assert_eq!(read(&[], &[1]), [1, sold.0]);
    assert!(read(&[], &[2]).is_empty());
    assert!(read(&[EventType::CheckoutExpired], &[]).is_empty());
}

/// Fills some segments with records that tell nothing.
fn fill(shop: &Shop) -> Lsn {
    let text = "x".repeat(60_000);
    let record = Record::Refused {
        sale: None,
        user: &text,
        item: "",
        reason: RefusedReason::ItemNotFound,
    };
    let journal = shop.engine.journal();
    let mut last = Lsn::ZERO;
    for _ in 0..300 {
        last = journal.append(Timestamp::from_seconds(100), &record);
        journal.wait(last).expect("the disk works");
    }
    last
}

#[test]
fn a_reader_whose_events_were_trimmed_hears_where_to_go_on() {
    let shop = Shop::new();
    let mut reader = shop.reader();
    let until = reader.acknowledged();
    // This place is remembered, and its segment is removed under it.
    let page = reader.read(&query(0, 10, EventForm::Batch), until);
    assert_eq!(ids(&batch(&page.expect("readable"))), [1]);
    let last = fill(&shop);
    let sold = shop.sell(0);
    let later = Timestamp::from_seconds(101);
    let removed = shop.engine.journal().trim(last, later).expect("writable");
    assert!(removed > 1);
    let until = reader.acknowledged();
    let mut oldest = Lsn::ZERO;
    for after in [0, 1, 2] {
        match reader.read(&query(after, 10, EventForm::Batch), until) {
            Err(ReadError::Gone { oldest: place }) => oldest = place,
            other => panic!("{other:?}"),
        }
    }
    assert!(oldest > Lsn(2));
    let before = reader.read(&query(oldest.0 - 1, 10, EventForm::Batch), until);
    assert_eq!(before, Err(ReadError::Gone { oldest }));
    let page = reader.read(&query(oldest.0, 10, EventForm::Batch), until);
    assert_eq!(ids(&batch(&page.expect("readable"))), [sold.0]);
}

async fn next(subscriber: &mut EventSubscriber) -> Option<Bytes> {
    poll_fn(|cx| subscriber.poll_next(cx)).await
}

/// Reads a stream up to the event of the record `last`.
async fn read_until(subscriber: &mut EventSubscriber, last: Lsn) -> Vec<u64> {
    let mut told = Vec::new();
    while told.last() != Some(&last.0) {
        let piece = next(subscriber).await.expect("the stream goes on");
        told.extend(ids(&streamed(&piece)));
    }
    told
}

fn subscribe(feed: &EventFeed, after: u64) -> EventSubscriber {
    let (filter, first) = (EventFilter::default(), Bytes::from_static(b"retry: 1\n\n"));
    feed.subscribe(Lsn(after), filter, first).expect("room")
}

#[tokio::test]
async fn a_stream_that_is_not_read_for_long_loses_no_event() {
    let shop = Shop::new();
    let feed = shop.feed();
    let (mut quick, mut slow) = (subscribe(&feed, 0), subscribe(&feed, 0));
    let mut expected = vec![1];
    for item in 0..9 {
        let sold = shop.sell(item);
        expected.push(sold.0);
        // Each time the slow one is behind by one event more.
        let told = read_until(&mut quick, sold).await;
        assert_eq!(told.last(), expected.last());
    }
    let last = Lsn(expected[9]);
    assert_eq!(read_until(&mut slow, last).await, expected);
    let mut late = subscribe(&feed, expected[4]);
    assert_eq!(read_until(&mut late, last).await, expected[5..]);
}

#[tokio::test]
async fn a_request_that_waits_is_answered_by_the_next_event_it_wants() {
    let shop = Shop::new();
    let feed = shop.feed();
    let wanted = EventQuery {
        filter: EventFilter {
            kinds: vec![EventType::SaleClosed],
            sales: Vec::new(),
        },
        ..query(1, 10, EventForm::Batch)
    };
    let sell = async {
        shop.sell(0);
        let closed = shop.engine.close_sale(shop.sale.id()).expect("a sale");
        shop.engine.flush().expect("the disk works");
        closed.expect("it was open")
    };
    let (page, closed) = tokio::join!(feed.page(wanted.clone(), 30), sell);
    assert_eq!(ids(&batch(&page.expect("readable"))), [closed.0]);
    let at_once = feed.page(query(closed.0, 10, EventForm::Batch), 0).await;
    assert!(batch(&at_once.expect("readable")).is_empty());
}

#[tokio::test]
async fn a_feed_that_is_closed_keeps_nobody_waiting() {
    let shop = Shop::new();
    let feed = shop.feed();
    let mut subscriber = subscribe(&feed, 1);
    assert!(next(&mut subscriber).await.is_some());
    let close = async { feed.close() };
    let (page, ()) = tokio::join!(feed.page(query(1, 10, EventForm::Batch), 30), close);
    assert!(batch(&page.expect("an answer")).is_empty());
    assert_eq!(next(&mut subscriber).await, None);
    let late = feed.page(query(1, 10, EventForm::Batch), 0).await;
    assert_eq!(late, Err(FeedError::Draining));
    let late = feed.subscribe(Lsn(1), EventFilter::default(), Bytes::new());
    assert_eq!(late.err(), Some(FeedError::Draining));
    feed.stop();
}
