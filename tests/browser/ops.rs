//! The operations page before a server that is at work, and whose database goes away and comes back.

use std::path::Path;

use serde_json::{Value, json};

use crate::browser::chromium::Browser;
use crate::browser::page::{Look, Page};
use crate::load::Load;
use crate::log_database::LogDatabase;
use crate::places::{place, place_with, postgres, server_with};
use crate::server::Server;

/// Buyers that a plot shows at least, so that there is a tail.
const PURCHASES: u64 = 50;

/// At least one: a machine that has no time for the database makes others.
const AN_OUTAGE: &str = "Number(document.querySelector('#sink-database').dataset.outages) >= 1";

/// Waits until the elements have drawn at least one point each.
#[track_caller]
fn wait_until_drawn(page: &Page, plots: &[&str]) {
    for plot in plots {
        page.wait_for(&format!(
            "Number(document.querySelector('#{plot}').dataset.points) > 0"
        ));
    }
}

/// Waits until an attribute `data-name` of `selector` is `value`.
#[track_caller]
fn wait_for_data(page: &Page, selector: &str, name: &str, value: &str) {
    page.wait_for(&format!(
        "document.querySelector('{selector}').dataset.{name} === '{value}'"
    ));
}

/// How many pixels of a canvas have a colour.
fn coloured(page: &Page, selector: &str) -> u64 {
    let script = format!(
        "(() => {{
            const canvas = document.querySelector('{selector}');
            const {{data}} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            let count = 0;
            for (let place = 3; place < data.length; place += 4) count += data[place] > 0;
            return count;
        }})()"
    );
    page.evaluate(&script).as_u64().expect("a count")
}

#[test]
fn a_sale_is_seen_in_every_plot() {
    let postgres = postgres();
    let server = server_with(&postgres);
    let browser = Browser::start();
    let load = Load::start(&server);
    load.wait_for_more(PURCHASES);
    let page = browser.open(Look::DESKTOP, server.addr(), "/ops");
    wait_for_data(&page, "body", "stream", "live");
    wait_until_drawn(
        &page,
        &[
            "figure-unsold",
            "figure-confirmed",
            "figure-checkout",
            "figure-purchase",
            "burndown",
            "heatmap",
            "spectrum",
            "commit",
            "cores",
            "sink-database",
            "refusals",
            "stages",
        ],
    );
    page.wait_for("Number(document.querySelector('#burndown').dataset.points) >= 3");
    for class in ["checkouts", "purchases", "refused"] {
        let points = format!("Number(document.querySelector('#spectrum').dataset.{class}) >= 3");
        page.wait_for(&points);
    }
    for canvas in ["#burndown canvas", "#heatmap canvas", "#spectrum canvas"] {
        assert!(coloured(&page, canvas) > 1000, "{canvas}");
    }
    // Each for itself, and what the whole sale hides is said where it is shown.
    page.wait_for_text("#figure-checkout h2", "Checkout p99");
    page.wait_for_text("#figure-purchase h2", "Purchase p99");
    page.wait_for_text("#spectrum .note", "stall late in a long sale hardly shows");
    wait_for_data(&page, "#light-stock", "state", "good");
    let sum = page.text("#light-stock");
    assert!(
        sum.contains(" sold + ") && sum.contains(" = 10,000"),
        "{sum}"
    );
    wait_for_data(&page, "#light-journal", "state", "good");
    wait_for_data(&page, "#light-redis", "state", "off");
    page.wait_for_text("#refusals tbody", "item_not_found");
    page.wait_for_text("#stages tbody", "Wait for commit");
    load.stop();
}

