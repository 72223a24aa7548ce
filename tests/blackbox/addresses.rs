//! The address of a client behind proxies: named by them, and by nobody else.

mod behind_proxies;
mod headers;
mod proxy_protocol;

use std::net::{IpAddr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::client::{Answer, Client};
use crate::server::Server;

/// Wrong tokens after which an address is locked out.
const FAILURES: usize = 10;

/// Connects from this address of the machine.
fn stream_from(from: &str, to: SocketAddr) -> TcpStream {
    let from: IpAddr = from.parse().expect("an address");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket
        .bind(&SocketAddr::new(from, 0).into())
        .expect("an address of the loopback");
    socket.connect(&to.into()).expect("a connection");
    socket.into()
}

/// A client that comes from this address of the machine.
fn client_from(from: &str, to: SocketAddr) -> Client {
    Client::over(stream_from(from, to), to).expect("a socket")
}

/// Asks for what is not for everybody, with a wrong token and these headers.
fn guess(client: &mut Client, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[("Authorization", "Bearer 0123456789abcdef")][..], headers].concat();
    client.send("GET", "/admin/sales/1/purchases", &headers, b"")
}

/// Guesses until the client is locked out, with the header that `header` makes of the number of the guess.
#[track_caller]
fn lock_out(client: &mut Client, header: impl Fn(usize) -> Option<(&'static str, String)>) {
    for number in 0..=FAILURES {
        let header = header(number);
        let header = header.as_ref().map(|(name, value)| (*name, &**value));
        let status = guess(client, header.as_slice()).status;
        let expected = if number < FAILURES { 401 } else { 429 };
        assert_eq!(status, expected, "{number}");
    }
}

/// Waits until the log has told that this address was locked out.
fn wait_until_logged(server: &Server, address: &str) {
    server.wait_for_log(&format!("\"address\":\"{address}\""));
}

/// The value of a metric without labels.
fn metric(client: &mut Client, name: &str) -> u64 {
    let metrics = client.get("/metrics").ok();
    let mut lines = metrics.text().lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = value.unwrap_or_else(|| panic!("no {name}"));
    value.parse().expect("a number")
}
