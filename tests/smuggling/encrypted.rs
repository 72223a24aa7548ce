//! Ambiguous requests over TLS.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::certificates::Authority;
use crate::server::{Place, Server};
use crate::smuggling::case::{Case, Connection, checkout, connect, try_all};
use crate::smuggling::codings;

type Encrypted = StreamOwned<ClientConnection, TcpStream>;

impl Connection for Encrypted {
    fn finish(&mut self) -> io::Result<()> {
        self.conn.send_close_notify();
        io::Write::flush(self)?;
        self.sock.shutdown(std::net::Shutdown::Write)
    }
}

#[test]
fn encryption_changes_nothing() {
    let authority = Authority::new();
    let (cert, key) = authority.sign("localhost");
    let settings = [
        ("SALE_TOTAL_ITEMS", "10"),
        ("SERVER_TLS_CERT", "cert.pem"),
        ("SERVER_TLS_KEY", "key.pem"),
    ];
    let place = Place::new(&settings);
    fs::write(place.path().join("cert.pem"), cert).expect("a file");
    fs::write(place.path().join("key.pem"), key).expect("a file");
    let server = Server::start_in(place);
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("PEM");
    roots.add(root).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let encrypt = |server: &Server| {
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(Arc::clone(&config), name).expect("a client");
        StreamOwned::new(client, connect(server))
    };
    let mut cases = codings::refused();
    let chunked = "Transfer-Encoding: chunked\r\n";
    cases.extend([
        Case::open(
            "chunks",
            checkout(chunked, "5\r\nx=abc\r\n0\r\n\r\n"),
            &["200 OK"],
        )
        .executing(1),
        Case::open(
            "a request behind a body",
            checkout("Content-Length: 5\r\n", "x=abc<smuggled>"),
            &["200 OK", "200 OK"],
        )
        .executing(2),
        Case::closed(
            "a body that breaks off",
            checkout("Content-Length: 5\r\n", "x="),
            &["400 Bad Request: validation_failed"],
        )
        .finished(),
    ]);
    try_all(&server, &cases, encrypt);
}
