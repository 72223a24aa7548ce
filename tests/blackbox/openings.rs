//! The opening of a sale, as shops are told of it.

use serde_json::{Value, json};

use super::events::read_all;
use crate::admin::{TOKEN, create, household, in_seconds};
use crate::client::Client;
use crate::server::{Place, Server, wait_for};

fn shop() -> Server {
    Server::start(&[
        ("SALE_TOTAL_ITEMS", "10"),
        ("ADMIN_TOKEN", TOKEN),
        ("SHOP_TOKEN", "the-token-of-the-shop"),
    ])
}

fn client(server: &Server) -> Client {
    server.client().with_token(Some(TOKEN.to_owned()))
}

/// What was told of a sale, in order.
fn kinds(client: &mut Client, sale: &str) -> Vec<String> {
    let told = read_all(client, &format!("/admin/events?sale_id={sale}"));
    let kinds = told.iter().map(|event| event["type"].as_str());
    kinds.map(|it| it.expect("a type").to_owned()).collect()
}

#[test]
fn an_opening_is_told_once_and_before_all_that_is_bought() {
    let mut server = shop();
    let mut client = client(&server);
    let mut later = household();
    later["started_at"] = in_seconds(2).into();
    later["ended_at"] = in_seconds(3600).into();
    let later = create(&mut client, &later);
    let mut never = json!({"total_items": 3});
    never["started_at"] = in_seconds(1800).into();
    never["ended_at"] = in_seconds(3600).into();
    let never = create(&mut client, &never);
    client.post(&format!("/admin/sales/{never}/close")).ok();
    assert_eq!(kinds(&mut client, &later), ["sale.created"]);
    // The first who comes may be faster than the schedule.
    let code = wait_for("the sale's start", || {
        let answer = client.checkout("ada", "lamp");
        (answer.status == 200).then(|| answer.code())
    });
    client.purchase(&code).ok();
    let bought = ["sale.created", "sale.opened", "purchase.completed"];
    assert_eq!(kinds(&mut client, &later), bought);
    // Nobody comes here.
    let quiet = create(&mut client, &json!({"total_items": 3}));
    wait_for("the opening", || {
        let told = kinds(&mut client, &quiet);
        (told == ["sale.created", "sale.opened"]).then_some(())
    });
    assert_eq!(kinds(&mut client, &never), ["sale.created", "sale.closed"]);
    let all = read_all(&mut client, "/admin/events");
    let opened: Vec<&Value> = all
        .iter()
        .filter(|event| event["type"] == "sale.opened")
        .collect();
    assert_eq!(opened.len(), 3);
    assert_eq!(opened[1]["data"], json!({"sale_id": later}));

    server.kill_9();
    server.restart();
    let mut client = self::client(&server);
    let code = client.choose("eve", &["lamp"]);
    client.purchase(&code).ok();
    let told = read_all(&mut client, "/admin/events");
    assert_eq!(told[..all.len()], all);
    assert_eq!(kinds(&mut client, &later)[3..], ["purchase.completed"]);
}

#[test]
fn a_sale_that_was_under_way_is_told_of_when_somebody_is_told() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "10"), ("ADMIN_TOKEN", TOKEN)]);
    let mut before = client(&server);
    let code = before.choose("ada", &["ITM-1-0"]);
    before.purchase(&code).ok();
    let told = ["sale.created", "purchase.completed"];
    assert_eq!(kinds(&mut before, "1"), told);
    let mut place: Place = server.stop();
    place.set("SHOP_TOKEN", "the-token-of-the-shop");
    let server = Server::start_in(place);
    let mut after = client(&server);
    let code = after.choose("eve", &["ITM-1-1"]);
    after.purchase(&code).ok();
    let told = [
        "sale.created",
        "purchase.completed",
        "sale.opened",
        "purchase.completed",
    ];
    assert_eq!(kinds(&mut after, "1"), told);
}
