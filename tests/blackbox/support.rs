//! What support can look up to answer a buyer.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::admin::{TOKEN, create, household, shop};
use crate::client::{Answer, Client};
use crate::server::{Server, wait_for};

fn checkout(client: &mut Client, code: &str) -> Answer {
    client.get(&format!("/admin/checkouts/{code}"))
}

#[track_caller]
fn times(shown: &Value, names: &[&str]) {
    let all = ["opened_at", "held_until", "purchased_at", "expired_at"];
    for name in all {
        let time = shown[name].as_str();
        assert_eq!(time.is_some(), names.contains(&name), "{name} in {shown}");
        let parsed = time.map(str::parse::<jiff::Timestamp>);
        assert!(parsed.is_none_or(|time| time.is_ok()), "{name} in {shown}");
    }
}

#[test]
fn a_checkout_is_shown_through_its_life() {
    let (_server, mut client) = shop();
    let id = create(&mut client, &household());
    let code = client.choose("ada \"ü\"", &["lamp", "chair"]);
    let shown = checkout(&mut client, &code).ok();
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    let shown = shown.json();
    assert_eq!(
        (&shown["code"], &shown["sale_id"]),
        (&code.clone().into(), &id.clone().into())
    );
    assert_eq!(
        (&shown["user_id"], &shown["status"]),
        (&"ada \"ü\"".into(), &"open".into())
    );
    times(&shown, &["opened_at"]);
    let items = json!([
        {"id": "lamp", "name": "Lamp", "quantity": 1},
        {"id": "chair", "name": "Chair", "quantity": 1},
    ]);
    assert_eq!(shown["items"], items);
    assert_eq!(shown["sale"], client.get(&format!("/sales/{id}")).json());
    assert_eq!(shown["result"], Value::Null);

    let rival = client.choose("bob", &["chair"]);
    client.purchase(&rival).ok();
    let result = client.purchase(&code).ok().json();
    let path = format!("/api/v1/admin/checkouts/{code}");
    let shown = client.get(&path).ok().json();
    assert_eq!(
        (&shown["status"], &shown["result"]),
        (&"purchased".into(), &result)
    );
    times(&shown, &["purchased_at"]);
    let sold = [
        shown["items"][0]["sold"].clone(),
        shown["items"][1]["sold"].clone(),
    ];
    assert_eq!(sold, [true, false]);
    let lost = client.choose("carl", &["lamp"]);
    client.post(&format!("/admin/sales/{id}/close")).ok();
    assert_eq!(checkout(&mut client, &lost).ok().json()["status"], "closed");
    assert_eq!(
        checkout(&mut client, &code).ok().json()["status"],
        "purchased"
    );
}

#[test]
fn a_hold_is_shown_until_it_has_run_out() {
    let (_server, mut client) = shop();
    let mut sale = household();
    sale["hold_seconds"] = 1.into();
    create(&mut client, &sale);
    let code = client.choose("ada", &["chair"]);
    let shown = checkout(&mut client, &code).ok().json();
    if shown["status"] == "open" {
        times(&shown, &["opened_at", "held_until"]);
    }
    let expired = wait_for("the end of a hold", || {
        let shown = checkout(&mut client, &code).ok().json();
        (shown["status"] == "expired").then_some(shown)
    });
    times(&expired, &["expired_at"]);
    assert_eq!(expired["user_id"], "ada");
}

#[test]
fn only_codes_that_were_given_out_are_found() {
    let (_server, mut client) = shop();
    let code = client.choose("ada", &["ITM-1-0"]);
    for unknown in [
        format!("CHK-1-{}", "0".repeat(32)),
        format!("CHK-9{}", &code[5..]),
    ] {
        checkout(&mut client, &unknown).refused(404, "checkout_not_found", "not found");
    }
    let encoded = code.replace('-', "%2D");
    assert_eq!(checkout(&mut client, &encoded).ok().code(), code);
    for odd in ["x", "CHK-1", "CHK-1-xyz", &code[..code.len() - 1]] {
        checkout(&mut client, odd).refused(404, "checkout_not_found", "not found");
    }
    for malformed in ["%", "%zz", "%ff", "%00", "%C2%85", &"9".repeat(129)] {
        checkout(&mut client, malformed).invalid(&["code"]);
    }
}

