//! Requests that are too large, too slow or no requests at all. Whatever comes in, there is an answer
//! or a close, and the server goes on.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use flashsale::limits::{
    BODY_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX, QUIET_SECONDS, RESERVED_FILES,
};
use rustix::process::Signal;

use crate::client::Client;
use crate::server::{Place, Server, wait_for};

fn server() -> Server {
    Server::start(&[("SALE_TOTAL_ITEMS", "10")])
}

/// Sends `bytes` on a new connection. The status of the answer, or `None` for a close.
fn status_of(server: &Server, bytes: &[u8]) -> Option<u16> {
    let mut client = server.client();
    // It may be closed before all is sent.
    let _ = client.write(bytes);
    let _ = client.finish();
    let answer = client.read().ok().map(|answer| answer.status);
    server.client().get("/livez").ok();
    answer
}

#[test]
fn a_body_may_be_too_large() {
    let server = server();
    let mut client = server.client();
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let padding = "x=".to_owned() + &"y".repeat(BODY_BYTES_MAX - 2);
    let fits = client.send("POST", "/checkout", &form, padding.as_bytes());
    fits.invalid(&["user_id", "id", "item_id"]);
    let over = padding.clone() + "z";
    let answer = server
        .client()
        .send("POST", "/checkout", &form, over.as_bytes());
    answer.refused(413, "payload_too_large", "");
    let head = "POST /checkout HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551615\r\n\r\n";
    assert!(matches!(
        status_of(&server, head.as_bytes()),
        Some(400 | 413 | 431) | None
    ));
    let chunk = format!("{:x}\r\n{}\r\n", padding.len(), padding);
    let head = "POST /checkout HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunked = format!("{head}{chunk}{chunk}0\r\n\r\n");
    assert_eq!(status_of(&server, chunked.as_bytes()), Some(413));
}

#[test]
fn a_head_may_be_too_large() {
    let server = server();
    let mut client = server.client();
    let long = "x".repeat(HEAD_BYTES_MAX);
    let target = format!("GET /sales?x={long} HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(matches!(
        status_of(&server, target.as_bytes()),
        Some(414 | 431)
    ));
    let target = format!("GET /sales?x={long}{long}{long}{long}{long} HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(matches!(
        status_of(&server, target.as_bytes()),
        Some(414 | 431) | None
    ));
    let header = format!("GET /livez HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n");
    assert_eq!(status_of(&server, header.as_bytes()), Some(431));
    let with_headers = |count: usize| {
        let headers: String = (1..count)
            .map(|index| format!("x-{index}: y\r\n"))
            .collect();
        format!("GET /livez HTTP/1.1\r\nhost: a\r\n{headers}\r\n")
    };
    let fits = with_headers(HEADERS_MAX);
    assert_eq!(status_of(&server, fits.as_bytes()), Some(200));
    let over = with_headers(HEADERS_MAX + 1);
    assert_eq!(status_of(&server, over.as_bytes()), Some(431));
    client.get("/livez").ok();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = server();
    let mut client = server.client();
    let mut requests = String::new();
    for index in 0..10 {
        requests.push_str(&format!(
            "POST /checkout?user_id=ada&id=ITM-1-{index} HTTP/1.1\r\nhost: a\r\n\
             content-length: 0\r\n\r\nGET /livez HTTP/1.1\r\nhost: a\r\n\r\n"
        ));
    }
    client.write(requests.as_bytes()).expect("it is sent");
    for index in 1..=10 {
        let answer = client.read().expect("an answer").ok();
        assert_eq!(answer.json()["items_count"], index);
        assert_eq!(client.read().expect("an answer").ok().text(), "ok\n");
    }
    client.get("/livez").ok();
}

#[test]
fn a_half_closed_client_gets_its_answer() {
    let server = server();
    let mut client = server.client();
    let request = "POST /checkout?user_id=ada&id=ITM-1-0 HTTP/1.1\r\nhost: a\r\n\r\n";
    client.write(request.as_bytes()).expect("it is sent");
    client.finish().expect("a half-close");
    client.read().expect("an answer").ok();
}

/// Writes one byte after the other until the server has closed.
fn trickle(client: &mut Client, bytes: impl Iterator<Item = u8>) {
    let mut bytes = bytes;
    wait_for("the close of a slow connection", || {
        let byte = bytes.next().expect("more bytes than patience");
        match client.write(&[byte]) {
            Ok(()) => {
                thread::sleep(Duration::from_millis(100));
                None
            }
            Err(error) => {
                let closed = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
                assert!(closed.contains(&error.kind()), "{error}");
                Some(())
            }
        }
    });
}

#[test]
fn a_head_that_trickles_is_cut_off() {
    let server = server();
    let mut client = server.client();
    let start = b"GET /livez HTTP/1.1\r\nhost: a\r\nx: ".iter().copied();
    trickle(&mut client, start.chain(std::iter::repeat(b'y')));
    server.client().get("/livez").ok();
}

#[test]
fn a_second_head_that_trickles_is_cut_off() {
    let server = server();
    let mut client = server.client();
    client.get("/livez").ok();
    let start = b"GET /livez HTTP/1.1\r\nhost: a\r\nx: ".iter().copied();
    trickle(&mut client, start.chain(std::iter::repeat(b'y')));
    server.client().get("/livez").ok();
}

#[test]
fn a_body_that_trickles_is_cut_off() {
    let server = server();
    let mut client = server.client();
    let head = "POST /checkout HTTP/1.1\r\nhost: a\r\ncontent-length: 16000\r\n\r\n";
    client.write(head.as_bytes()).expect("it is sent");
    trickle(&mut client, std::iter::repeat(b'y'));
    server.client().get("/livez").ok();
}

