//! The body of a request, whose end is noted when it is read.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Bytes, Frame, Incoming, SizeHint};

use super::deadlines::Progress;

/// A body as hyper gives it. Only its reader learns where one in chunks ends.
pub(super) struct Body<'a> {
    incoming: Incoming,
    progress: &'a Progress,
}

impl<'a> Body<'a> {
    pub(super) fn new(incoming: Incoming, progress: &'a Progress) -> Self {
        Self { incoming, progress }
    }
}

impl hyper::body::Body for Body<'_> {
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
