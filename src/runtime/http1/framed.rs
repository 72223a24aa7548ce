//! What hyper reads and writes through: requests whose framing was judged, one after the other.
//!
//! Hyper is never given bytes of a request before the head of it was judged, nor bytes of two requests
//! at once. A head that is refused is handed on as a byte that none may begin with: hyper then refuses
//! it in its turn, behind the answers before it, and closes. Its answer, and those that it gives to other
//! broken heads, have no body; in their place an error is written in the form of all others.
//!
//! Where a chunked body ends is known once its reader has come to the end of it. A request that is answered
//! without that is the last one of its connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use hyper::rt::{Read, ReadBufCursor, Write};

use super::framing::{Body, EmptyLines, Judge, Refusal, Verdict};
use super::raw_response::{is_bare_error, readable_by_all, refused};
use crate::runtime::deadlines::{Chunks, Progress};
use crate::runtime::io::Io;

/// No head begins with it.
const NO_HEAD: &[u8] = b"\0";

/// A connection as hyper sees it.
pub(in crate::runtime) struct Framed {
    io: Io,
    gate: Gate,
    /// An answer that takes the place of one of hyper's.
    answer: Bytes,
    open_to_all: bool,
}

impl Framed {
    /// A connection whose refusals pages of all origins may read where it is `open_to_all`.
    pub(in crate::runtime) fn new(io: Io, open_to_all: bool) -> Self {
        Self {
            io,
            open_to_all,
            gate: Gate::default(),
            answer: Bytes::new(),
        }
    }

    /// Whether everything of the last request has been handed on.
    pub(in crate::runtime) fn is_between_requests(&self) -> bool {
        self.gate.cleared == 0
            && (self.gate.chunks.is_none() || self.io.progress.chunks_are() == Chunks::Read)
    }

    /// The connection without hyper.
    pub(in crate::runtime) fn into_io(self) -> Io {
        self.io
    }

    /// Hands on what may be handed on of the bytes that were read before; false when there is nothing.
    fn hand_on(&mut self, cursor: &mut ReadBufCursor<'_>) -> bool {
        let Self { io, gate, .. } = self;
        if gate.refusal.is_none() && !io.unread.is_empty() {
            if gate.is_before_head() {
                // An incomplete head has its deadline.
                io.progress.head_begun();
            }
            let length = gate.admit(&io.unread).min(cursor.remaining());
            if length > 0 {
                cursor.put_slice(&io.unread[..length]);
                io.unread.advance(length);
                gate.cleared -= length as u64;
                return true;
            }
        }
        if gate.refusal.is_some() {
            cursor.put_slice(NO_HEAD);
        }
        gate.refusal.is_some()
    }

    /// Reads, and hands on what may be; whether that is anything, or the end.
    fn poll_hand_over(
        &mut self,
        cx: &mut Context<'_>,
        cursor: &mut ReadBufCursor<'_>,
    ) -> Poll<io::Result<bool>> {
        let Self { io, gate, .. } = self;
        let (is_before_head, mut is_head) = (gate.is_before_head(), false);
        let mut unread = BytesMut::new();
        let polled = io.poll_bytes(cx, cursor.remaining(), |bytes| {
            is_head = is_before_head && !bytes.is_empty();
            let length = gate.admit(bytes);
            cursor.put_slice(&bytes[..length]);
            gate.cleared -= length as u64;
            unread.extend_from_slice(&bytes[length..]);
            length > 0 || bytes.is_empty()
        });
        io.unread = unread;
        if is_head {
            io.progress.head_begun();
        }
        polled
    }
}

/// Knows which bytes hyper may have.
#[derive(Default)]
struct Gate {
    judge: Judge,
    /// Bytes that belong to a request whose head was judged, and that were not handed on.
    cleared: u64,
    /// A chunked body follows those, of which only hyper knows where it ends.
    chunks: Option<EmptyLines>,
    refusal: Option<Refusal>,
}

