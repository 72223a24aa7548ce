//! The rows of the tables of `POST /checkout` and `POST /purchase`, in their order.

use serde_json::json;

use crate::client::{Answer, Client};
use crate::server::Server;

const UNKNOWN_CODE: &str = "CHK-1-0123456789abcdef0123456789abcdef";

fn shop() -> (Server, Client) {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "100")]);
    let client = server.client();
    (server, client)
}

#[test]
fn a_checkout_keeps_its_code_and_counts_its_units() {
    let (_server, mut client) = shop();
    let first = client.checkout("ada", "ITM-1-0").ok();
    let expected = format!(
        r#"{{"code":"{}","items_count":1,"sale_ends_at":"{}"}}"#,
        first.code(),
        client.get("/sales/active").member("ended_at")
    );
    assert_eq!(first.text(), expected);
    assert!(first.code().starts_with("CHK-1-"));
    let second = client.checkout("ada", "ITM-1-1").ok();
    assert_eq!(second.code(), first.code());
    assert_eq!(second.json()["items_count"], 2);
    let other = client.checkout("bob", "ITM-1-0").ok();
    assert_ne!(other.code(), first.code());
}

#[test]
fn a_checkout_names_what_is_missing() {
    let (_server, mut client) = shop();
    client
        .post("/checkout")
        .invalid(&["user_id", "id", "item_id"]);
    client
        .post("/checkout?user_id=ada")
        .invalid(&["id", "item_id"]);
    client.post("/checkout?id=ITM-1-0").invalid(&["user_id"]);
    client
        .post("/checkout?user_id=&id=nothing")
        .invalid(&["user_id"]);
    for quantity in ["0", "2", "-1", "x", "", "01", "99999999999"] {
        let target = format!("/checkout?user_id=ada&id=ITM-1-0&quantity={quantity}");
        let answer = client.post(&target).invalid(&["quantity"]);
        if quantity == "2" {
            assert_eq!(answer.json()["errors"]["quantity"], "must be 1");
        }
    }
    client
        .post("/checkout?user_id=ada&id=ITM-1-0&quantity=1")
        .ok();
    let target = "/checkout?user_id=ada&id=ITM-1-1&sale_id=x";
    client.post(target).invalid(&["sale_id"]);
    client
        .post("/checkout?user_id=ada&id=ITM-1-1&sale_id=1")
        .ok();
}

#[test]
fn an_item_may_be_unknown() {
    let (_server, mut client) = shop();
    for item in ["ITM-1-100", "ITM-2-0", "ITM-1-00", "ITM-1-", "itm-1-0", "ü"] {
        let answer = client.checkout("ada", item);
        answer.refused(404, "item_not_found", "not found");
    }
    let answer = client.post("/checkout?user_id=ada&id=ITM-1-0&sale_id=2");
    answer.refused(404, "item_not_found", "not found");
}

#[test]
fn the_limit_counts_bought_and_chosen() {
    let server = Server::start(&[
        ("SALE_MAX_ITEMS_PER_USER", "10"),
        ("SALE_TOTAL_ITEMS", "20"),
    ]);
    let mut client = server.client();
    let items: Vec<_> = (0..12).map(|index| format!("ITM-1-{index}")).collect();
    let items: Vec<_> = items.iter().map(String::as_str).collect();
    let code = client.choose("ada", &items[..4]);
    client.purchase(&code).ok();
    let code = client.choose("ada", &items[4..10]);
    let refused = client.checkout("ada", items[10]);
    refused.refused(400, "user_limit_exceeded", "limit");
    // That the user has the item comes before the limit.
    let refused = client.checkout("ada", items[0]);
    refused.refused(400, "item_already_in_checkout", "already");
    let refused = client.checkout("ada", "ITM-1-20");
    refused.refused(404, "item_not_found", "not found");
    assert_eq!(client.purchase(&code).ok().json()["total_purchased"], 6);
    let refused = client.checkout("ada", items[10]);
    refused.refused(400, "user_limit_exceeded", "limit");
    client.checkout("bob", items[10]).ok();
}

#[test]
fn an_item_is_chosen_once() {
    let (_server, mut client) = shop();
    let code = client.choose("ada", &["ITM-1-0"]);
    let again = client.checkout("ada", "ITM-1-0");
    again.refused(400, "item_already_in_checkout", "already");
    client.purchase(&code).ok();
    // Bought by this user: said before "sold out".
    let again = client.checkout("ada", "ITM-1-0");
    again.refused(400, "item_already_in_checkout", "already");
}

