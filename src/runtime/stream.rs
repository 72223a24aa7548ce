//! Bodies in pieces, sent without hyper after it has written the head: for each subscriber it would keep its state and
//! buffers, and would buffer events for a client that takes none.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use hyper::body::{Buf, Bytes};
use hyper::header::CONNECTION;
use hyper::{Response, Version};
use socket2::SockRef;

use super::deadlines::Connections;
use super::io::Io;
use crate::http::{Api, Payload, Pieces};
use crate::limits::STREAM_UNSENT_BYTES_MAX;

/// The chunk that ends a chunked body.
const LAST_CHUNK: Bytes = Bytes::from_static(b"0\r\n\r\n");

/// The pieces that follow the head of an answer.
pub(super) struct Stream {
    pieces: Pieces,
    /// Every piece is a chunk; otherwise the end of the connection ends the stream.
    is_chunked: bool,
    /// The connection takes another request behind the stream.
    is_followed: bool,
    /// The rest of the current piece.
    unsent: Bytes,
    has_ended: bool,
}

impl Stream {
    /// Takes the stream out of `response`; `None` when its body is no stream.
    pub(super) fn behind(response: &mut Response<Payload>) -> Option<Self> {
        let pieces = response.body_mut().take_pieces()?;
        let is_chunked = response.version() == Version::HTTP_11;
        Some(Self {
            pieces,
            is_chunked,
            is_followed: is_chunked && !response.headers().contains_key(CONNECTION),
            unsent: Bytes::new(),
            has_ended: false,
        })
    }

    /// Lets another request follow only if `may_follow`.
    pub(super) fn followed_only_if(self, may_follow: bool) -> Self {
        Self {
            is_followed: self.is_followed && may_follow,
            ..self
        }
    }

    /// Sends all pieces on `io`. `None` when the connection has to end: it takes no other request, the client left or is
    /// overdue, or takes no bytes while the server drains.
    pub(super) async fn send(
        mut self,
        mut io: Io,
        api: &Api,
        connections: &Connections,
    ) -> Option<Io> {
        io.progress.set_quiet(true);
        limit_unsent(&io, STREAM_UNSENT_BYTES_MAX);
        let is_complete = poll_fn(|cx| {
            if io.progress.is_overdue() {
                api.telemetry().connection_overdue();
                return Poll::Ready(false);
            }
            match self.poll_send(&mut io, cx) {
                Poll::Ready(sent) => Poll::Ready(sent.is_ok()),
                Poll::Pending if io.progress.is_blocked() && connections.is_draining() => {
                    Poll::Ready(false)
                }
                // A client that wants no more closes its side.
                Poll::Pending if io.poll_left(cx).is_ready() => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        if !(is_complete && self.is_followed) {
            return None;
        }
        limit_unsent(&io, SYSTEM_LIMIT);
        io.progress.request_ended();
        Some(io)
    }

    /// Sends the pieces that are ready; ready at the end of the stream.
    fn poll_send(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while !self.unsent.is_empty() {
                match ready!(io.poll_write(cx, &self.unsent))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    sent => self.unsent.advance(sent),
                }
            }
            // Even an empty slice would keep the whole event in memory.
            self.unsent = Bytes::new();
            ready!(io.poll_flush(cx))?;
            if self.has_ended {
                return Poll::Ready(Ok(()));
            }
            let piece = ready!(self.pieces.poll_next(cx));
            self.has_ended = piece.is_none();
            self.unsent = match piece {
                Some(piece) if self.is_chunked => chunk(&piece),
                Some(piece) => piece,
                None if self.is_chunked => LAST_CHUNK,
                None => Bytes::new(),
            };
        }
    }
}

fn chunk(data: &[u8]) -> Bytes {
    let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(b"\r\n");
    chunk.into()
}

/// The value with which the kernel uses the system's setting.
const SYSTEM_LIMIT: u32 = 0;

/// Makes the kernel take no more bytes while so many wait to be sent.
fn limit_unsent(io: &Io, bytes_max: u32) {
    // A kernel without this option buffers more for slow clients, and nothing else changes.
    let _ = SockRef::from(io.socket()).set_tcp_notsent_lowat(bytes_max);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_say_their_length_in_hexadecimal() {
        assert_eq!(chunk(b":\n\n"), "3\r\n:\n\n\r\n");
        let long = chunk(&[b'x'; 300]);
        assert!(long.starts_with(b"12c\r\nx") && long.ends_with(b"x\r\n"));
    }
}
