//! The PROXY protocol, version 2. The tests are the proxy.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::thread::yield_now;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::{FAILURES, client_from, guess, lock_out, metric, stream_from, wait_until_logged};
use crate::certificates::Authority;
use crate::client::Client;
use crate::server::{PATIENCE, Server, wait_for};
use crate::tls::encrypted::{place, trusting};

const SETTINGS: [(&str, &str); 3] = [
    ("SERVER_CLIENT_ADDRESS", "proxy-v2"),
    ("SERVER_TRUSTED_PROXIES", "127.0.0.1"),
    ("SALE_TOTAL_ITEMS", "10"),
];

/// A header with this command, family and rest.
fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("short");
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([command, family]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(rest);
    bytes
}

/// The header of a connection that `client` has made to a proxy.
fn of(client: &str) -> Vec<u8> {
    let addresses = match client.parse().expect("an address") {
        IpAddr::V4(client) => [client.octets(), Ipv4Addr::LOCALHOST.octets()].concat(),
        IpAddr::V6(client) => [client.octets(), client.octets()].concat(),
    };
    let family = if client.contains(':') { 0x21 } else { 0x11 };
    header(
        0x21,
        family,
        &[&addresses[..], &[0x30, 0x39, 0, 80]].concat(),
    )
}

/// The header of a check of the proxy's own.
fn of_itself() -> Vec<u8> {
    header(0x20, 0, &[])
}

fn connect(server: &Server, header: &[u8]) -> Client {
    let mut client = Client::connect(server.addr()).expect("a connection");
    client.write(header).expect("connected");
    client
}

/// What comes back for `bytes` until the server closes.
fn answer(server: &Server, bytes: &[u8]) -> Vec<u8> {
    connect(server, bytes).read_to_close().expect("closed")
}

#[test]
fn a_client_is_known_by_the_header_of_its_connection() {
    let server = Server::start(&SETTINGS);
    let mut one = connect(&server, &of("192.0.2.1"));
    lock_out(&mut one, |guess| {
        Some(("X-Forwarded-For", format!("10.0.0.{guess}")))
    });
    wait_until_logged(&server, "192.0.2.1");
    assert_eq!(
        guess(&mut connect(&server, &of("192.0.2.1")), &[]).status,
        429
    );
    for other in [
        of("192.0.2.2"),
        of("2001:db8::1"),
        of_itself(),
        header(0x21, 0, b"xyz"),
    ] {
        assert_eq!(guess(&mut connect(&server, &other), &[]).status, 401);
    }
    let mut check = connect(&server, &of_itself());
    assert_eq!(metric(&mut check, "http_clients_unknown_total"), 1);
    assert_eq!(metric(&mut check, "http_connections_unproxied_total"), 0);
}

#[test]
fn a_header_may_come_in_pieces_and_with_extensions_and_with_the_first_request() {
    let server = Server::start(&SETTINGS);
    let extended = [
        &of("192.0.2.1")[16..],
        &[0x04, 0, 2, 0, 0],
        &[0x05, 0, 3, 1, 2, 3],
    ]
    .concat();
    let bytes = header(0x21, 0x11, &extended);
    let mut client = Client::connect(server.addr()).expect("a connection");
    for byte in &bytes {
        client.write(&[*byte]).expect("connected");
        yield_now();
    }
    client.get("/livez").ok();
    let mut client = Client::connect(server.addr()).expect("a connection");
    let request = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
    client
        .write(&[&bytes[..], request].concat())
        .expect("connected");
    client.read().expect("an answer").ok();
    // Only one header begins a connection.
    let twice = [of("192.0.2.1"), of("192.0.2.2")].concat();
    assert!(answer(&server, &twice).starts_with(b"HTTP/1.1 400 "));
}

#[test]
fn what_is_no_header_is_closed_without_an_answer() {
    let server = Server::start(&SETTINGS);
    let mut wrong_checksum = of("192.0.2.1")[16..].to_vec();
    wrong_checksum.extend([0x03, 0, 4, 1, 2, 3, 4]);
    let wrong = [
        b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 127.0.0.1 1 80\r\nGET /livez HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
        header(0x11, 0x11, &[0; 12]),
        header(0x21, 0x11, &[0; 11]),
        header(0x21, 0x21, &[0; 12]),
        header(0x21, 0x11, &[0; 5000]),
        header(0x21, 0x11, &wrong_checksum),
    ];
    for bytes in &wrong {
        assert_eq!(answer(&server, bytes), b"", "{bytes:?}");
    }
    let mut check = connect(&server, &of_itself());
    assert_eq!(
        metric(&mut check, "http_connections_unproxied_total"),
        wrong.len() as u64
    );
    server.wait_for_log("or do not begin with a PROXY header of version 2");
}