#[test]
fn an_outage_of_the_database_is_seen_and_so_is_its_end() {
    let postgres = postgres();
    let server = server_with(&postgres);
    let browser = Browser::start();
    let load = Load::start(&server);
    load.wait_for_more(PURCHASES);
    let page = browser.open(Look::DESKTOP, server.addr(), "/ops");
    wait_for_data(&page, "#light-database", "state", "good");
    wait_for_data(&page, "body", "verdict", "good");

    postgres.pause();
    wait_for_data(&page, "#light-database", "state", "bad");
    page.wait_for(AN_OUTAGE);
    page.wait_for_text("#light-database", "DOWN");
    page.wait_for_text("#verdict", "Postgres has been down for ");
    page.wait_for_text("#sink-database .story", "down since");
    // The sale goes on, and adds up.
    wait_for_data(&page, "#light-stock", "state", "good");
    load.wait_for_more(PURCHASES);

    postgres.resume();
    wait_for_data(&page, "#light-database", "state", "good");
    page.wait_for_text("#sink-database .story", "was down");
    page.wait_for(AN_OUTAGE);
    wait_for_data(&page, "body", "verdict", "good");
    load.stop();
}

#[test]
fn the_page_says_who_leads_and_is_silent_where_nothing_is_replicated() {
    let (log, postgres) = (LogDatabase::start(), postgres());
    let mut places = [place(), place_with(&postgres)];
    for (place, name) in places.iter_mut().zip(["one:1", "two:2"]) {
        log.use_for(place);
        place.set("SERVER_ADVERTISE", name);
    }
    let [first, second] = places;
    let leader = log.start_leader(first);
    let standby = Server::start_in(second);
    let browser = Browser::start();
    let load = Load::start(&leader);
    load.wait_for_more(PURCHASES);

    let page = browser.open(Look::DESKTOP, leader.addr(), "/ops");
    wait_for_data(&page, "#light-replication", "state", "good");
    page.wait_for_text("#light-replication", "leads, epoch 2");
    wait_until_drawn(&page, &["replication"]);
    wait_for_data(&page, "body", "verdict", "good");
    load.stop();

    for look in [Look::DESKTOP, Look::PHONE] {
        let page = browser.open(look, standby.addr(), "/ops");
        page.wait_for_text("#light-replication", "stands by for one:1, epoch 2");
        page.wait_for_text("#verdict", "All is well: this server stands by");
        // It is configured, and the leader's business.
        page.wait_for_text("#light-database", "off while this server stands by");
        assert_eq!(page.overflow(), 0, "{look:?}");
    }

    log.pause();
    page.wait_for_text("#verdict", "The replicated log does not answer");
    wait_for_data(&page, "#light-replication", "state", "bad");
    log.resume();
    wait_for_data(&page, "body", "verdict", "good");

    let alone = Server::start(&[]);
    let page = browser.open(Look::DESKTOP, alone.addr(), "/ops");
    wait_for_data(&page, "body", "stream", "live");
    wait_until_drawn(&page, &["commit"]);
    for part in ["#light-replication", "#replication"] {
        let hidden = format!("document.querySelector('{part}').hidden");
        assert_eq!(page.evaluate(&hidden), json!(true), "{part}");
    }
}

/// A page that has heard the server, and may miss it.
fn watched_to_its_end(browser: &Browser, server: &Server) -> Page {
    let mut page = browser.open(Look::DESKTOP, server.addr(), "/ops");
    wait_for_data(&page, "body", "stream", "live");
    page.may_fail("/ops/");
    page
}

#[test]
fn a_server_that_ends_is_no_longer_called_well() {
    let mut server = Server::start(&[]);
    let browser = Browser::start();
    let page = watched_to_its_end(&browser, &server);
    server.terminate();
    page.wait_for_text("#light-stream", "server says draining");
    wait_for_data(&page, "body", "stream", "draining");
    page.wait_for_text("#verdict", "shutting down");
}

#[test]
fn a_server_that_is_lost_is_missed() {
    let mut server = Server::start(&[]);
    let browser = Browser::start();
    let page = watched_to_its_end(&browser, &server);
    server.kill_9();
    page.wait_for_text("#light-stream", "reconnecting since");
    wait_for_data(&page, "body", "verdict", "bad");
}

