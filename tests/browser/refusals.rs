//! The page explains every refusal of the server.

use serde_json::json;

use crate::admin::create;
use crate::browser::buying::{button, choose};
use crate::browser::chromium::Browser;
use crate::browser::page::Look;
use crate::server::Server;

#[test]
fn sold_out() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.may_fail("/checkout?");
    page.wait_for_text(&button(1), "Choose");
    let mut rival = server.client();
    let code = rival.choose("rival", &["ITM-1-0"]);
    rival.purchase(&code).ok();
    page.click(&button(1));
    page.wait_for_text("#message", "Sold out.");
    page.wait_for_text(&button(1), "Sold");
}

#[test]
fn everything_gone() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut page = browser.open(Look::PHONE, server.addr(), "/");
    page.may_fail("/purchase?");
    choose(&page, 1);
    let mut rival = server.client();
    let code = rival.choose("rival", &["ITM-1-0"]);
    rival.purchase(&code).ok();
    page.click("#buy");
    page.wait_for_text("#message", "Somebody else was faster.");
    page.wait_for_text("#result-title", "Nothing was left.");
}

#[test]
fn over_the_limit() {
    let server = Server::start(&[("SALE_MAX_ITEMS_PER_USER", "1")]);
    let browser = Browser::start();
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.may_fail("/checkout?");
    choose(&page, 1);
    page.click(&button(2));
    page.wait_for_text("#message", "That would be over your limit.");
    page.wait_for_text("#message", "at most 1 item ");
    page.click("#message-close");
    page.wait_for("document.getElementById('message').hidden");
}

#[test]
fn held_by_somebody_else() {
    let server = Server::start(&[("SALE_HOLD_SECONDS", "3600")]);
    let browser = Browser::start();
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.may_fail("/checkout?");
    choose(&page, 1);
    page.wait_for_text("#basket-hold", "Held for you for ");
    server.client().choose("rival", &["ITM-1-1"]);
    page.click(&button(2));
    page.wait_for_text("#message", "Somebody else has it in a checkout.");
    page.wait_for_text("#message", "Try again in 60 minutes.");
    page.wait_for_text(&button(2), "Held");
    page.wait_for_text("#list > :nth-child(2) .stock", "Held by somebody");
    page.wait_for_text("#figures", "2 held");
}

#[test]
fn a_hold_that_has_run_out() {
    let server = Server::start(&[("SALE_HOLD_SECONDS", "1")]);
    let browser = Browser::start();
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.may_fail("/purchase?");
    choose(&page, 1);
    page.wait_for_text("#basket-hold", "may be gone by now");
    page.wait_for_text("#remaining", "10,000");
    page.click("#buy");
    page.wait_for_text("#message", "Your checkout has run out.");
    page.wait_for_text(&button(1), "Choose");
}

#[test]
fn a_checkout_that_was_used_elsewhere() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.may_fail("/purchase?");
    choose(&page, 1);
    let code = page.text("#basket-code");
    server.client().purchase(&code).ok();
    page.click("#buy");
    page.wait_for_text("#message", "This checkout was used before.");
    page.wait_for_text("#result-title", "It is yours.");
}

/// Names and addresses of pictures are whatever somebody wrote; here they are as bad as can be.
#[test]
fn names_are_text_and_pictures_come_from_here() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let name = "<script>window.attacked = true</script><img src=x onerror=alert(1)>";
    create(
        &mut client,
        &json!({"items": [
            {"id": "a/b \"<&", "name": name, "image_url": "javascript:window.attacked = true", "stock": 3},
            {"id": "elsewhere", "name": "{{status}}", "image_url": "https://elsewhere.example/a.png", "stock": 1},
            {"id": "no-scheme", "name": "3", "image_url": "//elsewhere.example/a.png", "stock": 1},
            {"id": "data", "name": "4", "image_url": "data:image/svg+xml,<svg/>", "stock": 1},
            {"id": "constructor", "name": "6", "image_url": "/images/constructor.svg", "stock": 1},
            {"id": "here", "name": "5", "image_url": "/images/other.svg", "stock": 1},
        ]}),
    );
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.wait_for("document.querySelectorAll('.item').length === 6");
    assert_eq!(page.text("#list .name"), name);
    assert_eq!(
        page.evaluate("document.querySelectorAll('#list script, #list [onerror]').length"),
        0
    );
    let pictures = page.evaluate(
        "[...document.querySelectorAll('.item img')].map((img) => new URL(img.src).pathname)",
    );
    let expected = [
        "/images/a%2Fb%20%22%3C%26.svg",
        "/images/elsewhere.svg",
        "/images/no-scheme.svg",
        "/images/data.svg",
        "/images/constructor.svg",
        "/images/other.svg",
    ];
    assert_eq!(pictures, json!(expected));
    page.wait_for("[...document.images].every((img) => img.complete && img.naturalWidth > 0)");

    page.evaluate("document.querySelector('.item select').value = '2'");
    [1, 5].iter().for_each(|&place| choose(&page, place));
    page.click("#buy");
    page.wait_for_text("#result-lines", name);
    page.wait_for_text("#result-title", "All of it is yours.");
    page.wait_for_text("#list .stock", "1 of 3 left · 2 yours");
    page.wait_for_text(&button(5), "Yours");
    assert_eq!(page.evaluate("window.attacked"), serde_json::Value::Null);
}
