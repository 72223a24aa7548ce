//! What each table holds of each record.

use std::num::NonZeroU16;

use flashsale::record::{
    CancelledLines, CheckoutKey, Lines, NewItem, Record, RefusedReason, ReleasedLine, SaleChange,
};
use flashsale::types::{ItemIndex, PurchasedLine, SaleId, Timestamp};

use crate::postgres::driver::{
    Driver, EPOCH, announce, checkout, generated, item, line, listed, options, purchase,
};
use crate::postgres_server::{DATABASE, Postgres};

fn start() -> (Postgres, Driver) {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let driver = Driver::open(options(&postgres));
    (postgres, driver)
}

/// All rows of a table or view, in order.
fn rows(postgres: &Postgres, table: &str) -> Vec<String> {
    let all = postgres.query(
        DATABASE,
        &format!("SELECT * FROM {table} AS it ORDER BY it"),
    );
    all.lines().map(str::to_owned).collect()
}

fn count(postgres: &Postgres, table: &str) -> String {
    postgres.query(DATABASE, &format!("SELECT count(*) FROM {table}"))
}

#[test]
fn a_generated_sale_fills_every_table() {
    const LINES: &[PurchasedLine] = &[line(0, 1, true), line(1, 1, false)];
    let (postgres, mut driver) = start();
    let second_item = Record::Checkout {
        sale: SaleId(1),
        secret: 0xabc,
        user: "ada",
        item: ItemIndex(1),
        quantity: 1,
        hold_until: Some(Timestamp::from_seconds(EPOCH + 60)),
        opens: false,
        key: None,
    };
    let held = Record::Checkout {
        sale: SaleId(1),
        secret: u128::MAX,
        user: "grüße",
        item: ItemIndex(2),
        quantity: 1,
        hold_until: Some(Timestamp(EPOCH * 1_000_000 + 60_000_001)),
        opens: true,
        key: Some(CheckoutKey {
            key: "key|2",
            items_count: 1,
            sale_ends_at: Timestamp::from_seconds(EPOCH + 3600),
            held_until: Some(Timestamp::from_seconds(EPOCH + 60)),
        }),
    };
    let bought = Record::Purchase {
        sale: SaleId(1),
        secret: 0xabc,
        user: "ada",
        key: Some("key-1"),
        payment_ref: None,
        lines: Lines::Slice(LINES),
    };
    let expired = Record::Expired {
        sale: SaleId(1),
        secret: u128::MAX,
        user: "grüße",
        lines: Lines::NONE,
    };
    let refused = |sale, reason| Record::Refused {
        sale,
        user: "bob",
        item: "no|such",
        reason,
    };
    let records = [
        generated(1, 3),
        checkout(1, 0xabc, 0, 1),
        second_item,
        held,
        bought,
        expired,
        refused(None, RefusedReason::ItemNotFound),
        refused(Some(SaleId(1)), RefusedReason::IdempotencyKeyReused),
        Record::SaleClosed { sale: SaleId(1) },
    ];
    assert_eq!(driver.apply(&records).expect("a database"), 1);

    let sale = "1|2001-09-09 01:46:40+00|2001-09-09 02:46:40+00|10|0|3|-7|2001-09-09 01:46:41+00|1|2001-09-09 01:46:49+00|9|0|buyer";
    assert_eq!(rows(&postgres, "sales"), [sale]);
    let items = rows(&postgres, "items");
    assert_eq!(items.len(), 3);
    assert!(items[2].starts_with("1|2|ITM-1-2|"), "{}", items[2]);
    assert!(
        items[2].ends_with(".svg|1|1|2001-09-09 01:46:41+00|"),
        "{}",
        items[2]
    );
    let [abc, max] = [
        "00000000-0000-0000-0000-000000000abc",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ];
    let checkouts = [
        format!("1|{abc}|ada|2001-09-09 01:46:42+00||2"),
        format!("1|{max}|grüße|2001-09-09 01:46:44+00|2001-09-09 01:47:40.000001+00|4"),
    ];
    assert_eq!(rows(&postgres, "checkouts"), checkouts);
    let checkout_items = [
        format!("1|{abc}|0|1|2001-09-09 01:46:42+00|2||||"),
        format!("1|{abc}|1|1|2001-09-09 01:46:43+00|3||||"),
        format!(
            "1|{max}|2|1|2001-09-09 01:46:44+00|4|key|2|1|2001-09-09 02:46:40+00|2001-09-09 01:47:40+00"
        ),
    ];
    assert_eq!(rows(&postgres, "checkout_items"), checkout_items);
    let purchases = [format!("1|{abc}|2001-09-09 01:46:45+00|key-1|5|")];
    assert_eq!(rows(&postgres, "purchases"), purchases);
    let results = [
        format!("1|{abc}|0|0|1|t|t|f"),
        format!("1|{abc}|1|1|1|f|t|f"),
    ];
    assert_eq!(rows(&postgres, "purchase_results"), results);
    let expired = [format!("1|{max}|2001-09-09 01:46:46+00|6")];
    assert_eq!(rows(&postgres, "expired_checkouts"), expired);
    let refused = [
        "0|bob|no|such|item_not_found|2001-09-09 01:46:47+00|7",
        "1|bob|no|such|idempotency_key_reused|2001-09-09 01:46:48+00|8",
    ];
    assert_eq!(rows(&postgres, "refused_attempts"), refused);
    assert_eq!(rows(&postgres, "user_purchases"), ["1|ada|1"]);
    assert!(rows(&postgres, "violations").is_empty());
    let watermark = postgres.query(DATABASE, "SELECT lsn, fingerprint FROM watermark");
    let ours = driver.watermark;
    assert_eq!(watermark, format!("{}|{}", ours.lsn, ours.fingerprint));
}