#[test]
fn a_sold_item_is_sold_out() {
    let (_server, mut client) = shop();
    let code = client.choose("ada", &["ITM-1-0"]);
    client.purchase(&code).ok();
    let answer = client.checkout("bob", "ITM-1-0");
    answer.refused(409, "item_sold_out", "sold");
}

#[test]
fn a_purchase_lists_its_items() {
    let (_server, mut client) = shop();
    let page = client.get("/sales/1/items?limit=2").json();
    let code = client.choose("ada", &["ITM-1-0", "ITM-1-1"]);
    let answer = client.purchase(&code).ok();
    let name = |index: usize| page[index]["name"].clone();
    let expected = format!(
        r#"{{"success":true,"purchased_items":[{{"id":"ITM-1-0","name":{},"sold":true}},{{"id":"ITM-1-1","name":{},"sold":true}}],"total_purchased":2,"failed_count":0}}"#,
        name(0),
        name(1)
    );
    assert_eq!(answer.text(), expected);
    assert_eq!(client.active_sale().1, 2);
    // The next checkout is a new one.
    assert_ne!(client.choose("ada", &["ITM-1-2"]), code);
}

#[test]
fn a_purchase_needs_a_code() {
    let (_server, mut client) = shop();
    for code in ["", "%00", "%", "%ff", "%C2%85", &"9".repeat(129)] {
        client
            .post(&format!("/purchase?code={code}"))
            .invalid(&["code"]);
    }
    client.post("/purchase").invalid(&["code"]);
}

#[test]
fn a_code_is_unknown_whatever_its_form() {
    let (_server, mut client) = shop();
    let upper = UNKNOWN_CODE.to_uppercase();
    let long = "9".repeat(128);
    for code in [
        "x",
        "42",
        "CHK-1-",
        "CHK-1-0123",
        "CHK-0-0",
        "%20",
        &upper,
        &long,
    ] {
        let answer = client.purchase(code);
        answer.refused(404, "checkout_not_found", "not found");
    }
    let body = br#"{"code":"user_limit_exceeded"}"#;
    let json = [("Content-Type", "application/json")];
    let answer = client.send("POST", "/purchase", &json, body);
    answer.refused(404, "checkout_not_found", "not found");
}

#[test]
fn a_refusal_has_no_code_that_could_be_bought_with() {
    let (_server, mut client) = shop();
    client.checkout("ada", "ITM-1-0").ok();
    let refused = client.checkout("bob", "ITM-9-9");
    assert_eq!(
        refused.text(),
        r#"{"message":"Item not found","error":"item_not_found"}"#
    );
}

#[test]
fn a_code_may_be_unknown() {
    let (_server, mut client) = shop();
    let answer = client.purchase(UNKNOWN_CODE);
    answer.refused(404, "checkout_not_found", "not found");
    let code = client.choose("ada", &["ITM-1-0"]);
    let of_another_sale = code.replace("CHK-1-", "CHK-2-");
    let answer = client.purchase(&of_another_sale);
    answer.refused(404, "checkout_not_found", "not found");
}

#[test]
fn the_first_purchaser_gets_it() {
    let (_server, mut client) = shop();
    let ada = client.choose("ada", &["ITM-1-0"]);
    let bob = client.choose("bob", &["ITM-1-0"]);
    client.purchase(&ada).ok();
    let answer = client.purchase(&bob);
    let answer = answer.refused(409, "all_items_sold", "sold");
    assert_eq!(answer.json()["purchased_items"][0]["sold"], false);
    assert_eq!(answer.json()["total_purchased"], 0);
    assert_eq!(answer.json()["failed_count"], 1);
    // It is closed, too.
    let again = client.purchase(&bob);
    let again = again.refused(409, "already_processed", "already");
    assert_eq!(again.json()["result"], answer.json());
}

#[test]
fn a_mixed_basket_gets_what_is_left() {
    let (_server, mut client) = shop();
    let ada = client.choose("ada", &["ITM-1-0"]);
    let bob = client.choose("bob", &["ITM-1-0", "ITM-1-1"]);
    client.purchase(&ada).ok();
    let answer = client.purchase(&bob).ok().json();
    let sold = |index: usize| answer["purchased_items"][index]["sold"].clone();
    assert_eq!((sold(0), sold(1)), (json!(false), json!(true)), "{answer}");
    assert_eq!(answer["total_purchased"], 1);
    assert_eq!(answer["failed_count"], 1);
    assert_eq!(client.active_sale().1, 2);
}