#[test]
fn everything_can_be_reached_by_keyboard_and_is_said_in_words() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let load = Load::start(&server);
    load.wait_for_more(PURCHASES);
    let page = browser.open(Look::DESKTOP, server.addr(), "/ops");
    wait_until_drawn(&page, &["heatmap"]);
    wait_for_data(&page, "#heatmap", "class", "purchases");
    page.evaluate("document.querySelector('#heatmap input[value=refused]').focus()");
    page.press(" ");
    wait_for_data(&page, "#heatmap", "class", "refused");
    page.evaluate(
        "(() => {
            const canvas = document.querySelector('#heatmap canvas');
            canvas.focus();
            canvas.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}));
        })()",
    );
    page.wait_for_text("#tip", "s to ");

    let undescribed = page.evaluate(
        "[...document.querySelectorAll('canvas[role=img]')].filter((canvas) =>
            !document.getElementById(canvas.getAttribute('aria-describedby'))?.textContent
            || canvas.tabIndex !== 0).map((canvas) => canvas.parentElement.id)",
    );
    assert_eq!(undescribed, Value::Array(Vec::new()));
    page.wait_for("document.querySelector('#heatmap-words').textContent.includes('median')");
    load.stop();
}

#[test]
fn it_fits_a_phone_and_a_desk_by_day_and_by_night() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let load = Load::start(&server);
    load.wait_for_more(PURCHASES);
    let mut papers = Vec::new();
    for look in Look::ALL {
        let page = browser.open(look, server.addr(), "/ops");
        wait_until_drawn(&page, &["burndown", "heatmap", "refusals", "stages"]);
        assert_eq!(page.overflow(), 0, "{look:?}");
        papers.push(page.evaluate("getComputedStyle(document.body).backgroundColor"));
    }
    assert_eq!((&papers[0], &papers[1]), (&papers[2], &papers[3]));
    assert_ne!(papers[0], papers[1]);
    load.stop();
}

#[test]
fn labels_of_plots_cover_no_line_and_no_other_label() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/ops");
    let found = page.evaluate(
        "(async () => {
            const {Labels} = await import('/assets/ops-labels.js');
            const rising = [[0, 100], [50, 60], [100, 55]];
            const high = [[0, 40], [100, 40]];
            const labels = new Labels([rising, high], 0, 200);
            const full = new Labels([[[0, 0], [100, 60]]], 0, 60);
            return [
                // Nothing is there.
                labels.place(40, 100, 25),
                // The label before, and the lines on both sides of it.
                labels.place(40, 100, 30),
                // The upper line.
                labels.place(0, 30, 42),
                // It stays within the plot.
                labels.place(300, 400, -20),
                // The line is at every height: the labels cover it, and not each other.
                ...[1, 2, 3].map(() => full.place(0, 100, 30)),
            ];
        })()",
    );
    assert_eq!(found, json!([25, 82, 29, 10, 30, 17, 43]));
}

/// What `script` makes of modules of the page; it has `history` and `forecast`, and `second(at, sale)`.
fn computed(page: &Page, script: &str) -> Value {
    page.evaluate(&format!(
        "(async () => {{
            const history = await import('/assets/ops-history.js');
            const {{forecast}} = await import('/assets/ops-forecast.js');
            const sale = (sold, rate) => ({{id: '1', total: 100, sold, held: 0, free: 100 - sold, rate,
                ended_at: '2026-11-24T10:01:00Z'}});
            const start = Date.parse('2026-11-24T10:00:00Z');
            const second = (at, sold, rate = 0) => ({{at_ms: start + at * 1000, seconds: 1,
                uptime_seconds: 100 + at, sale: sold === null ? null : sale(sold, rate)}});
            {script}
        }})()"
    ))
}

#[test]
fn a_sale_that_will_be_sold_out_is_told_from_one_that_will_not() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/ops");
    for (seconds, expected) in [
        ("second(0, null)", "no sale is open"),
        ("second(0, 0)", "nothing is sold yet"),
        ("second(0, 40)", "nothing of this sale is selling now"),
        ("second(0, 30, 5)", "sold out in about 14 s"),
        ("second(0, 30, 1)", "not at this rate before the end"),
        ("second(6, 90, 9), second(7, 100, 9)", "sold out 10:00:07"),
        ("second(7, 100)", "sold out before 10:00:07"),
        (
            "second(2, 90, 9), second(7, 100)",
            "sold out between 10:00:02 and 10:00:07",
        ),
    ] {
        let words = computed(&page, &format!("return forecast([{seconds}]).words;"));
        assert_eq!(words, expected, "{seconds}");
    }
}

