//! Several sales are open at once: visitors and operators choose which one they look at.

use serde_json::json;

use crate::admin::{create, household, in_seconds};
use crate::browser::buying::{button, choose, outcomes, truth};
use crate::browser::chromium::Browser;
use crate::browser::page::{Look, Page};
use crate::server::Server;

/// A server with a sale of its own, number 1, and a household's, number 2.
fn two_sales() -> Server {
    let server = Server::start(&[]);
    create(&mut server.client(), &household());
    server
}

/// Which sale the links of the page mark as the one that is shown.
fn marked(page: &Page) -> String {
    page.text("#sales a[aria-current]")
}

#[test]
fn a_visitor_chooses_the_sale_that_began_first_and_buys_there() {
    let server = two_sales();
    let browser = Browser::start();
    for look in [Look::PHONE, Look::DESKTOP] {
        let page = browser.open(look, server.addr(), "/");
        page.wait_for_text("#headline", "Sale 2 is open");
        assert!(marked(&page).starts_with("Sale 2 "), "{}", marked(&page));
        assert_eq!(page.overflow(), 0);
        page.click("#sales a[href='?sale_id=1']");
        page.wait_for_text("#headline", "Sale 1 is open");
        page.wait_for_text("#live", "Live");
        assert!(marked(&page).starts_with("Sale 1 "), "{}", marked(&page));
    }
    let page = browser.open(Look::DESKTOP, server.addr(), "/?sale_id=1");
    choose(&page, 3);
    page.wait_for_text("#buy", "Buy 1 item");
    page.click("#buy");
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-2", true)]));

    // A look at what else is on does not lead away from it.
    page.go_to("/?sale_id=1");
    page.wait_for_text("#headline", "Sale 1 is open");
    page.wait_for_text(&button(3), "Yours");
    page.wait_for_text("#sales", "9,999");
}

#[test]
fn the_end_of_a_chosen_sale_leads_to_the_one_that_is_on() {
    let server = two_sales();
    let browser = Browser::start();
    let page = browser.open(Look::PHONE, server.addr(), "/?sale_id=1");
    page.wait_for_text("#headline", "Sale 1 is open");
    let mut client = server.client();
    client.post("/admin/sales/1/close").ok();
    page.wait_for_text("#headline", "Sale 2 is open");
    assert_eq!(page.evaluate("location.search"), "");
    page.wait_for("document.getElementById('sales').childElementCount === 0");
    page.go_to("/?sale_id=1");
    page.wait_for_text("#headline", "Sale 2 is open");
    page.wait_for_text("#asked", "Sale 1 is over.");
}

#[test]
fn an_early_visitor_is_shown_the_sale_when_it_begins() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut client = server.client();
    client.post("/admin/sales/1/close").ok();
    let soon = in_seconds(4);
    for count in [2, 3] {
        create(
            &mut client,
            &json!({"total_items": count, "started_at": soon}),
        );
    }
    let page = browser.open(Look::PHONE, server.addr(), "/?sale_id=2");
    page.wait_for_text("#headline", "Sale 2 is open");
    assert_eq!(page.text("#asked"), "");
    page.wait_for_text("#sales", "Sale 3");
}

#[test]
fn the_links_follow_the_sales_also_under_the_hand_of_a_visitor() {
    let server = two_sales();
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/?sale_id=1");
    page.wait_for_text("#headline", "Sale 1 is open");
    page.evaluate("document.querySelector('#sales [href=\"?sale_id=2\"]').focus()");
    let mut client = server.client();
    create(&mut client, &json!({"total_items": 3}));
    client.post("/admin/sales/1/close").ok();
    page.wait_for_text("#headline", "Sale 3 is open");
    page.wait_for_text("#sales a[aria-current]", "Sale 3 3 unsold");
    page.wait_for("document.activeElement.getAttribute('href') === '?sale_id=2'");
}

#[test]
fn without_scripts_the_sale_is_chosen_by_its_link() {
    let server = two_sales();
    let browser = Browser::start();
    let page = browser.open(Look::PHONE, server.addr(), "/");
    page.forbid_scripts();
    page.go_to("/");
    page.wait_for_text("#status", "Sale 2 is open");
    page.click("#sales a[href='?sale_id=1']");
    page.wait_for_text("#status", "Sale 1 is open");
}

#[test]
fn an_operator_chooses_whose_stock_is_drawn() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/ops");
    page.wait_for_text("#light-stock", "= 10,000");
    assert_eq!(
        page.evaluate("document.getElementById('sale').hidden"),
        true
    );
    let mut client = server.client();
    create(&mut client, &json!({"total_items": 500}));
    page.wait_for_text("#light-stock", "= 500");
    page.wait_for("!document.getElementById('sale').hidden");
    page.wait_for_text("#facts", "2, one of 2");
    page.evaluate(
        "(() => {
            const select = document.querySelector('#sale select');
            select.focus();
            select.value = '1';
            select.dispatchEvent(new Event('change'));
        })()",
    );
    page.wait_for_text("#light-stock", "= 10,000");
    page.wait_for_text("#burndown .note", "sale 1:");
    create(&mut client, &json!({"total_items": 7}));
    page.wait_for("document.querySelectorAll('#sale option').length === 4");
    assert_eq!(
        page.evaluate("document.querySelector('#sale select').value"),
        "1"
    );
    client.post("/admin/sales/3/close").ok();
    page.wait_for("document.querySelectorAll('#sale option').length === 3");
    assert_eq!(page.evaluate("location.hash"), "#sale=1");
    page.wait_for_text("#light-stock", "= 10,000");

    // The address leads there again, and away when that sale is over.
    page.go_to("/ops#sale=1");
    page.evaluate("location.reload()");
    page.wait_for_text("#light-stock", "= 10,000");
    client.post("/admin/sales/1/close").ok();
    page.wait_for_text("#light-stock", "= 500");
    page.wait_for("document.getElementById('sale').hidden && location.hash === ''");
}
