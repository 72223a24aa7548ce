//! What cards say of items that others buy, hold, and give back.

use crate::admin::{create, household};
use crate::browser::buying::{button, choose};
use crate::browser::chromium::Browser;
use crate::browser::page::{Look, Page};
use crate::server::Server;

/// Items are looked at again sooner.
const HURRY: &str =
    "const each = setInterval; window.setInterval = (run, ms) => each(run, ms / 20)";

/// A page that will show what is left.
fn hurried_page(browser: &Browser, server: &Server) -> Page {
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.before_each_load(HURRY);
    page.go_to("/");
    page.wait_for_text("#live", "Live");
    page.wait_for_text(&button(60), "Choose");
    page
}

#[test]
fn units_that_are_gone_without_holds_are_sold() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "61")]);
    let browser = Browser::start();
    let page = hurried_page(&browser, &server);
    page.evaluate("document.getElementById('more').hidden = true");
    page.click("#available");
    page.wait_for("document.getElementById('more').checkVisibility()");
    let mut rival = server.client();
    let code = rival.choose("rival", &["ITM-1-1"]);
    rival.purchase(&code).ok();
    page.wait_for_text(&button(2), "Sold");
    assert_eq!(page.text("#list > :nth-child(2) .stock"), "Gone");
    assert!(page.text(&button(60)).starts_with("Choose"));
}

#[test]
fn units_that_come_back_do_not_make_others_look_gone() {
    let server = Server::start(&[("SALE_TOTAL_ITEMS", "61"), ("SALE_HOLD_SECONDS", "10")]);
    let browser = Browser::start();
    let page = hurried_page(&browser, &server);
    server.client().choose("rival", &["ITM-1-0"]);
    page.click("#available");
    page.wait_for("document.querySelector('#list .name')?.innerText.endsWith(' 2')");
    page.wait_for_text(&button(60), "Choose");
    page.wait_for_text("#remaining", "61");
    // It is in the list again, and with what is chosen now the list is looked at once more.
    server.client().choose("another", &["ITM-1-1"]);
    page.wait_for_text("#list > :nth-child(1) .stock", "Held or sold");
    server.client().choose("third", &["ITM-1-2"]);
    page.wait_for_text("#list > :nth-child(2) .stock", "Held or sold");
    assert_eq!(page.text("#list > :nth-child(60) .stock"), "The only one");
}

#[test]
fn how_long_something_is_held_is_what_the_server_says() {
    let server = Server::start(&[("SALE_HOLD_SECONDS", "3600")]);
    let browser = Browser::start();
    let page = browser.open(Look::PHONE, server.addr(), "/");
    let user = page.text("#user-shown");
    server.client().choose(&user, &["ITM-1-5"]);
    // As if it had been chosen long ago.
    let early = "const real = window.fetch; window.fetch = async (path, options) => {
        const answer = await real(path, options);
        if (!String(path).startsWith('checkout?')) return answer;
        const body = await answer.json();
        body.held_until = new Date(Date.parse(body.held_until) - 3_000_000).toISOString();
        return new Response(JSON.stringify(body), answer);
    }";
    page.before_each_load(early);
    page.go_to("/");
    choose(&page, 1);
    page.wait_for("/^Held for you for (10:00|09:\\d\\d)\\.$/.test(document.querySelector('#basket-hold').innerText)");
    page.wait_for_text("#buy", "Buy 2 items");
}

#[test]
fn what_was_sold_out_and_comes_back_is_said_to_be_back() {
    let server = Server::start(&[]);
    let mut shop = server.client();
    let id = create(&mut shop, &household());
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.before_each_load(HURRY);
    page.go_to("/");
    page.wait_for_text("#headline", &format!("Sale {id} is open"));
    let lamps = "#list > :nth-child(1) .stock";
    page.wait_for_text(lamps, "5 of 5 left");
    let bought = shop.post("/checkout?user_id=rival&id=lamp&quantity=5");
    shop.purchase(&bought.ok().code()).ok();
    page.wait_for_text(lamps, "0 of 5 left");
    page.wait_for_text(&button(1), "Sold");
    let add = format!("/admin/sales/{id}/stock?item_id=lamp&add=2&ref=delivery");
    shop.post(&add).ok();
    page.wait_for_text(lamps, "2 of 7 left · back in stock");
    page.wait_for_text("#total", "of 1,008 left");
    choose(&page, 1);
    assert_eq!(page.overflow(), 0);
}
