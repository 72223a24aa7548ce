//! Items are chosen and bought by clicks, and what the page says is what the server has on its disk.

use serde_json::Value;

use crate::browser::chromium::Browser;
use crate::browser::page::{Look, Page};
use crate::server::Server;

/// The button of the card in this place, from 1 on.
pub fn button(place: usize) -> String {
    format!("#list > :nth-child({place}) .act > button")
}

/// Chooses the item in this place, and waits until it is in the checkout.
#[track_caller]
pub fn choose(page: &Page, place: usize) {
    page.click(&button(place));
    page.wait_for_text(&button(place), "Chosen");
}

/// What became of the checkout whose code the page shows, and the names of what was sold.
pub fn truth(server: &Server, page: &Page) -> (Value, Vec<(String, bool)>) {
    let path = format!("/admin/checkouts/{}", page.text("#result-code"));
    let mut shown = server.client().get(&path).ok().json();
    let items = shown["result"]["purchased_items"].as_array();
    let items = items.expect("a result").iter();
    let outcome = |item: &Value| {
        let id = item["id"].as_str().expect("an id").to_owned();
        (id, item["sold"] == true)
    };
    let outcomes = items.map(outcome).collect();
    (shown["status"].take(), outcomes)
}

/// Outcomes as [`truth`] gives them.
pub fn outcomes(expected: &[(&str, bool)]) -> (Value, Vec<(String, bool)>) {
    let outcomes = expected.iter().map(|&(id, sold)| (id.to_owned(), sold));
    ("purchased".into(), outcomes.collect())
}

#[test]
fn two_clicks_buy_an_item() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    choose(&page, 3);
    page.wait_for_text("#basket-count", "1 item");
    page.click("#buy");
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-2", true)]));
    page.wait_for_text("#remaining", "9,999");

    // The page still knows when it comes again.
    page.go_to("/");
    page.wait_for_text(&button(3), "Yours");
    assert!(page.text("#basket-limit").contains("you have bought 1"));
}

#[test]
fn several_items_are_one_checkout_also_on_a_phone_and_across_a_reload() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::PHONE.dark(), server.addr(), "/");
    (1..=3).for_each(|place| choose(&page, place));
    let code = page.evaluate("document.getElementById('basket-code').textContent");
    page.go_to("/");
    page.wait_for_text("#buy", "Buy 3 items");
    page.click("#buy");
    page.wait_for_text("#result-title", "All of it is yours.");
    assert_eq!(page.text("#result-code"), code.as_str().expect("a code"));
    let expected = [("ITM-1-0", true), ("ITM-1-1", true), ("ITM-1-2", true)];
    assert_eq!(truth(&server, &page), outcomes(&expected));
}

#[test]
fn what_is_given_back_can_be_had_by_others() {
    let server = Server::start(&[("SALE_HOLD_SECONDS", "3600")]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    (1..=2).for_each(|place| choose(&page, place));
    let mut client = server.client();
    client
        .checkout("bob", "ITM-1-0")
        .refused(409, "item_held", "held");
    for (item, left) in [("ITM-1-0", "1 item"), ("ITM-1-1", "")] {
        page.click("#basket > :first-child .close");
        page.wait_for_text("#basket-count", left);
        client.checkout("bob", item).ok();
    }
    // With a new code.
    choose(&page, 3);
    page.click("#buy");
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-2", true)]));
}

#[test]
fn the_keyboard_is_enough() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    let tab_to = |selector: &str| {
        page.wait_for(&format!("document.querySelector('{selector}')"));
        for _ in 0..20 {
            page.press("Tab");
            if page.evaluate(&format!("document.activeElement.matches('{selector}')")) == true {
                return;
            }
        }
        panic!("{selector} is not to be reached");
    };
    tab_to(".item .act > button");
    page.press("Enter");
    page.wait_for_text(&button(1), "Chosen");
    assert_eq!(
        page.evaluate("document.activeElement.closest('.item') !== null"),
        true,
        "the focus stays"
    );
    page.wait_for_text("#spoken", "is in your checkout: 1 item.");
    page.evaluate("document.getElementById('who').querySelector('summary').focus()");
    tab_to("#buy");
    page.press(" ");
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-0", true)]));
}

