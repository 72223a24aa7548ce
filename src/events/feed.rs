//! The feed: what readers ask, and the thread that answers all of them.

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::thread::{Builder, JoinHandle};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use slab::Slab;
use tokio::sync::oneshot;

use super::feeder::Feeder;
use super::filter::EventFilter;
use super::reader::{EventPage, EventQuery, EventReader, ReadError};
use super::subscriber::EventSubscriber;
use crate::env::Clock;
use crate::limits::{EVENT_REQUESTS_MAX, EVENT_STREAMS_MAX};
use crate::telemetry::EventGauge;
use crate::types::Lsn;

/// Why a reader gets no events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedError {
    /// They cannot be read.
    Unread(ReadError),
    /// As many read as may.
    Overloaded,
    /// The server is shutting down.
    Draining,
}

/// The feed of one journal's events. Shared by all workers.
pub struct EventFeed {
    shared: Arc<FeedShared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The part of a feed that its thread and its readers share.
pub(super) struct FeedShared {
    pub(super) state: Mutex<FeedReaders>,
    /// Wakes the thread.
    pub(super) changed: Condvar,
    pub(super) gauge: Arc<EventGauge>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What readers want.
#[derive(Default)]
pub(super) struct FeedReaders {
    /// Requests that the thread has not seen.
    pub(super) requests: Vec<PageRequest>,
    /// Requests that wait at the thread.
    pub(super) waiting: usize,
    pub(super) streams: Slab<StreamSlot>,
    /// A stream has room for its next piece.
    pub(super) is_hungry: bool,
    pub(super) is_closed: bool,
    pub(super) is_stopped: bool,
}

/// A request for a page.
pub(super) struct PageRequest {
    pub(super) query: EventQuery,
    /// When it is answered at the latest, by the monotonic clock.
    pub(super) deadline_us: u64,
    pub(super) reply: oneshot::Sender<Result<EventPage, ReadError>>,
}

/// The place of a stream.
pub(super) struct StreamSlot {
    pub(super) filter: EventFilter,
    /// The record up to which it has everything.
    pub(super) position: Lsn,
    /// What it is sent next.
    pub(super) piece: Option<Bytes>,
    pub(super) has_ended: bool,
    /// There is more for it than its piece.
    pub(super) is_behind: bool,
    pub(super) waker: Option<Waker>,
    /// When it was given a piece last, by the monotonic clock.
    pub(super) given_us: u64,
}

impl EventFeed {
    /// Starts the thread that reads with `reader` for everybody.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        reader: EventReader,
        clock: Arc<dyn Clock>,
        gauge: Arc<EventGauge>,
    ) -> io::Result<Self> {
        let shared = Arc::new(FeedShared {
            state: Mutex::default(),
            changed: Condvar::new(),
            gauge,
            clock,
        });
        let feeder = Feeder::new(Arc::clone(&shared), reader);
        let thread = Builder::new()
            .name("events".into())
            .spawn(move || feeder.run())?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Returns the events that `query` asks for. While there are none, suspends until one comes: for at most `wait_seconds`.
    ///
    /// # Errors
    /// See [`FeedError`].
    pub async fn page(&self, query: EventQuery, wait_seconds: u32) -> Result<EventPage, FeedError> {
        let (reply, answer) = oneshot::channel();
        let deadline_us = self.shared.clock.monotonic_us() + u64::from(wait_seconds) * 1_000_000;
        {
            let mut state = self.shared.state.lock();
            if state.is_closed {
                return Err(FeedError::Draining);
            }
            if state.requests.len() + state.waiting >= EVENT_REQUESTS_MAX {
                return Err(FeedError::Overloaded);
            }
            state.requests.push(PageRequest {
                query,
                deadline_us,
                reply,
            });
        }
        self.shared.changed.notify_all();
        match answer.await {
            Ok(answer) => answer.map_err(FeedError::Unread),
            Err(_) => Err(FeedError::Draining),
        }
    }

    /// Begins a stream of the events behind `after` that `filter` admits. `first` is sent before them.
    ///
    /// # Errors
    /// There are too many streams, or the server is shutting down.
    pub fn subscribe(
        &self,
        after: Lsn,
        filter: EventFilter,
        first: Bytes,
    ) -> Result<EventSubscriber, FeedError> {
        let mut state = self.shared.state.lock();
        if state.is_closed {
            return Err(FeedError::Draining);
        }
        if state.streams.len() >= EVENT_STREAMS_MAX {
            return Err(FeedError::Overloaded);
        }
        let key = state.streams.insert(StreamSlot {
            filter,
            position: after,
            piece: Some(first),
            has_ended: false,
            is_behind: true,
            waker: None,
            given_us: self.shared.clock.monotonic_us(),
        });
        drop(state);
        Ok(EventSubscriber::new(Arc::clone(&self.shared), key))
    }

    /// Answers everybody who waits, with what there is, and ends all streams. From now on nobody is let in.
    pub fn close(&self) {
        self.shared.state.lock().is_closed = true;
        self.shared.changed.notify_all();
    }

    /// Ends the thread, and returns when it has.
    pub fn stop(&self) {
        let thread = self.thread.lock().take();
        {
            let mut state = self.shared.state.lock();
            (state.is_closed, state.is_stopped) = (true, true);
        }
        self.shared.changed.notify_all();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for EventFeed {
    fn drop(&mut self) {
        self.stop();
    }
}
