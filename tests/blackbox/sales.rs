//! Sales, items and pictures, and how they are listed.

use crate::client::{Answer, Client};
use crate::server::Server;

fn shop() -> (Server, Client) {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "1200")]);
    let client = server.client();
    (server, client)
}

fn ids(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let list = json.as_array().expect("a list").iter();
    list.map(|item| item["id"].as_str().expect("an id").to_owned())
        .collect()
}

/// The keys of a JSON object in the order in which they were sent.
fn keys(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let mut keys: Vec<_> = json
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    let place = |key: &String| answer.text().find(&format!("\"{key}\":"));
    keys.sort_by_key(place);
    keys
}

#[test]
fn a_sale_is_shown() {
    let (_server, mut client) = shop();
    let active = client.get("/sales/active").ok();
    let expected = [
        "id",
        "started_at",
        "ended_at",
        "total_items",
        "items_sold",
        "active",
        "max_items_per_user",
        "hold_seconds",
    ];
    assert_eq!(keys(&active), expected);
    let json = active.json();
    assert_eq!(
        (&json["id"], &json["total_items"]),
        (&"1".into(), &1200.into())
    );
    assert_eq!(
        (&json["items_sold"], &json["active"]),
        (&0.into(), &true.into())
    );
    for time in ["started_at", "ended_at"] {
        let time = active.member(time);
        assert!(
            time.len() == 20 && time.ends_with('Z') && time.contains('T'),
            "{time}"
        );
    }
    assert_eq!(active.header("content-type"), Some("application/json"));
    for path in ["/sales/1", "/api/v1/sales/active", "/api/v1/sales/1"] {
        assert_eq!(client.get(path).ok().text(), active.text(), "{path}");
    }
    let list = format!("[{}]", active.text());
    for path in ["/sales", "/api/v1/sales", "/sales?status=active&limit=1"] {
        assert_eq!(client.get(path).ok().text(), list, "{path}");
    }
    for status in ["scheduled", "ended"] {
        let answer = client.get(&format!("/sales?status={status}"));
        assert_eq!(answer.ok().text(), "[]");
    }
    client
        .get("/sales?status=x&limit=0&cursor=-")
        .invalid(&["status", "limit", "cursor"]);
    for id in ["2", "0", "x", "01", "%31", "99999999999"] {
        client
            .get(&format!("/sales/{id}"))
            .refused(404, "sale_not_found", "not found");
    }
}

#[test]
fn items_come_in_pages() {
    let (_server, mut client) = shop();
    let first = client.get("/sales/1/items").ok();
    assert_eq!(ids(&first).len(), 100);
    let json = first.json();
    let item = &json[0];
    assert_eq!(
        (&item["id"], &item["sold"]),
        (&"ITM-1-0".into(), &false.into())
    );
    assert_eq!((&item["stock"], &item["remaining"]), (&1.into(), &1.into()));
    assert!(item["name"].as_str().is_some_and(|name| !name.is_empty()));

    let mut target = Some("/api/v1/sales/1/items?limit=500&available=true".to_owned());
    let mut all = Vec::new();
    let mut pages = 0;
    while let Some(here) = target {
        let page = client.get(&here).ok();
        all.extend(ids(&page));
        pages += 1;
        target = page.next(&here);
    }
    let expected: Vec<_> = (0..1200).map(|index| format!("ITM-1-{index}")).collect();
    assert_eq!((all, pages), (expected, 3));
    let whole = client.get("/sales/1/items?limit=1000").ok();
    assert_eq!(ids(&whole).len(), 1000);

    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=1", "limit"),
        ("cursor=x", "cursor"),
        ("available=1", "available"),
    ] {
        client
            .get(&format!("/sales/1/items?{query}"))
            .invalid(&[field]);
    }
    client
        .get("/sales/2/items")
        .refused(404, "sale_not_found", "not found");
    // As the interface is written down.
    let literally = client.get("/sales/1/items?available=true&limit=100&cursor=");
    assert_eq!(literally.ok().json().as_array().map(Vec::len), Some(100));
    client.get("/sales?status=&limit=&cursor=").ok();
    let beyond = client.get("/sales/1/items?cursor=4294967295").ok();
    assert_eq!((beyond.text(), beyond.header("link")), ("[]", None));
}