#[test]
fn somebody_else_may_be_faster() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    choose(&page, 1);
    choose(&page, 2);
    let mut rival = server.client();
    let code = rival.choose("rival", &["ITM-1-0"]);
    rival.purchase(&code).ok();
    page.click("#buy");
    page.wait_for_text("#result-title", "1 of 2 are yours.");
    page.wait_for_text("#result-lines > :nth-child(1)", "somebody else was faster");
    page.wait_for_text("#result-lines > :nth-child(2)", "yours");
    assert_eq!(
        truth(&server, &page),
        outcomes(&[("ITM-1-0", false), ("ITM-1-1", true)])
    );
}

#[test]
fn an_answer_that_was_lost_is_asked_for_again() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/");
    choose(&page, 1);
    page.may_fail("/purchase");
    page.lose_answer("*/purchase?*", || page.click("#buy"));
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-0", true)]));
    let metrics = server.client().get("/metrics").ok();
    assert!(
        metrics.text().contains("outcome=\"replayed\"} 1"),
        "{}",
        metrics.text()
    );
}

#[test]
fn a_reload_before_the_answer_loses_nothing() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/");
    choose(&page, 1);
    page.may_fail("/purchase");
    page.lose_answer("*/purchase?*", || page.click("#buy"));
    page.go_to("/");
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-0", true)]));
}

#[test]
fn a_crash_of_the_server_is_survived_by_the_page() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/");
    choose(&page, 1);
    page.wait_for_text("#live", "Live");
    page.evaluate("window.notReloaded = true");
    page.may_fail("/");
    let port = server.addr().port().to_string();
    let mut place = server.crash();
    page.wait_for_text("#live", "again");
    page.click("#buy");
    page.wait_for_text("#message", "The shop does not answer.");

    place.set("SERVER_PORT", &port);
    let server = Server::start_in(place);
    page.wait_for_text("#result-title", "It is yours.");
    page.wait_for_text("#live", "Live");
    page.wait_for_text("#remaining", "9,999");
    assert_eq!(page.evaluate("window.notReloaded"), true);
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-0", true)]));
}

#[test]
fn who_buys_can_be_changed() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::PHONE, server.addr(), "/");
    choose(&page, 1);
    assert!(page.text("#user-shown").starts_with("guest-"));
    page.click("#who > summary");
    page.fill("#user", "ada & \"bob\" ü");
    page.press("Enter");
    page.wait_for_text(&button(1), "Choose");
    choose(&page, 2);
    page.click("#buy");
    page.wait_for_text("#result-title", "It is yours.");
    let path = format!("/admin/checkouts/{}", page.text("#result-code"));
    let shown = server.client().get(&path).ok();
    assert_eq!(shown.member("user_id"), "ada & \"bob\" ü");
}

#[test]
fn all_items_can_be_reached_by_pages() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "130")]);
    let mut client = server.client();
    let code = client.choose("rival", &["ITM-1-1", "ITM-1-64"]);
    client.purchase(&code).ok();
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    for count in [60, 120] {
        page.wait_for(&format!(
            "document.querySelectorAll('.item').length === {count}"
        ));
        page.click("#more");
    }
    page.wait_for("document.querySelectorAll('.item').length === 130");
    page.wait_for_text("#items-note", "These are all.");
    page.wait_for("document.getElementById('more').hidden");
    page.wait_for_text(&button(2), "Sold");
    page.wait_for_text(&button(65), "Sold");
    page.click("#available");
    page.wait_for("document.querySelectorAll('.item[data-state=sold]').length === 0");
    page.wait_for("document.querySelectorAll('.item').length === 60");
}

#[test]
fn a_late_visitor_is_shown_what_is_left() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "61")]);
    let mut client = server.client();
    for rival in 0..6 {
        let items: Vec<_> = (0..10)
            .map(|i| format!("ITM-1-{}", 10 * rival + i))
            .collect();
        let items: Vec<_> = items.iter().map(String::as_str).collect();
        let code = client.choose(&format!("rival-{rival}"), &items);
        client.purchase(&code).ok();
    }
    let browser = Browser::start();
    let page = browser.open(Look::PHONE, server.addr(), "/");
    page.wait_for_text(&button(1), "Choose");
    page.wait_for("document.querySelectorAll('.item').length === 1");
    page.wait_for("document.getElementById('available').checked");
    page.wait_for_text("#remaining", "1");
}
