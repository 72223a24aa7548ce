//! The log of the server: enough for operators, nothing about buyers, no secrets, and
//! not more the more it is asked.

use std::thread;

use rustix::process::Signal;
use serde_json::{Map, Value, json};

use crate::admin::{JSON, household};
use crate::blackbox::disk::SmallDisk;
use crate::client::{Answer, Client};
use crate::server::{Place, Server};

const TOKEN: &str = "secret-token-of-the-admin";
const WRONG_TOKEN: &str = "secret-token-of-a-guesser";
const DB_PASSWORD: &str = "secret-password-of-the-database";
const KEY: &str = "secret-idempotency-key";
const USER: &str = "user-who-wants-no-fame";
const QUERY: &str = "query-of-a-visitor";
const BUYERS: usize = 4;
const PURCHASES_EACH: usize = 20;

/// Text that must not be found, by what it is.
struct Seen {
    /// It must not be in the log, where any reader could use it.
    secrets: Vec<String>,
    /// Says who did what.
    private: Vec<String>,
}

/// The log as its lines' members; every line must be an object with these three.
fn lines(log: &str) -> Vec<Map<String, Value>> {
    let line = |line: &str| {
        let parsed: Result<Map<String, Value>, _> = serde_json::from_str(line);
        let line = parsed.unwrap_or_else(|error| panic!("{error}: {line}"));
        for member in ["timestamp", "level", "message"] {
            assert!(line[member].is_string(), "no {member}: {line:?}");
        }
        assert!(!line.contains_key("fields"), "not flat: {line:?}");
        line
    };
    log.lines().map(line).collect()
}

/// Buys, is refused, and administers, with texts that can be recognised.
fn busy(server: &Server) -> Seen {
    let addr = server.addr();
    let buyers: Vec<_> = (0..BUYERS)
        .map(|buyer| {
            thread::spawn(move || buy(Client::connect(addr).expect("a connection"), buyer))
        })
        .collect();
    let codes = buyers
        .into_iter()
        .flat_map(|buyer| buyer.join().expect("a buyer"));
    let mut secrets: Vec<String> = codes.collect();
    let mut client = server.client();
    administer(&mut client);
    let mut more = |answer: Answer| secrets.push(secret_of(&answer.ok().code()));
    more(client.checkout(USER, "ITM-1-9999"));
    secrets.extend([TOKEN, WRONG_TOKEN, DB_PASSWORD, KEY].map(str::to_owned));
    Seen {
        secrets,
        private: vec![USER.to_owned(), QUERY.to_owned(), "ITM-1-9999".to_owned()],
    }
}

/// What nobody can guess of a code.
fn secret_of(code: &str) -> String {
    code.rsplit('-').next().expect("a secret").to_owned()
}

fn buy(mut client: Client, buyer: usize) -> Vec<String> {
    let purchases = (0..PURCHASES_EACH).map(|number| {
        let item = format!("ITM-1-{}", buyer * PURCHASES_EACH + number);
        let user = format!("{USER}-{buyer}-{number}");
        let code = client.checkout(&user, &item).ok().code();
        let key = format!("{KEY}-{buyer}-{number}");
        client.purchase_with_key(&code, &key).ok();
        client.purchase(&code).refused(409, "already_processed", "");
        client
            .checkout(&user, "ITM-1-none")
            .refused(404, "item_not_found", "");
        secret_of(&code)
    });
    purchases.collect()
}

fn administer(client: &mut Client) {
    let right = ("Authorization", &*format!("Bearer {TOKEN}"));
    let wrong = ("Authorization", &*format!("Bearer {WRONG_TOKEN}"));
    let sale = household().to_string();
    let created = client.send("POST", "/admin/sales", &[JSON, right], sale.as_bytes());
    assert_eq!(created.status, 201, "{}", created.text());
    let id = created.json()["data"]["id"].clone();
    let close = format!("/admin/sales/{}/close", id.as_str().expect("an id"));
    assert_eq!(client.send("POST", &close, &[right], b"").status, 200);
    assert_eq!(client.send("POST", &close, &[wrong], b"").status, 401);
    let bought = format!("/admin/sales/1/purchases?user_id={USER}-0-0");
    assert_eq!(client.send("GET", &bought, &[right], b"").status, 200);
    for target in [
        format!("/sales?{QUERY}"),
        format!("/{QUERY}"),
        format!("/checkout?user_id={QUERY}"),
    ] {
        assert_ne!(client.get(&target).status, 500);
    }
}

fn place(level: &str) -> Place {
    // Nobody listens at that port.
    Place::new(&[
        ("SALE_TOTAL_ITEMS", "10000"),
        ("ADMIN_TOKEN", TOKEN),
        ("LOG_LEVEL", level),
        ("DB_HOST", "127.0.0.1"),
        ("DB_PORT", "1"),
        ("DB_USER", "flashsale"),
        ("DB_PASSWORD", DB_PASSWORD),
        ("DB_NAME", "flashsale"),
    ])
}

fn assert_none(log: &str, texts: &[String]) {
    for text in texts {
        let line = log.lines().find(|line| line.contains(text.as_str()));
        assert_eq!(line, None, "{text} is in the log");
    }
}

