//! The end of the server: its log, and signals that hasten it.

use rustix::process::Signal;

use crate::blackbox::starting::{follow_each_other, lines};
use crate::server::{Server, wait_for};

#[test]
fn an_end_says_each_step_in_its_order() {
    let mut server = Server::start(&[]);
    assert_eq!(server.terminate().code(), Some(0));
    follow_each_other(
        &server.log(),
        &[
            ("SIGTERM: draining", false),
            ("connections drained", true),
            ("scheduler, ticker and observer stopped", true),
            ("journal closed", true),
            ("stopped", true),
        ],
    );
}

#[test]
fn a_second_signal_does_not_wait_for_connections() {
    let mut server = Server::start(&[("SALE_TOTAL_ITEMS", "10")]);
    let code = server.client().choose("ada", &["ITM-1-0"]);
    // A request that does not come to its end.
    let mut slow = server.client();
    slow.write(b"POST /purchase HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\ncode=")
        .expect("it is sent");
    let mut observer = server.client();
    wait_for("the connection to be accepted", || {
        let metrics = observer.get("/metrics");
        let mut lines = metrics.text().lines();
        let accepted = "http_connections_accepted_total 3";
        lines.any(|line| line.ends_with(accepted)).then_some(())
    });
    drop(observer);
    server.signal(Signal::TERM);
    server.wait_for_log("SIGTERM: draining");
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0));
    let log = server.log();
    assert!(log.contains("SIGINT again"), "{log}");
    let lines = lines(&log);
    let drained = lines
        .iter()
        .find(|line| line["message"] == "connections drained");
    assert_eq!(drained.expect("a line")["cut"], 1, "{log}");
    assert!(log.contains("journal closed"), "{log}");
    drop(slow);
    server.restart();
    server.client().purchase(&code).ok();
}

/// They wait in the kernel when the server is told to end, more of them than are accepted in one go, and the
/// worker has so much to do that it hears of the end before it has looked at them all.
#[test]
fn connections_that_are_open_when_the_drain_begins_are_answered() {
    let mut server = Server::start(&[("SERVER_WORKERS", "1")]);
    let request = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut busy: Vec<_> = (0..100).map(|_| server.client()).collect();
    for client in &mut busy {
        client.get("/livez").ok();
    }
    server.signal(Signal::STOP);
    for client in &mut busy {
        client.write(&request.repeat(100)).expect("connected");
    }
    let mut clients: Vec<_> = (0..600).map(|_| server.client()).collect();
    for client in &mut clients {
        client.write(request).expect("connected");
    }
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    for client in &mut clients {
        client.read().expect("an answer").ok();
    }
    assert_eq!(server.wait().code(), Some(0));
}
