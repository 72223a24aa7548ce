//! Payments that take their time: begun by buyers, confirmed by the shop.

use serde_json::json;

use crate::admin::{JSON, create, shop};
use crate::client::{Answer, Client};
use crate::server::{Server, wait_for};

const PAID: [(&str, &str); 2] = [("SALE_TOTAL_ITEMS", "10"), ("SALE_PAYMENT_SECONDS", "600")];
const BRIEF: [(&str, &str); 2] = [("SALE_TOTAL_ITEMS", "10"), ("SALE_PAYMENT_SECONDS", "1")];

fn pay(client: &mut Client, code: &str) -> Answer {
    client.post(&format!("/payment?code={code}"))
}

fn confirm(client: &mut Client, code: &str, payment: &str) -> Answer {
    client.post(&format!(
        "/admin/checkouts/{code}/confirm?payment_ref={payment}"
    ))
}

fn held(client: &mut Client) -> u64 {
    let health = client.get("/health").json();
    health["stock"]["1"]["held"].as_u64().expect("a number")
}

#[test]
fn a_payment_reserves_what_is_paid_until_the_shop_confirms_it() {
    let mut server = Server::start(&PAID);
    let mut client = server.client();
    let code = client.choose("ada", &["ITM-1-0", "ITM-1-1"]);
    let lost = client.choose("bob", &["ITM-1-1"]);
    client.purchase(&lost).ok();
    let begun = pay(&mut client, &code).ok();
    let json = begun.json();
    assert_eq!(json["code"], *code);
    assert_eq!(json["items"][0]["id"], "ITM-1-0");
    assert_eq!(json["items"][0]["reserved"], true);
    assert_eq!(json["items"][1]["reserved"], false);
    assert!(json["held_until"].is_string(), "{json}");
    assert_eq!(held(&mut client), 1);
    let shown = client.get(&format!("/checkout?code={code}")).ok().json();
    assert_eq!(shown["held_until"], json["held_until"]);
    assert_eq!(shown["items"][1]["reserved"], false);

    // Nobody else gets it, and nothing is added.
    let refused = client.checkout("eve", "ITM-1-0");
    let refused = refused.refused(409, "item_held", "held");
    assert!(refused.header("retry-after").is_some());
    let refused = client.checkout("ada", "ITM-1-2");
    refused.refused(409, "payment_under_way", "being paid");

    // Asked again, it is the same; also after a crash.
    assert_eq!(pay(&mut client, &code).ok().text(), begun.text());
    server.kill_9();
    server.restart();
    let mut client = server.client();
    assert_eq!(pay(&mut client, &code).ok().text(), begun.text());
    assert_eq!(held(&mut client), 1);
    let view = client.get(&format!("/admin/checkouts/{code}")).ok().json();
    assert_eq!(view["status"], "payment_under_way");

    let paid = confirm(&mut client, &code, "pay-1").ok();
    assert_eq!(paid.json()["total_purchased"], 1);
    assert_eq!(paid.json()["failed_count"], 1);
    assert_eq!(
        confirm(&mut client, &code, "pay-1").ok().text(),
        paid.text()
    );
    let second = confirm(&mut client, &code, "pay-2");
    let second = second.refused(409, "already_processed", "already");
    assert_eq!(second.json()["payment_ref"], "pay-1");
    server.kill_9();
    server.restart();
    let mut client = server.client();
    assert_eq!(
        confirm(&mut client, &code, "pay-1").ok().text(),
        paid.text()
    );
    let view = client.get(&format!("/admin/checkouts/{code}")).ok().json();
    assert_eq!(
        (&view["status"], &view["payment_ref"]),
        (&json!("purchased"), &json!("pay-1"))
    );
    let told = "/admin/events?type=payment.begun,purchase.completed";
    let told = client.get(told).ok().json();
    let begun = &told[1];
    assert_eq!(begun["type"], "payment.begun");
    assert!(begun["data"].get("code").is_none(), "{begun}");
    assert_eq!(
        begun["data"]["items"][0],
        json!({"id": "ITM-1-0", "quantity": 1, "reserved": true})
    );
    assert_eq!(told[2]["data"]["payment_ref"], "pay-1");
}

#[test]
fn what_is_paid_can_be_given_back_or_purchased() {
    let server = Server::start(&PAID);
    let mut client = server.client();
    let code = client.choose("ada", &["ITM-1-0", "ITM-1-1"]);
    pay(&mut client, &code).ok();
    client
        .post(&format!("/release?code={code}&id=ITM-1-0"))
        .ok();
    client.checkout("bob", "ITM-1-0").ok();
    let left = pay(&mut client, &code).ok().json();
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(client.purchase(&code).ok().json()["total_purchased"], 1);
    pay(&mut client, &code).refused(409, "already_processed", "already");
    let late = confirm(&mut client, &code, "pay-1");
    let late = late.refused(409, "already_processed", "already");
    assert!(late.json().get("payment_ref").is_none());
    assert_eq!(held(&mut client), 0);
    let unknown = "CHK-1-00000000000000000000000000000001";
    pay(&mut client, unknown).refused(404, "checkout_not_found", "not found");
    confirm(&mut client, unknown, "pay-1").refused(404, "checkout_not_found", "not found");
    client.post("/payment").invalid(&["code"]);
    confirm(&mut client, &code, "").invalid(&["payment_ref"]);
}

