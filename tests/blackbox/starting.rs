//! The start of the server: its log in order, and the traces of one that fails.

use std::fs;
use std::net::TcpListener;

use rustix::process::Signal;
use serde_json::{Map, Value};

use crate::admin::{JSON, household};
use crate::server::{Place, Server, wait_for};

/// The lines of a log, as their members.
pub fn lines(log: &str) -> Vec<Map<String, Value>> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    log.lines().map(parse).collect()
}

/// Checks that lines which begin so follow each other in `log`, and that those of the second kind say how
/// long they took.
pub fn follow_each_other(log: &str, expected: &[(&str, bool)]) {
    let mut lines = lines(log).into_iter();
    for (beginning, has_time) in expected {
        let found = lines.find(|line| {
            let message = line["message"].as_str().expect("text");
            message.starts_with(beginning)
        });
        let found = found.unwrap_or_else(|| panic!("{beginning:?} in its turn: {log}"));
        let took_ms = found.get("took_ms").and_then(Value::as_u64);
        assert_eq!(took_ms.is_some(), *has_time, "{found:?}");
    }
}

fn opened(log: &str) -> Vec<String> {
    let mut lines = lines(log);
    lines.retain(|line| line["message"] == "sale is open");
    let sales = lines.iter().map(|line| line["sale"].as_str());
    let mut sales: Vec<_> = sales.map(|sale| sale.expect("text").to_owned()).collect();
    sales.sort();
    sales
}

#[test]
fn the_variables_of_a_service_do_not_stop_the_start() {
    let server = Server::start(&[
        ("REDIS_PORT", "tcp://10.43.1.2:6379"),
        ("REDIS_PORT_6379_TCP_ADDR", "10.43.1.2"),
        ("DB_PORT", "tcp://10.43.1.3:5432"),
        ("JOURNAL_RETAIN_HOURS", ""),
    ]);
    server.wait_for_log("\"started\"");
    for variable in ["REDIS_PORT", "DB_PORT"] {
        let said = lines(&server.log())
            .into_iter()
            .filter(|line| line.get("variable").is_some_and(|it| it == variable));
        let said: Vec<_> = said.map(|line| line["message"].clone()).collect();
        assert_eq!(said.len(), 1, "{said:?}");
        let message = said[0].as_str().expect("text");
        assert!(message.starts_with(&format!("environment variable {variable}=tcp://10.43.1.")));
    }
}

#[test]
fn a_start_says_each_step_in_its_order() {
    let server = Server::start(&[]);
    server.wait_for_log("\"started\"");
    follow_each_other(
        &server.log(),
        &[
            ("flashsale: server.host=", false),
            ("address bound", true),
            ("journal recovered", true),
            ("Postgres is off", false),
            ("Redis is off", false),
            ("sale created", false),
            ("scheduler ready", true),
            ("listening on http://", true),
            ("sale is open", false),
            ("started", true),
        ],
    );
}

#[test]
fn every_open_sale_is_announced_once() {
    let mut server = Server::start(&[]);
    let mut client = server.client();
    for sale in ["2", "3"] {
        let body = household().to_string();
        let created = client.send("POST", "/admin/sales", &[JSON], body.as_bytes());
        assert_eq!(created.status, 201, "{}", created.text());
        assert_eq!(created.json()["data"]["id"], sale);
    }
    drop(client);
    wait_for("the announcements", || {
        (opened(&server.log()) == ["1", "2", "3"]).then_some(())
    });
    server.kill_9();
    server.restart();
    server.wait_for_log("\"started\"");
    assert_eq!(opened(&server.log()), ["1", "2", "3"]);
}

#[test]
fn a_start_on_a_taken_port_writes_nothing() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let place = Place::new(&[("SERVER_PORT", &port)]);
    let (code, said) = place.failure(&["serve"]);
    assert_eq!(code, Some(1), "{said}");
    let last = lines(&said).pop().expect("a line");
    assert_eq!(last["step"], "address", "{said}");
    assert!(said.contains("cannot listen on 127.0.0.1"), "{said}");
    let files = fs::read_dir(place.path()).expect("a directory").count();
    assert_eq!(files, 0, "nothing was written");
}