#[test]
fn what_is_given_back_is_kept_beside_what_was_chosen() {
    let (postgres, mut driver) = start();
    let released = |line| Record::Released {
        sale: SaleId(1),
        secret: 0xabc,
        user: "ada",
        line,
    };
    let some = ReleasedLine {
        item: ItemIndex(0),
        quantity: 2,
    };
    let records = [
        announce(1, 0, &[item("a", 5)]),
        listed(1, 1),
        checkout(1, 0xabc, 0, 3),
        released(Some(some)),
        released(None),
    ];
    assert_eq!(driver.apply(&records).expect("a database"), 1);
    let code = "00000000-0000-0000-0000-000000000abc";
    let expected = [
        format!("1|{code}|0|2|2001-09-09 01:46:44+00|4"),
        format!("1|{code}|||2001-09-09 01:46:45+00|5"),
    ];
    assert_eq!(rows(&postgres, "releases"), expected);
    assert_eq!(rows(&postgres, "checkout_items").len(), 1);
    assert!(rows(&postgres, "violations").is_empty());
}

#[test]
fn changes_of_a_sale_are_kept_beside_its_first_terms() {
    let (postgres, mut driver) = start();
    let later = Timestamp::from_seconds(EPOCH + 7200);
    let changed = |change| Record::SaleChanged {
        sale: SaleId(1),
        change,
    };
    let records = [
        announce(1, 0, &[item("a", 5)]),
        listed(1, 1),
        changed(SaleChange::Opened),
        changed(SaleChange::Paused),
        changed(SaleChange::Resumed),
        changed(SaleChange::Extended(later)),
    ];
    assert_eq!(driver.apply(&records).expect("a database"), 1);
    let expected = [
        "3|1|opened||2001-09-09 01:46:43+00",
        "4|1|paused||2001-09-09 01:46:44+00",
        "5|1|resumed||2001-09-09 01:46:45+00",
        "6|1|extended|2001-09-09 03:46:40+00|2001-09-09 01:46:46+00",
    ];
    assert_eq!(rows(&postgres, "sale_changes"), expected);
    let ends = "SELECT (SELECT ended_at FROM seed.sales), ended_at < (SELECT ended_at FROM seed.sales) FROM sales";
    let shown = postgres.query(DATABASE, ends);
    assert_eq!(shown, "2001-09-09 03:46:40+00|t");
    assert!(rows(&postgres, "violations").is_empty());
}

