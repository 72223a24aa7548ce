//! A fuzzer that knows the document, against the real server: it makes requests that fit and that do not,
//! follows links from one answer to the next, and holds every answer against the document. Afterwards the
//! server is as sound as before. `FUZZ_API_SECONDS` makes it go on for longer.

use std::env;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use flashsale::telemetry::Outcome;

use crate::server::Server;

const TOKEN: &str = "of-this-test-alone-0123456789abcdef";

/// Few items, so that they are sold out soon.
const SETTINGS: [(&str, &str); 4] = [
    ("SALE_TOTAL_ITEMS", "12"),
    ("SALE_MAX_ITEMS_PER_USER", "3"),
    ("SERVER_WORKERS", "2"),
    ("LOG_LEVEL", "info"),
];

/// The errors that the server may have with 5xx. None of them may be seen.
const FAILURES: [Outcome; 6] = [
    Outcome::InternalError,
    Outcome::Overloaded,
    Outcome::Draining,
    Outcome::JournalUnavailable,
    Outcome::Standby,
    Outcome::ArchiveUnavailable,
];

fn fuzz(server: &Server, arguments: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = root.join("tests/contract");
    let mut fuzzer = Command::new("schemathesis");
    fuzzer
        .current_dir(server.place().path())
        .env("PYTHONPATH", &here)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg("--config-file")
        .arg(here.join("schemathesis.toml"))
        .arg("run")
        .arg(root.join("src/http/openapi.json"))
        .args(["--url", &format!("http://{}", server.addr())])
        .args(["--seed", "1", "--no-color"])
        .args(arguments);
    if let Ok(seconds) = env::var("FUZZ_API_SECONDS") {
        fuzzer.args(["--max-time", &seconds]);
    }
    let output = fuzzer.output().unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!("schemathesis is missing: scripts/test installs it"),
        _ => panic!("schemathesis: {error}"),
    });
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complaint}");
}

/// The server must be what it was: it answers, nothing was sold twice, nothing went wrong on its side, and its
/// journal is sound.
fn check(mut server: Server) {
    let mut client = server.client();
    client.get("/livez").ok();
    assert_eq!(client.get("/health").ok().json()["conserved"], true);
    let metrics = client.get("/metrics").ok();
    for failure in FAILURES {
        let label = format!("outcome=\"{}\"}}", failure.as_str());
        let mut counted = metrics.text().lines().filter(|line| {
            line.starts_with("http_requests_total")
                && line.contains(&label)
                && !line.ends_with(" 0")
        });
        assert_eq!(counted.next(), None);
    }
    assert!(server.terminate().success(), "a clean end");
    assert!(!server.log().contains("panicked"), "{}", server.log());
    server.place().report(&["journal", "verify"]);
}

#[test]
fn the_fuzzer_finds_nothing_as_an_administrator() {
    let server = Server::start(&[&SETTINGS[..], &[("ADMIN_TOKEN", TOKEN)]].concat());
    fuzz(
        &server,
        &["--header", &format!("Authorization: Bearer {TOKEN}")],
    );
    check(server);
}

#[test]
fn the_fuzzer_finds_nothing_where_items_are_held() {
    let server = Server::start(&[&SETTINGS[..], &[("SALE_HOLD_SECONDS", "2")]].concat());
    let token = server.token().expect("a token that was drawn");
    fuzz(
        &server,
        &["--header", &format!("Authorization: Bearer {token}")],
    );
    check(server);
}

#[test]
fn the_fuzzer_finds_nothing_as_a_stranger() {
    let server = Server::start(&[&SETTINGS[..], &[("ADMIN_TOKEN", TOKEN)]].concat());
    fuzz(&server, &[]);
    check(server);
}