#[test]
fn a_stranger_is_refused_whatever_its_header_says() {
    let server = Server::start(&SETTINGS);
    for bytes in [
        of("127.0.0.1"),
        of_itself(),
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(),
    ] {
        let mut stranger = client_from("127.0.0.2", server.addr());
        // The server may have closed it already.
        let _ = stranger.write(&bytes);
        assert_eq!(stranger.read_to_close().expect("closed"), b"");
    }
    let mut check = connect(&server, &of_itself());
    assert_eq!(metric(&mut check, "http_connections_unproxied_total"), 3);
}

#[test]
fn a_header_that_takes_too_long_is_cut_off() {
    let server = Server::start(&SETTINGS);
    let slow: Vec<_> = [&b""[..], &of("192.0.2.1")[..5], &of("192.0.2.1")[..20]]
        .into_iter()
        .map(|part| connect(&server, part))
        .collect();
    for mut client in slow {
        assert_eq!(client.read_to_close().expect("closed"), b"");
    }
    let mut check = connect(&server, &of_itself());
    assert_eq!(metric(&mut check, "http_connections_overdue_total"), 3);
}

#[test]
fn connections_are_limited_by_client_and_not_by_proxy() {
    let limit = [("SERVER_CONNECTIONS_PER_PEER", "2")];
    let server = Server::start(&[&SETTINGS[..], &limit].concat());
    let mut first: Vec<_> = (0..2).map(|_| connect(&server, &of("192.0.2.1"))).collect();
    for client in &mut first {
        client.get("/livez").ok();
    }
    let refused = connect(&server, &of("192.0.2.1"))
        .read()
        .expect("an answer");
    refused.refused(503, "overloaded", "from this address");
    for client in ["192.0.2.2", "192.0.2.3", "2001:db8::1"] {
        connect(&server, &of(client)).get("/livez").ok();
    }
    first.pop();
    wait_for("room for another one", || {
        let mut client = connect(&server, &of("192.0.2.1"));
        let request = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
        client.write(request).ok()?;
        (client.read().ok()?.status == 200).then_some(())
    });
}

/// A TLS connection behind a PROXY header.
fn encrypted(server: &Server, authority: &Authority, header: &[u8]) -> Vec<u8> {
    let name = ServerName::try_from("localhost").expect("a name");
    let client = ClientConnection::new(Arc::new(trusting(authority)), name).expect("a client");
    let mut socket = TcpStream::connect(server.addr()).expect("a connection");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    socket.write_all(header).expect("connected");
    let mut stream = StreamOwned::new(client, socket);
    let request =
        b"GET /admin/sales/1/purchases HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).expect("connected");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    answer
}

#[test]
fn the_header_comes_before_tls() {
    let authority = Authority::new();
    let mut place = place(&authority);
    for (name, value) in SETTINGS {
        place.set(name, value);
    }
    let server = Server::start_in(place);
    for number in 0..=FAILURES {
        let answer = encrypted(&server, &authority, &of("192.0.2.1"));
        let status: &[u8] = if number < FAILURES {
            b"HTTP/1.1 401 "
        } else {
            b"HTTP/1.1 429 "
        };
        assert!(
            answer.starts_with(status),
            "{number} {}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(encrypted(&server, &authority, &of("192.0.2.2")).starts_with(b"HTTP/1.1 401 "));
    // A handshake without a header is none.
    let mut socket = stream_from("127.0.0.1", server.addr());
    socket
        .write_all(&[22, 3, 1, 0, 5, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
        .expect("connected");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert_eq!(answer, b"");
}

#[test]
fn the_commands_of_the_machine_itself_have_a_header_of_their_own() {
    let authority = Authority::new();
    for place in [place(&authority), crate::server::Place::new(&[])] {
        let mut place = place;
        for (name, value) in SETTINGS {
            place.set(name, value);
        }
        let mut server = Server::start_in(place);
        let port = server.addr().port().to_string();
        server.set("SERVER_PORT", &port);
        server.place().report(&["healthcheck"]);
        server.place().report(&["verify"]);
    }
}
