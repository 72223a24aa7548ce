//! Starting and stopping.

use std::fs;
use std::net::TcpListener;

use rustix::process::Signal;

use crate::client::Client;
use crate::server::{Place, Server, wait_for};

fn server() -> Server {
    Server::start(&[("SALE_TOTAL_ITEMS", "10")])
}

/// Checks the promises of a drain that `signal` begins.
fn drains(signal: Signal) {
    let mut server = server();
    let code = server.client().choose("ada", &["ITM-1-0"]);
    let mut idle = server.client();
    idle.get("/livez").ok();

    // A request whose body is under way, and one whose head is.
    let mut buying = server.client();
    let body = format!("code={code}");
    let head = format!(
        "POST /purchase HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    buying.write(head.as_bytes()).expect("it is sent");
    buying.write(&body.as_bytes()[..10]).expect("it is sent");
    let mut asking = server.client();
    asking
        .write(b"GET /readyz HTTP/1.1\r\n")
        .expect("it is sent");
    // All five connections are accepted; what they have sent is read before the drain.
    let mut observer = server.client();
    wait_for("the connections to be accepted", || {
        let metrics = observer.get("/metrics");
        let accepted = "http_connections_accepted_total 5";
        metrics
            .text()
            .lines()
            .any(|line| line.ends_with(accepted))
            .then_some(())
    });

    server.signal(signal);
    server.wait_for_log("draining");
    assert_eq!(idle.read_to_close().expect("a close"), b"");
    wait_for("the end of listening", || {
        Client::connect(server.addr()).err()
    });
    // In time, but the answer is that nothing new is taken: ask the next server.
    asking.write(b"host: a\r\n\r\n").expect("it is sent");
    let answer = asking.read().expect("an answer");
    answer.refused(503, "draining", "");
    buying.write(&body.as_bytes()[10..]).expect("it is sent");
    let answer = buying.read().expect("an answer");
    answer.refused(503, "draining", "");
    assert_eq!(server.wait().code(), Some(0));
    let cut = server.log().lines().any(|line| line.contains("\"cut\":0"));
    assert!(cut, "no connection was cut");

    server.restart();
    assert_eq!(
        server.client().purchase(&code).ok().json()["total_purchased"],
        1
    );
}

#[test]
fn sigterm_drains() {
    drains(Signal::TERM);
}

#[test]
fn sigint_drains() {
    drains(Signal::INT);
}

#[test]
fn sigquit_drains() {
    drains(Signal::QUIT);
}

#[test]
fn a_hang_up_is_ignored() {
    let mut server = server();
    let mut client = server.client();
    server.signal(Signal::HUP);
    server.wait_for_log("SIGHUP");
    client.get("/readyz").ok();
    client.checkout("ada", "ITM-1-0").ok();
    drop(client);
    assert_eq!(server.terminate().code(), Some(0));
}

#[test]
fn a_clean_end_loses_nothing() {
    let mut server = server();
    let mut client = server.client();
    let open = client.choose("ada", &["ITM-1-0"]);
    let bought = client.choose("bob", &["ITM-1-1"]);
    let first = client.purchase(&bought).ok();
    drop(client);
    assert!(server.terminate().success());
    server.restart();
    let mut client = server.client();
    assert_eq!(client.active_sale(), ("1".to_owned(), 1));
    assert_eq!(client.choose("ada", &["ITM-1-2"]), open);
    assert_eq!(client.purchase(&open).ok().json()["total_purchased"], 2);
    assert_eq!(client.purchase(&bought).json()["result"], first.json());
}

#[test]
fn a_journal_has_one_server() {
    let server = server();
    for arguments in [
        &["serve"][..],
        &[],
        &["journal", "verify"],
        &["journal", "repair"],
    ] {
        let (code, said) = server.place().failure(arguments);
        assert!(code.is_some(), "{arguments:?}: an exit, not a signal");
        assert!(
            said.contains("in use by another process"),
            "{arguments:?}: {said}"
        );
    }
    server.client().checkout("ada", "ITM-1-0").ok();
}

#[test]
fn a_port_may_be_taken() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = taken.local_addr().expect("bound");
    let port = address.port().to_string();
    let place = Place::new(&[("SERVER_PORT", &port)]);
    let (code, said) = place.failure(&["serve"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!("cannot listen on {address}")),
        "{said}"
    );
}

#[test]
fn a_bad_configuration_changes_nothing() {
    let place = Place::new(&[
        ("SERVER_PORT", "65536"),
        ("SALE_TOTAL_ITEMS", "0"),
        ("JOURNAL_DURABILITY", "maybe"),
        ("DB_PASSWORD", "secret\u{7}secret"),
    ]);
    fs::write(
        place.path().join("config.json"),
        r#"{"sale": {"colour": "red"}, "redis": {"db": "x"}}"#,
    )
    .expect("a file");
    let (code, said) = place.failure(&["serve"]);
    assert_eq!(code, Some(78), "{said}");
    for problem in [
        "sale.colour",
        "redis.db",
        "server.port",
        "65536",
        "sale.total_items",
        "journal.durability",
        "maybe",
        "database.password",
        "SERVER_PORT",
    ] {
        assert!(said.contains(problem), "{problem} is not in {said}");
    }
    assert!(!said.contains("secret\u{7}"), "{said}");
    let files = fs::read_dir(place.path()).expect("a directory").count();
    assert_eq!(files, 1, "nothing was written");
    let (code, said) = place.failure(&["serve", "--config", "missing.json"]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("missing.json"), "{said}");
}

#[test]
fn a_health_check_without_a_server_fails() {
    let closed = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = closed.local_addr().expect("bound").port().to_string();
    drop(closed);
    let place = Place::new(&[("SERVER_PORT", &port)]);
    place.failure(&["healthcheck"]);
    assert!(!place.journal_dir().exists());
}

#[test]
fn a_second_server_does_not_share_the_port() {
    let server = Server::start(&[]);
    let port = server.addr().port().to_string();
    let place = Place::new(&[]);
    let (code, message) = place.failure(&["--port", &port, "serve"]);
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("cannot listen"), "{message}");
}
