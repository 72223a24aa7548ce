//! Sales that administrators pause, let go on, and have end later.

use serde_json::json;

use crate::admin::{create, household, in_seconds, shop};
use crate::client::{Answer, Client};

fn change(client: &mut Client, sale: &str, what: &str) -> Answer {
    client.post(&format!("/admin/sales/{sale}/{what}"))
}

#[test]
fn a_paused_sale_takes_no_checkouts_and_sells_what_was_chosen() {
    let (mut server, mut client) = shop();
    let id = create(&mut client, &household());
    let chosen = client.choose("ada", &["lamp"]);
    let kept = "/checkout?user_id=eve&id=cup";
    let key = [("Idempotency-Key", "k")];
    let first = client.send("POST", kept, &key, b"").ok();
    let paused = change(&mut client, &id, "pause").ok().json();
    assert_eq!(paused["data"]["paused"], true);
    assert_eq!(paused["data"]["active"], true);
    let refused = |answer: Answer| answer.refused(400, "sale_paused", "paused");
    refused(client.checkout("bob", "cup"));
    refused(client.checkout("ada", "chair"));
    // What was answered before is answered again.
    let again = client.send("POST", kept, &key, b"").ok();
    assert_eq!(again.text(), first.text());
    for path in ["/sales/active".to_owned(), format!("/sales/{id}")] {
        assert_eq!(client.get(&path).ok().json(), paused["data"], "{path}");
    }
    assert_eq!(change(&mut client, &id, "pause").ok().json(), paused);
    // Other sales go on.
    client.checkout("bob", "ITM-1-0").ok();

    server.kill_9();
    server.restart();
    let mut client = server.client();
    refused(client.checkout("bob", "cup"));
    assert_eq!(client.purchase(&chosen).ok().json()["total_purchased"], 1);
    let resumed = change(&mut client, &id, "resume").ok().json();
    assert_eq!(resumed["data"]["paused"], false);
    assert_eq!(change(&mut client, &id, "resume").ok().json(), resumed);
    let shown = client.get(&format!("/sales/{id}")).ok().json();
    assert!(shown.get("paused").is_none(), "{shown}");
    client.checkout("bob", "cup").ok();
    let told = "/admin/events?type=sale.paused,sale.resumed";
    let told = client.get(told).ok().json();
    let kinds = [&told[0]["type"], &told[1]["type"], &told[2]];
    assert_eq!(
        kinds,
        [&json!("sale.paused"), &json!("sale.resumed"), &json!(null)]
    );
    let place = server.stop();
    let records = place.report(&["journal", "inspect", "--records"]);
    for said in ["sale 2 is paused", "sale 2 is resumed"] {
        assert_eq!(records.matches(said).count(), 1, "{records}");
    }
}

#[test]
fn a_sale_ends_later_and_never_earlier() {
    let (mut server, mut client) = shop();
    let mut sale = household();
    sale["ended_at"] = in_seconds(600).into();
    let id = create(&mut client, &sale);
    let path = format!("/admin/sales/{id}/extend");
    let later = in_seconds(7200);
    for wrong in ["", "?ended_at=", "?ended_at=tomorrow"] {
        client
            .post(&format!("{path}{wrong}"))
            .invalid(&["ended_at"]);
    }
    for wrong in [in_seconds(300), in_seconds(400 * 86_400)] {
        let answer = client.post(&format!("{path}?ended_at={wrong}"));
        answer.invalid(&["ended_at"]);
    }
    let extended = client.post(&format!("{path}?ended_at={later}")).ok().json();
    assert_eq!(extended["data"]["ended_at"], later);
    let again = json!({"ended_at": later}).to_string();
    let headers = [("Content-Type", "application/json")];
    let again = client.send("POST", &path, &headers, again.as_bytes());
    assert_eq!(again.ok().json(), extended);
    let answer = client.checkout("ada", "cup").ok().json();
    assert_eq!(answer["sale_ends_at"], later);

    server.kill_9();
    server.restart();
    let mut client = server.client();
    let shown = client.get(&format!("/sales/{id}")).ok().json();
    assert_eq!(shown["ended_at"], later);
    let told = client.get("/admin/events?type=sale.extended").ok().json();
    assert_eq!(told[0]["data"], json!({"sale_id": id, "ended_at": later}));
    client.post(&format!("/admin/sales/{id}/close")).ok();
    let over = |answer: Answer| answer.refused(409, "sale_closed", "over");
    over(client.post(&format!("{path}?ended_at={}", in_seconds(9000))));
    over(change(&mut client, &id, "pause"));
    over(change(&mut client, &id, "resume"));
    change(&mut client, "99", "pause").refused(404, "sale_not_found", "not found");
}
