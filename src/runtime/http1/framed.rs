//! The transport between a socket and hyper: it passes on requests whose framing is valid, one after the other.
//!
//! Hyper gets no bytes of a request before its head was validated, and never bytes of two requests at once. For a head
//! that is refused it gets a byte with which none may begin: it then refuses the request in its turn, behind the answers
//! before it, and closes. Its own errors have no body; they are replaced by the usual error object.
//!
//! The end of a chunked body is known once its reader has reached it. A request that is answered before that is the last
//! one of its connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use hyper::rt::{Read, ReadBufCursor, Write};

use super::framing::{BodyFraming, EmptyLineFinder, HeadStatus, HeadValidator, Refusal};
use super::raw_response::{is_bare_error, readable_by_all, with_body};
use crate::runtime::deadlines::{ChunkedBody, ConnectionProgress};
use crate::runtime::io::Io;

/// A byte with which no head begins.
const INVALID_BYTE: &[u8] = b"\0";

/// A connection as hyper sees it.
pub(in crate::runtime) struct Framed {
    io: Io,
    gate: RequestGate,
    /// The response that replaces an error of hyper's.
    answer: Bytes,
    open_to_all: bool,
}

impl Framed {
    /// Wraps `io`. Pages of all origins may read its errors where it is `open_to_all`.
    pub(in crate::runtime) fn new(io: Io, open_to_all: bool) -> Self {
        Self {
            io,
            open_to_all,
            gate: RequestGate::default(),
            answer: Bytes::new(),
        }
    }

    /// Whether hyper has all bytes of the last request.
    pub(in crate::runtime) fn is_between_requests(&self) -> bool {
        self.gate.cleared == 0
            && (self.gate.chunks.is_none() || self.io.progress.chunked_body() == ChunkedBody::Read)
    }

    /// Returns the socket.
    pub(in crate::runtime) fn into_io(self) -> Io {
        self.io
    }

    /// Passes on the unread bytes that hyper may have. Returns false when there are none.
    fn pass_on(&mut self, cursor: &mut ReadBufCursor<'_>) -> bool {
        let Self { io, gate, .. } = self;
        if gate.refusal.is_none() && !io.unread.is_empty() {
            if gate.is_before_head() {
                // An incomplete head has its deadline.
                io.progress.head_started();
            }
            let length = gate.cleared_of(&io.unread).min(cursor.remaining());
            if length > 0 {
                cursor.put_slice(&io.unread[..length]);
                io.unread.advance(length);
                if io.unread.is_empty() {
                    // Even an empty buffer would keep its memory.
                    io.unread = BytesMut::new();
                }
                gate.cleared -= length as u64;
                return true;
            }
        }
        if gate.refusal.is_some() {
            cursor.put_slice(INVALID_BYTE);
        }
        gate.refusal.is_some()
    }

    /// Reads from the socket, and passes on the bytes that hyper may have. Returns whether there are any, or the end.
    fn poll_pass_on(
        &mut self,
        cx: &mut Context<'_>,
        cursor: &mut ReadBufCursor<'_>,
    ) -> Poll<io::Result<bool>> {
        let Self { io, gate, .. } = self;
        let (is_before_head, mut is_head) = (gate.is_before_head(), false);
        let mut unread = None;
        let polled = io.poll_bytes(cx, cursor.remaining(), |bytes| {
            is_head = is_before_head && !bytes.is_empty();
            let length = gate.cleared_of(bytes);
            let (cleared, rest) = bytes.split_at(length);
            cursor.put_slice(cleared);
            gate.cleared -= length as u64;
            if !rest.is_empty() {
                unread = Some(BytesMut::from(rest));
            }
            length > 0 || bytes.is_empty()
        });
        if let Some(unread) = unread {
            io.unread = unread;
        }
        if is_head {
            io.progress.head_started();
        }
        polled
    }
}

/// Decides which bytes hyper may have.
#[derive(Default)]
struct RequestGate {
    validator: HeadValidator,
    /// The number of bytes of a validated request that hyper does not have yet.
    cleared: u64,
    /// A chunked body follows these bytes; only hyper knows where it ends.
    chunks: Option<EmptyLineFinder>,
    refusal: Option<Refusal>,
}

impl RequestGate {
    /// Returns how many of `bytes` hyper may have: those of the current request.
    fn cleared_of(&mut self, bytes: &[u8]) -> usize {
        if self.cleared == 0 && !bytes.is_empty() {
            self.clear(bytes);
        }
        usize::try_from(self.cleared).map_or(bytes.len(), |cleared| cleared.min(bytes.len()))
    }

    /// Whether the next byte belongs to a head that was not validated yet.
    fn is_before_head(&self) -> bool {
        self.cleared == 0 && self.chunks.is_none()
    }

    /// Checks the state of a chunked body of which hyper has all cleared bytes. Returns false when nobody reads its rest:
    /// hyper may be anywhere in it, so that no byte behind can be taken for a head.
    fn settle(&mut self, progress: &ConnectionProgress) -> bool {
        if self.cleared > 0 || self.chunks.is_none() {
            return true;
        }
        let chunks = progress.chunked_body();
        if chunks == ChunkedBody::Read {
            self.chunks = None;
        }
        chunks != ChunkedBody::Abandoned
    }

