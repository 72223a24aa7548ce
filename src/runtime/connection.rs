//! One connection: hyper on a socket that reports its progress to the deadlines.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::deadlines::{Connections, Progress};
use super::stream::Stream;
use crate::http::Api;
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};

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

/// Serves `stream`, which leads to `address`, until it ends, is overdue, or the drain ends it.
///
/// Only a connection that is in use has hyper's state and buffers, which take 17 KiB: one that has been
/// quiet for a while gives them up, and so thousands of idle ones cost little.
pub(super) async fn serve(
    stream: TcpStream,
    address: IpAddr,
    protocol: &http1::Builder,
    api: &Api,
    connections: &Connections,
) {
    let open = connections.add(address);
    let progress = &open.progress;
    let mut io = Io {
        stream,
        unread: Bytes::new(),
        progress: Rc::clone(progress),
    };
    loop {
        progress.set_quiet(true);
        if !io.is_ready(api, connections).await {
            return;
        }
        progress.set_quiet(false);
        // In boxes, so that a quiet connection's task has no room for them.
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
            let mut response = api.handle(request, &progress.peer).await;
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
    let mut connection = protocol.serve_connection(io, service);
    let mut told_to_end = false;
    let goes_on = poll_fn(|cx| {
        if progress.is_overdue() {
            api.telemetry().connection_overdue();
            return Poll::Ready(false);
        }
        // What has arrived before the drain is taken in first.
        let mut polled = Pin::new(&mut connection).poll(cx);
        if polled.is_pending() && connections.is_draining() && !told_to_end {
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
    let io = Io {
        // Copied, because even an empty piece would keep hyper's whole buffer.
        unread: [&parts.read_buf[..], &parts.io.unread].concat().into(),
        ..parts.io
    };
    match streamed.take() {
        Some(stream) => Next::Stream(io, stream),
        None => Next::Request(io),
    }
}

thread_local! {
    /// Reads go through one buffer per worker: hyper's own is not initialised, and filling it
    /// directly would take either unsafe code or zeroing it for every read.
    static INCOMING: RefCell<[u8; HEAD_BYTES_MAX]> = const { RefCell::new([0; HEAD_BYTES_MAX]) };
}

/// A socket whose reads and writes are progress.
pub(super) struct Io {
    pub(super) stream: TcpStream,
    /// What was read before, and is to be read again.
    unread: Bytes,
    pub(super) progress: Rc<Progress>,
}

impl Io {
    /// Waits until there is something to read, or the end of it; false when the connection is overdue
    /// or the drain ends it first.
    async fn is_ready(&self, api: &Api, connections: &Connections) -> bool {
        poll_fn(|cx| {
            self.progress.set_waker(cx.waker());
            if self.progress.is_overdue() {
                api.telemetry().connection_overdue();
                return Poll::Ready(false);
            }
            if !self.unread.is_empty() || self.stream.poll_read_ready(cx).is_ready() {
                return Poll::Ready(true);
            }
            if connections.is_draining() {
                return Poll::Ready(false);
            }
            Poll::Pending
        })
        .await
    }
}

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let length = self.unread.len().min(cursor.remaining());
            cursor.put_slice(&self.unread.split_to(length));
            self.progress.read();
            return Poll::Ready(Ok(()));
        }
        INCOMING.with_borrow_mut(|incoming| {
            let length = incoming.len().min(cursor.remaining());
            let mut buffer = ReadBuf::new(&mut incoming[..length]);
            let polled = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
            if polled.is_pending() {
                self.progress.read_blocked();
            } else if !buffer.filled().is_empty() {
                self.progress.read();
                cursor.put_slice(buffer.filled());
            }
            polled
        })
    }
}

impl Write for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if polled.is_pending() {
            self.progress.write_blocked();
        } else {
            self.progress.written();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
