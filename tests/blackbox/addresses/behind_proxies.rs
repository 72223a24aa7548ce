//! Clients behind real proxies, which add to what the clients have invented, with TLS at either end.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use tempfile::TempDir;

use super::{FAILURES, stream_from};
use crate::certificates::Authority;
use crate::http_proxy::HttpProxy;
use crate::server::{PATIENCE, Server};
use crate::tls::encrypted::{place, trusting};

/// The way of the bytes between a client and a proxy.
struct Way {
    proxy: SocketAddr,
    /// Who has signed the certificate of whoever ends TLS; `None` without.
    authority: Option<Authority>,
}

impl Way {
    /// The status of a guess of `/admin` from this address, with headers that name other clients.
    fn guess(&self, from: &str, number: usize) -> u16 {
        let stream = stream_from(from, self.proxy);
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        let request = format!(
            "GET /admin/sales/1/purchases HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             x-forwarded-for: 127.0.0.1, 192.0.2.{number}\r\nforwarded: for=192.0.2.{number}\r\n\r\n"
        );
        let answer = match &self.authority {
            None => exchange(stream, &request),
            Some(authority) => {
                let name = ServerName::try_from("localhost").expect("a name");
                let client = ClientConnection::new(Arc::new(trusting(authority)), name);
                exchange(
                    StreamOwned::new(client.expect("a client"), stream),
                    &request,
                )
            }
        };
        answer[9..12].parse().expect("a status")
    }

    /// Asserts that a client is locked out for its own address, and no other client is.
    #[track_caller]
    fn tells_clients_apart(&self) {
        for number in 0..=FAILURES {
            let expected = if number < FAILURES { 401 } else { 429 };
            assert_eq!(self.guess("127.0.0.7", number), expected, "{number}");
        }
        for other in ["127.0.0.8", "127.0.0.1"] {
            assert_eq!(self.guess(other, 0), 401, "{other}");
        }
        assert_eq!(self.guess("127.0.0.7", 99), 429);
    }
}

fn exchange(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).expect("connected");
    let mut answer = Vec::new();
    // A proxy may close without the alert of TLS.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).expect("UTF-8")
}

fn settings(source: &str) -> [(&str, &str); 3] {
    [
        ("SERVER_CLIENT_ADDRESS", source),
        ("SERVER_TRUSTED_PROXIES", "127.0.0.1"),
        ("SALE_TOTAL_ITEMS", "10"),
    ]
}

/// A server that encrypts, and has these settings.
fn encrypting(authority: &Authority, source: &str) -> Server {
    let mut place = place(authority);
    for (name, value) in settings(source) {
        place.set(name, value);
    }
    Server::start_in(place)
}

/// The certificate and the key of a proxy, in files of their own and both in one.
fn certificate(authority: &Authority, dir: &Path) {
    let (cert, key) = authority.sign("localhost");
    fs::write(dir.join("cert.pem"), &cert).expect("a file");
    fs::write(dir.join("key.pem"), &key).expect("a file");
    fs::write(dir.join("both.pem"), cert + &key).expect("a file");
}

const FORWARDED_BY_NGINX: &str = "proxy_http_version 1.1; proxy_set_header Host $http_host; \
     proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";

#[test]
fn nginx_names_its_clients() {
    let server = Server::start(&settings("x-forwarded-for"));
    let addr = server.addr();
    let nginx = HttpProxy::nginx(&format!(
        "location / {{ proxy_pass http://{addr}; {FORWARDED_BY_NGINX} }}"
    ));
    let (proxy, authority) = (nginx.addr(), None);
    Way { proxy, authority }.tells_clients_apart();
}

#[test]
fn nginx_names_its_clients_with_tls_on_both_sides_of_it() {
    let authority = Authority::new();
    let dir = TempDir::new().expect("a directory");
    certificate(&authority, dir.path());
    let server = encrypting(&authority, "x-forwarded-for");
    let (addr, dir) = (server.addr(), dir.path().display().to_string());
    let locations = format!(
        "ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
         location / {{ proxy_pass https://{addr}; {FORWARDED_BY_NGINX} }}"
    );
    let nginx = HttpProxy::nginx_that_listens("ssl", &locations);
    let (proxy, authority) = (nginx.addr(), Some(authority));
    Way { proxy, authority }.tells_clients_apart();
}

#[test]
fn haproxy_names_its_clients_in_either_header() {
    for (source, option) in [
        ("x-forwarded-for", "option forwardfor"),
        // Before version 2.7 there is no option for it.
        ("forwarded", "http-request add-header Forwarded for=%[src]"),
    ] {
        let server = Server::start(&settings(source));
        let settings = format!("mode http\n {option}");
        let haproxy = HttpProxy::haproxy_with("", &settings, &server.addr().to_string());
        let (proxy, authority) = (haproxy.addr(), None);
        Way { proxy, authority }.tells_clients_apart();
    }
}

#[test]
fn haproxy_passes_connections_on_with_a_proxy_header() {
    let server = Server::start(&settings("proxy-v2"));
    let target = format!("{} send-proxy-v2", server.addr());
    let haproxy = HttpProxy::haproxy_with("", "mode tcp", &target);
    let (proxy, authority) = (haproxy.addr(), None);
    Way { proxy, authority }.tells_clients_apart();
}

#[test]
fn haproxy_passes_encrypted_connections_on_with_a_proxy_header() {
    let authority = Authority::new();
    let server = encrypting(&authority, "proxy-v2");
    let target = format!(
        "{} send-proxy-v2 proxy-v2-options crc32c,unique-id",
        server.addr()
    );
    let haproxy = HttpProxy::haproxy_with("", "mode tcp\n unique-id-format %[uuid()]", &target);
    let (proxy, authority) = (haproxy.addr(), Some(authority));
    Way { proxy, authority }.tells_clients_apart();
}

#[test]
fn haproxy_ends_tls_and_tells_of_it_in_its_proxy_header() {
    let authority = Authority::new();
    let dir = TempDir::new().expect("a directory");
    certificate(&authority, dir.path());
    let server = Server::start(&settings("proxy-v2"));
    let bind = format!("ssl crt {}/both.pem", dir.path().display());
    let target = format!("{} send-proxy-v2-ssl-cn", server.addr());
    let haproxy = HttpProxy::haproxy_with(&bind, "mode tcp", &target);
    let (proxy, authority) = (haproxy.addr(), Some(authority));
    Way { proxy, authority }.tells_clients_apart();
}

#[test]
fn haproxy_checks_the_server_with_a_header_of_its_own() {
    let server = Server::start(&settings("proxy-v2"));
    let target = format!(
        "{} check inter 100ms check-send-proxy send-proxy-v2",
        server.addr()
    );
    let settings = "mode http\n option httpchk GET /readyz\n http-check expect status 200";
    let haproxy = HttpProxy::haproxy_with("", settings, &target);
    let mut stream = TcpStream::connect(haproxy.addr()).expect("a connection");
    let request = "GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("connected");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(
        answer.contains("http_connections_unproxied_total 0\n"),
        "{answer}"
    );
}