#[test]
fn a_start_that_fails_says_in_which_step() {
    let server = Server::start(&[]);
    let (code, said) = server.place().failure(&["serve"]);
    assert_eq!(code, Some(1), "{said}");
    let last = lines(&said).pop().expect("a line");
    assert_eq!(last["step"], "journal", "{said}");
}

#[test]
fn a_signal_ends_a_start_at_once() {
    // It answers nobody, and so the start waits for a while.
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = silent.local_addr().expect("bound").port().to_string();
    let place = Place::new(&[("DB_HOST", "127.0.0.1"), ("DB_PORT", &port)]);
    let mut server = Server::begin_in(place);
    server.wait_for_log("journal recovered");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let log = server.log();
    assert!(log.contains("SIGTERM during the start"), "{log}");
    assert!(!log.contains("listening on"), "{log}");
}

#[test]
fn without_its_sinks_a_server_starts_and_says_so() {
    // Nobody listens at that port.
    let sinks = [
        ("DB_HOST", "127.0.0.1"),
        ("DB_PORT", "1"),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", "1"),
    ];
    let mut server = Server::start(&sinks);
    server.wait_for_log("\"started\"");
    assert_eq!(server.terminate().code(), Some(0));
    follow_each_other(
        &server.log(),
        &[
            ("journal recovered", true),
            ("Postgres cannot be followed yet", false),
            ("Postgres is not connected yet", true),
            ("Redis is not connected yet", true),
            ("scheduler ready", true),
            ("journal closed", true),
            ("Postgres follower stopped", true),
            ("Redis follower stopped", true),
            ("stopped", true),
        ],
    );
}

/// By default the signal of that limit ends a process without a word.
#[test]
fn a_limit_of_file_sizes_is_an_error_with_limit_file_and_way_out() {
    let place = Place::behind("prlimit", &["--fsize=1000000"]);
    let Err((code, said)) = Server::try_start_in(place) else {
        panic!("a segment has more than a million bytes");
    };
    assert_eq!(code, Some(1), "{said}");
    for part in [
        "not started: journal: cannot ",
        "/00000000000000000001.preparing",
        "more than 1000000 bytes (RLIMIT_FSIZE)",
        "LimitFSIZE=infinity",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let place = Server::start(&[("SALE_TOTAL_ITEMS", "10")]).stop();
    let mut copying = Place::behind("prlimit", &["--fsize=1000000"]);
    let from = place.journal_dir();
    copying.set("JOURNAL_DIR", from.to_str().expect("UTF-8"));
    let (code, said) = copying.failure(&["journal", "backup", "--to", "backup"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("RLIMIT_FSIZE"), "{said}");
}

#[test]
fn a_start_with_few_descriptors_says_how_few_are_served() {
    let server = Server::start_in(Place::behind("prlimit", &["--nofile=260:260"]));
    server.wait_for_log("260 open files (RLIMIT_NOFILE): 4 connections are served");
    server.wait_for_log("LimitNOFILE=262144");
    let enough = Server::start_in(Place::behind("prlimit", &["--nofile=1000:1000"]));
    enough.wait_for_log("\"started\"");
    assert!(!enough.log().contains("RLIMIT_NOFILE"), "{}", enough.log());
}

/// By default each of them ends a process without a word.
#[test]
fn signals_without_a_meaning_end_nothing() {
    let mut server = Server::start(&[]);
    for (signal, name) in [
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::VTALARM, "SIGVTALRM"),
        (Signal::PROF, "SIGPROF"),
        (Signal::IO, "SIGIO"),
    ] {
        server.signal(signal);
        server.wait_for_log(&format!("{name} means nothing to this server"));
    }
    for signal in [Signal::PIPE, Signal::XFSZ, Signal::HUP] {
        server.signal(signal);
    }
    server.client().get("/livez").ok();
    server.signal(Signal::XCPU);
    assert_eq!(server.wait().code(), Some(0));
    assert!(server.log().contains("LimitCPU"), "{}", server.log());
}