/// All pages from `target` on, and how many those are.
fn pages(client: &mut Client, target: &str) -> (Vec<Value>, usize) {
    let (mut all, mut count) = (Vec::new(), 0);
    let mut target = Some(target.to_owned());
    while let Some(here) = target {
        let page = client.get(&here).ok();
        let json = page.json();
        all.extend(json.as_array().expect("a list").iter().cloned());
        count += 1;
        target = page.next(&here);
    }
    (all, count)
}

fn codes(purchases: &[Value]) -> Vec<String> {
    let code = |purchase: &Value| purchase["code"].as_str().expect("a code").to_owned();
    purchases.iter().map(code).collect()
}

#[test]
fn purchases_come_in_pages_also_after_a_power_cut() {
    let (mut server, mut client) = shop();
    let id = create(&mut client, &household());
    let mut bought = Vec::new();
    for index in 0..25 {
        let code = client.choose(&format!("user-{}", index % 10), &["cup"]);
        match index % 2 {
            0 => client.purchase(&code).ok(),
            _ => client.purchase_with_key(&code, "k-1").ok(),
        };
        bought.push(code);
    }
    client.choose("nobody", &["cup"]);
    let path = format!("/admin/sales/{id}/purchases");
    let (all, count) = pages(&mut client, &path);
    assert_eq!(
        (codes(&all), count),
        (bought.clone(), 1),
        "in the order of their times"
    );
    let expected = json!({
        "code": bought[1], "user_id": "user-1", "purchased_at": all[1]["purchased_at"],
        "idempotency_key": true, "total_purchased": 1, "failed_count": 0,
        "items": [{"id": "cup", "name": "Cup \"Ü\"", "quantity": 1, "sold": true}],
    });
    assert_eq!(all[1], expected);
    assert_eq!(all[0]["idempotency_key"], false);

    let target = format!("{path}?limit=10");
    let first = client.get(&target).ok();
    let rest = first.next(&target).expect("more");
    // What comes meanwhile, and a restart, neither repeats nor loses any.
    let code = client.choose("late", &["cup"]);
    client.purchase(&code).ok();
    bought.push(code);
    server.kill_9();
    server.restart();
    let mut client = server.client();
    let (rest, count) = pages(&mut client, &rest);
    let mut seen = codes(first.json().as_array().expect("a list"));
    seen.extend(codes(&rest));
    assert_eq!((seen, count), (bought.clone(), 2));

    let (own, _) = pages(&mut client, &format!("{path}?user_id=user-3&limit=1"));
    let expected = [3, 13, 23].map(|index| bought[index].clone());
    assert_eq!(codes(&own), expected);
    assert_eq!(
        pages(&mut client, &format!("{path}?user_id=nobody")),
        (vec![], 1)
    );
    assert_eq!(
        pages(&mut client, "/api/v1/admin/sales/1/purchases"),
        (vec![], 1)
    );
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=1", "cursor"),
        ("user_id=", "user_id"),
    ] {
        client.get(&format!("{path}?{query}")).invalid(&[field]);
    }
    let unknown = client.get("/admin/sales/99/purchases");
    unknown.refused(404, "sale_not_found", "not found");
}

/// The head of an export, and what is in its chunks.
fn export(client: &mut Client, target: &str) -> (Answer, String) {
    let head = client.get(target).ok();
    let mut text = Vec::new();
    while let Some(chunk) = client.read_chunk().expect("a chunk") {
        text.extend(chunk);
    }
    (head, String::from_utf8(text).expect("UTF-8"))
}

