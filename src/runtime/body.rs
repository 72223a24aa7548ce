//! Request bodies that report their end to the deadlines.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Bytes, Frame, Incoming, SizeHint};

use super::deadlines::ConnectionProgress;

/// A body of hyper's that notes when it was read to its end: only a reader learns where a chunked one ends.
pub(super) struct TrackedBody<'a> {
    incoming: Incoming,
    progress: &'a ConnectionProgress,
}

impl<'a> TrackedBody<'a> {
    pub(super) fn new(incoming: Incoming, progress: &'a ConnectionProgress) -> Self {
        Self { incoming, progress }
    }
}

impl hyper::body::Body for TrackedBody<'_> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        if frame.is_none() {
            self.progress.body_ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