#[test]
fn the_log_tells_of_the_server_and_not_of_its_buyers() {
    let mut server = Server::start_in(place("info"));
    let seen = busy(&server);
    assert!(server.terminate().success());
    let log = server.log();
    assert_none(&log, &seen.secrets);
    assert_none(&log, &seen.private);
    let lines = lines(&log);
    let count = |text: &str| {
        let tells =
            |line: &&Map<_, Value>| line["message"].as_str().is_some_and(|it| it.contains(text));
        lines.iter().filter(tells).count()
    };
    for once in [
        "flashsale: server.host=",
        "journal recovered",
        "listening on http://",
        "Postgres is not followed: ",
        "sale created by an administrator",
        "sale closed by an administrator",
        "SIGTERM: draining",
        "address bound",
        "scheduler ready",
        "started",
        "connections drained",
        "scheduler, ticker and observer stopped",
        "journal closed",
        "Postgres follower stopped",
    ] {
        assert_eq!(count(once), 1, "{once}: {log}");
    }
    assert!(count("sale is open") > 0, "{log}");
    assert_eq!(
        count("a request was"),
        0,
        "clients' errors are theirs: {log}"
    );
}

#[test]
fn the_first_line_says_what_runs_and_how_it_is_configured() {
    let first = |level: &str| {
        let mut server = Server::start(&[("LOG_LEVEL", level)]);
        server.terminate();
        let mut lines = lines(&server.log());
        (lines.swap_remove(0), server)
    };
    let (line, server) = first("info");
    let version = server.place().report(&["--version"]);
    let (number, revision) = (&line["version"], &line["revision"]);
    let expected = format!(
        "flashsale {} ({})\n",
        number.as_str().expect("text"),
        revision.as_str().expect("text")
    );
    assert_eq!(version, expected);
    let (same, _server) = first("info");
    let (other, _server) = first("warn,flashsale=info");
    assert_eq!(same["configuration"], line["configuration"]);
    assert_ne!(other["configuration"], line["configuration"]);
}

#[test]
fn no_secret_is_in_the_log_at_its_most_verbose_level() {
    let mut server = Server::start_in(place("debug"));
    let seen = busy(&server);
    assert!(server.terminate().success());
    let log = server.log();
    assert_none(&log, &seen.secrets);
    let lines = lines(&log);
    let refusals = lines
        .iter()
        .filter(|line| line["message"] == "a request was refused");
    let outcomes: Vec<_> = refusals.map(|line| line["outcome"].clone()).collect();
    for outcome in ["already_processed", "item_not_found", "unauthorized"] {
        assert!(
            outcomes.contains(&json!(outcome)),
            "{outcome}: {outcomes:?}"
        );
    }
}

#[test]
fn ten_thousand_refusals_give_a_handful_of_lines_that_stand_for_all() {
    const REFUSALS: u64 = 10_000;
    let place = Place::new(&[("SALE_TOTAL_ITEMS", "100000")]);
    let Some(_disk) = SmallDisk::mount(&place.journal_dir(), 9) else {
        eprintln!("SKIPPED: file systems cannot be mounted here (it takes root)");
        return;
    };
    let mut server = Server::start_in(place);
    let mut client = server.client();
    let mut number = 0_u64;
    let mut checkout = || {
        number += 1;
        client.checkout(&format!("{number:0128}"), &format!("ITM-1-{number}"))
    };
    // More than fits into the two segments that there is room for.
    while checkout().status == 200 {}
    for _ in 1..REFUSALS {
        checkout().refused(503, "journal_unavailable", "");
    }
    drop(client);
    server.signal(Signal::TERM);
    server.wait();
    let lines = lines(&server.log());
    let told: Vec<_> = lines
        .iter()
        .filter(|line| line.get("outcome") == Some(&json!("journal_unavailable")))
        .collect();
    let answers = told.iter().map(|line| line["answers"].as_u64());
    assert_eq!(answers.sum::<Option<u64>>(), Some(REFUSALS), "{told:?}");
    assert!(told.iter().all(|line| line["level"] == "WARN"), "{told:?}");
    // One for every second that it took, and what was left at the end.
    assert!((1..100).contains(&told.len()), "{} lines", told.len());
}

#[test]
fn a_build_without_traces_warns_whoever_waits_for_them() {
    if cfg!(feature = "otel") {
        eprintln!("SKIPPED: this build exports traces");
        return;
    }
    let settings = |disabled| {
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
            ("OTEL_SDK_DISABLED", disabled),
        ]
    };
    let server = Server::start(&settings(""));
    let log = server.log();
    let mut lines = log.lines().filter(|line| line.contains("OTEL_"));
    let line = lines.next().expect("a warning");
    assert!(
        line.contains("OTEL_EXPORTER_OTLP_ENDPOINT is set, but this build"),
        "{line}"
    );
    assert!(
        line.contains("--features otel") && line.contains("WARN"),
        "{line}"
    );
    assert_eq!(lines.next(), None);
    for silent in [Server::start(&settings("true")), Server::start(&[])] {
        assert!(!silent.log().contains("OTEL_"), "{}", silent.log());
    }
}
