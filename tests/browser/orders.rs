//! What becomes of an order behind its purchase: the shop cancels it, and its buyer changes the next one.

use crate::admin::{create, household};
use crate::browser::buying::{button, choose};
use crate::browser::chromium::Browser;
use crate::browser::page::{Look, Page};
use crate::server::Server;

/// A script that shortens the intervals of the page.
const HURRY: &str = "const each = setInterval; window.setInterval = (run, ms) => each(run, ms > 1000 ? ms / 20 : ms)";

/// A page that hurries, on which items of a household are bought.
fn page_of_a_buyer(browser: &Browser, server: &Server, look: Look, places: &[usize]) -> Page {
    create(&mut server.client(), &household());
    let page = browser.open(look, server.addr(), "/");
    page.before_each_load(HURRY);
    page.go_to("/");
    page.wait_for_text("#live", "Live");
    wish_for_two(&page);
    places.iter().for_each(|&place| choose(&page, place));
    page
}

/// Two of the first item.
fn wish_for_two(page: &Page) {
    page.wait_for("document.querySelector('#list select')");
    page.evaluate("document.querySelector('#list select').value = '2'");
}

fn cancel(server: &Server, code: &str, query: &str) {
    let path = format!("/admin/checkouts/{code}/cancel?{query}");
    server.client().post(&path).ok();
}

#[test]
fn a_purchase_that_the_shop_cancels_is_no_longer_the_buyers() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = page_of_a_buyer(&browser, &server, Look::DESKTOP, &[1, 2]);
    page.click("#buy");
    page.wait_for_text("#result-title", "All of it is yours.");
    page.wait_for_text(&button(2), "Yours");
    let code = page.text("#result-code");

    // A part of it: the page says so by itself.
    cancel(&server, &code, "ref=a&id=lamp&quantity=1");
    page.wait_for_text(
        "#result-title",
        "The shop has cancelled a part of your purchase.",
    );
    page.wait_for_text("#result-lines > :nth-child(1)", "1 cancelled, one is yours");
    page.wait_for_text("#result-lines > :nth-child(2)", "yours");
    page.wait_for_text("#list > :nth-child(1) .stock", "4 of 5 left · 1 yours");
    assert!(page.text("#basket-limit").contains("you have bought 2"));
    cancel(&server, &code, "ref=b&id=chair");
    page.wait_for_text("#result-lines > :nth-child(2)", "cancelled");
    page.wait_for_text(&button(2), "Choose");
    page.wait_for_text("#list > :nth-child(2) .stock", "Back in stock");

    // Until it is dismissed, also to who comes again.
    page.go_to("/");
    page.wait_for_text(
        "#result-title",
        "The shop has cancelled a part of your purchase.",
    );
    assert_eq!(page.text("#result-code"), code);
    page.click("#result-close");
    page.go_to("/");
    page.wait_for_text("#list > :nth-child(1) .stock", "4 of 5 left · 1 yours");
    // What is cancelled can be had again, and the rest is said when it goes, too.
    choose(&page, 2);
    assert_eq!(
        page.evaluate("document.getElementById('result').hidden"),
        true
    );
    cancel(&server, &code, "ref=c&restock=false");
    page.wait_for_text("#result-title", "The shop has cancelled your purchase.");
    page.wait_for_text("#list > :nth-child(1) .stock", "4 of 4 left");
    page.wait_for_text("#buy", "Buy 1 item");
}

#[test]
fn who_comes_later_learns_that_a_purchase_was_cancelled() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = page_of_a_buyer(&browser, &server, Look::PHONE.dark(), &[1]);
    page.click("#buy");
    page.wait_for_text("#result-title", "All of it is yours.");
    let code = page.text("#result-code");
    page.go_to("/health");
    cancel(&server, &code, "ref=a");
    page.go_to("/");
    page.wait_for_text("#result-title", "The shop has cancelled your purchase.");
    page.wait_for_text("#result-lines", "cancelled");
    page.wait_for_text("#list > :nth-child(1) .stock", "5 of 5 left");
    assert_eq!(page.overflow(), 0);
    page.click("#result-close");
    page.wait_for("document.getElementById('result').hidden");
}

#[test]
fn units_and_all_of_a_checkout_are_given_back() {
    let server = Server::start(&[("SALE_HOLD_SECONDS", "3600")]);
    let browser = Browser::start();
    let page = page_of_a_buyer(&browser, &server, Look::PHONE, &[1, 2]);
    page.wait_for_text("#basket-count", "3 items");
    let code = page.evaluate("document.getElementById('basket-code').textContent");
    let code = code.as_str().expect("a code").to_owned();
    page.click("#basket [aria-label='Give one Lamp back']");
    page.wait_for_text("#basket-count", "2 items");
    let look = format!("/checkout?code={code}");
    let contents = server.client().get(&look).ok().json();
    assert_eq!(contents["items"][0]["quantity"], 1);
    // There is but one left.
    page.wait_for("!document.querySelector('#basket [aria-label=\"Give one Lamp back\"]')");
    page.click("#give-all");
    page.wait_for("document.getElementById('checkout').dataset.empty === 'true'");
    page.wait_for_text(&button(1), "Choose");
    page.wait_for_text(&button(2), "Choose");
    let given_back = server.client().get(&look);
    given_back.refused(404, "checkout_not_found", "not found");
    server.client().checkout("bob", "chair").ok();
}

#[test]
fn a_lost_answer_gives_no_second_unit_back() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut page = page_of_a_buyer(&browser, &server, Look::DESKTOP, &[1]);
    page.may_fail("/release?");
    page.lose_answer("*/release?*", || {
        page.click("#basket [aria-label='Give one Lamp back']");
    });
    page.wait_for_text("#message", "The shop does not answer.");
    page.wait_for_text("#buy", "Buy 1 item");
    let code = page.text("#basket-code");
    let contents = server.client().get(&format!("/checkout?code={code}")).ok();
    assert_eq!(contents.json()["items_count"], 1);
}

#[test]
fn who_comes_again_is_shown_the_checkout_as_it_is() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = page_of_a_buyer(&browser, &server, Look::DESKTOP, &[1]);
    let (user, code) = (page.text("#user-shown"), page.text("#basket-code"));
    // Elsewhere one more item is chosen, and a unit given back.
    server.client().choose(&user, &["chair"]);
    let less = format!("/release?code={code}&id=lamp&quantity=1");
    server.client().post(&less).ok();
    page.go_to("/");
    page.wait_for_text("#basket > :nth-child(2)", "Chair");
    page.wait_for_text("#buy", "Buy 2 items");
    page.wait_for_text(&button(2), "Chosen");
    // And all of it is bought.
    server.client().purchase(&code).ok();
    page.go_to("/");
    page.wait_for_text("#result-title", "All of it is yours.");
    page.wait_for_text(&button(2), "Yours");
    page.wait_for("document.getElementById('checkout').dataset.empty === 'true'");
}

#[test]
fn who_learns_of_a_purchase_late_learns_what_was_cancelled_of_it() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = page_of_a_buyer(&browser, &server, Look::PHONE, &[1, 2]);
    let code = page.text("#basket-code");
    page.go_to("/health");
    server.client().purchase(&code).ok();
    cancel(&server, &code, "ref=a&id=chair");
    page.go_to("/");
    page.wait_for_text(
        "#result-title",
        "The shop has cancelled a part of your purchase.",
    );
    page.wait_for_text("#result-lines > :nth-child(1)", "2 are yours");
    page.wait_for_text("#result-lines > :nth-child(2)", "cancelled");
    page.wait_for_text(&button(2), "Choose");
}