#[test]
fn purchases_come_as_csv_also_when_the_sale_has_left_memory() {
    let mut server = Server::start(&[("SALE_KEEP_ENDED_SECONDS", "0")]);
    let mut client = server.client();
    let items = json!({"items": [
        {"id": "=cmd", "name": "+1, \"two\"", "stock": 2},
        {"id": "cup", "name": "Cup", "stock": 50},
    ]});
    let id = create(&mut client, &items);
    let code = client.choose("@ada", &["=cmd", "cup"]);
    let (late, rival) = (
        client.choose("bob", &["=cmd"]),
        client.choose("eve", &["=cmd"]),
    );
    for code in [&code, &late] {
        client.purchase(code).ok();
    }
    client
        .purchase(&rival)
        .refused(409, "all_items_sold", "sold");
    let path = format!("/admin/sales/{id}/purchases?format=csv");
    let (all, text) = export(&mut client, &path);
    assert_eq!(
        all.header("content-type"),
        Some("text/csv; charset=utf-8; header=present")
    );
    let name = format!("attachment; filename=\"sale-{id}-purchases.csv\"");
    assert_eq!(all.header("content-disposition"), Some(&*name));
    let mut purchased_at = |user: &str| {
        let list = client.get(&format!("/admin/sales/{id}/purchases?user_id={user}"));
        list.json()[0]["purchased_at"]
            .as_str()
            .expect("a time")
            .to_owned()
    };
    let (first, second) = (purchased_at("%40ada"), purchased_at("bob"));
    let expected = format!(
        "code,user_id,purchased_at,item_id,item_name,quantity,cancelled\r\n\
         {code},'@ada,{first},'=cmd,\"'+1, \"\"two\"\"\",1,0\r\n\
         {code},'@ada,{first},cup,Cup,1,0\r\n\
         {late},bob,{second},'=cmd,\"'+1, \"\"two\"\"\",1,0\r\n"
    );
    assert_eq!(text, expected);
    let (_, own) = export(&mut client, &format!("{path}&user_id=bob"));
    assert_eq!(own.lines().count(), 2);
    let head = client.send("HEAD", &path, &[], b"").ok();
    assert_eq!(head.text(), "");
    for (query, field) in [
        ("limit=5", "limit"),
        ("cursor=0-0000000000000000", "cursor"),
    ] {
        client.get(&format!("{path}&{query}")).invalid(&[field]);
    }
    let odd = client.get(&format!("/admin/sales/{id}/purchases?format=xml"));
    odd.invalid(&["format"]);

    client.post(&format!("/admin/sales/{id}/close")).ok();
    server.kill_9();
    server.restart();
    let mut client = server.client();
    assert_eq!(export(&mut client, &path).1, expected);
}

#[test]
fn a_refused_purchase_is_listed_with_what_it_lost() {
    let (_server, mut client) = shop();
    let id = create(&mut client, &household());
    let (winner, loser) = (
        client.choose("ada", &["chair"]),
        client.choose("bob", &["chair"]),
    );
    client.purchase(&winner).ok();
    client
        .purchase(&loser)
        .refused(409, "all_items_sold", "sold");
    let list = client
        .get(&format!("/admin/sales/{id}/purchases?user_id=bob"))
        .ok()
        .json();
    assert_eq!(
        (&list[0]["total_purchased"], &list[0]["failed_count"]),
        (&0.into(), &1.into())
    );
    let shown = checkout(&mut client, &loser).ok().json();
    assert_eq!(
        (&shown["status"], &shown["result"]["error"]),
        (&"purchased".into(), &"all_items_sold".into())
    );
}

#[test]
fn reading_needs_the_token_too() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "10"), ("ADMIN_TOKEN", TOKEN)]);
    let mut client = server.client();
    let code = client.choose("ada", &["ITM-1-0"]);
    client.purchase(&code).ok();
    let paths = [
        "/admin/sales/1/purchases",
        &format!("/admin/checkouts/{code}"),
    ];
    let bearer = format!("Bearer {TOKEN}");
    for path in paths {
        client.get(path).refused(401, "unauthorized", "token");
        let shown = client
            .send("GET", path, &[("Authorization", &bearer)], b"")
            .ok();
        let head = client
            .send("HEAD", path, &[("Authorization", &bearer)], b"")
            .ok();
        assert_eq!(
            head.header("content-length"),
            shown.header("content-length")
        );
    }
    let log = server.log();
    let unwanted: BTreeSet<_> = [TOKEN, &code]
        .into_iter()
        .filter(|secret| log.contains(secret))
        .collect();
    assert!(unwanted.is_empty(), "in the log: {unwanted:?}");
}
