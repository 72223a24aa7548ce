//! Stocks that administrators change while a sale goes on.

use serde_json::{Value, json};

use crate::admin::{create, household, shop};
use crate::client::{Answer, Client};
use crate::server::{Server, wait_for};

fn change(client: &mut Client, sale: &str, item: &str, add: &str, reference: &str) -> Answer {
    let path = format!("/admin/sales/{sale}/stock?item_id={item}&add={add}&ref={reference}");
    client.post(&path)
}

fn sold_out(answer: Answer) {
    answer.refused(409, "item_sold_out", "sold");
}

/// Has `user` buy units of an item.
fn buy(client: &mut Client, user: &str, item: &str, quantity: u32) {
    let path = format!("/checkout?user_id={user}&id={item}&quantity={quantity}");
    let code = client.post(&path).ok().code();
    let bought = client.purchase(&code).ok().json();
    assert_eq!(bought["total_purchased"], quantity);
}

fn item(client: &mut Client, sale: &str, item: &str) -> Value {
    let path = format!("/sales/{sale}/items/{item}");
    client.get(&path).ok().json()
}

#[test]
fn what_was_sold_out_can_be_had_again_and_once_for_each_reference() {
    let (mut server, mut client) = shop();
    let id = create(&mut client, &household());
    buy(&mut client, "ada", "lamp", 5);
    sold_out(client.checkout("bob", "lamp"));
    let available = format!("/sales/{id}/items?available=true");
    let is_listed = |client: &mut Client| client.get(&available).ok().text().contains("lamp");
    assert!(!is_listed(&mut client));
    let first = change(&mut client, &id, "lamp", "+3", "delivery-7").ok();
    let shown = first.json();
    assert_eq!(
        (&shown["stock"], &shown["remaining"], &shown["sold"]),
        (&json!(8), &json!(3), &json!(false))
    );
    assert_eq!(shown, item(&mut client, &id, "lamp"));
    assert_eq!(first.header("cache-control"), Some("no-store"));
    assert!(is_listed(&mut client));
    let sale = client.get(&format!("/sales/{id}")).ok().json();
    assert_eq!(sale["total_items"], 1009);
    buy(&mut client, "bob", "lamp", 1);
    // Again: not once more, and the item as it is now.
    let again = change(&mut client, &id, "lamp", "3", "delivery-7").ok();
    assert_eq!(
        (&again.json()["stock"], &again.json()["remaining"]),
        (&json!(8), &json!(2))
    );
    let reused = |answer: Answer| answer.refused(409, "ref_reused", "before");
    reused(change(&mut client, &id, "lamp", "4", "delivery-7"));
    reused(change(&mut client, &id, "cup", "3", "delivery-7"));

    server.kill_9();
    server.restart();
    let mut client = server.client();
    let again = change(&mut client, &id, "lamp", "%2B3", "delivery-7").ok();
    assert_eq!(again.json(), item(&mut client, &id, "lamp"));
    reused(change(&mut client, &id, "lamp", "-3", "delivery-7"));
    buy(&mut client, "eve", "lamp", 2);
    sold_out(client.checkout("bob", "lamp"));
    let told = client.get("/admin/events?type=stock.changed").ok().json();
    let data = json!({"sale_id": id, "item_id": "lamp", "added": 3, "ref": "delivery-7"});
    assert_eq!((&told[0]["data"], &told[1]), (&data, &json!(null)));
    // What a sale began with is what was told of its creation.
    let told = client.get("/admin/events?type=sale.created").ok().json();
    assert_eq!(told[1]["data"]["total_items"], 1006);
    let place = server.stop();
    let report = place.report(&["journal", "verify"]);
    assert!(report.contains("1009 units = 8 sold"), "{report}");
    let records = place.report(&["journal", "inspect", "--records"]);
    let said = "sale 2: the stock of item 0 changes by +3";
    assert_eq!(records.matches(said).count(), 1, "{records}");
}

