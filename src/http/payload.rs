//! The body of an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::stage::Viewer;

/// What is sent behind an answer's head.
#[derive(Debug)]
pub enum Payload {
    /// All of it is known.
    Whole(Full<Bytes>),
    /// Events, as they come.
    Stream(Viewer),
    /// Somebody else sends it: [`Self::take_viewer`] was asked for it.
    Elsewhere,
}

impl Payload {
    /// Who wants the events, when this is a stream; they have to be sent by the caller then.
    pub fn take_viewer(&mut self) -> Option<Viewer> {
        if !matches!(self, Self::Stream(_)) {
            return None;
        }
        match std::mem::replace(self, Self::Elsewhere) {
            Self::Stream(viewer) => Some(viewer),
            Self::Whole(_) | Self::Elsewhere => None,
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl From<Viewer> for Payload {
    fn from(viewer: Viewer) -> Self {
        Self::Stream(viewer)
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
            Self::Stream(viewer) => viewer
                .poll_next(cx)
                .map(|event| Some(Ok(Frame::data(event?)))),
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
