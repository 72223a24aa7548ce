//! A client that speaks TLS, and a server with a certificate of the test's own.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

use crate::certificates::Authority;
use crate::server::{PATIENCE, Place, Server};

/// The token of these clients.
const TOKEN: &str = "correct-horse-battery-staple";

/// A place whose server has a certificate of `authority` for `localhost`.
pub fn place(authority: &Authority) -> Place {
    let place = Place::new(&[
        ("SALE_TOTAL_ITEMS", "1000"),
        ("SERVER_TLS_CERT", "cert.pem"),
        ("SERVER_TLS_KEY", "key.pem"),
        ("ADMIN_TOKEN", TOKEN),
    ]);
    let (cert, key) = authority.sign("localhost");
    fs::write(place.path().join("cert.pem"), cert).expect("a file");
    fs::write(place.path().join("key.pem"), key).expect("a file");
    place
}

/// A server in such a place, and what its clients trust.
pub fn server() -> (Server, ClientConfig) {
    let authority = Authority::new();
    (Server::start_in(place(&authority)), trusting(&authority))
}

/// A client that trusts whom `authority` has signed.
pub fn trusting(authority: &Authority) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("PEM");
    roots.add(root).expect("an authority");
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A plain connection to `server`.
pub fn socket(server: &Server) -> TcpStream {
    let socket = TcpStream::connect(server.addr()).expect("a connection");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    socket.set_write_timeout(Some(PATIENCE)).expect("a time");
    socket.set_nodelay(true).expect("a TCP socket");
    socket
}

/// One encrypted connection.
pub struct Client {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

/// A status and a body.
pub type Answer = (u16, String);

impl Client {
    pub fn connect(server: &Server, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut client = ClientConnection::new(Arc::clone(config), name).expect("a client");
        let mut socket = socket(server);
        while client.is_handshaking() {
            client.complete_io(&mut socket)?;
        }
        let stream = BufReader::new(StreamOwned::new(client, socket));
        Ok(Self { stream })
    }

    pub fn handshake(&self) -> Option<HandshakeKind> {
        self.stream.get_ref().conn.handshake_kind()
    }

    pub fn protocol(&self) -> Option<&[u8]> {
        self.stream.get_ref().conn.alpn_protocol()
    }

    pub fn send(&mut self, method: &str, target: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             authorization: Bearer {TOKEN}\r\n\
             content-length: {length}\r\n\r\n"
        );
        self.write(&(head + body));
        self.answer()
    }

    pub fn write(&mut self, text: &str) {
        let stream = self.stream.get_mut();
        stream.write_all(text.as_bytes()).expect("connected");
        stream.flush().expect("connected");
    }

    fn answer(&mut self) -> Answer {
        let (status, length) = self.head();
        let mut body = vec![0; length.expect("a length")];
        self.stream.read_exact(&mut body).expect("a body");
        (status, String::from_utf8(body).expect("UTF-8"))
    }

    /// The status of the next answer, and the length of its body if it has one.
    pub fn head(&mut self) -> (u16, Option<usize>) {
        let status = self.line();
        let status = status.split(' ').nth(1).expect("a status").parse();
        let mut length = None;
        loop {
            let line = self.line();
            if line.is_empty() {
                return (status.expect("a number"), length);
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = Some(value.parse().expect("a length"));
            }
        }
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line");
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Everything that comes until the server closes, which it must say.
    pub fn read_to_close(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).map(|_| bytes)
    }
}