#[test]
fn only_what_is_free_is_taken_out() {
    let (_server, mut client) = shop();
    let mut sale = household();
    sale["hold_seconds"] = 600.into();
    let id = create(&mut client, &sale);
    buy(&mut client, "ada", "lamp", 2);
    let held = client.choose("bob", &["lamp"]);
    let refused = change(&mut client, &id, "lamp", "-3", "a");
    let refused = refused.refused(409, "stock_in_use", "free");
    assert_eq!(refused.json()["free"], 2);
    let taken = change(&mut client, &id, "lamp", "-2", "a").ok().json();
    assert_eq!(
        (&taken["stock"], &taken["remaining"]),
        (&json!(3), &json!(0))
    );
    client
        .checkout("eve", "lamp")
        .refused(409, "item_held", "held");
    client.purchase(&held).ok();
    sold_out(client.checkout("eve", "lamp"));
    let cups = change(&mut client, &id, "cup", "-1000", "b").ok().json();
    assert_eq!((&cups["stock"], &cups["sold"]), (&json!(0), &json!(true)));
    sold_out(client.checkout("eve", "cup"));
    let cups = change(&mut client, &id, "cup", "1", "c").ok().json();
    assert_eq!((&cups["stock"], &cups["sold"]), (&json!(1), &json!(false)));
    buy(&mut client, "eve", "cup", 1);
}

#[test]
fn a_wrong_change_is_named_and_changes_nothing() {
    let (_server, mut client) = shop();
    let id = create(&mut client, &household());
    let path = format!("/admin/sales/{id}/stock");
    client.post(&path).invalid(&["item_id", "id", "add", "ref"]);
    for add in ["0", "1.5", "x", "4294967297", "-4294967297", ""] {
        change(&mut client, &id, "lamp", add, "r").invalid(&["add"]);
    }
    for reference in ["", "a%20b", &"r".repeat(256)] {
        change(&mut client, &id, "lamp", "1", reference).invalid(&["ref"]);
    }
    // One that exists once stays so.
    change(&mut client, &id, "chair", "1", "r").invalid(&["item_id"]);
    change(&mut client, "1", "ITM-1-0", "1", "r").invalid(&["item_id"]);
    // And others become no more than can be counted.
    change(&mut client, &id, "lamp", "2097147", "r").invalid(&["add"]);
    change(&mut client, &id, "table", "1", "r").refused(404, "item_not_found", "not found");
    change(&mut client, "99", "lamp", "1", "r").refused(404, "sale_not_found", "not found");
    let body = json!({"item_id": "lamp", "add": 2097146, "ref": "r"}).to_string();
    let headers = [("Content-Type", "application/json")];
    let most = client.send("POST", &path, &headers, body.as_bytes()).ok();
    assert_eq!(most.json()["stock"], 2_097_151);
}

#[test]
fn a_reference_is_known_when_the_sale_is_over_and_has_left_memory() {
    let mut server = Server::start(&[("SALE_KEEP_ENDED_SECONDS", "0")]);
    let mut client = server.client();
    let id = create(&mut client, &household());
    change(&mut client, &id, "lamp", "2", "a").ok();
    change(&mut client, &id, "lamp", "-1", "b").ok();
    let shown = item(&mut client, &id, "lamp");
    client.post(&format!("/admin/sales/{id}/close")).ok();
    let over = |client: &mut Client| {
        let answer = change(client, &id, "lamp", "2", "c");
        answer.refused(409, "sale_closed", "over");
        change(client, &id, "lamp", "3", "a").refused(409, "ref_reused", "before");
        assert_eq!(change(client, &id, "lamp", "2", "a").ok().json(), shown);
        let told = client.get("/admin/events?type=sale.created,stock.changed");
        let told = told.ok().json();
        assert_eq!(told[1]["data"]["total_items"], 1006);
        assert_eq!(told[3]["data"]["added"], -1);
        let sale = client.get(&format!("/sales/{id}")).ok().json();
        assert_eq!(sale["total_items"], 1007);
    };
    over(&mut client);
    wait_for("the sale to leave memory", || {
        let health = client.get("/health").ok().json();
        (health["sales"]["archived"].as_u64() > Some(0)).then_some(())
    });
    over(&mut client);
    server.kill_9();
    server.restart();
    over(&mut server.client());
}