#[test]
fn changes_of_a_stock_are_kept_and_pools_have_the_stock_of_now() {
    let (postgres, mut driver) = start();
    let changed = |item, units, reference| Record::StockChanged {
        sale: SaleId(1),
        item: ItemIndex(item),
        units,
        reference,
    };
    let records = [
        announce(1, 0, &[item("a", 5), item("b", 2)]),
        listed(1, 2),
        checkout(1, 1, 0, 3),
        purchase(1, 1, &[line(0, 3, true)]),
        // What is sold was never more than there was, though in the end it is as much as there was at first.
        changed(0, 4, "more"),
        checkout(1, 2, 0, 6),
        purchase(1, 2, &[line(0, 6, true)]),
        changed(1, -2, "none"),
    ];
    assert_eq!(driver.apply(&records).expect("a database"), 1);
    assert_eq!(rows(&postgres, "pools"), ["1|0|9|9", "1|1|0|0"]);
    let expected = [
        "5|1|0|4|more|2001-09-09 01:46:45+00",
        "8|1|1|-2|none|2001-09-09 01:46:48+00",
    ];
    assert_eq!(rows(&postgres, "stock_changes"), expected);
    let views = "SELECT string_agg(stock || ' ' || sold || ' ' || remaining, ', ' ORDER BY item_index) FROM item_sales";
    assert_eq!(postgres.query(DATABASE, views), "9 9 0, 0 0 0");
    let total = "SELECT total_items, items_sold FROM seed.sales";
    assert_eq!(postgres.query(DATABASE, total), "9|9");
    assert!(rows(&postgres, "violations").is_empty());
    // Nothing is sold that is not there any more.
    let more = [checkout(1, 3, 1, 1), purchase(1, 3, &[line(1, 1, true)])];
    assert!(driver.apply(&more).is_err());
}

#[test]
fn what_is_cancelled_can_be_sold_again() {
    let (postgres, mut driver) = start();
    let cancelled = |sale, secret, lines, restock| Record::Cancelled {
        sale: SaleId(sale),
        secret,
        user: "ada",
        reference: "refund",
        lines: CancelledLines::Slice(lines),
        restock,
    };
    const ONE: &[ReleasedLine] = &[ReleasedLine {
        item: ItemIndex(0),
        quantity: 1,
    }];
    let records = [
        generated(1, 3),
        checkout(1, 1, 0, 1),
        purchase(1, 1, &[line(0, 1, true)]),
        cancelled(1, 1, ONE, true),
        // What exists once is sold to somebody else, and that is cancelled for good.
        checkout(1, 2, 0, 1),
        purchase(1, 2, &[line(0, 1, true)]),
        cancelled(1, 2, ONE, false),
        announce(2, 0, &[item("a", 5)]),
        listed(2, 1),
        checkout(2, 3, 0, 3),
        purchase(2, 3, &[line(0, 3, true)]),
        cancelled(2, 3, ONE, false),
    ];
    driver.apply(&records).expect("a database");
    assert_eq!(rows(&postgres, "pools"), ["2|0|4|2"]);
    let results = "SELECT string_agg(sale_id || ' ' || sold || ' ' || cancelled, ', ' ORDER BY lsn) \
                   FROM purchase_results JOIN purchases USING (sale_id, secret)";
    let expected = "1 true true, 1 true true, 2 true false";
    assert_eq!(postgres.query(DATABASE, results), expected);
    let kept = "SELECT string_agg(sale_id || ' ' || quantity || ' ' || restock, ', ' ORDER BY lsn) FROM cancellations";
    assert_eq!(
        postgres.query(DATABASE, kept),
        "1 1 true, 1 1 false, 2 1 false"
    );
    let items = "SELECT string_agg(stock || ' ' || sold || ' ' || remaining, ', ' ORDER BY sale_id, item_index) FROM item_sales";
    assert_eq!(
        postgres.query(DATABASE, items),
        "0 0 0, 1 0 1, 1 0 1, 4 2 2"
    );
    let sales =
        "SELECT string_agg(total_items || ' ' || items_sold, ', ' ORDER BY id) FROM seed.sales";
    assert_eq!(postgres.query(DATABASE, sales), "2 0, 4 2");
    let bought = "SELECT sum(bought) FROM user_purchases";
    assert_eq!(postgres.query(DATABASE, bought), "2");
    assert!(rows(&postgres, "violations").is_empty());
}