impl Gate {
    /// How many bytes from the beginning of `bytes` on belong to one request, as far as they are there.
    fn admit(&mut self, bytes: &[u8]) -> usize {
        if self.cleared == 0 && !bytes.is_empty() {
            self.clear(bytes);
        }
        usize::try_from(self.cleared).map_or(bytes.len(), |cleared| cleared.min(bytes.len()))
    }

    /// Whether the next byte is the first one of a head, or behind those that were looked at.
    fn is_before_head(&self) -> bool {
        self.cleared == 0 && self.chunks.is_none()
    }

    /// Looks at how the chunked body stands that hyper has all cleared bytes of. False when nobody will
    /// read the rest of it: hyper may be anywhere in it, so that no byte behind can be taken for a head.
    fn settle(&mut self, progress: &Progress) -> bool {
        if self.cleared > 0 || self.chunks.is_none() {
            return true;
        }
        let chunks = progress.chunks_are();
        if chunks == Chunks::Read {
            self.chunks = None;
        }
        chunks != Chunks::Left
    }

    fn clear(&mut self, bytes: &[u8]) {
        if let Some(chunks) = &mut self.chunks {
            self.cleared = chunks.up_to_next(bytes) as u64;
            return;
        }
        match self.judge.judge(bytes) {
            Verdict::Incomplete => return,
            Verdict::Refused(refusal) => self.refusal = Some(refusal),
            Verdict::Whole(length, Body::Length(body)) => self.cleared = length as u64 + body,
            Verdict::Whole(length, Body::Chunked) => {
                self.cleared = length as u64;
                self.chunks = Some(EmptyLines::default());
            }
        }
        self.judge = Judge::default();
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
            // To hyper this is the end of the connection, wherever in the body it is.
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.hand_on(&mut cursor) {
                return Poll::Ready(Ok(()));
            }
            let is_done = match self.io.unread.is_empty() {
                true => ready!(self.poll_hand_over(cx, &mut cursor))?,
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
            let answer = refused(bytes, self.gate.refusal);
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
    use crate::runtime::body::Body as Tracked;
    use crate::runtime::connection::protocol;
    use crate::runtime::deadlines::Connections;
    use crate::runtime::io::Transport;

    /// Answers what `first` and then `second` ask for, of which `second` comes when `first` was answered
    /// and hyper has not yet looked for more; how many requests that were, whether a head has begun behind
    /// them, and all that was sent.
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
            progress.request_begun();
            count.set(count.get() + 1);
            let count = &count;
            async move {
                let body = Tracked::new(request.into_body(), progress);
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
        // A client that has sent more than was read may be told so by a reset.
        let _ = client.read_to_string(&mut answers);
        (count.get(), progress.is_in_head(), answers)
    }

    const HEAD: &str = "POST /no HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    const NEXT: &str = "GET /no HTTP/1.1\r\nHost: a\r\n\r\n";

    /// The rest of a trailer looks like a head whose body would be a request.
    #[tokio::test]
    async fn what_follows_a_body_that_nobody_reads_is_not_a_request() {
        let first = format!("{HEAD}0\r\nx");
        let length = NEXT.len();
        let second = format!("y: z\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{NEXT}");
        let (count, _, answers) = answered(&first, &second, false).await;
        assert_eq!(count, 1, "{answers}");
    }

    #[tokio::test]
    async fn the_next_request_follows_a_body_that_is_read() {
        let first = format!("{HEAD}1\r\nx\r\n");
        let second = format!("0\r\nx: y\r\n\r\n{NEXT}{NEXT}");
        let (count, _, answers) = answered(&first, &second, true).await;
        assert_eq!(count, 3, "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    }
    /// It would have the deadline of one, in place of that of a connection that was answered.
    #[tokio::test]
    async fn the_rest_of_a_body_that_nobody_reads_is_no_head() {
        let first = "POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
        let (count, is_in_head, answers) = answered(first, "abc", false).await;
        assert_eq!((count, is_in_head), (1, false), "{answers}");
        let (count, is_in_head, answers) = answered(first, "abcG", false).await;
        assert_eq!((count, is_in_head), (1, true), "{answers}");
    }
}
