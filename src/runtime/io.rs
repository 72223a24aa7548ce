//! The socket of a connection, plain or TLS, whose reads and writes count as progress.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::deadlines::ConnectionProgress;
use crate::limits::HEAD_BYTES_MAX;

thread_local! {
    /// Reads go through one buffer per worker: those of hyper are not initialised, and filling them
    /// directly would take either unsafe code or zeroing them for every read.
    static INCOMING: RefCell<[u8; HEAD_BYTES_MAX]> = const { RefCell::new([0; HEAD_BYTES_MAX]) };
}

/// The transport of a connection.
pub(super) enum Transport {
    /// A plain socket.
    Plain(TcpStream),
    /// TLS. In a box, so that plain connections need no room for it.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A socket whose reads and writes count as progress.
pub(super) struct Io {
    transport: Transport,
    /// Bytes that were read from the transport, and not handed on yet.
    pub(super) unread: BytesMut,
    pub(super) progress: Rc<ConnectionProgress>,
}

impl Io {
    pub(super) fn new(transport: Transport, progress: Rc<ConnectionProgress>) -> Self {
        Self {
            transport,
            unread: BytesMut::new(),
            progress,
        }
    }

    /// The socket below TLS.
    pub(super) fn socket(&self) -> &TcpStream {
        match &self.transport {
            Transport::Plain(stream) => stream,
            Transport::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Ready when there are bytes to read, or their end. Bytes that had to be decrypted for this are kept.
    pub(super) fn poll_arrived(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.unread.is_empty() {
            return Poll::Ready(());
        }
        match &self.transport {
            Transport::Plain(stream) => stream.poll_read_ready(cx).map(|_| ()),
            Transport::Tls(_) => self.poll_fill(cx).map(|_| ()),
        }
    }

    /// Ready when the client has closed its side, or the connection is broken; otherwise the task is woken then. Bytes
    /// that arrive meanwhile are kept.
    pub(super) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Transport::Plain(stream) = &self.transport {
            let mut first = [0];
            return match stream.poll_peek(cx, &mut ReadBuf::new(&mut first)) {
                Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(()),
                Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
            };
        }
        while self.unread.len() < HEAD_BYTES_MAX {
            match ready!(self.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    /// Reads more bytes behind the unread ones; 0 at the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut unread = std::mem::take(&mut self.unread);
        let polled = self.poll_bytes(cx, HEAD_BYTES_MAX, |bytes| {
            unread.extend_from_slice(bytes);
            bytes.len()
        });
        self.unread = unread;
        polled
    }

    /// Reads up to `length_max` bytes from the transport, and passes them to `take`; none at the end.
    pub(super) fn poll_bytes<T>(
        &mut self,
        cx: &mut Context<'_>,
        length_max: usize,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Poll<io::Result<T>> {
        INCOMING.with_borrow_mut(|incoming| {
            let length = incoming.len().min(length_max);
            let mut buffer = ReadBuf::new(&mut incoming[..length]);
            let polled = match &mut self.transport {
                Transport::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
                Transport::Tls(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            };
            match polled {
                Poll::Pending => {
                    self.progress.read_blocked();
                    Poll::Pending
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {
                    if !buffer.filled().is_empty() {
                        self.progress.read();
                    }
                    Poll::Ready(Ok(take(buffer.filled())))
                }
            }
        })
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        self.note_written(polled.is_ready());
        polled
    }

    /// Ready when the kernel has all bytes that were written. A plain socket buffers nothing.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Transport::Tls(stream) = &mut self.transport else {
            return Poll::Ready(Ok(()));
        };
        let polled = Pin::new(stream).poll_flush(cx);
        self.note_written(polled.is_ready());
        polled
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    /// Sends the TLS closure alert if that is possible without waiting: without it, a client cannot tell the end of the
    /// connection from an attack.
    pub(super) fn poll_close_notify(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.transport, Transport::Tls(_)) {
            // A client that takes no bytes does not get it.
            let _ = self.poll_shutdown(cx);
        }
        Poll::Ready(())
    }

    fn note_written(&self, taken: bool) {
        match taken {
            true => self.progress.written(),
            false => self.progress.write_blocked(),
        }
    }
}
