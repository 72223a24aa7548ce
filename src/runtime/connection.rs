//! One connection: hyper on a socket that reports its progress to the deadlines.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::TcpStream;

use super::body::Body;
use super::deadlines::{Chunks, Connections, OpenConnection, Progress};
use super::http1::Framed;
use super::io::{Io, Transport};
use super::stream::Stream;
use super::tls::Tls;
use crate::http::Api;
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};
use crate::runtime::http1::raw_response::not_encrypted;

/// How every connection is spoken on.
pub(super) fn protocol() -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        // A client may close its half after its request and still gets the answer. It also keeps
        // hyper from reading ahead, and from dropping a handler that waits for the disk.
        .half_close(true)
        // Answers are small: copied behind their head they leave in one plain write.
        .writev(false)
        .max_buf_size(HEAD_BYTES_MAX)
        // Free up to hyper's default of 100: only above it the headers move to the heap.
        .max_headers(HEADERS_MAX)
        .header_read_timeout(None);
    protocol
}

/// Serves `stream`, which counts as `open` and is encrypted when there is a `tls`, until it ends, is overdue,
/// or the drain ends it.
///
/// Only a connection that is in use has hyper's state and buffers, which take 17 KiB: one that has been
/// quiet for a while gives them up, and so thousands of idle ones cost little.
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
        // In boxes, so that the task of a quiet connection has no room for them.
        Some(tls) => match Box::pin(encrypt(stream, tls, progress, api)).await {
            Some(transport) => transport,
            None => return,
        },
    };
    let mut io = Io::new(transport, Rc::clone(progress));
    loop {
        progress.set_quiet(true);
        if !is_ready(&mut io, api, connections).await {
            return poll_fn(|cx| io.poll_farewell(cx)).await;
        }
        progress.set_quiet(false);
        io = match Box::pin(converse(io, protocol, api, connections)).await {
            Next::Request(io) => io,
            Next::Stream(io, stream) => match Box::pin(stream.send(io, api, connections)).await {
                Some(io) => io,
                None => return,
            },
            Next::End => return,
        };
    }
}

/// How a connection goes on without hyper's state.
enum Next {
    /// It is quiet, and waits for a request.
    Request(Io),
    /// The head of a stream was sent, and its events follow.
    Stream(Io, Stream),
    /// It does not.
    End,
}

/// Answers requests until the connection ends, has been quiet for a while, or is to stream.
async fn converse(io: Io, protocol: &http1::Builder, api: &Api, connections: &Connections) -> Next {
    let progress = Rc::clone(&io.progress);
    let streamed = Cell::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        progress.request_begun();
        let (progress, streamed) = (&progress, &streamed);
        async move {
            let is_chunked = request.headers().contains_key(TRANSFER_ENCODING);
            let request = request.map(|incoming| Body::new(incoming, progress));
            let mut response = api.handle(request, &progress.peer).await;
            if is_chunked && progress.chunks_are() != Chunks::Read {
                // What follows cannot be told from the rest of it, and a client should know that.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            match Stream::behind(&mut response) {
                None => progress.request_ended(),
                stream => {
                    progress.stream_begun();
                    streamed.set(stream);
                }
            }
            Ok::<_, Infallible>(response)
        }
    });
    let framed = Framed::new(io, api.is_open_to_all_origins());
    let mut connection = protocol.serve_connection(framed, service);
    let mut told_to_end = false;
    let goes_on = poll_fn(|cx| {
        if progress.is_overdue() {
            api.telemetry().connection_overdue();
            return Poll::Ready(false);
        }
        // What has arrived before the drain is taken in first. Hyper knows nothing of half a head, and
        // would leave it.
        let mut polled = Pin::new(&mut connection).poll(cx);
        let is_ending = connections.is_draining() && !progress.is_in_head();
        if polled.is_pending() && is_ending && !told_to_end {
            told_to_end = true;
            Pin::new(&mut connection).graceful_shutdown();
            polled = Pin::new(&mut connection).poll(cx);
        }
        match polled {
            Poll::Pending if progress.has_become_quiet() || progress.head_is_sent() => {
                Poll::Ready(true)
            }
            Poll::Pending => Poll::Pending,
            // An error is the client's: it left, or did not speak HTTP and was told so.
            Poll::Ready(_) => Poll::Ready(false),
        }
    })
    .await;
    if !goes_on {
        return Next::End;
    }
    let parts = connection.into_parts();
    // What is left of a body must not be taken for a request.
    let may_follow = parts.read_buf.is_empty() && parts.io.is_between_requests();
    let io = parts.io.into_io();
    match streamed.take() {
        Some(stream) => Next::Stream(io, stream.followed_only_if(may_follow)),
        None if may_follow => Next::Request(io),
        None => Next::End,
    }
}

/// Waits until there is something to read, or the end of it; false when the connection is overdue or the
/// drain ends it first.
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

/// Agrees with the client on the encryption of `stream`; `None` when that fails or takes too long.
///
/// The drain waits for it, because a client that is this far may have its request on the way.
async fn encrypt(
    stream: TcpStream,
    tls: &Tls,
    progress: &Progress,
    api: &Api,
) -> Option<Transport> {
    progress.handshake_begun();
    let mut handshake = pin!(async {
        if is_plain_http(&stream).await {
            // A new socket has room for these few bytes; if not, closing it says enough.
            let _ = stream.try_write(&not_encrypted());
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
        handshake.as_mut().poll(cx)
    })
    .await?;
    progress.handshake_ended();
    Some(Transport::Tls(Box::new(stream)))
}

/// Whether the client begins with a letter, as all methods do and no handshake does.
async fn is_plain_http(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1)) && first[0].is_ascii_alphabetic()
}
