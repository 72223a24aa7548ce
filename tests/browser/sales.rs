//! Several sales go on at once: each has a checkout of its own, which the others leave alone.

use serde_json::json;

use crate::admin::{create, household};
use crate::browser::buying::{button, choose, outcomes, truth};
use crate::browser::chromium::Browser;
use crate::browser::page::Look;
use crate::server::Server;

/// A browser, or something before the server, that refuses streams.
pub const NO_STREAM: &str = "window.EventSource = class extends EventTarget {
    static CLOSED = 2;
    readyState = 2;
    constructor() {
        super();
        setTimeout(() => this.dispatchEvent(new Event('error')));
    }
    close() {}
}";

#[test]
fn the_checkout_of_a_sale_that_another_one_hides_can_still_be_bought() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::PHONE, server.addr(), "/");
    choose(&page, 1);
    let code = page.evaluate("document.getElementById('basket-code').textContent");
    create(&mut server.client(), &household());
    page.go_to("/");
    page.wait_for_text("#headline", "Sale 2 is open");
    choose(&page, 1);
    page.wait_for_text("#others", "Sale 1");
    assert_eq!(page.overflow(), 0);
    page.click("#others button");
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(page.text("#result-code"), code.as_str().expect("a code"));
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-0", true)]));
    page.wait_for("document.getElementById('others').hidden");
    page.wait_for_text("#buy", "Buy 1 item");
    page.click("#buy");
    page.wait_for(&format!(
        "document.getElementById('result-code').textContent !== {code}"
    ));
    assert_eq!(truth(&server, &page), outcomes(&[("lamp", true)]));

    // What was bought in the first is known when it is shown again.
    server.client().post("/admin/sales/2/close").ok();
    page.wait_for_text("#headline", "Sale 1 is open");
    page.wait_for_text(&button(1), "Yours");
}

#[test]
fn a_purchase_outlives_its_sale_and_the_next_one() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.may_fail("/purchase?");
    choose(&page, 1);
    let code = page.text("#basket-code");
    page.lose_answers("*/purchase?*", || page.click("#buy"));
    let mut client = server.client();
    create(&mut client, &household());
    client.post("/admin/sales/1/close").ok();
    page.wait_for_text("#headline", "Sale 2 is open");
    choose(&page, 2);
    page.go_to("/");
    page.wait_for_text(&button(2), "Chosen");
    page.hold_back(&[]);
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(page.text("#result-code"), code);
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-0", true)]));
    page.wait_for_text("#buy", "Buy 1 item");
    page.click("#buy");
    page.wait_for_text(&button(2), "Yours");
    assert_eq!(truth(&server, &page), outcomes(&[("chair", true)]));
}

#[test]
fn a_sale_without_a_stream_is_left_when_it_is_over() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.before_each_load(NO_STREAM);
    page.go_to("/");
    choose(&page, 1);
    let mut client = server.client();
    create(&mut client, &json!({"total_items": 3}));
    page.wait_for(
        "performance.getEntriesByType('resource').some(({name}) => name.endsWith('/?sale_id=1'))",
    );
    // The answer to that, and what came of it.
    page.wait_for_text("#live", "Connecting again");
    page.evaluate("new Promise((done) => setTimeout(done, 200))");
    assert_eq!(page.text("#headline"), "Sale 1 is open");
    page.wait_for_text("#buy", "Buy 1 item");
    page.wait_for("document.getElementById('message').hidden");

    client.post("/admin/sales/1/close").ok();
    page.wait_for_text("#headline", "Sale 2 is open");
    page.wait_for_text("#message", "The sale ended before you bought.");
}

#[test]
fn figures_come_also_without_a_stream() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::PHONE, server.addr(), "/");
    page.before_each_load(NO_STREAM);
    page.go_to("/");
    page.wait_for_text("#remaining", "10,000");
    let mut rival = server.client();
    let code = rival.choose("rival", &["ITM-1-0"]);
    rival.purchase(&code).ok();
    page.wait_for_text("#remaining", "9,999");
}

#[test]
fn the_page_says_that_a_sale_is_paused_and_that_it_goes_on() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.wait_for_text("#headline", "Sale 1 is open");
    server.client().post("/admin/sales/1/pause").ok();
    page.wait_for_text("#headline", "Sale 1 is paused");
    // Also to whoever comes only now.
    let mut late = browser.open(Look::PHONE, server.addr(), "/");
    late.may_fail("/checkout?");
    late.wait_for_text("#headline", "Sale 1 is paused");
    late.click(&button(1));
    late.wait_for_text("#message", "The sale is paused.");
    server.client().post("/admin/sales/1/resume").ok();
    page.wait_for_text("#headline", "Sale 1 is open");
    choose(&page, 2);
}
