//! The way to one endpoint: a connection that is kept from one message to the next.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Response, StatusCode, Uri};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, crypto::ring};
use tokio::task::spawn_blocking;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, NextTimeout, TcpConnector};
use ureq::{Agent, Error};

use super::addresses::is_public;
use super::options::WebhookOptions;
use crate::env::{AuthoritiesError, ClientEncryption, ClientTls, read_authorities};
use crate::limits::{WEBHOOK_ANSWER_BYTES_MAX, WEBHOOK_CONNECT_SECONDS, WEBHOOK_SECONDS_MAX};
use crate::reconcile::SinkError;
use crate::types::Timestamp;

/// The type of a message.
const BATCH: &str = "application/cloudevents-batch+json";

/// The answer to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndpointAnswer {
    pub(super) status: StatusCode,
    /// After how many seconds the endpoint wants to be asked again.
    pub(super) retry_after_seconds: Option<u64>,
}

/// A client of one endpoint.
pub(super) struct EndpointClient {
    options: Arc<WebhookOptions>,
    agent: Agent,
}

impl EndpointClient {
    pub(super) fn new(options: Arc<WebhookOptions>) -> Self {
        let agent = agent(&options);
        Self { options, agent }
    }

    /// Posts `body` with `headers`, and returns the answer, whatever it is. Redirects are not followed. Where a connection that was
    /// kept turns out to be closed, posts once more over a new one.
    ///
    /// # Errors
    /// The endpoint cannot be reached, or gives no answer.
    pub(super) async fn post(
        &mut self,
        headers: [(&'static str, String); 3],
        body: Bytes,
        now: Timestamp,
    ) -> Result<EndpointAnswer, SinkError> {
        let (agent, url) = (self.agent.clone(), self.options.url.as_str().to_owned());
        // The client blocks, and a stop does not wait for it.
        let posted = spawn_blocking(move || {
            let post = || post(&agent, &url, &headers, &body, now);
            match post() {
                Err(error) if is_closed(&error) => post(),
                posted => posted,
            }
        });
        match posted.await {
            Ok(posted) => posted.map_err(said),
            Err(error) => Err(unavailable(&format!("the attempt was given up: {error}"))),
        }
    }

    /// Lets go of the connection.
    pub(super) fn disconnect(&mut self) {
        self.agent = agent(&self.options);
    }
}

fn agent(options: &Arc<WebhookOptions>) -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(WEBHOOK_SECONDS_MAX)))
        .timeout_connect(Some(Duration::from_secs(WEBHOOK_CONNECT_SECONDS)))
        .user_agent(concat!("flashsale/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(1)
        .proxy(None)
        .build();
    let tls = EndpointTls(Arc::clone(options));
    let connector = TcpConnector::default().chain(ClientEncryption(tls));
    Agent::with_parts(config, connector, EndpointAddresses(Arc::clone(options)))
}

fn post(
    agent: &Agent,
    url: &str,
    headers: &[(&'static str, String)],
    body: &[u8],
    now: Timestamp,
) -> Result<EndpointAnswer, Error> {
    let mut request = agent.post(url).header(CONTENT_TYPE, BATCH);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let mut response = request.send(body)?;
    let answer = EndpointAnswer {
        status: response.status(),
        retry_after_seconds: retry_after(&response, now),
    };
    // Its text is nobody's; but what follows on the connection is behind it. One that is too long ends the connection.
    let rest = response.body_mut().with_config();
    let _ = rest.limit(WEBHOOK_ANSWER_BYTES_MAX as u64).read_to_vec();
    Ok(answer)
}

/// Returns whether the other side has closed the connection, which it may do with one that is kept.
fn is_closed(error: &Error) -> bool {
    let Error::Io(error) = error else {
        return false;
    };
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::UnexpectedEof
    )
}

/// Says what an error means for the endpoint.
fn said(error: Error) -> SinkError {
    if is_closed(&error) {
        return unavailable("it closed the connection");
    }
    let error = match error {
        Error::Io(error) => error,
        Error::Timeout(_) => return unanswered(),
        Error::Protocol(error) => {
            return unavailable(&format!("its answer is no HTTP: {error}"));
        }
        // They would tell the address, in which a secret may be.
        Error::Http(_) | Error::BadUri(_) => {
            return SinkError::Refused("its address cannot be asked".into());
        }
        error => return unavailable(&error.to_string()),
    };
    let is_tls = error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>());
    if is_tls {
        return SinkError::Redacted {
            internal: format!("TLS: {error}"),
            public: "its certificate is not trusted, or TLS fails: the log says why".to_owned(),
            permanent: false,
        };
    }
    match error.downcast::<SinkError>() {
        Ok(error) => error,
        Err(error) => unavailable(&format!("it cannot be reached: {error}")),
    }
}

/// Encrypts, where the address says so.
struct EndpointTls(Arc<WebhookOptions>);

impl fmt::Debug for EndpointTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS to webhook {}", self.0.number)
    }
}

