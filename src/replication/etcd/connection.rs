//! A connection to one member: calls of gRPC, one after the other, over HTTP/2.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::{Builder, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Method, Request};
use prost::Message;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::messages::EtcdQuestion;
use crate::limits;
use crate::types::ServerAddress;

/// The bytes before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// A member's words where the quota is used up.
pub(super) const NO_SPACE: &str = "database space exceeded";

/// The reason why a call has no clean answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// The member says why.
    #[error("{message}")]
    Refused {
        /// The code of gRPC.
        code: u32,
        /// The member's words.
        message: String,
    },
    /// The connection is of no use, or what came over it.
    #[error("{0}")]
    Broken(String),
}

impl CallError {
    /// Returns whether the token is not, or no longer, a good one. Nothing was done then.
    pub(super) fn is_token_rejected(&self) -> bool {
        const UNAUTHENTICATED: u32 = 16;
        matches!(self, Self::Refused { code, message }
            if *code == UNAUTHENTICATED || message.contains("revision of auth store is old"))
    }

    /// Returns whether the member has judged the question as any other one would: there is nothing wrong with the connection, nor with who asks over it.
    pub(super) fn is_judgement(&self) -> bool {
        const PERMISSION_DENIED: u32 = 7;
        const OUT_OF_RANGE: u32 = 11;
        match self {
            Self::Refused { code, .. } => {
                matches!(*code, PERMISSION_DENIED | OUT_OF_RANGE) || self.says(NO_SPACE)
            }
            Self::Broken(_) => false,
        }
    }

    /// Returns whether the member says these words.
    pub(super) fn says(&self, words: &str) -> bool {
        matches!(self, Self::Refused { message, .. } if message.contains(words))
    }
}

/// The connection. It is cut when this is dropped, with what it may still be doing.
pub(super) struct MemberConnection {
    requests: SendRequest<Bytes>,
    scheme: &'static str,
    address: String,
    task: JoinHandle<()>,
}

impl Drop for MemberConnection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl MemberConnection {
    /// Connects to the member at `address`, which it returns as a text.
    ///
    /// # Errors
    /// Says what it met.
    pub(super) async fn open(
        address: &ServerAddress,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Self, String> {
        let socket = TcpStream::connect((&*address.host, address.port)).await;
        let socket = socket.map_err(|error| explain(&error))?;
        socket.set_nodelay(true).map_err(|error| explain(&error))?;
        let name = address.to_string();
        let Some(tls) = tls else {
            return Self::speak(socket, "http", name).await;
        };
        let host = ServerName::try_from(address.host.clone());
        let host = host.map_err(|_| "its name cannot be that of a certificate".to_owned())?;
        let connected = TlsConnector::from(Arc::clone(tls)).connect(host, socket);
        let socket = connected.await.map_err(|error| explain(&error))?;
        Self::speak(socket, "https", name).await
    }

    async fn speak<S>(socket: S, scheme: &'static str, address: String) -> Result<Self, String>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut builder = Builder::new();
        builder.initial_window_size(limits::ETCD_WINDOW_BYTES);
        builder.initial_connection_window_size(limits::ETCD_WINDOW_BYTES);
        let (requests, connection) = builder
            .handshake(socket)
            .await
            .map_err(|error| of_http(&error))?;
        let task = tokio::spawn(async move {
            // Whoever waits for an answer hears of the failure, too.
            let _ = connection.await;
        });
        Ok(Self {
            requests,
            scheme,
            address,
            task,
        })
    }

    /// Returns where the member is.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Asks `question`, which the member gives up after `patience`, as somebody who has `token`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn call<Q: EtcdQuestion>(
        &self,
        question: &Q,
        token: Option<&str>,
        patience: Duration,
    ) -> Result<Q::Answer, CallError> {
        let broken = |error: &h2::Error| CallError::Broken(of_http(error));
        let uri = format!("{}://{}{}", self.scheme, self.address, Q::PATH);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", format!("{}m", patience.as_millis()));
        if let Some(token) = token {
            request = request.header("token", token);
        }
        let request = request.body(());
        let request = request.map_err(|error| CallError::Broken(error.to_string()))?;
        let ready = self.requests.clone().ready().await;
        let mut requests = ready.map_err(|error| broken(&error))?;
        let sent = requests.send_request(request, false);
        let (answer, mut body) = sent.map_err(|error| broken(&error))?;
        send(&mut body, question).map_err(|error| broken(&error))?;
        let answer = answer.await.map_err(|error| broken(&error))?;
        let (head, mut body) = answer.into_parts();
        if !head.status.is_success() {
            let what = format!("it answers {}, and is not etcd", head.status);
            return Err(CallError::Broken(what));
        }
        let bytes = receive(&mut body).await?;
        let trailers = body.trailers().await.map_err(|error| broken(&error))?;
        // Where there is no message the status is at the front.
        check_status(trailers.as_ref().unwrap_or(&head.headers))?;
        let message = bytes.get(PREFIX_BYTES..).unwrap_or_default();
        let is_whole = bytes.first() == Some(&0)
            && bytes[1..PREFIX_BYTES.min(bytes.len())] == length_of(message);
        if !is_whole {
            return Err(CallError::Broken("its answer is not whole".to_owned()));
        }
        Q::Answer::decode(message).map_err(|error| CallError::Broken(error.to_string()))
    }
}

fn length_of(message: &[u8]) -> [u8; 4] {
    u32::try_from(message.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes()
}

fn send(body: &mut SendStream<Bytes>, question: &impl Message) -> Result<(), h2::Error> {
    let length = question.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).expect("far below 4 GiB"));
    question
        .encode(&mut bytes)
        .expect("there is room for its length");
    // It is kept until the member has room for it.
    body.send_data(bytes.freeze(), true)
}

/// Takes all of an answer, with what is before the message.
async fn receive(body: &mut RecvStream) -> Result<Vec<u8>, CallError> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(|error| CallError::Broken(of_http(&error)))?;
        bytes.extend_from_slice(&piece);
        if bytes.len() > limits::ETCD_ANSWER_BYTES_MAX {
            let what = "its answer is longer than any that was asked for";
            return Err(CallError::Broken(what.to_owned()));
        }
        // An error means that the connection is gone, which the next piece says, too.
        let _ = body.flow_control().release_capacity(piece.len());
    }
    Ok(bytes)
}

fn check_status(headers: &HeaderMap) -> Result<(), CallError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("grpc-status").and_then(|code| code.parse().ok()) {
        Some(0) => Ok(()),
        Some(code) => Err(CallError::Refused {
            code,
            message: text("grpc-message")
                .unwrap_or("it does not say why")
                .to_owned(),
        }),
        None => Err(CallError::Broken("its answer has no end".to_owned())),
    }
}

fn of_http(error: &h2::Error) -> String {
    match error.get_io() {
        Some(error) => explain(error),
        None => format!("the connection was lost ({error})"),
    }
}

/// Shows an error in words that name no host.
fn explain(error: &io::Error) -> String {
    let inner = error.get_ref();
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return format!("encryption: {error}");
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => "the connection was lost".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "host unreachable".to_owned()
        }
        _ if error.to_string().contains("lookup address") => "host not found".to_owned(),
        kind => format!("the connection failed: {kind}"),
    }
}
