//! Sales end and begin while the page is open.

use serde_json::json;

use crate::admin::{create, in_seconds};
use crate::browser::buying::choose;
use crate::browser::chromium::Browser;
use crate::browser::page::Look;
use crate::server::Server;

#[test]
fn the_next_sale_takes_the_place_of_the_one_that_ends() {
    let server = Server::start(&[("SALE_INTERVAL_SECONDS", "6")]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.evaluate("window.notReloaded = true");
    page.wait_for_text("#headline", "is open");
    let first = page.text("#headline");
    // What the page says on its way is remembered, because it does not say it for long.
    page.evaluate(
        "window.said = []; new MutationObserver(() => said.push(headline.textContent))
            .observe(headline, {childList: true})",
    );
    page.wait_for("said.some((text) => text.includes('is over'))");
    page.wait_for("said.at(-1).includes('is open')");
    assert_ne!(page.text("#headline"), first);
    assert_eq!(page.evaluate("window.notReloaded"), true);
    page.wait_for_text("#live", "Live");
    page.wait_for("document.querySelectorAll('.item').length === 60");
}

#[test]
fn what_was_not_bought_in_time_is_not_bought() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::PHONE, server.addr(), "/");
    choose(&page, 1);
    server.client().post("/admin/sales/1/close").ok();
    page.wait_for_text("#headline", "Sale 1 is over");
    page.wait_for_text("#message", "The sale ended before you bought.");
    page.wait_for("document.getElementById('buy').checkVisibility() === false");
    page.wait_for_text("#headline", "No sale is open");
}

#[test]
fn an_announced_sale_opens_by_itself() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.post("/admin/sales/1/close").ok();
    let items = json!([{"id": "lamp", "name": "Lamp", "stock": 3}]);
    create(
        &mut client,
        &json!({"items": items, "started_at": in_seconds(5)}),
    );
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.wait_for_text("#headline", "No sale is open");
    page.wait_for_text("#countdown", "Begins in");
    page.wait_for_text("#headline", "Sale 2 is open");
    page.wait_for_text("#countdown", "Ends in");
    choose(&page, 1);
}

#[test]
fn the_clock_of_a_visitor_may_be_wrong() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let items = json!([{"id": "lamp", "name": "Lamp", "stock": 3}]);
    create(
        &mut client,
        &json!({"items": items, "ended_at": in_seconds(36_000)}),
    );
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.before_each_load("Date.now = () => 0");
    page.go_to("/");
    page.wait_for_text("#headline", "Sale 2 is open");
    page.wait_for_text("#countdown", "9:5");
}

#[test]
fn the_clock_of_a_visitor_who_comes_too_early_may_be_wrong() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.post("/admin/sales/1/close").ok();
    create(
        &mut client,
        &json!({"total_items": 3, "started_at": in_seconds(36_000)}),
    );
    let browser = Browser::start();
    let page = browser.open(Look::PHONE, server.addr(), "/");
    page.before_each_load("Date.now = () => 0");
    page.go_to("/");
    page.wait_for("document.getElementById('countdown').checkVisibility()");
    let left = page.text("#countdown-time");
    assert!(left.starts_with("9:5"), "{left}");
}
