//! Several tabs of one visitor, and a browser that keeps nothing for them.

use crate::browser::buying::{button, choose, outcomes, truth};
use crate::browser::chromium::Browser;
use crate::browser::page::Look;
use crate::server::Server;

/// Browsers open six connections to a host.
const TABS: usize = 7;

#[test]
fn many_tabs_leave_a_connection_to_buy_with() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let mut first = browser.open(Look::DESKTOP, server.addr(), "/");
    first.wait_for_text("#live", "Live");
    let paths = ["/", "/ops"].into_iter().cycle().take(TABS);
    let others: Vec<_> = paths
        .map(|path| browser.open_beside(&first, path))
        .collect();
    let last = browser.open_beside(&first, "/");
    choose(&last, 1);
    last.click("#buy");
    last.wait_for_text("#result-title", "It is yours.");
    assert_eq!(truth(&server, &last), outcomes(&[("ITM-1-0", true)]));

    // Whoever comes back sees what has happened.
    first.may_fail("/stream");
    first.wait_for("document.hidden");
    first.bring_to_front();
    first.wait_for_text("#live", "Live");
    first.wait_for_text("#remaining", "9,999");
    first.wait_for_text(&button(1), "Yours");
    others[1].bring_to_front();
    others[1].wait_for("document.body.dataset.stream === 'live'");
}

#[test]
fn a_browser_that_keeps_nothing_buys_all_the_same() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::PHONE, server.addr(), "/");
    page.before_each_load(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('denied', 'SecurityError'); }})",
    );
    page.go_to("/");
    choose(&page, 1);
    choose(&page, 2);
    page.click("#buy");
    page.wait_for_text("#result-title", "All of it is yours.");
    let path = format!("/admin/checkouts/{}", page.text("#result-code"));
    let shown = server.client().get(&path).ok();
    assert_eq!(shown.member("user_id"), page.text("#user-shown"));
}