#[test]
fn seconds_are_known_once_and_what_is_missing_stays_missing() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/ops");
    let found = computed(
        &page,
        "const known = new history.History(300_000);
        known.add([second(0, 1), second(1, 2), second(1, 2), second(5, 3)]);
        known.add([second(1, 2), second(6, 3), {...second(7, 3), uptime_seconds: 1}]);
        const {seconds} = known;
        known.add([second(302, 4)]);
        return [
            seconds.map((second) => (second.at_ms - start) / 1000),
            history.gaps(seconds).map(({from, to, restart}) => [(from - start) / 1000, (to - start) / 1000, restart]),
            history.cut(seconds).map((piece) => piece.length),
            known.seconds.length,
        ];",
    );
    let expected = json!([[0, 1, 5, 6, 7], [[1, 4, false], [6, 6, true]], [2, 2, 1], 4]);
    assert_eq!(found, expected);
}

#[test]
fn the_worst_comes_first() {
    let server = Server::start(&[]);
    let browser = Browser::start();
    let page = browser.open(Look::DESKTOP, server.addr(), "/ops");
    let found = computed(
        &page,
        "const {problems} = await import('/assets/ops-verdict.js');
        const well = {...second(0, 1), conserved: true, counts: {}, journal: {writable: true, disk_full: false},
            sinks: {database: {status: 'UP', lag_seconds: 0}, redis: {status: 'DISABLED'}}};
        const replication = {role: 'leader', epoch: 2, leader: 'a:1', lag_records: 0, heard_seconds_ago: 0.1, error: null};
        const down = {status: 'DOWN', reason: 'no answer', lag_records: 5};
        const about = (change, state = 'live') => {
            const last = {...well, ...change};
            const view = {last, known: [last], recent: [last]};
            return problems(view, {state, sinceMs: start}).map((each) => `${each.state} ${each.about}`);
        };
        return [
            about({}),
            about({sinks: {...well.sinks, database: down}, conserved: false}),
            about({journal: {writable: true, disk_full: true}}),
            about({counts: {checkout: {overloaded: 3, item_sold_out: 9}}}),
            about({}, 'reconnecting'),
            about({}, 'draining'),
            about({replication}),
            about({replication: {...replication, error: 'away'}}),
            about({replication: {...replication, heard_seconds_ago: 3}}),
            about({replication: {...replication, role: 'standby', error: 'away'}}),
            about({replication: {...replication, role: 'standby', lag_records: 20000}}),
            about({replication: {...replication, role: 'fenced'}}),
        ];",
    );
    let expected = json!([
        [],
        ["bad stock", "warn database"],
        ["bad journal"],
        ["warn overloaded"],
        ["bad stream"],
        ["warn draining"],
        [],
        ["bad replication"],
        ["bad replication"],
        ["warn replication"],
        ["warn replication"],
        ["bad replication"]
    ]);
    assert_eq!(found, expected);
}

/// The picture of the documentation, drawn again after the page has changed:
/// `cargo nextest run --test browser --run-ignored only picture_of_the_operations`.
#[test]
#[ignore = "writes docs/images/ops.png"]
fn picture_of_the_operations_page() {
    let postgres = postgres();
    let server = server_with(&postgres);
    let browser = Browser::start();
    let load = Load::start(&server);
    let look = Look {
        width: 1440,
        height: 1332,
        dark: false,
    };
    let page = browser.open(look, server.addr(), "/ops");
    page.evaluate("document.querySelector('#window input[value=\"60\"]').click()");
    load.wait_for_more(20 * PURCHASES);
    postgres.pause();
    wait_for_data(&page, "#light-database", "state", "bad");
    load.wait_for_more(20 * PURCHASES);
    postgres.resume();
    wait_for_data(&page, "#light-database", "state", "good");
    load.wait_for_more(20 * PURCHASES);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    page.screenshot(&root.join("docs/images/ops.png"));
    load.stop();
}
