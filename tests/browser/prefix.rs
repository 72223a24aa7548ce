//! The shop below a prefix of an address that others share: behind a real nginx.

use serde_json::json;

use crate::admin::{TOKEN, create, household};
use crate::browser::buying::{choose, outcomes, truth};
use crate::browser::chromium::Browser;
use crate::browser::page::Look;
use crate::client::{Answer, Client};
use crate::http_proxy::HttpProxy;
use crate::server::Server;

/// Starts an nginx that shows a server below `/flash/`, and nothing else.
fn start_nginx(server: &Server) -> HttpProxy {
    let locations = format!(
        "location = / {{ return 200; }}
         location /flash/ {{ proxy_pass http://{}/; }}",
        server.addr()
    );
    HttpProxy::nginx(&locations)
}

/// Returns what a client is told that knows the address of the proxy, and nothing of what is behind it.
fn ask(nginx: &HttpProxy, method: &str, target: &str, body: &str) -> Answer {
    let mut client = Client::connect(nginx.addr()).expect("nginx answers");
    let (host, length) = (nginx.addr(), body.len());
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    client.write(request.as_bytes()).expect("nginx reads");
    client.read().expect("nginx answers")
}

const PICTURES: &str = "document.querySelectorAll('.item').length > 2 && \
    [...document.images].every((img) => img.loading === 'lazy' && !img.complete || img.naturalWidth > 0)";

#[test]
fn an_item_is_bought_below_a_prefix() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "130")]);
    let nginx = start_nginx(&server);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, nginx.addr(), "/flash/");
    page.wait_for_text("#live", "Live");
    page.wait_for(PICTURES);
    choose(&page, 3);
    page.click("#buy");
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-2", true)]));
    page.wait_for_text("#remaining", "129");
    page.click("#more");
    page.wait_for("document.querySelectorAll('.item').length === 120");
    let commands = page.evaluate("document.querySelector('#terminal pre').textContent");
    let commands = commands.as_str().expect("text").to_owned();
    for path in ["sales/active", "checkout?", "purchase?"] {
        let whole = format!("'http://{}/flash/{path}", nginx.addr());
        assert!(commands.contains(&whole), "{whole}: {commands}");
    }

    // Another sale is chosen, and closed, and the page stays where it is.
    create(&mut server.client(), &household());
    page.go_to("/flash/");
    page.wait_for_text("#headline", "Sale 2 is open");
    page.wait_for(PICTURES);
    page.click("#sales a[href='?sale_id=1']");
    page.wait_for_text("#headline", "Sale 1 is open");
    server.client().post("/admin/sales/1/close").ok();
    page.wait_for_text("#headline", "Sale 2 is open");
    page.wait_for("location.pathname === '/flash/' && location.search === ''");
    let kept = page
        .evaluate("Object.keys(localStorage).every((key) => key.startsWith('flashsale.flash.'))");
    assert_eq!(kept, true, "shops beside this one keep their own");
}

#[test]
fn operations_are_watched_below_a_prefix() {
    let server = Server::start(&[]);
    let nginx = start_nginx(&server);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, nginx.addr(), "/flash/ops");
    page.wait_for("document.body.dataset.stream === 'live'");
    page.wait_for("Number(document.querySelector('#burndown').dataset.points) > 0");
}

#[test]
fn links_do_not_leave_a_prefix() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "7"), ("ADMIN_TOKEN", TOKEN)]);
    let nginx = start_nginx(&server);
    for base in ["/flash", "/flash/api/v1"] {
        let mut target = Some(format!("{base}/sales/1/items?limit=3&available=true"));
        let mut pages = Vec::new();
        while let Some(here) = target {
            let page = ask(&nginx, "GET", &here, "").ok();
            let items = page.json();
            pages.push(items.as_array().expect("a list").len());
            let picture = items[0]["image_url"].as_str().expect("a path").to_owned();
            ask(&nginx, "GET", &format!("{base}{picture}"), "").ok();
            target = page.next(&here);
        }
        assert_eq!(pages, [3, 3, 1], "{base}");

        let sale = json!({"total_items": 2}).to_string();
        let created = ask(&nginx, "POST", &format!("{base}/admin/sales"), &sale);
        assert_eq!(created.status, 201, "{}", created.text());
        let location = created.header("location").expect("where it is");
        let beside = location.strip_prefix("..").expect("relative");
        ask(&nginx, "GET", &format!("{base}{beside}"), "").ok();

        let document = ask(&nginx, "GET", &format!("{base}/openapi.json"), "").ok();
        assert_eq!(document.json()["servers"][0]["url"], ".");
        assert_eq!(document.json()["servers"].as_array().map(Vec::len), Some(1));
    }
}
