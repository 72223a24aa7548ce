//! How many connections one peer may have, over all workers.

use crate::server::{Server, wait_for};

#[test]
fn a_peer_has_no_more_connections_than_it_may() {
    let server = Server::start(&[
        ("SERVER_CONNECTIONS_PER_PEER", "6"),
        ("SERVER_WORKERS", "3"),
        ("SALE_TOTAL_ITEMS", "10"),
    ]);
    let mut clients: Vec<_> = (0..6).map(|_| server.client()).collect();
    for client in &mut clients {
        client.get("/livez").ok();
    }
    let refused = server.client().read().expect("an answer");
    refused.refused(503, "overloaded", "from this address");
    let metrics = clients[0].get("/metrics").ok();
    assert!(
        metrics
            .text()
            .contains("http_connections_refused_of_peers_total 1\n")
    );
    assert!(
        metrics
            .text()
            .contains("http_connections_refused_total 0\n")
    );
    clients.pop();
    wait_for("room for another one", || {
        // Refused in the place of the connection, as no answer of a route is.
        let mut client = server.client();
        let request = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
        client.write(request).ok()?;
        (client.read().ok()?.status == 200).then_some(())
    });
    clients[0].get("/livez").ok();
}

#[test]
fn a_peer_that_is_refused_again_and_again_is_a_line_with_the_peer_and_how_many() {
    let server = Server::start(&[("SERVER_CONNECTIONS_PER_PEER", "2")]);
    let mut clients: Vec<_> = (0..2).map(|_| server.client()).collect();
    for client in &mut clients {
        client.get("/livez").ok();
    }
    const REFUSED: u64 = 200;
    for _ in 0..REFUSED {
        let refused = server.client().read().expect("an answer");
        refused.refused(503, "overloaded", "from this address");
    }
    let told = || {
        let lines = crate::blackbox::starting::lines(&server.log());
        let of_peers = lines.into_iter().filter(|line| line.contains_key("peer"));
        of_peers.collect::<Vec<_>>()
    };
    let lines = wait_for("all to be told of", || {
        let lines = told();
        let counts = lines
            .iter()
            .map(|line| line["refused"].as_u64().expect("a number"));
        (counts.sum::<u64>() == REFUSED).then_some(lines)
    });
    // One a second at most, however long a busy machine takes for all.
    assert!(lines.len() < REFUSED as usize / 4, "{lines:?}");
    for line in lines {
        assert_eq!(
            (&line["level"], &line["peer"]),
            (&"WARN".into(), &"127.0.0.1".into())
        );
        let message = line["message"].as_str().expect("text");
        assert!(message.contains("server.connections_per_peer"), "{message}");
    }
}

#[test]
fn there_may_be_no_limit() {
    let server = Server::start(&[("SERVER_CONNECTIONS_PER_PEER", "0")]);
    let mut clients: Vec<_> = (0..100).map(|_| server.client()).collect();
    for client in &mut clients {
        client.get("/livez").ok();
    }
}
