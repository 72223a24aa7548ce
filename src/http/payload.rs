//! The body of an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::mpsc::Receiver;

use super::live::channel::Subscriber;
use crate::events::EventSubscriber;

/// The body of an answer.
#[derive(Debug)]
pub enum Payload {
    /// A body that is known as a whole.
    Whole(Full<Bytes>),
    /// A body that is sent piece by piece.
    Stream(Pieces),
    /// A body whose pieces [`Self::take_pieces`] has taken: the caller sends them.
    Taken,
}

/// The pieces of a body, each of which is made when the client has taken the one before: the server keeps nothing for a
/// client that takes nothing.
#[derive(Debug)]
pub enum Pieces {
    /// Updates, as they are published.
    Updates(Subscriber),
    /// Events of the journal, each of them.
    Events(EventSubscriber),
    /// Pieces that are all known, and shared with other answers.
    Known(std::vec::IntoIter<Bytes>),
    /// Pieces that another thread makes, which waits while one of them is not taken.
    Made(Receiver<Made>),
}

/// What a thread has made of a body.
#[derive(Debug)]
pub enum Made {
    /// The next piece.
    Piece(Bytes),
    /// The end. A body without one is never ended: its client would take it for whole.
    End,
}

impl Pieces {
    /// Returns the next piece; `None` at the end.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self {
            Self::Updates(subscriber) => subscriber.poll_next(cx),
            Self::Events(subscriber) => subscriber.poll_next(cx),
            Self::Known(pieces) => Poll::Ready(pieces.next()),
            Self::Made(pieces) => match ready!(pieces.poll_recv(cx)) {
                Some(Made::Piece(piece)) => Poll::Ready(Some(piece)),
                Some(Made::End) => Poll::Ready(None),
                None => Poll::Pending,
            },
        }
    }
}

impl Payload {
    /// Takes the pieces of a stream, which the caller then sends; `None` for other bodies.
    pub fn take_pieces(&mut self) -> Option<Pieces> {
        if !matches!(self, Self::Stream(_)) {
            return None;
        }
        match std::mem::replace(self, Self::Taken) {
            Self::Stream(pieces) => Some(pieces),
            Self::Whole(_) | Self::Taken => None,
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl From<Subscriber> for Payload {
    fn from(subscriber: Subscriber) -> Self {
        Self::Stream(Pieces::Updates(subscriber))
    }
}

impl From<EventSubscriber> for Payload {
    fn from(subscriber: EventSubscriber) -> Self {
        Self::Stream(Pieces::Events(subscriber))
    }
}

impl From<Vec<Bytes>> for Payload {
    fn from(pieces: Vec<Bytes>) -> Self {
        Self::Stream(Pieces::Known(pieces.into_iter()))
    }
}

impl From<Receiver<Made>> for Payload {
    fn from(pieces: Receiver<Made>) -> Self {
        Self::Stream(Pieces::Made(pieces))
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(cx),
            Self::Stream(pieces) => pieces
                .poll_next(cx)
                .map(|piece| Some(Ok(Frame::data(piece?)))),
            Self::Taken => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Stream(_) | Self::Taken => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Stream(_) | Self::Taken => SizeHint::default(),
        }
    }
}
