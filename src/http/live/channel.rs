//! One channel of events, and its subscribers.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hyper::body::Bytes;
use slab::Slab;
use tokio::task::AbortHandle;

use super::broadcaster::{Broadcaster, Subject};
use crate::live::Update;

/// A comment: clients ignore it, and proxies see that the connection is in use.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");
/// The event that tells subscribers of the server that it is shutting down as intended.
const DRAINING: Bytes = Bytes::from_static(b"event: draining\ndata: {}\n\n");

/// The newest update of a subject, and the wakers of its subscribers.
#[derive(Debug)]
pub(in crate::http) struct Channel {
    subject: Subject,
    newest: RefCell<Update>,
    subscribers: RefCell<Slab<Option<Waker>>>,
    /// No update is published any more.
    closed: Cell<bool>,
    /// The task that publishes updates; it is aborted with the channel.
    relay: AbortHandle,
}

impl Channel {
    /// Creates a channel without subscribers that begins with `state`; `relay` publishes what follows.
    pub(in crate::http) fn new(subject: Subject, state: Update, relay: AbortHandle) -> Self {
        Self {
            subject,
            closed: Cell::new(state.is_last),
            newest: RefCell::new(state),
            subscribers: RefCell::default(),
            relay,
        }
    }

    pub(in crate::http) fn subject(&self) -> Subject {
        self.subject
    }

    /// Replaces the newest update, without waking anybody. Nothing follows the last one.
    pub(in crate::http) fn publish(&self, update: Update) {
        if !self.closed.get() {
            self.closed.set(update.is_last);
            self.newest.replace(update);
        }
    }

    /// Ends all streams behind the newest update. Subscribers of the server get [`DRAINING`] first.
    pub(in crate::http) fn close(&self) {
        if self.subject == Subject::Server {
            let number = self.newest.borrow().number + 1;
            self.publish(Update {
                event: DRAINING,
                number,
                ..Update::default()
            });
        }
        self.closed.set(true);
        self.wake(0..self.slots());
    }

    /// The number of slots for subscribers, free ones included.
    pub(in crate::http) fn slots(&self) -> usize {
        self.subscribers.borrow().capacity()
    }

    /// Wakes the subscribers in these slots.
    pub(in crate::http) fn wake(&self, slots: Range<usize>) {
        let subscribers = self.subscribers.borrow();
        let wakers = slots.filter_map(|slot| subscribers.get(slot)?.as_ref());
        wakers.for_each(Waker::wake_by_ref);
    }

    pub(in crate::http) fn is_empty(&self) -> bool {
        self.subscribers.borrow().is_empty()
    }

    fn set_waker(&self, slot: usize, waker: &Waker) {
        if let Some(known) = self.subscribers.borrow_mut().get_mut(slot) {
            match known {
                Some(known) => known.clone_from(waker),
                None => *known = Some(waker.clone()),
            }
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

/// One client's subscription to a channel. It keeps no queue: a slow client misses what was in between.
pub struct Subscriber {
    broadcaster: Rc<Broadcaster>,
    channel: Rc<Channel>,
    slot: usize,
    /// After how long the client reconnects when the connection is lost; `None` once it was sent.
    retry_ms: Option<u64>,
    number_sent: u64,
    heartbeats_sent: u64,
}

impl Subscriber {
    pub(in crate::http) fn new(
        broadcaster: Rc<Broadcaster>,
        channel: Rc<Channel>,
        retry_ms: u64,
    ) -> Self {
        let slot = channel.subscribers.borrow_mut().insert(None);
        Self {
            broadcaster,
            channel,
            slot,
            retry_ms: Some(retry_ms),
            number_sent: 0,
            heartbeats_sent: 0,
        }
    }

    /// Returns the next piece of the stream: the state at once, and then each time the newest event. `None` at
    /// the end.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let newest = self.channel.newest.borrow();
        let retry_ms = self.retry_ms.take();
        if retry_ms.is_some() || self.number_sent != newest.number {
            (self.number_sent, self.heartbeats_sent) = (newest.number, newest.heartbeats);
            return Poll::Ready(Some(match retry_ms {
                Some(retry_ms) => with_retry(retry_ms, &newest.event),
                None => newest.event.clone(),
            }));
        }
        if self.channel.closed.get() {
            return Poll::Ready(None);
        }
        if self.heartbeats_sent != newest.heartbeats {
            self.heartbeats_sent = newest.heartbeats;
            return Poll::Ready(Some(COMMENT));
        }
        self.channel.set_waker(self.slot, cx.waker());
        Poll::Pending
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.channel.subscribers.borrow_mut().remove(self.slot);
        self.broadcaster.unsubscribe(&self.channel);
    }
}

impl std::fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subscriber of {:?}", self.channel.subject)
    }
}

/// Puts the time after which the client reconnects in front of `event`.
fn with_retry(retry_ms: u64, event: &[u8]) -> Bytes {
    let mut first = format!("retry: {retry_ms}\n\n").into_bytes();
    first.extend_from_slice(event);
    first.into()
}