#[test]
fn sold_units_are_not_available() {
    let (_server, mut client) = shop();
    let code = client.choose("ada", &["ITM-1-0", "ITM-1-2"]);
    // A checkout alone takes nothing.
    let available = client.get("/sales/1/items?available=true&limit=3");
    assert_eq!(ids(&available), ["ITM-1-0", "ITM-1-1", "ITM-1-2"]);
    client.purchase(&code).ok();
    let first = "/sales/1/items?available=true&limit=3";
    let available = client.get(first);
    assert_eq!(ids(&available), ["ITM-1-1", "ITM-1-3", "ITM-1-4"]);
    let following = client.get(&available.next(first).expect("more"));
    assert_eq!(ids(&following), ["ITM-1-5", "ITM-1-6", "ITM-1-7"]);
    for all in [
        "/sales/1/items?limit=1",
        "/sales/1/items?limit=1&available=false",
    ] {
        let item = client.get(all).json()[0].clone();
        assert_eq!(
            (&item["sold"], &item["remaining"]),
            (&true.into(), &0.into())
        );
    }
    assert_eq!(client.active_sale().1, 2);
}

#[test]
fn head_is_get_without_the_body() {
    let (_server, mut client) = shop();
    for path in [
        "/sales/active",
        "/sales/1/items?limit=2",
        "/livez",
        "/",
        "/images/a.svg",
    ] {
        let get = client.get(path).ok();
        let head = client.send("HEAD", path, &[], b"").ok();
        for name in ["content-length", "content-type", "link", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
    }
    // The connection is not out of step.
    assert_eq!(client.send("HEAD", "/nowhere", &[], b"").status, 404);
    client.get("/livez").ok();
}

#[test]
fn pictures_are_drawn_here() {
    let (_server, mut client) = shop();
    let item = client.get("/sales/1/items?limit=1").json()[0].clone();
    let target = item["image_url"].as_str().expect("a picture").to_owned();
    assert!(
        target.starts_with("/images/") && target.ends_with(".svg"),
        "{target}"
    );
    let picture = client.get(&target).ok();
    assert_eq!(picture.header("content-type"), Some("image/svg+xml"));
    let cached = picture.header("cache-control").expect("cacheable");
    assert!(
        cached.contains("immutable") && cached.contains("max-age="),
        "{cached}"
    );
    assert!(picture.text().starts_with("<svg ") && picture.text().ends_with("</svg>"));
    assert_eq!(client.get(&target), picture, "the same for ever");
    assert_ne!(client.get("/images/another.svg").ok().body, picture.body);
}

#[test]
fn health_has_the_keys_that_clients_know_first() {
    let (_server, mut client) = shop();
    let code = client.choose("ada", &["ITM-1-0"]);
    client.purchase(&code).ok();
    let health = client.get("/health").ok();
    let keys = keys(&health);
    let first = ["services_status", "uptime", "memory", "tasks", "summary"];
    assert_eq!(keys[..5], first);
    for key in ["latency", "stock", "journal"] {
        assert!(keys.contains(&key.to_owned()), "{key}");
    }
    let json = health.json();
    let off = serde_json::json!({"app": "UP", "database": "DISABLED", "redis": "DISABLED"});
    assert_eq!(json["services_status"], off);
    assert!(
        json["uptime"]
            .as_str()
            .is_some_and(|uptime| uptime.ends_with('s'))
    );
    for key in ["alloc", "total_alloc", "sys"] {
        assert!(
            json["memory"][key].as_u64().is_some_and(|bytes| bytes > 0),
            "{key}"
        );
    }
    assert_eq!(json["memory"]["num_gc"], 0);
    assert!(json["tasks"].is_u64());
    let stock = &json["stock"]["1"];
    assert_eq!((&stock["total"], &stock["sold"]), (&1200.into(), &1.into()));
    assert_eq!((&stock["held"], &stock["free"]), (&0.into(), &1199.into()));
    assert_eq!(json["journal"]["writable"], true);
    let latency = json["latency"].as_object().expect("by route");
    let purchases = latency.values().filter_map(|outcomes| outcomes.get("sold"));
    let counts: Vec<_> = purchases.map(|outcome| outcome["count"].clone()).collect();
    assert_eq!(counts, [1], "{latency:?}");
}

#[test]
fn probes_answer() {
    let (server, mut client) = shop();
    client.get("/livez").ok();
    client.get("/readyz").ok();
    let verbose = client.get("/readyz?verbose").ok();
    let lines: Vec<_> = verbose.text().lines().collect();
    assert!(
        lines.len() >= 3 && lines.iter().all(|line| line.starts_with("[+]")),
        "{lines:?}"
    );
    let port = server.addr().port().to_string();
    let mut command = server.place().command(&["healthcheck"]);
    let healthy = command.env("SERVER_PORT", &port).status().expect("it runs");
    assert!(healthy.success());
}

#[test]
fn metrics_are_exposition() {
    let (_server, mut client) = shop();
    let code = client.choose("ada", &["ITM-1-0"]);
    client.purchase(&code).ok();
    let metrics = client.get("/metrics").ok();
    assert!(
        metrics
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/plain"))
    );
    let samples = metrics.text().lines().filter(|line| !line.starts_with('#'));
    for sample in samples.clone() {
        let (name, value) = sample.rsplit_once(' ').expect("a name and a value");
        assert!(
            name.starts_with(|first: char| first.is_ascii_lowercase()),
            "{sample}"
        );
        assert!(value.parse::<f64>().is_ok(), "{sample}");
    }
    let sold = "sale_stock_units{sale=\"1\",state=\"sold\"} 1";
    assert!(
        samples.clone().any(|sample| sample.ends_with(sold)),
        "{}",
        metrics.text()
    );
}

#[test]
fn there_is_a_page() {
    let (_server, mut client) = shop();
    let page = client.get("/").ok();
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(page.text().starts_with("<!doctype html>"));
}

#[test]
fn other_paths_and_methods_are_refused() {
    let (_server, mut client) = shop();
    for path in [
        "/nowhere",
        "/checkout/",
        "/api/v1",
        "/api/v2/sales",
        "/sales/1/",
        "/images/a.png",
    ] {
        client.get(path).refused(404, "not_found", "");
        client.post(path).refused(404, "not_found", "");
    }
    for (path, allowed) in [
        ("/checkout", "GET, HEAD, POST"),
        ("/purchase", "POST"),
        ("/release", "POST"),
        ("/api/v1/checkout", "GET, HEAD, POST"),
    ] {
        let others = ["GET", "PUT", "DELETE", "PATCH"];
        let is_other = |method: &&str| !allowed.contains(*method);
        for method in others.into_iter().filter(is_other) {
            let answer = client.send(method, path, &[], b"");
            let answer = answer.refused(405, "method_not_allowed", "");
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        }
    }
    for path in [
        "/sales",
        "/sales/active",
        "/sales/1/items",
        "/health",
        "/readyz",
        "/",
    ] {
        for method in ["POST", "DELETE", "BREW"] {
            let answer = client.send(method, path, &[], b"");
            let answer = answer.refused(405, "method_not_allowed", "");
            let allow = answer.header("allow").expect("what is allowed");
            assert!(
                allow.contains("GET") && allow.contains("HEAD"),
                "{method} {path}"
            );
        }
    }
}
