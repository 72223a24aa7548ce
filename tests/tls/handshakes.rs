//! How connections begin: who is let in, who is not, and how long it may take.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::HandshakeKind;

use crate::server::Server;
use crate::tls::encrypted::{Client, server, socket};

/// What comes back for `bytes`, until the server closes.
fn answer(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut socket = socket(server);
    socket.write_all(bytes).expect("connected");
    let mut answer = Vec::new();
    // A reset is a close, too.
    let _ = socket.read_to_end(&mut answer);
    answer
}

/// The first message of a client that knows no version after 0x0300 + `minor`.
fn hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    // No session, two suites, no compression, and one kind of signature.
    body.extend([0, 0, 4, 0xc0, 0x2f, 0, 0x2f, 1, 0]);
    body.extend([0, 8, 0, 13, 0, 4, 0, 2, 4, 3]);
    let length = u8::try_from(body.len()).expect("short");
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[test]
fn only_tls_is_spoken() {
    let (server, config) = server();
    let plain = answer(&server, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    let plain = String::from_utf8(plain).expect("not encrypted");
    assert!(plain.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{plain}");
    assert!(plain.ends_with("\"error\":\"https_required\"}"), "{plain}");
    for garbage in [
        &b"\0\0\0\0\0\0\0\0"[..],
        &[22, 3, 1, 0, 5, 9, 9, 9, 9, 9],
        &[22, 3, 1, 255, 255],
    ] {
        let said = answer(&server, garbage);
        assert!(
            said.is_empty() || said[0] == 21,
            "an alert at most: {said:?}"
        );
    }
    Client::connect(&server, &Arc::new(config)).expect("it goes on");
}

#[test]
fn old_versions_are_refused() {
    let (server, _) = server();
    for minor in 0..=2 {
        let alert = answer(&server, &hello(minor));
        assert_eq!(
            (alert[0], &alert[5..]),
            (21, &[2, 70][..]),
            "protocol_version"
        );
    }
}

#[test]
fn a_handshake_that_takes_too_long_is_cut_off() {
    let (server, config) = server();
    // Nothing, and a message that never ends.
    assert_eq!(answer(&server, b""), b"");
    assert_eq!(answer(&server, &hello(3)[..20]), b"");
    let mut client = Client::connect(&server, &Arc::new(config)).expect("it goes on");
    let (_, metrics) = client.send("GET", "/metrics", "");
    assert!(
        metrics.contains("http_connections_overdue_total 2"),
        "{metrics}"
    );
}

#[test]
fn a_session_is_resumed() {
    let (server, config) = server();
    let config = Arc::new(config);
    let mut first = Client::connect(&server, &config).expect("a connection");
    first.send("GET", "/livez", "");
    assert_eq!(first.handshake(), Some(HandshakeKind::Full));
    let mut second = Client::connect(&server, &config).expect("a connection");
    second.send("GET", "/livez", "");
    assert_eq!(second.handshake(), Some(HandshakeKind::Resumed));
}

#[test]
fn the_protocol_is_agreed_on() {
    let (server, mut config) = server();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let client = Client::connect(&server, &Arc::new(config.clone())).expect("a connection");
    assert_eq!(client.protocol(), Some(&b"http/1.1"[..]));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let refused = Client::connect(&server, &Arc::new(config));
    assert!(refused.is_err(), "HTTP/2 is not spoken");
}
