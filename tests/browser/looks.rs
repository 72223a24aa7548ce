//! How the sale page looks, on whatever it is shown.

use std::path::Path;

use crate::browser::buying::{button, choose};
use crate::browser::chromium::Browser;
use crate::browser::page::{Look, Page};
use crate::server::{Server, wait_for};

/// The part of the page that can be seen at once is in order.
#[track_caller]
fn check(page: &Page, look: Look) {
    assert_eq!(page.overflow(), 0, "{look:?}");
    let outside = page.evaluate(
        "[...document.querySelectorAll('main *')].filter((element) => {
            const box = element.getBoundingClientRect();
            return element.checkVisibility() && !element.closest('pre, .unseen, .meter')
                && box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
        }).map((element) => element.outerHTML)",
    );
    assert_eq!(outside, serde_json::json!([]), "{look:?}");
}

#[test]
fn nothing_is_wider_than_a_phone() {
    let server = Server::start(&[("SALE_MAX_ITEMS_PER_USER", "2")]);
    let browser = Browser::start();
    let mut papers = Vec::new();
    for look in Look::ALL {
        let mut page = browser.open(look, server.addr(), "/");
        page.may_fail("/checkout?");
        (1..=2).for_each(|place| choose(&page, place));
        check(&page, look);
        page.click(&button(3));
        page.wait_for_text("#message", "limit");
        page.click("#who > summary");
        check(&page, look);
        papers.push(page.evaluate("getComputedStyle(document.body).backgroundColor"));
    }
    assert_eq!((&papers[0], &papers[1]), (&papers[2], &papers[3]));
    assert_ne!(papers[0], papers[1], "dark is not light");
}

#[test]
fn without_scripts_the_page_says_what_is_on_and_how_to_buy() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::PHONE, server.addr(), "/");
    page.forbid_scripts();
    page.go_to("/");
    let status = page.text("#status");
    assert!(
        status.starts_with("Sale 1 is open until 2") && status.contains("10,000 of 10,000"),
        "{status}"
    );
    let commands = page.text("#terminal");
    let checkout = format!("http://{}/checkout?user_id=me&id=ITEM", server.addr());
    assert!(
        commands.contains(&checkout) && commands.contains("/purchase?code="),
        "{commands}"
    );
    assert_eq!(
        page.evaluate("document.getElementById('checkout').checkVisibility()"),
        false
    );
    check(&page, Look::PHONE);
}

/// Everything that can be used has a name that is read out, and can be seen by who uses no mouse.
#[test]
fn controls_have_names() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    choose(&page, 1);
    let nameless = page.evaluate(
        "[...document.querySelectorAll('button, input, select, a, summary')].filter((control) =>
            control.checkVisibility()
            && !(control.getAttribute('aria-label') || control.innerText || control.labels?.length)
        ).map((control) => control.outerHTML)",
    );
    assert_eq!(nameless, serde_json::json!([]));
    let first = page.text(&button(2));
    let name = page.text("#list > :nth-child(2) .name");
    assert!(first.contains(&name), "{first:?} is about {name:?}");
}

/// The picture of the documentation, drawn again after the page has changed:
/// `cargo nextest run --test browser --run-ignored only picture`.
#[test]
#[ignore = "writes docs/images/sale.png"]
fn picture_of_a_sale_in_progress() {
    let server = Server::start(&[
        ("SALE_INTERVAL_SECONDS", "3600"),
        ("SALE_TOTAL_ITEMS", "1000"),
    ]);
    let mut client = server.client();
    let mut buy = |place: usize| {
        let code = client.choose(&format!("buyer-{place}"), &[&format!("ITM-1-{place}")]);
        client.purchase(&code).ok();
    };
    [3, 5, 11].into_iter().chain(200..450).for_each(&mut buy);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    [1, 3, 7].iter().for_each(|&place| choose(&page, place));
    page.evaluate("scrollTo(0, 0)");
    page.point_at(640, 20);
    (450..490).for_each(buy);
    page.wait_for_text("#figures", "293 sold");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    page.screenshot(&root.join("docs/images/sale.png"));
}

/// Every error in a page is noticed, which the other tests rely on.
#[test]
fn errors_of_a_page_are_seen() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.wait_for_text("#live", "Live");
    let inline =
        "document.body.append(Object.assign(document.createElement('script'), {text: '3'}))";
    let wrongs = [
        ("console.error('one')", "console"),
        ("setTimeout(() => { throw Error('two') })", "exception"),
        (inline, "script-src"),
        (
            "void fetch('http://127.0.0.1:9/').catch(() => 0)",
            "connect-src",
        ),
        ("void fetch('/nowhere')", "404"),
        (
            // Behind the answer, which a page that is leaving might never give.
            "setTimeout(() => { location.href = 'http://127.0.0.1:9/' })",
            "asked somebody else",
        ),
    ];
    assert_eq!(page.complaints(), Vec::<String>::new());
    page.forgive_all();
    for (script, word) in wrongs {
        page.evaluate(script);
        wait_for(script, || {
            let complaints = page.complaints();
            complaints
                .iter()
                .any(|said| said.contains(word))
                .then_some(())
        });
    }
}
