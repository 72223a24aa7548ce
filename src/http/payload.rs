//! The body of an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::live::channel::Subscriber;

/// What is sent behind an answer's head.
#[derive(Debug)]
pub enum Payload {
    /// All of it is known.
    Whole(Full<Bytes>),
    /// What comes piece by piece.
    Stream(Pieces),
    /// Somebody else sends it: [`Self::take_pieces`] was asked for it.
    Elsewhere,
}

/// A body that is sent piece by piece, each when there is room for it: whoever takes nothing has the server
/// keep nothing.
#[derive(Debug)]
pub enum Pieces {
    /// Events, as they come.
    Events(Subscriber),
    /// All of them are known, and shared with others.
    Known(std::vec::IntoIter<Bytes>),
}

impl Pieces {
    /// The next piece; `None` at the end.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self {
            Self::Events(subscriber) => subscriber.poll_next(cx),
            Self::Known(pieces) => Poll::Ready(pieces.next()),
        }
    }
}

impl Payload {
    /// The pieces, when this is a stream; they have to be sent by the caller then.
    pub fn take_pieces(&mut self) -> Option<Pieces> {
        if !matches!(self, Self::Stream(_)) {
            return None;
        }
        match std::mem::replace(self, Self::Elsewhere) {
            Self::Stream(pieces) => Some(pieces),
            Self::Whole(_) | Self::Elsewhere => None,
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
        Self::Stream(Pieces::Events(subscriber))
    }
}

impl From<Vec<Bytes>> for Payload {
    fn from(pieces: Vec<Bytes>) -> Self {
        Self::Stream(Pieces::Known(pieces.into_iter()))
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
            Self::Elsewhere => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Stream(_) | Self::Elsewhere => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Stream(_) | Self::Elsewhere => SizeHint::default(),
        }
    }
}