impl ClientTls for EndpointTls {
    fn begin(&self) -> io::Result<Option<ClientConnection>> {
        let url = &self.0.url;
        if !url.is_encrypted() {
            return Ok(None);
        }
        let host = ServerName::try_from(url.host().to_owned())
            .map_err(|_| refused("its host is no name of a certificate"))?;
        let tls = Arc::new(self.config().map_err(io::Error::other)?);
        let connection = ClientConnection::new(tls, host).map_err(io::Error::other)?;
        Ok(Some(connection))
    }
}

impl EndpointTls {
    fn config(&self) -> Result<ClientConfig, SinkError> {
        let roots = read_authorities(self.0.authorities.as_deref());
        let roots = roots.map_err(|error| match error {
            AuthoritiesError::File { path, what } => SinkError::authorities(&path, &what),
            AuthoritiesError::System => SinkError::Refused(error.to_string()),
        })?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| SinkError::Refused(format!("TLS cannot be used: {error}")))?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Looks an endpoint's addresses up where they are used: a name that leads elsewhere a moment later leads nowhere.
struct EndpointAddresses(Arc<WebhookOptions>);

impl fmt::Debug for EndpointAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the addresses of webhook {}", self.0.number)
    }
}

impl Resolver for EndpointAddresses {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let url = &self.0.url;
        let found = (url.host(), url.port()).to_socket_addrs();
        let found = found
            .map_err(|error| failed(unavailable(&format!("its host is not found: {error}"))))?;
        let allowed = found.filter(|found| self.0.allows_private || is_public(found.ip()));
        let mut addresses = self.empty();
        for address in allowed {
            // The client tries no more than fit.
            let _ = addresses.try_push(address);
        }
        if addresses.is_empty() {
            let why = "its address is of a private network, which allow_private has to allow";
            return Err(Error::Io(refused(why)));
        }
        Ok(addresses)
    }
}

fn failed(error: SinkError) -> Error {
    Error::Io(io::Error::other(error))
}

fn refused(why: &str) -> io::Error {
    io::Error::other(SinkError::Refused(why.to_owned()))
}

/// An endpoint that takes too long.
pub(super) fn unanswered() -> SinkError {
    unavailable(&format!("no answer within {WEBHOOK_SECONDS_MAX} s"))
}

fn unavailable(why: &str) -> SinkError {
    SinkError::Unavailable(why.to_owned())
}

/// Reads `Retry-After`: seconds, or a date.
fn retry_after<B>(response: &Response<B>, now: Timestamp) -> Option<u64> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(seconds);
    }
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    let date = parser.parse_timestamp(value).ok()?;
    Some(now.seconds_until(Timestamp::from_seconds(date.as_second())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_in_seconds_or_until_a_date() {
        let pause = |value: &str| {
            let response = Response::builder().header(RETRY_AFTER, value);
            let now = Timestamp::from_seconds(784_111_777 - 30);
            retry_after(&response.body(()).expect("a response"), now)
        };
        assert_eq!(pause("120"), Some(120));
        assert_eq!(pause("Sun, 06 Nov 1994 08:49:37 GMT"), Some(30));
        assert_eq!(pause("Tue, 06 Nov 1984 08:49:37 GMT"), Some(0));
        for none in ["", "soon", "-1", "1.5"] {
            assert_eq!(pause(none), None, "{none}");
        }
    }
}
