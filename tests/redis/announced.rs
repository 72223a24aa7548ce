//! Sales whose items come over a long time, and are there out of the order of their numbers.

use flashsale::reconcile::redis::reset;
use flashsale::record::{CatalogueKind, Lines, NewItem, Record, SaleTerms};
use flashsale::types::{ItemIndex, Lsn, PaymentTerms, PurchasedLine, SaleId, Timestamp};

use crate::redis::fixture::{Place, options, run, wait_until_equal};
use crate::redis::story::BEGIN_SECONDS;
use crate::redis_server::RedisServer;

fn append(place: &Place, records: &[Record<'_>]) -> Lsn {
    let at = Timestamp::from_seconds(BEGIN_SECONDS);
    let append = |_, record| place.journal.append(at, record);
    let last = records.iter().fold(Lsn::ZERO, append);
    place.journal.wait(last).expect("the disk works");
    last
}

fn created(sale: u32, catalogue: CatalogueKind) -> Record<'static> {
    let started_at = Timestamp::from_seconds(BEGIN_SECONDS);
    let terms = SaleTerms {
        started_at,
        ended_at: started_at.plus_seconds(10),
        max_items_per_user: 9,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue,
    };
    Record::SaleCreated {
        sale: SaleId(sale),
        terms,
    }
}

fn generated(sale: u32) -> Record<'static> {
    let (seed, item_count) = (1, 3);
    created(sale, CatalogueKind::Generated { seed, item_count })
}

fn listed(sale: u32) -> Record<'static> {
    created(sale, CatalogueKind::Explicit { item_count: 100 })
}

fn purchase(sale: u32, lines: &[PurchasedLine]) -> Record<'_> {
    Record::Purchase {
        sale: SaleId(sale),
        secret: u128::from(sale),
        user: "ada",
        key: None,
        payment_ref: None,
        lines: Lines::Slice(lines),
    }
}

#[test]
fn sales_come_to_be_in_any_order_and_leave_nothing_when_they_do_not() {
    let (server, place) = (RedisServer::start(), Place::new());
    let options = options(&server);
    let ids: Vec<_> = (0..100).map(|place| format!("item {place}")).collect();
    let item = |id| NewItem {
        id,
        name: "",
        image_url: "",
        stock: 5,
        max_per_user: None,
    };
    let items: Vec<_> = ids.iter().map(|id| item(id)).collect();
    let pieces = |sale| Record::item_batches(SaleId(sale), &items).collect::<Vec<_>>();
    let (one, two) = (pieces(1), pieces(2));

    // While the items of two sales come, a third one is created.
    let begun = [one[0], two[0], one[1], generated(3), two[1]];
    let following = place.follow(&options);
    following.wait_for(append(&place, &begun));
    let announced = server.command(&["HGET", "{flashsale}:watermark", "announced"]);
    assert_eq!(announced.text(), "1 2");
    drop(following);
    run(reset(&options)).expect("there");
    assert_eq!(
        server.command(&["KEYS", "*:sale:*"]).list().len(),
        0,
        "what was announced is gone"
    );

    let line = PurchasedLine {
        item: ItemIndex(99),
        quantity: 2,
        sold: true,
    };
    let lines = [line];
    let sold = |sale| purchase(sale, &lines);
    let rest = [two[2], listed(2), sold(2), one[2], listed(1), sold(1)];
    let last = append(&place, &rest);
    let following = place.follow(&options);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
    let announced = server.command(&["HEXISTS", "{flashsale}:watermark", "announced"]);
    assert_eq!(announced.number(), 0);

    // Two more are cut off; their numbers go to a listed and to a generated one, the later one first.
    let (four, five) = (pieces(4), pieces(5));
    let cut_off = [four[0], five[0], five[1]];
    following.wait_for(append(&place, &cut_off));
    let again = [
        generated(5),
        four[0],
        four[1],
        generated(6),
        four[2],
        listed(4),
    ];
    let last = append(&place, &again);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
}
