//! Payments from the sale page, by the pretended provider of `scripts/pretend-payments`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::admin::{create, household, in_seconds};
use crate::browser::buying::{button, choose, outcomes, truth};
use crate::browser::chromium::Browser;
use crate::browser::page::{Look, Page};
use crate::client::Client;
use crate::postgres_server::free_port;
use crate::server::Server;

const SHOP_TOKEN: &str = "a-token-of-the-shop";
/// A script that shortens the intervals of the page.
const HURRY: &str = "const each = setInterval; window.setInterval = (run, ms) => each(run, ms > 1000 ? ms / 20 : ms)";
const PRETENDED: &str = "document.title === 'Pretended payment'";

/// The provider, as the demo of the README has it.
struct Provider {
    process: Child,
    port: u16,
}

impl Provider {
    fn start(server: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/pretend-payments");
        let mut process = Command::new(script)
            .args(["--port", "0", "--late-seconds", "10", "--server", server])
            .env("SHOP_TOKEN", SHOP_TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed");
        let mut out = BufReader::new(process.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        // Nobody would read what fills the pipe.
        std::thread::spawn(move || out.lines().for_each(drop));
        let address = line.split_once("localhost:").expect("an address").1;
        let port = address.split('/').next().expect("a part");
        Self {
            process,
            port: port.parse().expect("a port"),
        }
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server whose sale is paid at a provider.
fn shop(payment_seconds: &str) -> (Server, Provider) {
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let provider = Provider::start(&format!("http://{addr}"));
    let server = Server::start(&[
        ("SERVER_PORT", &addr.port().to_string()),
        ("SHOP_TOKEN", SHOP_TOKEN),
        ("SALE_PAYMENT_SECONDS", payment_seconds),
        ("SALE_PURCHASE_BY", "shop"),
        ("SALE_PAYMENT_PAGE", &provider.address()),
    ]);
    (server, provider)
}

/// A server whose sales only the shop purchases.
fn shop_without_provider(payment_seconds: &str) -> Server {
    Server::start(&[
        ("SHOP_TOKEN", SHOP_TOKEN),
        ("SALE_PAYMENT_SECONDS", payment_seconds),
        ("SALE_PURCHASE_BY", "shop"),
    ])
}

fn confirm(server: &Server, code: &str, query: &str) {
    let path = format!("/admin/checkouts/{code}/confirm?{query}");
    server.client().post(&path).ok();
}

/// Leaves the page, and lets the end of all sales and payments that it knows lie a minute behind it.
fn leave_for_long(page: &Page) {
    page.go_to("/health");
    page.evaluate(
        "(() => {
            const [name, past_ms] = ['flashsale.checkouts', Date.now() - 60_000];
            const known = JSON.parse(localStorage[name]);
            known.forEach((each) => {
                each.ends_ms = past_ms;
                each.paid_until_ms &&= past_ms;
            });
            localStorage[name] = JSON.stringify(known);
        })()",
    );
}

/// A page that may lead to the provider.
fn open(browser: &Browser, server: &Server, provider: &Provider, look: Look) -> Page {
    let mut page = browser.open(look, server.addr(), "/");
    page.may_visit(&provider.address());
    page.before_each_load(HURRY);
    page.go_to("/");
    page.wait_for_text("#live", "Live");
    page
}

/// Goes to the provider, and has it say `outcome`.
#[track_caller]
fn pay(page: &Page, outcome: &str) {
    page.click("#buy");
    page.wait_for(PRETENDED);
    assert_eq!(page.overflow(), 0);
    page.click(&format!("[value={outcome}]"));
    page.wait_for("document.getElementById('buy')");
}

#[test]
fn what_is_paid_is_the_buyers_once_the_shop_has_confirmed_it() {
    let (server, provider) = shop("600");
    let browser = Browser::start();
    for (look, places) in [(Look::DESKTOP, [1, 2]), (Look::PHONE.dark(), [3, 4])] {
        let page = open(&browser, &server, &provider, look);
        places.iter().for_each(|&place| choose(&page, place));
        page.wait_for_text("#basket-hold", "Reserved as soon as you pay.");
        page.wait_for_text("#buy", "Pay for 2 items");
        pay(&page, "succeeds");
        page.wait_for_text("#result-title", "All of it is yours.");
        page.wait_for_text(&button(places[0]), "Yours");
        let ids = places.map(|place| format!("ITM-1-{}", place - 1));
        let sold = ids.each_ref().map(|id| (id.as_str(), true));
        assert_eq!(truth(&server, &page), outcomes(&sold));
        page.wait_for("document.getElementById('checkout').dataset.empty === 'true'");
    }
}

#[test]
fn what_could_not_be_paid_stays_reserved_until_it_is_given_back() {
    let (server, provider) = shop("600");
    let browser = Browser::start();
    let mut page = open(&browser, &server, &provider, Look::PHONE);
    choose(&page, 1);
    choose(&page, 2);
    pay(&page, "fails");
    page.wait_for_text("#message", "The provider says that the payment has failed.");
    page.wait_for_text("#basket-hold", "Reserved for you for ");
    page.wait_for_text("#buy", "Pay for 2 items");
    assert_eq!(page.overflow(), 0);
    let mut rival = server.client();
    let held = rival.checkout("rival", "ITM-1-0");
    held.refused(409, "item_held", "held");
    // Nothing is added meanwhile, and what is given back can be had by others.
    page.may_fail("/checkout?");
    page.click(&button(3));
    page.wait_for_text("#message", "You are paying.");
    page.click("#basket > :first-child .close");
    page.wait_for_text("#buy", "Pay for 1 item");
    rival.checkout("rival", "ITM-1-0").ok();
    pay(&page, "succeeds");
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-1", true)]));
}

#[test]
fn a_payment_that_takes_too_long_gets_what_is_left() {
    let (server, provider) = shop("8");
    let browser = Browser::start();
    let page = open(&browser, &server, &provider, Look::DESKTOP);
    choose(&page, 1);
    choose(&page, 2);
    pay(&page, "late");
    // The page says so by itself, and what comes of the late payment.
    page.wait_for_text("#message", "The time to pay is over.");
    page.wait_for_text("#result-title", "All of it is yours.");
    page.wait_for("document.getElementById('message').hidden");
    let expected = [("ITM-1-0", true), ("ITM-1-1", true)];
    assert_eq!(truth(&server, &page), outcomes(&expected));
    page.wait_for_text(&button(1), "Yours");
}

#[test]
fn a_late_payment_of_what_is_gone_gets_nothing() {
    let server = Server::start(&[("SALE_PAYMENT_SECONDS", "1"), ("SALE_PURCHASE_BY", "shop")]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.before_each_load(HURRY);
    page.go_to("/");
    choose(&page, 1);
    let code = page.text("#basket-code");
    page.click("#buy");
    page.wait_for_text("#message", "The time to pay is over.");
    page.wait_for_text(&button(1), "Choose");
    let mut rival = server.client();
    let faster = rival.choose("rival", &["ITM-1-0"]);
    let confirm = |code: &str, query: &str| {
        let path = format!("/admin/checkouts/{code}/confirm?{query}");
        server.client().post(&path)
    };
    confirm(&faster, "payment_ref=1").ok();
    let late = confirm(&code, "payment_ref=2&late=true");
    late.refused(409, "all_items_sold", "sold");
    page.wait_for_text("#result-title", "Nothing was left.");
    page.wait_for_text(&button(1), "Sold");
}

#[test]
fn without_a_page_to_pay_at_the_page_waits_for_the_shop() {
    let server = Server::start(&[
        ("SALE_PAYMENT_SECONDS", "600"),
        ("SALE_PURCHASE_BY", "shop"),
    ]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    choose(&page, 1);
    page.click("#buy");
    page.wait_for_text("#basket-hold", "Reserved for you for ");
    let code = page.text("#basket-code");
    let confirm = format!("/admin/checkouts/{code}/confirm?payment_ref=1");
    server.client().post(&confirm).ok();
    page.wait_for_text("#result-title", "It is yours.");
    page.wait_for_text(&button(1), "Yours");
}

#[test]
fn a_payment_outlives_the_end_of_its_sale() {
    let server = Server::start(&[
        ("SALE_PAYMENT_SECONDS", "600"),
        ("SALE_PURCHASE_BY", "shop"),
    ]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    let mut brief = household();
    // As long as a busy machine takes to choose and pay.
    brief["ended_at"] = in_seconds(60).into();
    let id = create(&mut server.client(), &brief);
    page.go_to("/");
    page.wait_for_text("#headline", &format!("Sale {id} is open"));
    choose(&page, 1);
    page.click("#buy");
    page.wait_for_text("#basket-hold", "Reserved for you for ");
    let code = page.text("#basket-code");
    // Another sale takes its place.
    page.wait_for_text("#headline", "Sale 1 is open");
    page.wait_for_text("#others", &format!("Sale {id}"));
    let confirm = format!("/admin/checkouts/{code}/confirm?payment_ref=1");
    server.client().post(&confirm).ok();
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(page.text("#result-code"), code);
    page.wait_for("document.getElementById('others').hidden");
}

#[test]
fn who_comes_back_behind_the_end_learns_what_became_of_a_payment() {
    let server = shop_without_provider("600");
    let browser = Browser::start();
    let mut page = browser.open(Look::PHONE, server.addr(), "/");
    choose(&page, 1);
    page.click("#buy");
    page.wait_for_text("#basket-hold", "Reserved for you for ");
    let code = page.text("#basket-code");
    page.may_fail("/checkout?code=");
    leave_for_long(&page);
    confirm(&server, &code, "payment_ref=1");
    // The page is about another sale by now, and writes down what is chosen there.
    create(&mut server.client(), &household());
    page.hold_back(&["*/checkout?code=*"]);
    page.go_to("/");
    choose(&page, 2);
    page.hold_back(&[]);
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(page.text("#result-code"), code);
    page.wait_for("document.getElementById('others').hidden");
}

#[test]
fn who_comes_back_behind_the_end_learns_what_became_of_a_late_payment() {
    let server = shop_without_provider("1");
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    choose(&page, 1);
    let code = page.text("#basket-code");
    page.click("#buy");
    page.wait_for_text("#message", "The time to pay is over.");
    leave_for_long(&page);
    create(&mut server.client(), &household());
    confirm(&server, &code, "payment_ref=1&late=true");
    page.go_to("/");
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(page.text("#result-code"), code);
}

#[test]
fn what_only_the_shop_purchases_is_paid_without_being_reserved() {
    let (server, provider) = shop("0");
    let browser = Browser::start();
    let page = open(&browser, &server, &provider, Look::PHONE);
    choose(&page, 1);
    page.wait_for_text("#basket-hold", "Nothing is reserved");
    page.wait_for_text("#buy", "Pay for 1 item");
    pay(&page, "succeeds");
    page.wait_for_text("#result-title", "It is yours.");
    assert_eq!(truth(&server, &page), outcomes(&[("ITM-1-0", true)]));
}

#[test]
fn what_only_the_shop_purchases_can_not_be_bought_by_a_click() {
    let server = shop_without_provider("0");
    let browser = Browser::start();
    let page = browser.open(Look::PHONE, server.addr(), "/");
    choose(&page, 1);
    page.wait_for_text("#buy", "The shop sells it once you have paid");
    page.wait_for("document.getElementById('buy').disabled");
    assert_eq!(page.overflow(), 0);
    confirm(&server, &page.text("#basket-code"), "payment_ref=1");
    page.wait_for_text("#result-title", "It is yours.");
}

#[test]
fn nobody_is_led_to_the_payment_of_somebody_else() {
    let server = Server::start(&[
        ("SALE_PAYMENT_SECONDS", "600"),
        ("SALE_PAYMENT_PAGE", "http://127.0.0.1:9/"),
    ]);
    let browser = Browser::start();
    // It would complain of a visit there.
    let page = browser.open(Look::DESKTOP, server.addr(), "/");
    page.before_each_load(
        "const ask = window.fetch;
        window.fetch = async (...given) => {
            const answer = await ask(...given);
            if (String(given[0]).startsWith('payment?')) await new Promise((resolve) => { window.goOn = resolve; });
            return answer;
        };",
    );
    page.go_to("/");
    choose(&page, 1);
    let user = page.text("#user-shown");
    page.click("#buy");
    page.wait_for("window.goOn");
    let turn_to = |user: &str| {
        page.click("#who summary");
        page.fill("#user", user);
        page.press("Enter");
        page.wait_for_text("#user-shown", user);
    };
    turn_to("bob");
    page.evaluate("window.goOn()");
    page.wait_for("localStorage['flashsale.checkouts'].includes('\"paid_until_ms\":1')");
    turn_to(&user);
    page.wait_for_text("#basket-hold", "Reserved for you for ");
    page.wait_for_text("#buy", "Pay for 1 item");
    page.wait_for("!document.getElementById('buy').disabled");
}

#[test]
fn the_address_alone_does_not_make_a_payment_fail() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/health");
    page.go_to("/#payment-failed");
    page.wait_for("location.hash === ''");
    page.wait_for_text("#live", "Live");
    choose(&page, 1);
    let is_hidden = page.evaluate("document.getElementById('message').hidden");
    assert_eq!(is_hidden, true);
}

#[test]
fn the_pretended_provider_confirms_for_its_own_page_alone() {
    let (server, provider) = shop("600");
    let mut client = server.client();
    let code = client.choose("ada", &["ITM-1-0"]);
    client.post(&format!("/payment?code={code}")).ok();
    let here = SocketAddr::from(([127, 0, 0, 1], provider.port));
    let send = |line: &str, headers: &str, form: &str| {
        let mut client = Client::connect(here).expect("a connection");
        let length = form.len();
        let request = format!(
            "{line} HTTP/1.1\r\nhost: {here}\r\ncontent-length: {length}\r\n{headers}\r\n{form}"
        );
        client.write(request.as_bytes()).expect("it is there");
        client.read().expect("an answer").status
    };
    let shown = format!("GET /?code={code}&return=http%3A%2F%2Flocalhost%3Abad");
    assert_eq!(send(&shown, "", ""), 200);
    let form = format!("code={code}&outcome=succeeds");
    let elsewhere = "origin: http://evil.example\r\n";
    assert_eq!(send("POST /", elsewhere, &form), 403);
    let climbing = format!("code={code}/../x&outcome=succeeds");
    assert_eq!(send("POST /", "", &climbing), 400);
    let open = client.get(&format!("/checkout?code={code}")).ok();
    assert_eq!(open.json()["items_count"], 1);
    assert_eq!(send("POST /", "", &form), 303);
    let paid = client.get(&format!("/checkout?code={code}"));
    paid.refused(409, "already_processed", "already");
}
