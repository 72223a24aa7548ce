//! Purchases that the shop cancels.

use serde_json::{Value, json};

use crate::admin::{JSON, TOKEN, create, household, shop};
use crate::client::{Answer, Client};
use crate::server::{Server, wait_for};

fn cancel(client: &mut Client, code: &str, query: &str) -> Answer {
    client.post(&format!("/admin/checkouts/{code}/cancel?{query}"))
}

fn sold_out(answer: Answer) {
    answer.refused(409, "item_sold_out", "sold");
}

/// Has `user` buy units of an item; the code.
fn buy(client: &mut Client, user: &str, item: &str, quantity: u32) -> String {
    let path = format!("/checkout?user_id={user}&id={item}&quantity={quantity}");
    let code = client.post(&path).ok().code();
    assert_eq!(
        client.purchase(&code).ok().json()["total_purchased"],
        quantity
    );
    code
}

fn sale(client: &mut Client, id: &str) -> Value {
    client.get(&format!("/sales/{id}")).ok().json()
}

#[test]
fn what_is_cancelled_can_be_had_again_and_once_for_each_reference() {
    let (mut server, mut client) = shop();
    let id = create(&mut client, &household());
    let code = client.choose("ada", &["lamp", "chair"]);
    let first = client.purchase_with_key(&code, "k").ok();
    sold_out(client.checkout("bob", "chair"));
    let answer = cancel(&mut client, &code, "ref=r1&id=chair").ok();
    let expected = json!({
        "code": code,
        "cancelled": [{"id": "chair", "name": "Chair", "quantity": 1}],
        "total_cancelled": 1,
    });
    assert_eq!(answer.json(), expected);
    assert_eq!(sale(&mut client, &id)["items_sold"], 1);
    let chair = buy(&mut client, "bob", "chair", 1);
    // Again: the same bytes, and nobody loses anything.
    let again = cancel(&mut client, &code, "ref=r1&id=chair").ok();
    assert_eq!(again.text(), answer.text());
    cancel(&mut client, &code, "ref=r1&id=lamp").refused(409, "ref_reused", "before");
    // Who names nothing wants all that was left, and would refund it.
    cancel(&mut client, &code, "ref=r1").refused(409, "ref_reused", "before");
    cancel(&mut client, &code, "ref=r1&id=chair&restock=false").refused(
        409,
        "ref_reused",
        "before",
    );
    cancel(&mut client, &code, "ref=r2&id=chair").refused(409, "already_cancelled", "already");
    // What was answered to the purchase stays.
    let repeated = client.purchase_with_key(&code, "k").ok();
    assert_eq!(repeated.text(), first.text());
    // The buyer is told of both.
    let look = format!("/checkout?code={code}");
    let told = client
        .get(&look)
        .refused(409, "already_processed", "already");
    assert_eq!(told.json()["result"], first.json());
    assert_eq!(told.json()["cancelled"], expected["cancelled"]);
    let spare = client.get(&format!("/checkout?code={chair}"));
    assert!(spare.json().get("cancelled").is_none());

    server.kill_9();
    server.restart();
    let mut client = server.client();
    let again = client
        .get(&look)
        .refused(409, "already_processed", "already");
    assert_eq!(again.text(), told.text());
    let again = cancel(&mut client, &code, "ref=r1&id=chair").ok();
    assert_eq!(again.text(), answer.text());
    let repeated = client.purchase_with_key(&code, "k").ok();
    assert_eq!(repeated.text(), first.text());
    sold_out(client.checkout("eve", "chair"));
    // All that is left.
    let rest = cancel(&mut client, &code, "ref=r3").ok().json();
    assert_eq!(
        rest["cancelled"],
        json!([{"id": "lamp", "name": "Lamp", "quantity": 1}])
    );
    let again = cancel(&mut client, &code, "ref=r3").ok().json();
    assert_eq!(again, rest);
    cancel(&mut client, &code, "ref=r4").refused(409, "already_cancelled", "already");
    let seen = client.get(&format!("/admin/checkouts/{code}")).ok().json();
    let refs = seen["cancellations"].as_array().expect("a list").iter();
    let refs: Vec<_> = refs.map(|it| it["ref"].clone()).collect();
    assert_eq!(refs, ["r1", "r3"]);
    let told = client
        .get("/admin/events?type=purchase.cancelled")
        .ok()
        .json();
    let data = json!({
        "sale_id": id, "code": code, "user_id": "ada", "ref": "r1",
        "items": [{"id": "chair", "quantity": 1}], "total_cancelled": 1, "restock": true,
    });
    assert_eq!((&told[0]["data"], &told[2]), (&data, &json!(null)));
    assert_eq!(client.purchase(&chair).error(), "already_processed");
    let place = server.stop();
    let report = place.report(&["journal", "verify"]);
    assert!(report.contains("1006 units = 1 sold"), "{report}");
}

