//! One reader of a stream of events.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::feed::FeedShared;

/// A reader who stays. The feed keeps its place and one piece for it: a slow one is given what it lacks from the files, later.
pub struct EventSubscriber {
    feed: Arc<FeedShared>,
    key: usize,
}

impl EventSubscriber {
    pub(super) fn new(feed: Arc<FeedShared>, key: usize) -> Self {
        Self { feed, key }
    }

    /// Returns the next piece of the stream; `None` at its end.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.feed.state.lock();
        let Some(slot) = state.streams.get_mut(self.key) else {
            return Poll::Ready(None);
        };
        if let Some(piece) = slot.piece.take() {
            if slot.is_behind {
                state.is_hungry = true;
                drop(state);
                self.feed.changed.notify_all();
            }
            return Poll::Ready(Some(piece));
        }
        if slot.has_ended {
            return Poll::Ready(None);
        }
        match &mut slot.waker {
            Some(known) => known.clone_from(cx.waker()),
            None => slot.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for EventSubscriber {
    fn drop(&mut self) {
        self.feed.state.lock().streams.try_remove(self.key);
    }
}

impl std::fmt::Debug for EventSubscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EventSubscriber {}", self.key)
    }
}
