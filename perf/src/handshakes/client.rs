//! A client that connects by TLS 1.3, sends one request, reads the answer to its end, and connects again.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, Stream};
use serde::Serialize;

use super::certificate::{Certificate, NAME};
use crate::load::connect;

/// The request of every connection, which is the last one on it.
const REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// Tickets that a client keeps: each is used once, and each connection brings new ones.
const TICKETS_MAX: usize = 8;

/// The kinds of handshakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handshake {
    /// With the certificate, and a signature by its key.
    Full,
    /// With a ticket of an earlier connection.
    Resumed,
}

impl Handshake {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Full, Self::Resumed];

    /// Returns its name as it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
        }
    }
}

/// A client with the tickets that it has got.
pub struct Client {
    handshake: Handshake,
    config: Arc<ClientConfig>,
    address: SocketAddr,
    source: IpAddr,
    answer: Vec<u8>,
}

impl Client {
    /// Creates a client that trusts `certificate` and connects from `source`, and gets its first ticket where it needs one.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn new(
        handshake: Handshake,
        certificate: &Certificate,
        address: SocketAddr,
        source: IpAddr,
    ) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der.clone())?;
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = match handshake {
            Handshake::Full => Resumption::disabled(),
            Handshake::Resumed => Resumption::in_memory_sessions(TICKETS_MAX),
        };
        let mut client = Self {
            handshake,
            config: Arc::new(config),
            address,
            source,
            answer: Vec::with_capacity(1024),
        };
        client.connect_once()?;
        Ok(client)
    }

    /// Connects, asks, and reads the answer.
    ///
    /// # Errors
    /// There is no answer, or another one than a 200, or the handshake was not of the client's kind.
    pub fn ask(&mut self) -> Result<()> {
        let kind = self.connect_once()?;
        let expected = match self.handshake {
            Handshake::Full => HandshakeKind::Full,
            Handshake::Resumed => HandshakeKind::Resumed,
        };
        ensure!(
            kind == expected,
            "a handshake was {kind:?} that was to be {}",
            self.handshake.name()
        );
        Ok(())
    }

    fn connect_once(&mut self) -> Result<HandshakeKind> {
        let name = ServerName::try_from(NAME)?;
        let mut connection = ClientConnection::new(Arc::clone(&self.config), name)?;
        let mut socket = connect(self.address, Some(self.source))
            .with_context(|| format!("cannot connect to {}", self.address))?;
        let mut stream = Stream::new(&mut connection, &mut socket);
        stream.write_all(REQUEST)?;
        self.answer.clear();
        stream.read_to_end(&mut self.answer)?;
        if !self.answer.starts_with(b"HTTP/1.1 200 ") {
            let answer = String::from_utf8_lossy(&self.answer);
            bail!("answered with {:?}", answer.lines().next());
        }
        connection
            .handshake_kind()
            .context("there was no handshake")
    }
}
