//! Answers get lost on their way: what was chosen and bought is shown all the same, and nothing twice.

use crate::admin::{create, household};
use crate::browser::buying::{button, choose, outcomes, truth};
use crate::browser::chromium::Browser;
use crate::browser::page::{Look, Page};
use crate::server::Server;

const PURCHASE: &str = "*/purchase?*";
const CHECKOUT: &str = "*/checkout?*";
/// A script that shortens the waits of the page.
const HURRY: &str = "const wait = setTimeout; window.setTimeout = (run, ms) => wait(run, ms / 20)";

/// A page whose purchase of the first item is done, but its answer lost, and no other one comes through.
fn page_without_an_answer(browser: &Browser, server: &Server) -> Page {
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.before_each_load(HURRY);
    page.go_to("/");
    page.may_fail("/purchase?");
    choose(&page, 1);
    page.lose_answers(PURCHASE, || page.click("#buy"));
    page
}

#[test]
fn a_choice_waits_for_the_purchase_before_it() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = page_without_an_answer(&browser, &server);
    let first = page.text("#basket-code");
    page.click(&button(2));
    page.wait_for_text(&button(2), "Choosing…");
    page.hold_back(&[]);
    page.wait_for_text(&button(2), "Chosen");
    page.wait_for_text(&button(1), "Yours");
    assert_eq!(page.text("#result-title"), "It is yours.");
    assert_eq!(page.text("#result-code"), first);
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-0", true)]));
    assert_ne!(page.text("#basket-code"), first);
    page.wait_for_text("#buy", "Buy 1 item");
    page.click("#buy");
    page.wait_for_text(&button(2), "Yours");
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-1", true)]));
}

#[test]
fn a_purchase_is_asked_for_until_there_is_an_answer() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = page_without_an_answer(&browser, &server);
    let first = page.text("#basket-code");
    page.wait_for_text("#buy", "Ask again");
    page.click(&button(2));
    // It fails as the purchase does, and the page still knows what it asked for.
    page.wait_for_text(&button(2), "Choosing…");
    page.wait_for_text(&button(2), "Choose");
    page.go_to("/");
    page.wait_for_text("#buy", "Buying…");
    page.hold_back(&[]);
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(page.text("#result-code"), first);
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-0", true)]));
}

#[test]
fn a_choice_whose_answer_is_lost_is_in_the_checkout() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.may_fail("/checkout?");
    choose(&page, 1);
    page.lose_answer(CHECKOUT, || page.click(&button(2)));
    page.wait_for_text(&button(2), "Chosen");
    page.wait_for_text("#buy", "Buy 2 items");
    page.wait_for("document.getElementById('message').hidden");
    page.click("#buy");
    page.wait_for_text("#result-title", "All of it is yours.");
    let expected = [("ITM-1-0", true), ("ITM-1-1", true)];
    assert_eq!(truth(&server, &page), outcomes(&expected));
}

#[test]
fn the_last_choice_whose_answer_is_lost_is_in_the_checkout() {
    let server = Server::start(&[("SALE_MAX_ITEMS_PER_USER", "2")]);
    let browser = Browser::start();
    let mut page = browser.open(Look::PHONE, server.addr(), "/");
    page.may_fail("/checkout?");
    choose(&page, 1);
    page.lose_answer(CHECKOUT, || page.click(&button(2)));
    page.wait_for_text(&button(2), "Chosen");
    page.wait_for_text("#buy", "Buy 2 items");
    // The limit is still told of where it is one.
    page.click(&button(3));
    page.wait_for_text("#message", "That would be over your limit.");
    page.wait_for_text("#buy", "Buy 2 items");
}

#[test]
fn the_only_choice_whose_answer_is_lost_is_in_the_checkout() {
    let server = Server::start(&[("SALE_MAX_ITEMS_PER_USER", "1")]);
    let browser = Browser::start();
    let mut page = browser.open(Look::PHONE, server.addr(), "/");
    page.may_fail("/checkout?");
    page.lose_answer(CHECKOUT, || page.click(&button(1)));
    page.wait_for_text(&button(1), "Chosen");
    page.click("#buy");
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-0", true)]));
}

#[test]
fn one_of_many_is_not_put_in_twice() {
    let server = Server::start(&[]);
    let mut client = server.client();
    create(&mut client, &household());
    let browser = Browser::start();
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.before_each_load(HURRY);
    page.go_to("/");
    page.may_fail("/checkout?");
    page.lose_answer(CHECKOUT, || page.click(&button(1)));
    page.wait_for_text("#buy", "Buy 1 item");

    // No attempt has an answer, and it is chosen again, as if it were something else.
    let wish = |units: usize| {
        page.evaluate(&format!(
            "document.querySelector('#list > :nth-child(3) select').value = '{units}'"
        ));
    };
    wish(3);
    page.lose_answers(CHECKOUT, || page.click(&button(3)));
    page.wait_for_text("#message", "The shop does not answer.");
    page.wait_for("document.querySelector('#list > :nth-child(3)').dataset.state === 'free'");
    page.hold_back(&[]);
    wish(2);
    choose(&page, 3);
    page.wait_for_text("#buy", "Buy 4 items");
    page.wait_for_text("#basket > :nth-child(2)", "× 3");
    assert!(!page.text("#basket").contains("besides"));
}

#[test]
fn a_choice_of_which_the_page_knows_nothing_is_in_the_checkout() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.may_fail("/checkout?");
    let user = page.text("#user-shown");
    let code = server.client().choose(&user, &["ITM-1-0"]);
    choose(&page, 1);
    assert_eq!(page.text("#basket-code"), code);
    page.click("#buy");
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-0", true)]));
}