#[test]
fn the_limit_counts_what_is_cancelled_no_longer() {
    let (_server, mut client) = shop();
    let mut sale = household();
    sale["max_items_per_user"] = 2.into();
    create(&mut client, &sale);
    let code = buy(&mut client, "ada", "lamp", 2);
    let over = |client: &mut Client| {
        let answer = client.checkout("ada", "cup");
        answer.refused(400, "user_limit_exceeded", "limit");
    };
    over(&mut client);
    let some = cancel(&mut client, &code, "ref=a&id=lamp&quantity=1")
        .ok()
        .json();
    assert_eq!(some["total_cancelled"], 1);
    buy(&mut client, "ada", "cup", 1);
    over(&mut client);
    for wrong in [
        "ref=b&id=lamp&quantity=2",
        "ref=b&id=lamp&quantity=0",
        "ref=b&quantity=1",
    ] {
        cancel(&mut client, &code, wrong).invalid(&["quantity"]);
    }
    cancel(&mut client, &code, "ref=b&id=cup").refused(404, "item_not_in_checkout", "such");
}

#[test]
fn what_is_not_restocked_leaves_the_stock() {
    let (mut server, mut client) = shop();
    let id = create(&mut client, &household());
    let lamps = buy(&mut client, "ada", "lamp", 2);
    let item = buy(&mut client, "ada", "ITM-1-3", 1);
    cancel(&mut client, &lamps, "ref=a&restock=false").ok();
    let path = format!("/admin/checkouts/{item}/cancel");
    let body = json!({"ref": "a", "restock": false}).to_string();
    client.send("POST", &path, &[JSON], body.as_bytes()).ok();
    let check = |client: &mut Client| {
        let lamp = client.get(&format!("/sales/{id}/items/lamp")).ok().json();
        assert_eq!((&lamp["stock"], &lamp["remaining"]), (&json!(3), &json!(3)));
        let shown = sale(client, "1");
        assert_eq!(
            (&shown["total_items"], &shown["items_sold"]),
            (&json!(9), &json!(0))
        );
        sold_out(client.checkout("bob", "ITM-1-3"));
        let again = cancel(client, &lamps, "ref=a&restock=false").ok().json();
        assert_eq!(again["total_cancelled"], 2);
    };
    check(&mut client);
    server.kill_9();
    server.restart();
    check(&mut server.client());
}

#[test]
fn only_what_was_purchased_is_cancelled_and_by_the_token_of_the_shop() {
    let server = Server::start(&[
        ("SALE_TOTAL_ITEMS", "10"),
        ("ADMIN_TOKEN", TOKEN),
        ("SHOP_TOKEN", "the-token-of-the-shop-itself"),
        ("SALE_KEEP_ENDED_SECONDS", "0"),
    ]);
    let mut client = server.client().with_token(Some(TOKEN.into()));
    let mut till = server
        .client()
        .with_token(Some("the-token-of-the-shop-itself".into()));
    let open = client.choose("ada", &["ITM-1-0"]);
    cancel(&mut till, &open, "ref=a").refused(409, "not_purchased", "sold");
    let bought = buy(&mut client, "bob", "ITM-1-0", 1);
    // Everything of it is gone.
    assert_eq!(client.purchase(&open).error(), "all_items_sold");
    cancel(&mut till, &open, "ref=a").refused(409, "not_purchased", "sold");
    cancel(&mut till, &bought, "").invalid(&["ref"]);
    cancel(&mut till, &bought, "ref=a&restock=maybe").invalid(&["restock"]);
    let unknown = format!("CHK-1-{:032x}", 7);
    cancel(&mut till, &unknown, "ref=a").refused(404, "checkout_not_found", "not found");
    let first = cancel(&mut till, &bought, "ref=a").ok();
    let again = buy(&mut client, "eve", "ITM-1-0", 1);
    client.post("/admin/sales/1/close").ok();
    let over = |till: &mut Client| {
        assert_eq!(cancel(till, &bought, "ref=a").ok().text(), first.text());
        cancel(till, &again, "ref=a").refused(409, "sale_closed", "over");
    };
    over(&mut till);
    wait_for("the sale to leave memory", || {
        let health = client.get("/health").ok().json();
        (health["sales"]["archived"].as_u64() > Some(0)).then_some(())
    });
    over(&mut till);
}