#[test]
fn a_payment_of_nothing_ends_the_checkout() {
    let server = Server::start(&PAID);
    let mut client = server.client();
    let code = client.choose("ada", &["ITM-1-0"]);
    let faster = client.choose("bob", &["ITM-1-0"]);
    pay(&mut client, &faster).ok();
    let gone = pay(&mut client, &code).refused(409, "all_items_sold", "sold");
    assert_eq!(gone.json()["failed_count"], 1);
    pay(&mut client, &code).refused(409, "all_items_sold", "sold");
    // Its slots are free again.
    let next = client.checkout("ada", "ITM-1-2").ok();
    assert_ne!(next.json()["code"], *code);
}

#[test]
fn a_late_payment_gets_what_is_still_free() {
    let server = Server::start(&BRIEF);
    let mut client = server.client();
    let code = client.choose("ada", &["ITM-1-0", "ITM-1-1"]);
    pay(&mut client, &code).ok();
    wait_for("the end of the payment", || {
        let shown = client.get(&format!("/checkout?code={code}"));
        (shown.status == 409).then_some(())
    });
    client.choose("bob", &["ITM-1-1"]);
    let other = client.choose("bob", &["ITM-1-2"]);
    client.purchase(&other).ok();
    confirm(&mut client, &code, "pay-1").refused(409, "checkout_expired", "expired");
    let view = client.get(&format!("/admin/checkouts/{code}")).ok().json();
    assert_eq!(view["status"], "expired");
    assert_eq!(view["items"].as_array().map(Vec::len), Some(2));
    let path = format!("/admin/checkouts/{code}/confirm");
    let body = json!({"payment_ref": "pay-1", "late": true}).to_string();
    let late = client.send("POST", &path, &[JSON], body.as_bytes()).ok();
    assert_eq!(late.json()["total_purchased"], 1);
    let again = confirm(&mut client, &code, "pay-1").ok();
    assert_eq!(again.text(), late.text());
    let bought = client
        .get("/admin/sales/1/purchases?user_id=ada")
        .ok()
        .json();
    assert_eq!(bought[0]["payment_ref"], "pay-1");
}

#[test]
fn where_the_shop_purchases_no_buyer_does() {
    let (_server, mut client) = shop();
    let sale = json!({"items": [{"id": "lamp", "name": "Lamp", "stock": 5}], "payment_seconds": 600, "purchase_by": "shop"});
    create(&mut client, &sale);
    let code = client.choose("ada", &["lamp"]);
    client
        .purchase(&code)
        .refused(403, "shop_confirms", "shop purchases");
    // Without a payment that was begun, too.
    assert_eq!(
        confirm(&mut client, &code, "pay-1").ok().json()["total_purchased"],
        1
    );
    let other = client.choose("bob", &["ITM-1-0"]);
    pay(&mut client, &other).refused(400, "payment_not_offered", "purchase at once");
}

#[test]
fn a_sale_waits_for_its_last_payment() {
    let (_server, mut client) = shop();
    let end = crate::admin::in_seconds(2);
    let sale = json!({"items": [{"id": "lamp", "name": "Lamp", "stock": 5}], "payment_seconds": 600, "ended_at": end});
    let id = create(&mut client, &sale);
    let code = client.choose("ada", &["lamp"]);
    let idle = client.choose("bob", &["lamp"]);
    pay(&mut client, &code).ok();
    wait_for("the end of the sale", || {
        let shown = client.get(&format!("/sales/{id}")).ok().json();
        (shown["active"] == false).then_some(())
    });
    client
        .checkout("eve", "lamp")
        .refused(400, "sale_not_active", "not active");
    pay(&mut client, &idle).refused(400, "sale_not_active", "not active");
    pay(&mut client, &code).ok();
    assert_eq!(
        confirm(&mut client, &code, "pay-1").ok().json()["total_purchased"],
        1
    );
    wait_for("the closing of the sale", || {
        let told = client.get(&format!("/admin/events?type=sale.closed&sale_id={id}"));
        let events = told.ok().json();
        events
            .as_array()
            .is_some_and(|events| !events.is_empty())
            .then_some(())
    });
    confirm(&mut client, &idle, "pay-2").refused(400, "sale_not_active", "not active");
}
