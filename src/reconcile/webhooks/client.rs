//! The way to one endpoint: a connection that is kept from one message to the next.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, crypto::ring};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::addresses::is_public;
use super::options::WebhookOptions;
use crate::env::{AuthoritiesError, read_authorities};
use crate::limits::{WEBHOOK_ANSWER_BYTES_MAX, WEBHOOK_CONNECT_SECONDS};
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
    kept: Option<SendRequest<Full<Bytes>>>,
}

/// Why a message has no answer.
enum Unposted {
    /// The connection that was kept is closed by now.
    Closed,
    Failed(SinkError),
}

impl EndpointClient {
    pub(super) fn new(options: Arc<WebhookOptions>) -> Self {
        Self {
            options,
            kept: None,
        }
    }

    /// Posts `body` with `headers`, and returns the answer, whatever it is. Redirects are not followed. Where a connection that was
    /// kept turns out to be closed, posts once more over a new one.
    ///
    /// # Errors
    /// The endpoint cannot be reached, or gives no answer.
    pub(super) async fn post(
        &mut self,
        headers: &[(&'static str, String)],
        body: &Bytes,
        now: Timestamp,
    ) -> Result<EndpointAnswer, SinkError> {
        if let Some(kept) = self.kept.take()
            && !kept.is_closed()
        {
            match self.send(kept, headers, body, now).await {
                Err(Unposted::Closed) => {}
                Err(Unposted::Failed(error)) => return Err(error),
                Ok(answer) => return Ok(answer),
            }
        }
        let connection = self.connect().await?;
        match self.send(connection, headers, body, now).await {
            Ok(answer) => Ok(answer),
            Err(Unposted::Closed) => Err(unavailable("it closed the connection")),
            Err(Unposted::Failed(error)) => Err(error),
        }
    }

    /// Lets go of the connection.
    pub(super) fn disconnect(&mut self) {
        self.kept = None;
    }

    async fn send(
        &mut self,
        mut connection: SendRequest<Full<Bytes>>,
        headers: &[(&'static str, String)],
        body: &Bytes,
        now: Timestamp,
    ) -> Result<EndpointAnswer, Unposted> {
        let request = self.request(headers, body).map_err(Unposted::Failed)?;
        if connection.ready().await.is_err() {
            return Err(Unposted::Closed);
        }
        let response = match connection.send_request(request).await {
            Ok(response) => response,
            Err(error)
                if error.is_closed() || error.is_canceled() || error.is_incomplete_message() =>
            {
                return Err(Unposted::Closed);
            }
            Err(error) => {
                let why = format!("its answer is no HTTP: {error}");
                return Err(Unposted::Failed(unavailable(&why)));
            }
        };
        let answer = EndpointAnswer {
            status: response.status(),
            retry_after_seconds: retry_after(&response, now),
        };
        // Its text is nobody's; but what follows on the connection is behind it.
        let rest = Limited::new(response.into_body(), WEBHOOK_ANSWER_BYTES_MAX).collect();
        if rest.await.is_ok() {
            self.kept = Some(connection);
        }
        Ok(answer)
    }

    fn request(
        &self,
        headers: &[(&'static str, String)],
        body: &Bytes,
    ) -> Result<Request<Full<Bytes>>, SinkError> {
        let mut request = Request::post(self.options.url.target())
            .header(HOST, self.options.url.authority())
            .header(CONTENT_TYPE, BATCH)
            .header(
                "user-agent",
                concat!("flashsale/", env!("CARGO_PKG_VERSION")),
            );
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body.clone()));
        request.map_err(|error| SinkError::Refused(format!("it cannot be asked: {error}")))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, SinkError> {
        let stream = self.reach().await?;
        // An error means that the socket is closed already.
        let _ = stream.set_nodelay(true);
        if !self.options.url.is_encrypted() {
            return begin(stream).await;
        }
        let host = ServerName::try_from(self.options.url.host().to_owned())
            .map_err(|_| SinkError::Refused("its host is no name of a certificate".into()))?;
        let connector = TlsConnector::from(Arc::new(self.tls()?));
        let encrypted = connector.connect(host, stream).await;
        let encrypted = encrypted.map_err(|error| SinkError::Redacted {
            internal: format!("TLS: {error}"),
            public: "its certificate is not trusted, or TLS fails: the log says why".to_owned(),
            permanent: false,
        })?;
        begin(encrypted).await
    }

    fn tls(&self) -> Result<ClientConfig, SinkError> {
        let roots = read_authorities(self.options.authorities.as_deref());
        let roots = roots.map_err(|error| match error {
            AuthoritiesError::File { path, what } => SinkError::authorities(&path, &what),
            AuthoritiesError::System => SinkError::Refused(error.to_string()),
        })?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| SinkError::Refused(format!("TLS cannot be used: {error}")))?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// Opens a connection to one of the endpoint's addresses. They are looked at here, where they are used: a name that leads elsewhere
    /// a moment later leads nowhere.
    async fn reach(&self) -> Result<TcpStream, SinkError> {
        let url = &self.options.url;
        let found = lookup_host((url.host(), url.port())).await;
        let found: Vec<_> = found
            .map_err(|error| unavailable(&format!("its host is not found: {error}")))?
            .collect();
        let is_allowed =
            |address: &&SocketAddr| self.options.allows_private || is_public(address.ip());
        let allowed: Vec<_> = found.iter().filter(is_allowed).collect();
        if allowed.is_empty() {
            return Err(SinkError::Refused(
                "its address is of a private network, which allow_private has to allow".into(),
            ));
        }
        let patience = Duration::from_secs(WEBHOOK_CONNECT_SECONDS);
        let mut why = "it does not answer".to_owned();
        for address in allowed {
            match timeout(patience, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => why = format!("it cannot be reached: {error}"),
                Err(_) => {}
            }
        }
        Err(unavailable(&why))
    }
}

/// Begins HTTP on `stream`, which a task of its own reads and writes.
async fn begin<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, SinkError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let begun = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) =
        begun.map_err(|error| unavailable(&format!("it speaks no HTTP: {error}")))?;
    // An error of the connection is met by who sends on it.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
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
