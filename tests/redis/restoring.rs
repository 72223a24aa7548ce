//! Filling Redis from a snapshot, where the journal no longer begins at its beginning.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use flashsale::reconcile::Watermark;
use flashsale::reconcile::redis::Projection;
use flashsale::record::{CatalogueKind, Lines, NewItem, Record, SaleTerms};
use flashsale::types::{ItemIndex, Lsn, PaymentTerms, PurchasedLine, SaleId, Timestamp};

use crate::redis::fixture::{Place, options, wait_until_equal};
use crate::redis::story::{BEGIN_SECONDS, Story};
use crate::redis_server::{Answer, RedisServer};

/// Appends a sale that was over long ago and leaves it open.
fn open_past_sale(place: &Place, sale: SaleId) {
    let started_at = Timestamp::from_seconds(1000);
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
    let created = Record::SaleCreated { sale, terms };
    place.journal.append(started_at, &created);
    let line = PurchasedLine {
        item: ItemIndex(1),
        quantity: 1,
        sold: true,
    };
    let purchase = Record::Purchase {
        sale,
        secret: 1,
        user: "ada",
        key: None,
        payment_ref: None,
        lines: Lines::Slice(&[line]),
    };
    place.journal.append(started_at, &purchase);
}

/// Appends megabytes of items of a sale.
fn announce_much(place: &Place, sale: SaleId) -> Lsn {
    let at = Timestamp::from_seconds(BEGIN_SECONDS);
    let ids: Vec<_> = (0..4000).map(|number| format!("item {number}")).collect();
    let long = "x".repeat(1000);
    let item = |id| NewItem {
        id,
        name: "",
        image_url: &long,
        stock: 1,
        max_per_user: None,
    };
    let items: Vec<_> = ids.iter().map(|id| item(id)).collect();
    let mut last = Lsn::ZERO;
    for record in Record::item_batches(sale, &items) {
        last = place.journal.append(at, &record);
        place.journal.wait(last).expect("the disk works");
    }
    last
}

/// Lets the snapshot of all there is take the place of what leads to it; the last record,
/// and what all of them lead to.
fn trim(place: &Place, story: &mut Story) -> (Lsn, (Watermark, Projection)) {
    let covered = place.snapshot();
    let last = story.tell(&place.journal, 500);
    let expected = place.fold(last);
    place.trim(covered);
    (last, expected)
}

#[test]
fn a_large_snapshot_is_written_while_it_is_read() {
    let server = Arc::new(RedisServer::start());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let place = {
        let (server, seen) = (Arc::clone(&server), Arc::clone(&seen));
        Place::watched(move || {
            let exists = server.command(&["EXISTS", "{flashsale}:sale:1:items"]);
            seen.lock().expect("no panic").push(exists.number());
        })
    };
    announce_much(&place, SaleId(1));
    let mut story = Story::new(1);
    story.skip_sale();
    let (last, expected) = trim(&place, &mut story);
    let following = place.follow(&options(&server));
    following.wait_for(last);
    wait_until_equal(&expected, &options(&server));
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen.first(), Some(&0));
    assert_eq!(seen.last(), Some(&1), "all was read before any was written");
}

#[test]
fn a_sale_that_would_have_expired_is_not_written() {
    let (server, place) = (RedisServer::start(), Place::new());
    open_past_sale(&place, SaleId(1));
    let mut story = Story::new(2);
    story.skip_sale();
    story.tell(&place.journal, 14_000);
    let closed = Record::SaleClosed { sale: SaleId(1) };
    let closed_at = Timestamp::from_seconds(BEGIN_SECONDS);
    let lsn = place.journal.append(closed_at, &closed);
    place.journal.wait(lsn).expect("the disk works");
    let (last, (_, expected)) = trim(&place, &mut story);
    // Whoever wrote it would have had its number among the calls of this key.
    server.command(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    server.command(&["CONFIG", "SET", "slowlog-max-len", "100000"]);
    let following = place.follow(&options(&server));
    following.wait_for(last);
    let calls = format!("{:?}", server.command(&["SLOWLOG", "GET", "-1"]));
    assert!(calls.contains("{flashsale}:sale:2"));
    assert!(!calls.contains("\"{flashsale}:sale:1\""), "it was written");
    assert!(expected.sales.contains_key(&SaleId(1)));
    let score = server.command(&["ZSCORE", "{flashsale}:sales", "1"]);
    assert_eq!(score, Answer::Nil);
}

#[test]
fn filling_redis_again_is_reported_however_long_it_takes() {
    let server = Arc::new(RedisServer::start());
    let pauses = AtomicBool::new(true);
    let place = {
        let server = Arc::clone(&server);
        Place::watched(move || {
            if pauses.swap(false, Ordering::Relaxed) {
                server.pause();
            }
        })
    };
    let mut story = Story::new(3);
    story.tell(&place.journal, 14_000);
    let (last, expected) = trim(&place, &mut story);
    let following = place.follow(&options(&server));
    following.wait_for_reason("being filled again");
    server.resume();
    following.wait_for(last);
    wait_until_equal(&expected, &options(&server));
}
