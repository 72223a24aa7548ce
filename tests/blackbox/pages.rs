//! The pages as files over HTTP: what they are made of, how long it may be kept, and what it may do.

use std::collections::BTreeSet;

use serde_json::json;

use crate::admin::{create, in_seconds, shop};
use crate::client::{Answer, Client};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The addresses of assets in a text.
fn named(text: &str) -> BTreeSet<String> {
    let rests = text.split("\"assets/").skip(1);
    let names = rests.map(|rest| rest.split('"').next().expect("a first part"));
    names.map(|name| format!("/assets/{name}")).collect()
}

#[track_caller]
fn is_guarded(answer: &Answer) {
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
}

/// Asks for `path` again, as a browser that has got `answer` before.
fn again(client: &mut Client, path: &str, answer: &Answer) -> Answer {
    let tag = answer.header("etag").expect("a tag");
    client.send("GET", path, &[("If-None-Match", tag)], b"")
}

#[test]
fn all_that_a_page_consists_of_is_here_and_kept_for_ever() {
    let (_server, mut client) = shop();
    for (path, count) in [("/", 6), ("/ops", 3)] {
        let page = client.get(path).ok();
        is_guarded(&page);
        assert_eq!(page.header("cache-control"), Some("no-cache"));
        let mut assets = named(page.text());
        assert!(assets.len() >= count, "{assets:?}");
        let mut seen = BTreeSet::new();
        while let Some(address) = assets.pop_first() {
            let asset = client.get(&address).ok();
            is_guarded(&asset);
            let kept = asset.header("cache-control").expect("a header");
            assert!(kept.contains("immutable"), "{address}: {kept}");
            seen.insert(address);
            assets.extend(named(asset.text()).difference(&seen).cloned());
        }
        for end in [".css?", ".js?", ".svg?"] {
            assert!(seen.iter().any(|address| address.contains(end)), "{end}");
        }
    }
}

#[test]
fn whatever_a_browser_opens_is_guarded() {
    let (_server, mut client) = shop();
    for path in ["/openapi.json", "/images/chair.svg", "/favicon.ico"] {
        is_guarded(&client.get(path).ok());
        is_guarded(&client.send("HEAD", path, &[], b"").ok());
    }
}

#[test]
fn cached_assets_are_not_sent_again() {
    let (_server, mut client) = shop();
    for path in ["/", "/ops", "/assets/base.css", "/favicon.ico"] {
        let first = client.get(path).ok();
        assert_eq!(first.header("cache-control"), Some("no-cache"));
        let second = again(&mut client, path, &first);
        assert_eq!((second.status, second.body.len()), (304, 0), "{path}");
        assert_eq!(second.header("etag"), first.header("etag"));
        let head = client.send("HEAD", path, &[], b"").ok();
        assert_eq!(head.header("etag"), first.header("etag"));
        assert_eq!(
            head.header("content-length"),
            first.header("content-length")
        );
    }

    // The page is another one when something was sold.
    let first = client.get("/").ok();
    let code = client.choose("ada", &["ITM-1-0"]);
    client.purchase(&code).ok();
    let second = again(&mut client, "/", &first).ok();
    assert!(
        second.text().contains("9 of 10 units are unsold"),
        "{}",
        second.text()
    );
}

#[test]
fn an_asset_of_another_version_is_not_cached() {
    let (_server, mut client) = shop();
    let asset = client.get("/assets/page.js?v=0000000000000000").ok();
    assert_eq!(asset.header("cache-control"), Some("no-cache"));
    assert_eq!(
        asset.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    for path in ["/assets/", "/assets/page.html", "/assets/../page.js"] {
        client.get(path).refused(404, "not_found", "");
    }
    let icon = client.get("/favicon.ico").ok();
    assert_eq!(icon.header("content-type"), Some("image/svg+xml"));
}

#[test]
fn the_page_says_what_is_on_and_when_the_next_sale_begins() {
    let (_server, mut client) = shop();
    let page = client.get("/").ok();
    assert!(page.text().contains("<main id=\"main\" data-sale=\"1\" "));
    assert!(page.text().contains("Sale 1 is open until "));
    client.post("/admin/sales/1/close").ok();
    let page = client.get("/").ok();
    assert!(page.text().contains("No sale is open at the moment."));
    let [late, early] = [7200, 3600].map(in_seconds);
    for start in [&late, &early] {
        create(&mut client, &json!({"total_items": 1, "started_at": start}));
    }
    let page = client.get("/").ok();
    for part in [
        format!("data-next=\"{early}\""),
        format!("The next one begins at {early}."),
    ] {
        assert!(page.text().contains(&part), "{part}: {}", page.text());
    }
}

#[test]
fn each_sale_that_is_on_can_be_chosen() {
    let (_server, mut client) = shop();
    let sales = |text: &str| text.matches("href=\"?sale_id=").count();
    let page = client.get("/").ok();
    assert_eq!(sales(page.text()), 0, "there is no choice");
    create(&mut client, &json!({"total_items": 3}));
    let late = in_seconds(3600);
    create(&mut client, &json!({"total_items": 4, "started_at": late}));
    for (path, shown, said) in [
        ("/", 2, ""),
        ("/?sale_id=", 2, ""),
        ("/?sale_id=1", 1, ""),
        ("/?sale_id=2&utm_source=letter", 2, ""),
        (
            "/?sale_id=3",
            2,
            &*format!("Sale 3 has not begun: it begins at {late}."),
        ),
        ("/?sale_id=4", 2, "There is no sale 4."),
    ] {
        let page = client.get(path).ok();
        let text = page.text();
        assert!(
            text.contains(&format!("data-sale=\"{shown}\"")),
            "{path}: {text}"
        );
        assert!(
            text.contains(&format!("href=\"?sale_id={shown}\" aria-current")),
            "{path}: {text}"
        );
        assert!(
            text.contains(&format!("<p id=\"asked\" class=\"asked\">{said}</p>")),
            "{path}: {text}"
        );
        assert_eq!(sales(text), 2, "{path}");
    }
    for path in [
        "/?sale_id=x",
        "/?sale_id=0",
        "/?sale_id=1&sale_id=2",
        "/?sale_id=%zz",
    ] {
        client.get(path).refused(400, "validation_failed", "");
    }
    client.post("/admin/sales/2/close").ok();
    let page = client.get("/?sale_id=2").ok();
    assert!(page.text().contains(">Sale 2 is over.</p>"));
    assert!(page.text().contains("data-sale=\"1\""));
}