#[test]
fn a_payment_is_kept_line_by_line_and_its_reference_with_the_purchase() {
    const LINES: &[PurchasedLine] = &[line(0, 3, true), line(1, 1, false)];
    let (postgres, mut driver) = start();
    let second = Record::Checkout {
        sale: SaleId(1),
        secret: 0xabc,
        user: "ada",
        item: ItemIndex(1),
        quantity: 1,
        hold_until: None,
        opens: false,
        key: None,
    };
    let begun = Record::PaymentBegun {
        sale: SaleId(1),
        secret: 0xabc,
        user: "ada",
        hold_until: Timestamp::from_seconds(EPOCH + 60),
        held_until: Timestamp::from_seconds(EPOCH + 61),
        lines: Lines::Slice(LINES),
    };
    let expired = Record::Expired {
        sale: SaleId(1),
        secret: 0xabc,
        user: "ada",
        lines: Lines::NONE,
    };
    let confirmed = Record::Purchase {
        sale: SaleId(1),
        secret: 0xabc,
        user: "ada",
        key: None,
        payment_ref: Some("pay|1"),
        lines: Lines::Slice(LINES),
    };
    let records = [
        announce(1, 0, &[item("a", 5), item("b", 1)]),
        listed(1, 2),
        checkout(1, 0xabc, 0, 3),
        second,
        begun,
        // It may come late.
        expired,
        confirmed,
    ];
    assert_eq!(driver.apply(&records).expect("a database"), 1);
    let code = "00000000-0000-0000-0000-000000000abc";
    let until = "2001-09-09 01:47:40+00|2001-09-09 01:47:41+00|2001-09-09 01:46:45+00|5";
    let expected = [
        format!("1|{code}|0|0|3|t|{until}"),
        format!("1|{code}|1|1|1|f|{until}"),
    ];
    assert_eq!(rows(&postgres, "payments"), expected);
    let purchases = [format!("1|{code}|2001-09-09 01:46:47+00||7|pay|1")];
    assert_eq!(rows(&postgres, "purchases"), purchases);
    assert!(rows(&postgres, "violations").is_empty());
}