#[test]
fn a_silent_connection_is_closed() {
    let server = server();
    let mut silent = server.client();
    assert_eq!(silent.read_to_close().expect("a close"), b"");
    server.client().get("/livez").ok();
}

#[test]
fn ambiguous_lengths_are_refused() {
    let server = server();
    let request = |headers: &str| {
        let target = "/checkout?user_id=ada&id=ITM-1-0";
        let head = format!("POST {target} HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
        // What follows would be another request if the length were taken for 0.
        let smuggled = "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
        head + "0\r\n\r\n" + smuggled
    };
    for headers in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5, 6\r\n",
        "content-length: -1\r\n",
        "content-length: +5\r\n",
        "content-length: 0x5\r\n",
        "content-length: 5 5\r\n",
        "content-length:\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: gzip\r\n",
    ] {
        let status = status_of(&server, request(headers).as_bytes());
        assert!(
            matches!(status, Some(400..=499) | None),
            "{headers:?}: {status:?}"
        );
    }
    // Both at once: refused, or read as chunked with the connection closed behind it.
    let mut client = server.client();
    let both = request("content-length: 0\r\ntransfer-encoding: chunked\r\n");
    client.write(both.as_bytes()).expect("it is sent");
    client.finish().expect("a half-close");
    let answers = client.read_to_close().expect("a close");
    let answers = String::from_utf8(answers).expect("UTF-8");
    assert!(answers.matches("HTTP/1.1 ").count() <= 2, "{answers}");
    assert!(!answers.contains("HTTP/1.1 5"), "{answers}");
    server.client().get("/livez").ok();
}

#[test]
fn garbage_is_refused() {
    let server = server();
    let random: Vec<u8> = (0..5_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let garbage: [&[u8]; 16] = [
        b"\r\n\r\n\r\n",
        b"\0\0\0\0",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: \0\r\n\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n",
        b"G\0T / HTTP/1.1\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /checkout HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /checkout HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"POST /checkout HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx",
        &random,
    ];
    for bytes in garbage {
        let status = status_of(&server, bytes);
        let shown = String::from_utf8_lossy(bytes);
        assert!(
            matches!(status, Some(400..=499) | None),
            "{shown:?}: {status:?}"
        );
    }
    assert_eq!(
        status_of(&server, b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"),
        Some(204)
    );
    assert_eq!(
        status_of(&server, b"GET /livez HTTP/1.0\r\n\r\n"),
        Some(200)
    );
}

/// Longer than a connection keeps its buffers.
const LONG_QUIET: Duration = Duration::from_secs(2 * QUIET_SECONDS as u64 + 1);

#[test]
fn a_connection_that_was_quiet_goes_on() {
    let server = server();
    let mut clients: Vec<_> = (0..4).map(|_| server.client()).collect();
    // The second has half of its next request behind the first, the third has said nothing yet.
    let whole = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
    let (first_half, second_half) = whole.split_at(20);
    clients[0].get("/livez").ok();
    let glued = [&whole[..], first_half].concat();
    clients[1].write(&glued).expect("connected");
    clients[1].read().expect("an answer").ok();
    clients[3].get("/livez").ok();
    thread::sleep(LONG_QUIET);
    clients[0].get("/livez").ok();
    clients[1].write(second_half).expect("still connected");
    clients[1].read().expect("an answer").ok();
    clients[2].get("/livez").ok();
    // Several at once, also after a pause, are answered one by one.
    let both = [&whole[..], &whole[..]].concat();
    clients[3].write(&both).expect("still connected");
    clients[3].read().expect("an answer").ok();
    clients[3].read().expect("an answer").ok();
}

#[test]
fn a_quiet_connection_ends_with_the_server() {
    let mut server = server();
    let mut client = server.client();
    client.get("/livez").ok();
    thread::sleep(LONG_QUIET);
    assert!(server.terminate().success());
    assert_eq!(client.read_to_close().expect("a close, not a reset"), b"");
}

/// Many at once, which all wait when the worker looks: it has taken in a hundred before it serves the first.
#[test]
fn a_burst_does_not_break_the_limit_of_connections() {
    const OPEN: usize = 20;
    let mut place = Place::new(&[("SERVER_WORKERS", "1")]);
    let limited = format!("ulimit -n {}; exec \"$@\"", RESERVED_FILES + OPEN as u64);
    let binary = env!("CARGO_BIN_EXE_flashsale");
    place.use_program("/bin/sh".into(), &["-c", &limited, "sh", binary]);
    let server = Server::start_in(place);
    server.signal(Signal::STOP);
    let mut clients: Vec<_> = (0..10 * OPEN).map(|_| server.client()).collect();
    for client in &mut clients {
        let request = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";
        client.write(request).expect("connected");
    }
    server.signal(Signal::CONT);
    let answers = clients.iter_mut().map(Client::read);
    // Whoever is refused before the request is read may be told so by a reset.
    let served = answers.filter(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200));
    assert_eq!(served.count(), OPEN);
}

#[test]
fn an_idle_connection_is_closed_when_the_configuration_says() {
    let server = Server::start(&[("SERVER_IDLE_SECONDS", "1")]);
    let stream = TcpStream::connect(server.addr()).expect("it listens");
    let handle = stream.try_clone().expect("a second handle");
    let mut client = Client::over(stream, server.addr()).expect("a socket");
    // Half of the default: a server that did not read the setting would close later.
    let half = Duration::from_secs(45);
    handle.set_read_timeout(Some(half)).expect("a socket");
    client.get("/livez").ok();
    assert_eq!(client.read_to_close().expect("a close"), b"");
    let (code, said) = Place::new(&[("SERVER_IDLE_SECONDS", "0")]).failure(&["serve"]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("an integer from 1 to 86400"), "{said}");
}
