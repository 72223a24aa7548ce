//! Sales that administrators end.

use serde_json::json;

use crate::admin::{create, household, in_seconds, shop};

#[test]
fn a_sale_ends_at_once_and_for_good() {
    let (mut server, mut client) = shop();
    let id = create(&mut client, &household());
    let bought = client.choose("ada", &["lamp"]);
    client.purchase(&bought).ok();
    let open = client.choose("ada", &["chair"]);
    let path = format!("/admin/sales/{id}/close");
    let closed = client.post(&path).ok();
    let json = closed.json();
    assert_eq!(
        (&json["data"]["id"], &json["data"]["active"]),
        (&id.clone().into(), &false.into())
    );
    assert_eq!(
        (&json["data"]["total_items"], &json["data"]["items_sold"]),
        (&1006.into(), &1.into())
    );
    assert_eq!(
        json["data"],
        client.get(&format!("/sales/{id}")).ok().json()
    );
    let not_active = |answer: crate::client::Answer| {
        answer.refused(400, "sale_not_active", "not active");
    };
    not_active(client.purchase(&open));
    not_active(client.checkout("bob", "cup"));
    // Again, under the other name, and after a power cut.
    assert_eq!(
        client.post(&format!("/api/v1{path}")).ok().json()["data"],
        json["data"]
    );
    server.kill_9();
    server.restart();
    let mut client = server.client();
    assert_eq!(client.post(&path).ok().json()["data"], json["data"]);
    not_active(client.purchase(&open));
    assert_eq!(client.active_sale().0, "1");
}

#[test]
fn a_sale_may_end_before_it_begins() {
    let (_server, mut client) = shop();
    let sale = json!({"total_items": 3, "started_at": in_seconds(3600)});
    let id = create(&mut client, &sale);
    client.post(&format!("/admin/sales/{id}/close")).ok();
    let ended = client.get("/sales?status=ended").ok().json();
    assert_eq!(ended[0]["id"], *id);
    assert_eq!(
        ended[0]["ended_at"], ended[0]["started_at"],
        "not before it began"
    );
    let item = format!("ITM-{id}-0");
    client
        .checkout("ada", &item)
        .refused(400, "sale_not_active", "not active");
}

#[test]
fn only_what_exists_is_closed() {
    let (_server, mut client) = shop();
    for id in ["2", "0", "x", "01", "99999999999"] {
        let answer = client.post(&format!("/admin/sales/{id}/close"));
        answer.refused(404, "sale_not_found", "not found");
    }
    client.checkout("ada", "ITM-1-0").ok();
}