    fn clear(&mut self, bytes: &[u8]) {
        if let Some(chunks) = &mut self.chunks {
            self.cleared = chunks.up_to_next(bytes) as u64;
            return;
        }
        match self.validator.validate(bytes) {
            HeadStatus::Incomplete => {}
            HeadStatus::Refused(refusal) => self.refusal = Some(refusal),
            HeadStatus::Complete(length, BodyFraming::Length(body)) => {
                self.cleared = length as u64 + body
            }
            HeadStatus::Complete(length, BodyFraming::Chunked) => {
                self.cleared = length as u64;
                self.chunks = Some(EmptyLineFinder::default());
            }
        }
    }
}

impl Read for Framed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { io, gate, .. } = &mut *self;
        if !gate.settle(&io.progress) {
            // For hyper this is the end of the connection.
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.pass_on(&mut cursor) {
                return Poll::Ready(Ok(()));
            }
            let is_done = match self.io.unread.is_empty() {
                true => ready!(self.poll_pass_on(cx, &mut cursor))?,
                false => ready!(self.io.poll_fill(cx))? == 0,
            };
            if is_done {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Write for Framed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if is_bare_error(bytes) {
            let answer = with_body(bytes, self.gate.refusal);
            self.answer = match self.open_to_all {
                true => readable_by_all(&answer),
                false => answer,
            };
            return Poll::Ready(Ok(bytes.len()));
        }
        self.io.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.answer.is_empty() {
            let length = ready!(this.io.poll_write(cx, &this.answer))?;
            this.answer.advance(length);
        }
        this.io.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.io.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::future::poll_fn;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::rc::Rc;

    use http_body_util::{BodyExt, Empty};
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use tokio::net::TcpListener;
    use tokio::task::yield_now;

    use super::*;
    use crate::runtime::body::TrackedBody;
    use crate::runtime::connection::protocol;
    use crate::runtime::deadlines::Connections;
    use crate::runtime::io::Transport;

    /// Serves a connection that sends `first`, and `second` after the first request was answered but before hyper reads
    /// again. Returns the number of requests, whether another head has started, and the answers.
    async fn answered(first: &str, second: &str, reads_bodies: bool) -> (u32, bool, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut client = TcpStream::connect(address).expect("a listener");
        let (stream, peer) = listener.accept().await.expect("a client");
        client.write_all(first.as_bytes()).expect("connected");
        stream.readable().await.expect("connected");

        let connections = Rc::<Connections>::default();
        let open = connections.add(peer.ip());
        let (progress, count) = (&open.progress, Cell::new(0));
        let io = Framed::new(
            Io::new(Transport::Plain(stream), Rc::clone(progress)),
            false,
        );
        let service = service_fn(|request: Request<Incoming>| {
            progress.request_started();
            count.set(count.get() + 1);
            let count = &count;
            async move {
                let body = TrackedBody::new(request.into_body(), progress);
                if reads_bodies && count.get() == 1 {
                    body.collect().await.expect("a body");
                }
                progress.request_ended();
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let mut connection = protocol().serve_connection(io, service);
        let mut poll = |cx: &mut Context<'_>| Poll::Ready(Pin::new(&mut connection).poll(cx));
        while count.get() == 0 {
            let polled = poll_fn(&mut poll).await;
            assert!(polled.is_pending());
            yield_now().await;
        }
        client.write_all(second.as_bytes()).expect("connected");
        client
            .shutdown(std::net::Shutdown::Write)
            .expect("connected");
        // The runtime sees that there is more to read.
        for _ in 0..10 {
            yield_now().await;
        }
        while poll_fn(&mut poll).await.is_pending() {
            yield_now().await;
        }
        drop(connection);
        let mut answers = String::new();
        // A client that has sent more than was read may get a reset.
        let _ = client.read_to_string(&mut answers);
        (count.get(), progress.is_in_head(), answers)
    }

    const HEAD: &str = "POST /no HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    const NEXT: &str = "GET /no HTTP/1.1\r\nHost: a\r\n\r\n";

    /// The rest of a trailer looks like a head whose body would be a request.
    #[tokio::test]
    async fn bytes_behind_an_unread_body_are_not_a_request() {
        let first = format!("{HEAD}0\r\nx");
        let length = NEXT.len();
        let second = format!("y: z\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{NEXT}");
        let (count, _, answers) = answered(&first, &second, false).await;
        assert_eq!(count, 1, "{answers}");
    }

    #[tokio::test]
    async fn a_request_may_follow_a_body_that_was_read() {
        let first = format!("{HEAD}1\r\nx\r\n");
        let second = format!("0\r\nx: y\r\n\r\n{NEXT}{NEXT}");
        let (count, _, answers) = answered(&first, &second, true).await;
        assert_eq!(count, 3, "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    }
    /// As a head it would get a head's deadline in place of an idle connection's.
    #[tokio::test]
    async fn the_rest_of_an_unread_body_is_not_a_head() {
        let first = "POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
        let (count, is_in_head, answers) = answered(first, "abc", false).await;
        assert_eq!((count, is_in_head), (1, false), "{answers}");
        let (count, is_in_head, answers) = answered(first, "abcG", false).await;
        assert_eq!((count, is_in_head), (1, true), "{answers}");
    }
}