#[test]
fn pools_count_what_is_sold_of_listed_items() {
    let (postgres, mut driver) = start();
    const ITEMS: &[NewItem<'static>] = &[item("a", 5), item("b", 1 << 32), item("c", 1)];
    let records = [
        announce(1, 0, &[ITEMS[0]]),
        announce(1, 1, &[ITEMS[1], ITEMS[2]]),
        listed(1, 3),
        checkout(1, 1, 0, 3),
        checkout(1, 2, 0, 2),
        purchase(
            1,
            1,
            &[line(0, 3, true), line(1, 5, true), line(2, 1, false)],
        ),
        purchase(1, 2, &[line(0, 2, true)]),
    ];
    assert_eq!(driver.apply(&records).expect("a database"), 1);
    assert_eq!(
        rows(&postgres, "pools"),
        ["1|0|5|5", "1|1|4294967296|5", "1|2|1|0"]
    );
    let items = rows(&postgres, "items");
    assert_eq!(
        items[1],
        "1|1|b|Ein schöner Name|https://example.com/a.png|4294967296|2|2001-09-09 01:46:42+00|"
    );
    let sales = postgres.query(
        DATABASE,
        "SELECT generated_seed IS NULL, item_count FROM sales",
    );
    assert_eq!(sales, "t|3");
    assert!(rows(&postgres, "violations").is_empty());

    // What is known of the sale comes from the database now.
    driver.reopen().expect("a database");
    let more = [checkout(1, 3, 1, 1), purchase(1, 3, &[line(1, 1, true)])];
    driver.apply(&more).expect("a database");
    assert_eq!(rows(&postgres, "pools")[1], "1|1|4294967296|6");
    let single = "SELECT count(*) FROM purchase_results WHERE is_single";
    assert_eq!(postgres.query(DATABASE, single), "0");

    let oversold = [checkout(1, 4, 0, 1), purchase(1, 4, &[line(0, 1, true)])];
    let error = driver.apply(&oversold).expect_err("5 of 5 are sold");
    assert!(
        error
            .to_string()
            .contains("more would be sold than there is"),
        "{error}"
    );
    assert_eq!(
        count(&postgres, "checkouts"),
        "3",
        "nothing of the batch is kept"
    );
}

#[test]
fn an_item_may_have_a_limit_per_user_of_its_own() {
    let (postgres, mut driver) = start();
    let limited = |id, limit| NewItem {
        max_per_user: NonZeroU16::new(limit),
        ..item(id, 5)
    };
    let records = [
        announce(1, 0, &[item("a", 5), limited("b", 2)]),
        listed(1, 2),
        checkout(1, 1, 1, 2),
        purchase(1, 1, &[line(1, 2, true)]),
        Record::Refused {
            sale: Some(SaleId(1)),
            user: "ada",
            item: "b",
            reason: RefusedReason::ItemLimitExceeded,
        },
        announce(2, 0, &[limited("c", 1), item("d", 1)]),
        announce(2, 0, &[item("e", 1)]),
        listed(2, 1),
    ];
    driver.apply(&records).expect("a database");
    let limits = |table: &str| {
        let wanted = format!("SELECT id, max_per_user FROM {table} ORDER BY id");
        postgres.query(DATABASE, &wanted)
    };
    assert_eq!(limits("items"), "a|\nb|2\ne|");
    assert_eq!(limits("abandoned_items"), "c|1\nd|");
    assert!(rows(&postgres, "violations").is_empty());
}

#[test]
fn items_that_never_became_a_sale_are_set_aside() {
    let (postgres, mut driver) = start();
    const ITEMS: &[NewItem<'static>] = &[item("a", 5), item("b", 6)];
    let records = [
        announce(1, 0, ITEMS),
        announce(1, 0, &[ITEMS[1]]),
        listed(1, 1),
        announce(2, 0, ITEMS),
        generated(2, 4),
    ];
    assert_eq!(driver.apply(&records).expect("a database"), 4);
    let items = postgres.query(
        DATABASE,
        "SELECT sale_id, string_agg(id, ' ') FROM items GROUP BY 1 ORDER BY 1",
    );
    assert_eq!(items, "1|b\n2|ITM-2-0 ITM-2-1 ITM-2-2 ITM-2-3");
    let abandoned = postgres.query(
        DATABASE,
        "SELECT sale_id, id, lsn FROM abandoned_items ORDER BY lsn, id",
    );
    assert_eq!(abandoned, "1|a|1\n1|b|1\n2|a|4\n2|b|4");
    assert_eq!(rows(&postgres, "pools"), ["1|0|6|0"]);
}

#[test]
fn sales_come_to_be_in_any_order() {
    let (postgres, mut driver) = start();
    const ITEMS: &[NewItem<'static>] = &[item("a", 5), item("b", 6)];
    let begun = [
        announce(1, 0, &[ITEMS[0]]),
        announce(2, 0, &[ITEMS[0]]),
        announce(1, 1, &[ITEMS[1]]),
        generated(3, 1),
        checkout(3, 1, 0, 1),
    ];
    driver.apply(&begun).expect("a database");
    // Whoever goes on has not seen what came before.
    driver.reopen().expect("a database");
    let rest = [
        announce(2, 1, &[ITEMS[1]]),
        listed(2, 2),
        checkout(2, 2, 1, 1),
        purchase(3, 1, &[line(0, 1, true)]),
        listed(1, 2),
        checkout(1, 3, 1, 4),
        purchase(1, 3, &[line(1, 4, true)]),
        purchase(2, 2, &[line(1, 1, true)]),
    ];
    driver.apply(&rest).expect("a database");
    let sales = postgres.query(DATABASE, "SELECT id, lsn FROM sales ORDER BY lsn");
    assert_eq!(sales, "3|4\n2|7\n1|10");
    assert_eq!(
        rows(&postgres, "pools"),
        ["1|0|5|0", "1|1|6|4", "2|0|5|0", "2|1|6|1"]
    );
    assert_eq!(count(&postgres, "abandoned_items"), "0");
    assert!(rows(&postgres, "violations").is_empty());
}

#[test]
fn a_large_catalogue_comes_in_pieces() {
    let (postgres, mut driver) = start();
    driver.apply(&[generated(1, 50_000)]).expect("a database");
    let seen = "SELECT count(*), count(DISTINCT id), max(item_index), sum(stock) FROM items";
    assert_eq!(postgres.query(DATABASE, seen), "50000|50000|49999|50000");
    let mut name = Vec::new();
    flashsale::generated::write_name(u64::MAX - 6, ItemIndex(49_999), &mut name);
    let last = postgres.query(DATABASE, "SELECT name FROM items WHERE id = 'ITM-1-49999'");
    assert_eq!(last.as_bytes(), name);
}

#[test]
fn sales_of_another_thousand_get_their_partitions() {
    let (postgres, mut driver) = start();
    let records = [
        generated(999, 1),
        generated(1000, 2),
        checkout(1000, 1, 0, 1),
    ];
    driver.apply(&records).expect("a database");
    driver.apply(&[generated(1001, 1)]).expect("a database");
    assert_eq!(count(&postgres, "items_0"), "1");
    assert_eq!(count(&postgres, "items_1000"), "3");
    assert_eq!(count(&postgres, "checkouts_1000"), "1");
    // The partition has the table's own indexes.
    let twice = "INSERT INTO checkouts SELECT * FROM checkouts";
    let error = postgres
        .try_query(DATABASE, twice)
        .expect_err("they are there");
    assert!(error.contains("duplicate key"), "{error}");
}

#[test]
fn batches_are_bounded_in_bytes() {
    let (postgres, mut driver) = start();
    const LINES: [PurchasedLine; 1000] = [line(0, 1, false); 1000];
    let mut records = vec![generated(1, 1)];
    for secret in 0..200 {
        records.push(checkout(1, secret, 0, 1));
        records.push(purchase(1, secret, &LINES));
    }
    assert_eq!(driver.apply(&records).expect("a database"), 2);
    assert_eq!(count(&postgres, "purchase_results"), "200000");
}

/// Clients of the former service read its tables by their names.
#[test]
fn the_queries_of_the_former_service_run_in_the_schema_seed() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let mut driver = Driver::open(options(&postgres));
    let secret = 0x6375_fad9_9b63_9bbb_56b5_a35f_5dff_2688;
    driver
        .apply(&[
            generated(1, 3),
            checkout(1, secret, 1, 1),
            purchase(1, secret, &[line(1, 1, true)]),
            checkout(1, 0xff, 2, 1),
            announce(2, 0, &[item("lamp", 5), item("last one", 1)]),
            listed(2, 2),
            checkout(2, 7, 0, 2),
            purchase(2, 7, &[line(0, 2, true)]),
            checkout(2, 8, 1, 1),
            purchase(2, 8, &[line(1, 1, true)]),
            Record::SaleClosed { sale: SaleId(2) },
        ])
        .expect("a database");
    let seed = |sql: &str| {
        let sql = format!("SET search_path = seed; {sql}");
        postgres.query(DATABASE, &sql)
    };
    assert_eq!(
        seed(
            "SELECT id, extract(epoch FROM started_at)::bigint, extract(epoch FROM ended_at)::bigint, total_items,
                    items_sold, active FROM sales ORDER BY id"
        ),
        "1|1000000000|1000003600|3|1|f\n2|1000000000|1000003600|6|3|f"
    );
    assert_eq!(
        seed(
            "SELECT id, name <> '', image_url <> '', sale_id, sold, created_at IS NOT NULL FROM items ORDER BY 4, 1"
        ),
        "ITM-1-0|t|t|1|f|t\nITM-1-1|t|t|1|t|t\nITM-1-2|t|t|1|f|t\nlamp|t|t|2|f|t\nlast one|t|t|2|t|t"
    );
    assert_eq!(
        seed("SELECT count(*) FROM items WHERE sale_id = 1 AND sold = false"),
        "2"
    );
    let code = flashsale::types::CheckoutCode {
        sale: SaleId(1),
        secret,
    }
    .to_string();
    assert_eq!(code, "CHK-1-6375fad99b639bbb56b5a35f5dff2688");
    let attempt = format!(
        "SELECT user_id, item_id, sale_id, used FROM checkout_attempts WHERE code = '{code}'"
    );
    assert_eq!(seed(&attempt), "ada|ITM-1-1|1|t");
    assert_eq!(
        seed("SELECT code, used FROM checkout_attempts WHERE item_id = 'ITM-1-2'"),
        format!("CHK-1-{:032x}|f", 0xff)
    );
    assert_eq!(
        seed("SELECT count(*), count(DISTINCT id) FROM checkout_attempts"),
        "4|4"
    );
    assert_eq!(
        seed("SELECT user_id, item_id, sale_id, quantity FROM purchases ORDER BY sale_id, item_id"),
        "ada|ITM-1-1|1|1\nada|lamp|2|2\nada|last one|2|1"
    );
    // As it looked for what is applied.
    let names = seed("SELECT name FROM migrations");
    assert!(names.starts_with("001_watermark.up.sql\n"), "{names}");
    // An open sale is active between its two moments.
    postgres.query(
        DATABASE,
        "UPDATE sales SET started_at = now(), ended_at = now() + interval '1 h' WHERE id = 1",
    );
    assert_eq!(seed("SELECT id FROM sales WHERE active = true"), "1");
}
