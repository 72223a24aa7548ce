//! Sales that administrators ask for.

use flashsale::limits::OPEN_SALES_MAX;
use serde_json::{Value, json};

use crate::admin::{JSON, ask, create, household, in_seconds, shop};
use crate::client::{Answer, Client};
use crate::server::{Server, wait_for};

/// The ids of a list of sales.
#[track_caller]
fn listed(client: &mut Client, status: &str) -> Vec<String> {
    let list = client.get(&format!("/sales?status={status}")).ok().json();
    let ids = list.as_array().expect("a list").iter();
    ids.map(|sale| sale["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[track_caller]
fn choose(client: &mut Client, user: &str, item: &str, more: &str) -> Answer {
    client.post(&format!("/checkout?user_id={user}&id={item}{more}"))
}

#[test]
fn a_sale_begins_at_once() {
    let (_server, mut client) = shop();
    let answer = ask(
        &mut client,
        &json!({"total_items": 3, "max_items_per_user": 2}),
    );
    assert_eq!(answer.status, 201, "{}", answer.text());
    let (started, ended) = (
        &answer.json()["data"]["started_at"],
        &answer.json()["data"]["ended_at"],
    );
    let expected = format!(
        r#"{{"data":{{"id":"2","started_at":{started},"ended_at":{ended},"total_items":3}}}}"#
    );
    assert_eq!(answer.text(), expected);
    let shown = client.get("/sales/2").ok().json();
    assert_eq!(
        (&shown["started_at"], &shown["active"]),
        (started, &true.into())
    );
    assert_eq!(client.active_sale().0, "2", "it started last");
    let code = client.choose("ada", &["ITM-2-0", "ITM-2-2"]);
    choose(&mut client, "ada", "ITM-2-1", "").refused(400, "user_limit_exceeded", "limit");
    assert_eq!(client.purchase(&code).ok().json()["total_purchased"], 2);
    // The other one goes on.
    let code = client.choose("ada", &["ITM-1-0"]);
    client.purchase(&code).ok();
}

#[test]
fn a_sale_begins_when_it_was_asked_to() {
    let (_server, mut client) = shop();
    let mut sale = household();
    sale["started_at"] = in_seconds(3).into();
    sale["ended_at"] = in_seconds(3600).into();
    let id = create(&mut client, &sale);
    assert_eq!(listed(&mut client, "scheduled"), [&*id]);
    assert_eq!(client.active_sale().0, "1");
    client
        .checkout("ada", "lamp")
        .refused(400, "sale_not_active", "not active");
    let code = wait_for("the sale's start", || {
        let answer = client.checkout("ada", "lamp");
        (answer.status == 200).then(|| answer.code())
    });
    assert_eq!(listed(&mut client, "scheduled"), Vec::<String>::new());
    assert_eq!(client.active_sale().0, id);
    client.purchase(&code).ok();
    let ends = client.get(&format!("/sales/{id}")).ok().json()["ended_at"].clone();
    assert_eq!(ends, sale["ended_at"]);
}

#[test]
fn an_item_has_a_limit_of_its_own() {
    let (server, mut client) = shop();
    let mut sale = household();
    sale["max_items_per_user"] = 6.into();
    sale["items"][0]["max_per_user"] = 2.into();
    let id = create(&mut client, &sale);
    let items = client.get(&format!("/sales/{id}/items")).ok().json();
    assert_eq!(items[0]["max_per_user"], 2);
    assert!(items[2].get("max_per_user").is_none(), "{items}");

    let over = |client: &mut Client, user: &str, quantity: u32| {
        let answer = choose(client, user, "lamp", &format!("&quantity={quantity}"));
        let refused = answer.refused(400, "item_limit_exceeded", "limit");
        assert_eq!(refused.json()["limit"], 2);
    };
    over(&mut client, "ada", 3);
    choose(&mut client, "ada", "lamp", "&quantity=7").invalid(&["quantity"]);
    choose(&mut client, "ada", "cup", "&quantity=4").ok();
    // What else forbids it comes first.
    choose(&mut client, "ada", "lamp", "&quantity=3").refused(400, "user_limit_exceeded", "limit");
    let code = choose(&mut client, "ada", "lamp", "").ok().code();
    choose(&mut client, "ada", "lamp", "&quantity=3").refused(
        400,
        "item_already_in_checkout",
        "already",
    );
    client.purchase(&code).ok();

    // It counts what is bought, whatever was between, also behind a start; and each user alone.
    let server = Server::start_in(server.stop());
    let mut client = server.client();
    over(&mut client, "bob", 3);
    let code = choose(&mut client, "bob", "lamp", "&quantity=2")
        .ok()
        .code();
    client.purchase(&code).ok();
    over(&mut client, "bob", 1);
    choose(&mut client, "bob", "cup", "&quantity=4").ok();
    choose(&mut client, "ada", "lamp", "&quantity=2").refused(400, "user_limit_exceeded", "limit");
    let code = choose(&mut client, "ada", "lamp", "").ok().code();
    client.purchase(&code).ok();
}

#[test]
fn many_units_are_bought_at_once() {
    let (_server, mut client) = shop();
    let mut sale = household();
    sale["max_items_per_user"] = 20.into();
    let id = create(&mut client, &sale);
    assert_eq!(
        client.get(&format!("/sales/{id}")).json()["total_items"],
        1006
    );
    let answer = choose(&mut client, "ada", "cup", "&quantity=12").ok();
    assert_eq!(answer.json()["items_count"], 12);
    choose(&mut client, "ada", "cup", "").refused(400, "item_already_in_checkout", "already");
    choose(&mut client, "ada", "lamp", "&quantity=9").refused(400, "user_limit_exceeded", "limit");
    choose(&mut client, "ada", "chair", "&quantity=2").invalid(&["quantity"]);
    choose(&mut client, "ada", "lamp", "&quantity=21").invalid(&["quantity"]);
    choose(&mut client, "ada", "lamp", "&quantity=4").ok();
    let body = br#"{"user_id":"ada","id":"chair","quantity":1}"#;
    let code = client.send("POST", "/checkout", &[JSON], body).ok().code();
    let rival = choose(&mut client, "bob", "lamp", "&quantity=3")
        .ok()
        .code();
    let bought = client.purchase(&code).ok().json();
    assert_eq!(
        (&bought["total_purchased"], &bought["failed_count"]),
        (&17.into(), &0.into())
    );
    let expected = json!([
        {"id": "cup", "name": "Cup \"Ü\"", "quantity": 12, "sold": true},
        {"id": "lamp", "name": "Lamp", "quantity": 4, "sold": true},
        {"id": "chair", "name": "Chair", "sold": true},
    ]);
    assert_eq!(bought["purchased_items"], expected);
    client
        .purchase(&rival)
        .refused(409, "all_items_sold", "sold");
    choose(&mut client, "bob", "lamp", "&quantity=2").refused(409, "item_sold_out", "sold");
    choose(&mut client, "bob", "lamp", "").ok();
    let items = client.get(&format!("/sales/{id}/items")).ok().json();
    let left: Vec<_> = (0..3)
        .map(|index| items[index]["remaining"].clone())
        .collect();
    assert_eq!(left, [1, 0, 988]);
    assert_eq!(client.get(&format!("/sales/{id}")).json()["items_sold"], 17);
}

#[test]
fn an_item_may_be_on_sale_twice() {
    let (_server, mut client) = shop();
    let (earlier, later) = (
        create(&mut client, &household()),
        create(&mut client, &household()),
    );
    let code = client.choose("ada", &["chair"]);
    assert!(
        code.starts_with(&format!("CHK-{later}-")),
        "the one that started last: {code}"
    );
    let in_earlier = format!("&sale_id={earlier}");
    let other = choose(&mut client, "ada", "chair", &in_earlier).ok().code();
    assert!(other.starts_with(&format!("CHK-{earlier}-")), "{other}");
    client.purchase(&code).ok();
    client.purchase(&other).ok();
    for id in [&earlier, &later] {
        assert_eq!(client.get(&format!("/sales/{id}")).json()["items_sold"], 1);
        let chair = format!("&sale_id={id}");
        choose(&mut client, "bob", "chair", &chair).refused(409, "item_sold_out", "sold");
    }
    choose(&mut client, "bob", "chair", "&sale_id=1").refused(404, "item_not_found", "not found");
}

#[test]
fn items_without_id_or_picture_get_them() {
    let (_server, mut client) = shop();
    let items = json!([{"name": "A", "stock": 2}, {"id": "b", "name": "B", "stock": 1}]);
    let id = create(&mut client, &json!({"items": items}));
    let shown = client.get(&format!("/sales/{id}/items")).ok().json();
    let ids: Vec<_> = (0..2).map(|index| shown[index]["id"].clone()).collect();
    assert_eq!(ids, ["item-1", "b"]);
    for index in 0..2 {
        let address = shown[index]["image_url"].as_str().expect("a picture");
        let picture = client.get(address).ok();
        assert_eq!(picture.header("content-type"), Some("image/svg+xml"));
    }
    client.checkout("ada", "item-1").ok();
}

#[test]
fn a_long_list_is_durable_when_it_is_answered() {
    const COUNT: usize = 20_000;
    let (mut server, mut client) = shop();
    let item = |index: usize| json!({"id": format!("sku-{index}"), "name": format!("Thing {index}, with a name as long as they are"), "stock": index % 3 + 1});
    let items: Vec<Value> = (0..COUNT).map(item).collect();
    let id = create(&mut client, &json!({ "items": items }));
    server.kill_9();
    server.restart();
    let mut client = server.client();
    let units: usize = (0..COUNT).map(|index| index % 3 + 1).sum();
    assert_eq!(
        client.get(&format!("/sales/{id}")).ok().json()["total_items"],
        units
    );
    let last = format!("sku-{}", COUNT - 1);
    let code = client.choose("ada", &["sku-0", &last]);
    assert_eq!(client.purchase(&code).ok().json()["total_purchased"], 2);
    let page = client.get(&format!("/sales/{id}/items?limit=2&cursor={}", COUNT - 2));
    let page = page.ok().json();
    assert_eq!(
        (&page[0]["id"], &page[1]["id"]),
        (&"sku-19998".into(), &"sku-19999".into())
    );
}

#[test]
fn only_so_many_sales_are_open() {
    let (_server, mut client) = shop();
    let sale = json!({"total_items": 1});
    for _ in 1..OPEN_SALES_MAX {
        create(&mut client, &sale);
    }
    ask(&mut client, &sale).refused(409, "too_many_sales", "close one");
    client.post("/admin/sales/7/close").ok();
    create(&mut client, &sale);
}

#[test]
fn everything_that_is_wrong_is_named() {
    let (_server, mut client) = shop();
    let item = json!({"name": "A", "stock": 1});
    for (sale, fields) in [
        (json!({}), &["total_items", "items"][..]),
        (
            json!({"total_items": 1, "items": [item]}),
            &["total_items", "items"],
        ),
        (json!({"total_items": 0}), &["total_items"]),
        (json!({"total_items": 1_000_001}), &["total_items"]),
        (json!({"items": []}), &["items"]),
        (json!({"total_items": 1, "price": 3}), &["price"]),
        (
            json!({"total_items": "1", "seed": -1, "started_at": "now", "ended_at": 5,
                "max_items_per_user": 0, "hold_seconds": 86_401, "payment_seconds": 86_401, "purchase_by": "both"}),
            &[
                "total_items",
                "seed",
                "started_at",
                "ended_at",
                "max_items_per_user",
                "hold_seconds",
                "payment_seconds",
                "purchase_by",
            ],
        ),
        (
            json!({"total_items": 1, "started_at": in_seconds(-90)}),
            &["started_at"],
        ),
        (
            json!({"total_items": 1, "started_at": in_seconds(366 * 86_400)}),
            &["started_at"],
        ),
        (
            json!({"total_items": 1, "ended_at": in_seconds(-5)}),
            &["ended_at"],
        ),
        (
            json!({"total_items": 1, "started_at": in_seconds(60), "ended_at": in_seconds(60 + 367 * 86_400)}),
            &["ended_at"],
        ),
        (
            json!({"items": [item, {"id": 7, "stock": 0}, "x", {"name": "B", "stock": 1.5, "size": 3}]}),
            &[
                "items[1].id",
                "items[1].name",
                "items[1].stock",
                "items[2]",
                "items[3].size",
                "items[3].stock",
            ],
        ),
        (
            json!({"items": [{"id": "ITM-1-1", "name": "A", "stock": 1}]}),
            &["items[0].id"],
        ),
        (
            json!({"items": [{"id": "", "name": "A", "stock": 1}]}),
            &["items[0].id"],
        ),
        (
            json!({"items": [{"id": "item-2", "name": "A", "stock": 1}, item]}),
            &["items[1].id"],
        ),
        (
            json!({"items": [{"name": "A\n", "stock": 1}]}),
            &["items[0].name"],
        ),
        (
            json!({"items": [{"name": "A", "image_url": "x".repeat(1025), "stock": 1}]}),
            &["items[0].image_url"],
        ),
    ] {
        ask(&mut client, &sale).invalid(fields);
    }
    let twice = br#"{"total_items":1,"total_items":2}"#;
    client
        .send("POST", "/admin/sales", &[JSON], twice)
        .invalid(&["total_items"]);
    let broken = [&b"{"[..], b"{}x", b"\xff", b"{\"total_items\":1,}", b"null"];
    for body in broken {
        client
            .send("POST", "/admin/sales", &[JSON], body)
            .invalid(&["body"]);
    }
    let json = client.get("/sales").ok().json();
    assert_eq!(
        json.as_array().map(Vec::len),
        Some(1),
        "there is no new sale"
    );
}
