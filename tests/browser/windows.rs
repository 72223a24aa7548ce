//! Many visible windows of one browser, which opens six connections to a host.

use serde_json::json;

use crate::admin::create;
use crate::browser::buying::{button, choose};
use crate::browser::chromium::Browser;
use crate::browser::page::{Look, Page};
use crate::server::{Server, wait_for};

const WINDOWS: usize = 7;
/// A script that shortens the waits of the page.
const HURRY: &str =
    "const each = setInterval; window.setInterval = (run, ms) => each(run, ms / 20)";

/// Windows that show these paths, all visible.
fn windows(browser: &Browser, server: &Server, paths: &[String]) -> Vec<Page> {
    let first = browser.open(Look::DESKTOP, server.addr(), &paths[0]);
    let others: Vec<_> = paths[1..]
        .iter()
        .map(|path| browser.open_window(&first, path))
        .collect();
    let pages: Vec<_> = [first].into_iter().chain(others).collect();
    for page in &pages {
        assert_eq!(page.evaluate("document.hidden"), false);
    }
    pages
}

/// Waits until so many streams of a sale are open.
fn wait_for_viewers(server: &Server, viewers: usize) {
    let line = format!("sale_viewers {viewers}\n");
    wait_for(&line, || {
        let metrics = server.client().get("/metrics").ok();
        metrics.text().contains(&line).then_some(())
    });
}

fn sell(server: &Server, item: &str) {
    let mut rival = server.client();
    let code = rival.choose("rival", &[item]);
    rival.purchase(&code).ok();
}

#[test]
fn seven_visible_windows_share_a_stream_and_buy() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut pages = windows(&browser, &server, &vec!["/".to_owned(); WINDOWS]);
    for page in &pages {
        page.wait_for_text("#live", "Live");
    }
    wait_for_viewers(&server, 1);
    sell(&server, "ITM-1-20");
    for page in &pages {
        page.wait_for_text("#remaining", "9,999");
    }
    for (place, page) in (1..).zip(&pages) {
        choose(page, place);
        page.click("#buy");
        page.wait_for_text("#result-title", "It is yours.");
        page.wait_for_text(&button(place), "Yours");
    }

    // One leaves after the other, and whoever has the stream at the time with them.
    let mut left = 10_000 - 1 - WINDOWS;
    while pages.len() > 1 {
        pages.remove(0).go_to("/health");
        left -= 1;
        sell(&server, &format!("ITM-1-{}", 20 + pages.len()));
        for page in &pages {
            page.wait_for_text("#remaining", &format!("{},{:03}", left / 1000, left % 1000));
        }
        wait_for_viewers(&server, 1);
    }
}

#[test]
fn seven_visible_windows_watch_operations_and_leave_connections() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut paths = vec!["/ops".to_owned(); WINDOWS - 1];
    paths.push("/".to_owned());
    let pages = windows(&browser, &server, &paths);
    let (shop, operations) = pages.split_last().expect("seven");
    for page in operations {
        page.wait_for("document.body.dataset.stream === 'live'");
        page.wait_for(&format!(
            "Number(document.body.dataset.seconds) > {}",
            page.evaluate("document.body.dataset.seconds")
                .as_str()
                .expect("a number")
        ));
    }
    choose(shop, 1);
    shop.click("#buy");
    shop.wait_for_text("#result-title", "It is yours.");
}

#[test]
fn seven_visible_windows_of_seven_sales_leave_connections() {
    let server = Server::start(&[]);
    let items = json!([{"id": "lamp", "name": "Lamp", "stock": 50}]);
    for _ in 1..WINDOWS {
        create(&mut server.client(), &json!({"items": items}));
    }
    let browser = Browser::start();
    let paths: Vec<_> = (1..=WINDOWS).map(|id| format!("/?sale_id={id}")).collect();
    let pages = windows(&browser, &server, &paths);
    for page in &pages {
        page.before_each_load(HURRY);
    }
    for (id, page) in (1..).zip(&pages) {
        page.wait_for_text("#headline", &format!("Sale {id} is open"));
        choose(page, 1);
        page.click("#buy");
        page.wait_for_text("#result-title", "It is yours.");
    }
    for (id, page) in (2..).zip(&pages[1..]) {
        let query = format!("/checkout?user_id=rival&id=lamp&sale_id={id}");
        let code = server.client().post(&query).ok().member("code");
        server.client().purchase(&code).ok();
        page.wait_for_text("#remaining", "48");
    }
}

#[test]
fn a_window_takes_the_stream_over_from_a_silent_one_also_without_tls() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let first = browser.open_by_name(Look::DESKTOP, server.addr(), "/");
    first.wait_for_text("#live", "Live");
    let second = browser.open_window(&first, "/");
    second.wait_for_text("#live", "Live");
    assert_eq!(second.evaluate("isSecureContext"), false);
    wait_for_viewers(&server, 1);
    // As if it had crashed: not even its going is heard of.
    first.evaluate("BroadcastChannel.prototype.postMessage = () => undefined");
    sell(&server, "ITM-1-1");
    second.wait_for_text("#remaining", "9,999");
    choose(&second, 1);
    second.click("#buy");
    second.wait_for_text("#result-title", "It is yours.");
}

/// Notes where the button is in the checkout, every now and then and whenever `note` is called.
const WATCH: &str = "window.seen = new Set(); window.note = () => {
    const top = (id) => document.getElementById(id).getBoundingClientRect().top;
    if (document.getElementById('buy').checkVisibility())
        seen.add(Math.round(top('buy') - top('basket-panel')));
}; setInterval(note, 20)";

#[test]
fn a_hold_counts_down_without_a_stream_and_nothing_moves() {
    let server = Server::start(&[("SALE_HOLD_SECONDS", "5")]);
    let browser = Browser::start();
    for look in [Look::DESKTOP, Look::PHONE] {
        let mut page = browser.open(look, server.addr(), "/");
        page.may_fail("/stream");
        page.hold_back(&["*/stream"]);
        page.go_to("/");
        page.evaluate(WATCH);
        choose(&page, 1);
        page.wait_for_text("#basket-hold", "Held for you for 00:0");
        page.evaluate("note()");
        page.wait_for_text("#basket-hold", "may be gone by now");
        page.evaluate("note()");
        assert_eq!(
            page.evaluate("[...seen].length"),
            1,
            "{look:?}: {}",
            page.evaluate("[...seen]")
        );
    }
}
