//! One connection: hyper on a socket that reports its progress to the deadlines.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::body::TrackedBody;
use super::deadlines::{ChunkedBody, ConnectionProgress, Connections, OpenConnection};
use super::http1::Framed;
use super::io::{Io, Transport};
use super::proxy_header::{self, ProxiedClient};
use super::stream::Stream;
use super::tls::Tls;
use crate::http::{Api, Begun};
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};
use crate::runtime::http1::raw_response::https_required;

/// Returns the settings of HTTP/1, which all connections share.
#[must_use]
pub fn protocol() -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        // A client may close its half after its request, and still gets the answer. It also keeps hyper from reading
        // ahead, and from dropping a handler that waits for the disk.
        .half_close(true)
        // Answers are small: copied behind their head, they need one plain write.
        .writev(false)
        .max_buf_size(HEAD_BYTES_MAX)
        // Up to hyper's default of 100, headers need no heap.
        .max_headers(HEADERS_MAX)
        .header_read_timeout(None);
    protocol
}

/// Serves `stream`, over TLS when there is a `tls`, until the connection ends, is overdue, or is drained. It counts as
/// open until `open` is dropped.
///
/// Only a connection in use has hyper's state and buffers, which take 17 KiB. A quiet one drops them, so that
/// thousands of idle connections cost little.
pub(super) async fn serve(
    stream: TcpStream,
    open: OpenConnection,
    tls: Option<&Tls>,
    protocol: &http1::Builder,
    api: &Api,
    connections: &Connections,
) {
    let progress = &open.progress;
    let transport = match tls {
        None => Transport::Plain(stream),
        // In boxes, so that the tasks of quiet connections need no room for them.
        Some(tls) => match Box::pin(handshake(stream, tls, progress, api)).await {
            Some(transport) => transport,
            None => return,
        },
    };
    let mut io = Io::new(transport, Rc::clone(progress));
    loop {
        progress.set_quiet(true);
        if !is_ready(&mut io, api, connections).await {
            return poll_fn(|cx| io.poll_close_notify(cx)).await;
        }
        progress.set_quiet(false);
        io = match Box::pin(converse(io, protocol, api, connections)).await {
            ServeStep::Request(io) => io,
            ServeStep::Stream(io, stream) => {
                match Box::pin(stream.send(io, api, connections)).await {
                    Some(io) => io,
                    None => return,
                }
            }
            ServeStep::End => return,
        };
    }
}

/// The next step of a connection, without hyper's state.
enum ServeStep {
    /// Wait for a request.
    Request(Io),
    /// Send the events of a stream whose head was sent.
    Stream(Io, Stream),
    /// Close the connection.
    End,
}

/// Answers requests with hyper until the connection ends, becomes quiet, or has to send a stream.
async fn converse(
    io: Io,
    protocol: &http1::Builder,
    api: &Api,
    connections: &Connections,
) -> ServeStep {
    let progress = Rc::clone(&io.progress);
    let streamed = Cell::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        progress.request_started();
        let (progress, streamed) = (&progress, &streamed);
        let (head, body) = request.into_parts();
        // A look for the header costs more than one for the body, which most requests do not have.
        let is_chunked = !body.is_end_stream() && head.headers.contains_key(TRANSFER_ENCODING);
        let body = TrackedBody::new(body, progress);
        let begun = api.begin(head, body, &progress.peer);
        async move {
            let mut response = match begun {
                Begun::Answered(response) => response,
                Begun::Waiting(request) => api.complete(request).await,
            };
            if is_chunked && progress.chunked_body() != ChunkedBody::Read {
                // No request is read behind it, because one could not be distinguished from the rest of the body.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            match Stream::behind(&mut response) {
                None => progress.request_ended(),
                stream => {
                    progress.stream_started();
                    streamed.set(stream);
                }
            }
            Ok::<_, Infallible>(response)
        }
    });
    let framed = Framed::new(io, api.is_open_to_all_origins());
    let mut connection = protocol.serve_connection(framed, service);
    let mut is_shutting_down = false;
    let goes_on = poll_fn(|cx| {
        if progress.is_overdue() {
            api.telemetry().connection_overdue();
            return Poll::Ready(false);
        }
        // Bytes that arrived before the drain are read first: hyper would ignore an incomplete head.
        let mut polled = Pin::new(&mut connection).poll(cx);
        let is_ending = connections.is_draining() && !progress.is_in_head();
        if polled.is_pending() && is_ending && !is_shutting_down {
            is_shutting_down = true;
            Pin::new(&mut connection).graceful_shutdown();
            polled = Pin::new(&mut connection).poll(cx);
        }
        match polled {
            Poll::Pending if progress.has_become_quiet() || progress.head_is_sent() => {
                Poll::Ready(true)
            }
            Poll::Pending => Poll::Pending,
            // An error is the client's: it left, or did not send HTTP and got an answer that says so.
            Poll::Ready(_) => Poll::Ready(false),
        }
    })
    .await;
    if !goes_on {
        return ServeStep::End;
    }
    let parts = connection.into_parts();
    // The rest of a body must not be read as a request.
    let may_follow = parts.read_buf.is_empty() && parts.io.is_between_requests();
    let io = parts.io.into_io();
    match streamed.take() {
        Some(stream) => ServeStep::Stream(io, stream.followed_only_if(may_follow)),
        None if may_follow => ServeStep::Request(io),
        None => ServeStep::End,
    }
}

