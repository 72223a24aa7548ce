//! The operations page tells of orders: what is being paid, what was cancelled, and whether the shop's endpoints hear of it.

use serde_json::json;

use crate::browser::chromium::Browser;
use crate::browser::page::{Look, Page};
use crate::receiver::Receiver;
use crate::server::Server;

/// Whether an element of the page is hidden.
fn is_hidden(id: &str) -> String {
    format!("document.getElementById('{id}').hidden")
}

/// Waits until the light has this state.
#[track_caller]
fn wait_for_light(page: &Page, state: &str) {
    page.wait_for(&format!(
        "document.getElementById('light-webhooks').dataset.state === '{state}'"
    ));
}

#[test]
fn payments_and_cancellations_are_counted_where_there_are_any() {
    let server = Server::start(&[("SALE_PAYMENT_SECONDS", "600")]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/ops");
    page.wait_for_text("#figure-paying output", "0");
    page.wait_for_text("#figure-paying small", "payments, 10 min each at most");
    assert_eq!(page.evaluate(&is_hidden("figure-cancelled")), true);
    let mut shop = server.client();
    let code = shop.choose("ada", &["ITM-1-0", "ITM-1-1"]);
    shop.post(&format!("/payment?code={code}")).ok();
    page.wait_for_text("#figure-paying output", "1");
    let order = format!("/admin/checkouts/{code}");
    shop.post(&format!("{order}/confirm?payment_ref=1")).ok();
    page.wait_for_text("#figure-paying output", "0");
    shop.post(&format!("{order}/cancel?ref=1")).ok();
    page.wait_for_text("#figure-cancelled output", "2");
    page.wait_for("Number(document.getElementById('figure-cancelled').dataset.points) > 0");
    assert_eq!(page.overflow(), 0);
    let phone = browser.open(Look::PHONE.dark(), server.addr(), "/ops");
    phone.wait_for_text("#figure-cancelled output", "2");
    assert_eq!(phone.overflow(), 0);
}

#[test]
fn an_endpoint_that_is_down_is_seen_and_so_is_its_return() {
    let (stays, mut leaves) = (Receiver::plain(), Receiver::plain());
    let endpoints = json!([stays.endpoint(), leaves.endpoint()]).to_string();
    let server = Server::start(&[("WEBHOOKS", &endpoints)]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/ops");
    wait_for_light(&page, "good");
    page.wait_for("Number(document.getElementById('sink-webhooks').dataset.points) > 0");
    leaves.kill();
    let mut client = server.client();
    let code = client.choose("ada", &["ITM-1-0"]);
    client.purchase(&code).ok();
    wait_for_light(&page, "bad");
    page.wait_for_text("#light-webhooks", "endpoint 2 DOWN");
    page.wait_for_text("#verdict", "Webhook 2 has been down for ");
    page.wait_for_text("#sink-webhooks .story", "down since");
    let phone = browser.open(Look::PHONE, server.addr(), "/ops");
    phone.wait_for_text("#light-webhooks", "endpoint 2 DOWN");
    assert_eq!(phone.overflow(), 0);
    leaves.run();
    wait_for_light(&page, "good");
    page.wait_for_text("#sink-webhooks .story", "was down");
    page.wait_for("document.body.dataset.verdict === 'good'");
}

#[test]
fn what_is_not_configured_is_not_shown() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/ops");
    page.wait_for("document.body.dataset.stream === 'live'");
    page.wait_for("Number(document.getElementById('burndown').dataset.points) > 0");
    for part in [
        "figure-paying",
        "figure-cancelled",
        "light-webhooks",
        "sink-webhooks",
    ] {
        assert_eq!(page.evaluate(&is_hidden(part)), true, "{part}");
    }
}