#[test]
fn slots_are_free_again_when_everything_was_gone() {
    let (_server, mut client) = shop();
    let items: Vec<_> = (0..10).map(|index| format!("ITM-1-{index}")).collect();
    let items: Vec<_> = items.iter().map(String::as_str).collect();
    let ada = client.choose("ada", &items);
    let bob = client.choose("bob", &items);
    let refused = client.checkout("bob", "ITM-1-10");
    refused.refused(400, "user_limit_exceeded", "limit");
    client.purchase(&ada).ok();
    let answer = client.purchase(&bob);
    answer.refused(409, "all_items_sold", "sold");
    let others: Vec<_> = (10..20).map(|index| format!("ITM-1-{index}")).collect();
    let others: Vec<_> = others.iter().map(String::as_str).collect();
    let code = client.choose("bob", &others);
    assert_eq!(client.purchase(&code).ok().json()["total_purchased"], 10);
}

#[test]
fn a_code_is_used_once() {
    let (_server, mut client) = shop();
    let code = client.choose("ada", &["ITM-1-0"]);
    let first = client.purchase(&code).ok();
    for _ in 0..2 {
        let again = client.purchase(&code);
        let again = again.refused(409, "already_processed", "already");
        assert!(
            again
                .text()
                .ends_with(&format!(",\"result\":{}}}", first.text()))
        );
    }
    assert_eq!(client.active_sale().1, 1);
}

#[test]
fn the_same_key_gets_the_same_answer() {
    let (mut server, mut client) = shop();
    let ada = client.choose("ada", &["ITM-1-0", "ITM-1-1"]);
    let bob = client.choose("bob", &["ITM-1-0"]);
    let key = "!~".repeat(32);
    let sold = client.purchase_with_key(&ada, &key).ok();
    let gone = client.purchase_with_key(&bob, "k");
    let gone = gone.refused(409, "all_items_sold", "sold");
    let check = |client: &mut Client| {
        let same = |a: &Answer, b: &Answer| {
            let kind = |answer: &Answer| answer.header("content-type").map(str::to_owned);
            assert_eq!((a.status, &a.body, kind(a)), (b.status, &b.body, kind(b)));
        };
        same(&client.purchase_with_key(&ada, &key), &sold);
        same(&client.purchase_with_key(&bob, "k"), &gone);
        for other in ["k", "K", &key[..63]] {
            let answer = client.purchase_with_key(&ada, other);
            let answer = answer.refused(409, "already_processed", "already");
            assert_eq!(answer.json()["result"], sold.json());
        }
    };
    check(&mut client);
    server.kill_9();
    server.restart();
    check(&mut server.client());
    assert!(server.terminate().success());
    server.restart();
    check(&mut server.client());
}

#[test]
fn a_key_is_checked() {
    let (_server, mut client) = shop();
    let code = client.choose("ada", &["ITM-1-0"]);
    for key in ["", "a b", &"k".repeat(256), "ü"] {
        let answer = client.purchase_with_key(&code, key);
        answer.invalid(&["idempotency_key"]);
    }
    let twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")];
    let target = format!("/purchase?code={code}");
    let answer = client.send("POST", &target, &twice, b"");
    answer.invalid(&["idempotency_key"]);
    client.purchase_with_key(&code, "a").ok();
}

#[test]
fn errors_can_be_read_as_rfc_9457() {
    let (_server, mut client) = shop();
    let accept = [("Accept", "application/problem+json, */*")];
    let answer = client.send("POST", "/checkout?user_id=ada", &accept, b"");
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let json = answer.json();
    assert_eq!(json["status"], 400);
    assert_eq!(json["error"], "validation_failed");
    assert_eq!(json["title"], "Bad Request");
    assert_eq!(json["message"], "Validation failed");
    assert!(json.get("code").is_none(), "{json}");
    assert!(
        json["type"].is_string() && json["detail"].is_string(),
        "{json}"
    );
    assert!(json["errors"]["id"].is_string() && json["errors"]["item_id"].is_string());
    let answer = client.send("GET", "/nowhere", &accept, b"");
    assert_eq!(answer.json()["error"], "not_found");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    // A success is the usual JSON.
    let answer = client.send("GET", "/sales/active", &accept, b"").ok();
    assert_eq!(answer.header("content-type"), Some("application/json"));
}