/// Suspends until there are bytes to read, or their end. Returns false when the connection is overdue or drained first.
async fn is_ready(io: &mut Io, api: &Api, connections: &Connections) -> bool {
    poll_fn(|cx| {
        io.progress.set_waker(cx.waker());
        if io.progress.is_overdue() {
            api.telemetry().connection_overdue();
            return Poll::Ready(false);
        }
        if io.poll_arrived(cx).is_ready() {
            return Poll::Ready(true);
        }
        if connections.is_draining() {
            return Poll::Ready(false);
        }
        Poll::Pending
    })
    .await
}

/// Reads the PROXY header that `stream` begins with, and nothing behind it. Returns the client that it names; `None` when there
/// is no such header in time.
///
/// The drain waits for it, because the client's request may be on the way.
pub(super) async fn read_proxy_header(
    stream: &mut TcpStream,
    progress: &ConnectionProgress,
    api: &Api,
) -> Option<ProxiedClient> {
    progress.handshake_started();
    let mut reading = pin!(async {
        let mut header = vec![0; proxy_header::FIXED_BYTES];
        stream.read_exact(&mut header).await.ok()?;
        let fixed = header.first_chunk().expect("as many bytes");
        let read = match proxy_header::length(fixed) {
            Err(error) => Err(error),
            Ok(length) => {
                header.resize(proxy_header::FIXED_BYTES + length, 0);
                stream
                    .read_exact(&mut header[proxy_header::FIXED_BYTES..])
                    .await
                    .ok()?;
                proxy_header::parse(&header)
            }
        };
        Some(read)
    });
    let read = poll_fn(|cx| {
        progress.set_waker(cx.waker());
        if progress.is_overdue() {
            api.telemetry().connection_overdue();
            return Poll::Ready(None);
        }
        reading.as_mut().poll(cx)
    })
    .await?;
    match read {
        Ok(client) => {
            progress.handshake_ended();
            Some(client)
        }
        Err(error) => {
            let proxy = progress.peer.address();
            tracing::debug!(%error, %proxy, "a connection does not begin with a header of the PROXY protocol");
            api.telemetry().connection_unproxied(proxy);
            None
        }
    }
}

/// Performs the TLS handshake on `stream`; `None` when it fails or takes too long.
///
/// The drain waits for it, because the client's request may be on the way.
async fn handshake(
    stream: TcpStream,
    tls: &Tls,
    progress: &ConnectionProgress,
    api: &Api,
) -> Option<Transport> {
    progress.handshake_started();
    let mut accepted = pin!(async {
        if is_plain_http(&stream).await {
            // A new socket has room for these few bytes.
            let _ = stream.try_write(&https_required());
            return None;
        }
        tls.acceptor().accept(stream).await.ok()
    });
    let stream = poll_fn(|cx| {
        progress.set_waker(cx.waker());
        if progress.is_overdue() {
            api.telemetry().connection_overdue();
            return Poll::Ready(None);
        }
        accepted.as_mut().poll(cx)
    })
    .await?;
    progress.handshake_ended();
    Some(Transport::Tls(Box::new(stream)))
}

/// Whether the first byte is a letter, as of all methods and of no handshake.
async fn is_plain_http(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1)) && first[0].is_ascii_alphabetic()
}
