//! Open checkouts that buyers look at, and give back.

use serde_json::json;

use crate::client::{Answer, Client};
use crate::server::Server;

const HELD: [(&str, &str); 2] = [("SALE_TOTAL_ITEMS", "10"), ("SALE_HOLD_SECONDS", "3600")];

fn release(client: &mut Client, code: &str, line: &str) -> Answer {
    client.post(&format!("/release?code={code}{line}"))
}

fn shown(client: &mut Client, code: &str) -> Answer {
    client.get(&format!("/checkout?code={code}"))
}

/// The ids and quantities in a checkout.
fn lines(answer: &Answer) -> Vec<(String, u64)> {
    let json = answer.json();
    let items = json["items"].as_array().expect("items");
    let line = |item: &serde_json::Value| {
        let id = item["id"].as_str().expect("an id").to_owned();
        (id, item["quantity"].as_u64().expect("a number"))
    };
    items.iter().map(line).collect()
}

fn held(client: &mut Client) -> u64 {
    let health = client.get("/health").json();
    health["stock"]["1"]["held"].as_u64().expect("a number")
}

#[test]
fn a_checkout_is_shown_to_who_has_its_code() {
    let server = Server::start(&HELD);
    let mut client = server.client();
    let code = client.choose("ada", &["ITM-1-3", "ITM-1-1"]);
    let answer = shown(&mut client, &code).ok();
    let expected = [("ITM-1-3".to_owned(), 1), ("ITM-1-1".to_owned(), 1)];
    assert_eq!(lines(&answer), expected);
    let json = answer.json();
    assert_eq!(json["code"], *code);
    assert_eq!(json["items_count"], 2);
    assert_eq!(json["items"][0]["reserved"], true);
    assert!(
        json["items"][0]["name"]
            .as_str()
            .is_some_and(|name| !name.is_empty())
    );
    assert!(
        json["held_until"].is_string() && json["sale_ends_at"].is_string(),
        "{json}"
    );
    let unknown = "CHK-1-00000000000000000000000000000001";
    shown(&mut client, unknown).refused(404, "checkout_not_found", "not found");
    client.get("/checkout").invalid(&["code"]);
    client.purchase(&code).ok();
    let answer = shown(&mut client, &code);
    let answer = answer.refused(409, "already_processed", "already");
    assert_eq!(answer.json()["result"]["total_purchased"], 2);
    let answer = client.send("PUT", "/checkout", &[], b"");
    assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
}

#[test]
fn what_is_given_back_is_free_for_others_at_once() {
    let mut server = Server::start(&HELD);
    let mut client = server.client();
    let code = client.choose("ada", &["ITM-1-0", "ITM-1-1", "ITM-1-2"]);
    let answer = release(&mut client, &code, "&id=ITM-1-1").ok();
    let left = [("ITM-1-0".to_owned(), 1), ("ITM-1-2".to_owned(), 1)];
    assert_eq!(lines(&answer), left);
    client.checkout("bob", "ITM-1-1").ok();
    release(&mut client, &code, "&id=ITM-1-1").refused(404, "item_not_in_checkout", "not in");
    release(&mut client, &code, "&id=ITM-1-0&quantity=2").invalid(&["quantity"]);
    release(&mut client, &code, "&quantity=1").invalid(&["quantity"]);
    assert_eq!(held(&mut client), 3);

    // Also after a crash.
    server.kill_9();
    server.restart();
    let mut client = server.client();
    assert_eq!(lines(&shown(&mut client, &code)), left);
    assert_eq!(held(&mut client), 3);
    let answer = release(&mut client, &code, "").ok();
    assert_eq!(
        (answer.json()["items"].clone(), lines(&answer).len()),
        (json!([]), 0)
    );
    assert_eq!(answer.json()["items_count"], 0);
    for answer in [
        shown(&mut client, &code),
        release(&mut client, &code, ""),
        client.purchase(&code),
    ] {
        answer.refused(404, "checkout_not_found", "not found");
    }
    assert_eq!(held(&mut client), 1);
    let other = client.choose("ada", &["ITM-1-0"]);
    assert_ne!(other, code, "a checkout of its own");
    assert_eq!(client.purchase(&other).ok().json()["total_purchased"], 1);
    // Only of what is over is the code told.
    let told = client
        .get("/admin/events?type=checkout.released")
        .ok()
        .json();
    let data = json!({"sale_id": "1", "code": code, "user_id": "ada"});
    assert_eq!((&told[0]["data"], &told[1]), (&data, &json!(null)));
    let place = server.stop();
    let report = place.report(&["journal", "verify"]);
    assert!(report.contains("10 units = 1 sold"), "{report}");
    let records = place.report(&["journal", "inspect", "--records"]);
    assert!(
        records.contains("\"ada\" gives 1 of item 1 back"),
        "{records}"
    );
    assert!(!records.contains(&code[6..]), "a code in {records}");
}

#[test]
fn some_units_of_an_item_are_given_back_and_their_slots_with_them() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "10"), ("SALE_HOLD_SECONDS", "3600")]);
    let mut client = server.client();
    let sale = json!({
        "items": [{"id": "sock", "name": "Sock", "stock": 5}, {"id": "cap", "name": "Cap", "stock": 5}],
        "max_items_per_user": 4,
        "hold_seconds": 3600,
    });
    let headers = [("Content-Type", "application/json")];
    let created = client.send(
        "POST",
        "/admin/sales",
        &headers,
        sale.to_string().as_bytes(),
    );
    assert_eq!(created.status, 201, "{}", created.text());
    let code = client
        .post("/checkout?user_id=ada&id=sock&quantity=4")
        .ok()
        .code();
    client
        .checkout("ada", "cap")
        .refused(400, "user_limit_exceeded", "limit");
    let answer = release(&mut client, &code, "&id=sock&quantity=3").ok();
    assert_eq!(lines(&answer), [("sock".to_owned(), 1)]);
    client.post("/checkout?user_id=bob&id=sock&quantity=4").ok();
    client.post("/checkout?user_id=ada&id=cap&quantity=3").ok();
    let sold = client.purchase(&code).ok().json();
    assert_eq!(sold["total_purchased"], 4);
}

#[test]
fn a_sale_without_holds_gives_slots_back() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "10"), ("SALE_MAX_ITEMS_PER_USER", "1")]);
    let mut client = server.client();
    let code = client.choose("ada", &["ITM-1-0"]);
    let answer = shown(&mut client, &code).ok().json();
    assert_eq!(answer["items"][0]["reserved"], false);
    assert!(answer.get("held_until").is_none(), "{answer}");
    release(&mut client, &code, "&item_id=ITM-1-0").ok();
    let code = client.choose("ada", &["ITM-1-1"]);
    client.purchase(&code).ok();
    release(&mut client, &code, "").refused(409, "already_processed", "already");
}
