//! The HTTP client for our own server, which may encrypt: then it is known by its certificate.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::ClientConnection;
use secrecy::{ExposeSecret, SecretString};
use ureq::http::Response;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, TcpConnector};
use ureq::{Agent, Body, Error};

use crate::commands::client_tls::{PinnedTls, ServerAccess};
use crate::env::{ClientEncryption, ClientTls};
use crate::runtime::proxy_header::OF_PROXY_ITSELF;

/// The longest answer that is read, in bytes: a page of the longest items.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// A client for one server, which encrypts if there is a certificate to recognise the server by.
#[derive(Clone)]
pub(super) struct ServerClient {
    agent: Agent,
    scheme: &'static str,
    address: SocketAddr,
}

/// An answer of the server, whatever its status.
pub(super) struct Reply {
    pub(super) status: u16,
    /// The header `Link`.
    pub(super) link: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Why there was no whole answer.
#[derive(Debug)]
pub(super) struct RequestError(Error);

/// Shows the error itself: the libraries put words before it that say less, such as "unexpected error" before what our own
/// check of the certificate says.
impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error::Io(error) = &self.0 else {
            return self.0.fmt(f);
        };
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::General(said)) => f.write_str(said),
            _ => error.fmt(f),
        }
    }
}

impl ServerClient {
    /// A client for the server at `address`. A request takes no longer than `timeout`.
    pub(super) fn new(address: SocketAddr, access: ServerAccess, timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .build();
        let scheme = match &access.tls {
            Some(_) => "https",
            None => "http",
        };
        let connector = TcpConnector::default().chain(ClientEncryption(access));
        Self {
            agent: Agent::with_parts(config, connector, DefaultResolver::default()),
            scheme,
            address,
        }
    }

    /// The address of the server.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks for `path`.
    ///
    /// # Errors
    /// There was no whole answer in time, or it is too long.
    pub(super) fn get(&self, path: &str) -> Result<Reply, RequestError> {
        self.try_get(path).map_err(RequestError)
    }

    /// Sends a request without a body to `path`, as an administrator who has `token`.
    ///
    /// # Errors
    /// There was no whole answer in time, or it is too long: the request may have been done.
    pub(super) fn post(&self, path: &str, token: &SecretString) -> Result<Reply, RequestError> {
        let authorization = format!("Bearer {}", token.expose_secret());
        let request = self.agent.post(self.url(path));
        let request = request.header("Authorization", authorization);
        let answer = request.send_empty().map_err(RequestError)?;
        Self::read(answer).map_err(RequestError)
    }

    fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    fn try_get(&self, path: &str) -> Result<Reply, Error> {
        Self::read(self.agent.get(self.url(path)).call()?)
    }

    fn read(mut answer: Response<Body>) -> Result<Reply, Error> {
        let link = answer
            .headers()
            .get("link")
            .and_then(|link| link.to_str().ok());
        let link = link.map(str::to_owned);
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let body = body.read_to_vec()?;
        Ok(Reply {
            status: answer.status().as_u16(),
            link,
            body,
        })
    }
}

impl ClientTls for ServerAccess {
    fn begin(&self) -> io::Result<Option<ClientConnection>> {
        let connection = self.tls.as_ref().map(PinnedTls::connection);
        connection.transpose().map_err(io::Error::other)
    }

    fn preamble(&self) -> &[u8] {
        match self.needs_proxy_header {
            true => &OF_PROXY_ITSELF,
            false => &[],
        }
    }
}
