//! Coarse deadlines: one counter per worker that ticks twice a second, and a sweep over all connections between
//! two ticks, some at a time, so that no request waits for long. A request costs a few cell writes and no timer.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::IpAddr;
use std::ops::Range;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use slab::Slab;
use tokio::sync::Notify;
use tokio::time::interval;

use crate::http::Peer;
use crate::limits::{
    ADMIN_BODY_SECONDS_MAX, BODY_SECONDS_MAX, FIRST_BYTE_SECONDS_MAX, HANDSHAKE_SECONDS_MAX,
    HEAD_SECONDS_MAX, QUIET_SECONDS, WRITE_SECONDS_MAX,
};

const TICKS_PER_SECOND: u32 = 2;
/// Connections that are looked at without a pause. Chosen, not measured.
const SWEPT_AT_ONCE: usize = 256;

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionPhase {
    /// The TLS handshake is under way.
    Handshake,
    /// The client has sent nothing yet.
    FirstByte,
    /// The last request was answered.
    Idle,
    /// The head of a request has started and is not complete. More bytes do not extend the deadline.
    Head,
    /// The head is complete, and the body may be on the way. More bytes extend the deadline only where a long body is
    /// expected.
    Body,
    /// The answer is a stream.
    Stream,
}

/// The state of the current request's chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkedBody {
    /// Its reader may ask for more.
    Expected,
    /// It was read to its end.
    Read,
    /// The request was answered before its end, which nobody reads any more.
    Abandoned,
}

/// The progress of one connection, by which its deadlines are computed.
#[derive(Debug)]
pub(super) struct ConnectionProgress {
    /// The client.
    pub(super) peer: Peer,
    ticks: Rc<Cell<u32>>,
    phase: Cell<ConnectionPhase>,
    since: Cell<u32>,
    /// The tick of the last bytes of a body.
    body_grew: Cell<u32>,
    /// The body of the current request was read to its end.
    body_ended: Cell<bool>,
    /// The last read found no bytes.
    awaits_bytes: Cell<bool>,
    /// The connection keeps nothing for its next request.
    quiet: Cell<bool>,
    /// The tick since which the client takes no bytes; `None` when it does.
    blocked_since: Cell<Option<u32>>,
    overdue: Cell<bool>,
    waker: OnceCell<Waker>,
}

impl ConnectionProgress {
    fn new(peer: Peer, ticks: Rc<Cell<u32>>) -> Self {
        let since = Cell::new(ticks.get());
        Self {
            peer,
            ticks,
            phase: Cell::new(ConnectionPhase::FirstByte),
            body_grew: since.clone(),
            since,
            body_ended: Cell::new(false),
            awaits_bytes: Cell::new(true),
            quiet: Cell::new(true),
            blocked_since: Cell::new(None),
            overdue: Cell::new(false),
            waker: OnceCell::new(),
        }
    }

    fn enter(&self, phase: ConnectionPhase) {
        self.phase.set(phase);
        self.since.set(self.ticks.get());
    }

    /// Notes the start of the TLS handshake.
    pub(super) fn handshake_started(&self) {
        self.enter(ConnectionPhase::Handshake);
    }

    /// Notes the end of the TLS handshake.
    pub(super) fn handshake_ended(&self) {
        self.enter(ConnectionPhase::FirstByte);
    }

    /// Notes that bytes were read.
    pub(super) fn read(&self) {
        self.awaits_bytes.set(false);
        if self.phase.get() == ConnectionPhase::Body {
            self.body_grew.set(self.ticks.get());
        }
    }

    /// Notes the first bytes of a head.
    pub(super) fn head_started(&self) {
        if matches!(
            self.phase.get(),
            ConnectionPhase::FirstByte | ConnectionPhase::Idle
        ) {
            self.enter(ConnectionPhase::Head);
        }
    }

    /// Notes that a read found no bytes.
    pub(super) fn read_blocked(&self) {
        self.awaits_bytes.set(true);
    }

    /// Notes that the client took bytes.
    pub(super) fn written(&self) {
        self.blocked_since.set(None);
    }

    /// Notes that the client takes no bytes.
    pub(super) fn write_blocked(&self) {
        if self.blocked_since.get().is_none() {
            self.blocked_since.set(Some(self.ticks.get()));
        }
    }

    /// Notes that the head of a request is complete.
    pub(super) fn request_started(&self) {
        self.awaits_bytes.set(false);
        self.enter(ConnectionPhase::Body);
        self.body_grew.set(self.ticks.get());
        self.body_ended.set(false);
    }

    /// Notes that the body of the request was read to its end.
    pub(super) fn body_ended(&self) {
        self.body_ended.set(true);
    }

    /// Notes that the request is answered.
    pub(super) fn request_ended(&self) {
        self.peer.set_long_body(false);
        self.enter(ConnectionPhase::Idle);
    }

    /// Notes that the request is answered by a stream.
    pub(super) fn stream_started(&self) {
        self.enter(ConnectionPhase::Stream);
    }

    /// Whether a head has started and is not complete.
    pub(super) fn is_in_head(&self) -> bool {
        self.phase.get() == ConnectionPhase::Head
    }

    /// The state of the last request's body, if it is chunked.
    pub(super) fn chunked_body(&self) -> ChunkedBody {
        match self.phase.get() {
            _ if self.body_ended.get() => ChunkedBody::Read,
            ConnectionPhase::Idle | ConnectionPhase::Head => ChunkedBody::Abandoned,
            _ => ChunkedBody::Expected,
        }
    }

    /// Whether a stream has started, and the client has taken all bytes so far.
    pub(super) fn head_is_sent(&self) -> bool {
        self.phase.get() == ConnectionPhase::Stream && !self.is_blocked()
    }

    /// Whether the client takes no bytes.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked_since.get().is_some()
    }

    /// Whether the client was too slow and the connection must be closed.
    pub(super) fn is_overdue(&self) -> bool {
        self.overdue.get()
    }

    /// Sets whether the connection keeps nothing for its next request.
    pub(super) fn set_quiet(&self, quiet: bool) {
        self.quiet.set(quiet);
    }

    /// Whether the connection has been idle for a while, and should drop what it keeps for the next request.
    pub(super) fn has_become_quiet(&self) -> bool {
        self.phase.get() == ConnectionPhase::Idle
            && !self.is_blocked()
            && !self.quiet.get()
            && self.ticks.get().wrapping_sub(self.since.get()) >= QUIET_SECONDS * TICKS_PER_SECOND
    }

    /// Keeps the waker of the connection's task.
    pub(super) fn set_waker(&self, waker: &Waker) {
        // A task's waker stays good for its whole life, so that the first one is enough.
        self.waker.get_or_init(|| waker.clone());
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Whether the client was too slow, where a connection may be idle for `idle_seconds`.
    fn exceeds_its_deadline(&self, idle_seconds: u32) -> bool {
        let passed = |since: u32, seconds_max: u32| {
            self.ticks.get().wrapping_sub(since) > seconds_max * TICKS_PER_SECOND
        };
        if self
            .blocked_since
            .get()
            .is_some_and(|since| passed(since, WRITE_SECONDS_MAX))
        {
            return true;
        }
        let seconds_max = match self.phase.get() {
            ConnectionPhase::Handshake => HANDSHAKE_SECONDS_MAX,
            ConnectionPhase::FirstByte => FIRST_BYTE_SECONDS_MAX,
            ConnectionPhase::Idle => idle_seconds,
            ConnectionPhase::Head => HEAD_SECONDS_MAX,
            // The server is at work, or has no event, which is not the client's fault.
            ConnectionPhase::Stream => return false,
            ConnectionPhase::Body if !self.awaits_bytes.get() => return false,
            ConnectionPhase::Body if !self.peer.has_long_body() => BODY_SECONDS_MAX,
            ConnectionPhase::Body if passed(self.body_grew.get(), BODY_SECONDS_MAX) => return true,
            ConnectionPhase::Body => ADMIN_BODY_SECONDS_MAX,
        };
        passed(self.since.get(), seconds_max)
    }
}

/// The open connections of one worker, and the clock of their deadlines.
#[derive(Debug)]
pub(super) struct Connections {
    idle_seconds: u32,
    ticks: Rc<Cell<u32>>,
    open: RefCell<Slab<Rc<ConnectionProgress>>>,
    draining: Cell<bool>,
    all_closed: Notify,
}

#[cfg(test)]
impl Default for Connections {
    fn default() -> Self {
        Self::idle_for(crate::limits::IDLE_SECONDS_DEFAULT)
    }
}

impl Connections {
    /// Creates an empty set. Each connection may be without a request for `idle_seconds`.
    pub(super) fn idle_for(idle_seconds: u32) -> Self {
        Self {
            idle_seconds,
            ticks: Rc::default(),
            open: RefCell::default(),
            draining: Cell::default(),
            all_closed: Notify::default(),
        }
    }

    /// Adds a connection from `address`. It counts as open until the returned value is dropped.
    pub(super) fn add(self: &Rc<Self>, address: IpAddr) -> OpenConnection {
        let (peer, ticks) = (Peer::new(address), Rc::clone(&self.ticks));
        let progress = Rc::new(ConnectionProgress::new(peer, ticks));
        let place = self.open.borrow_mut().insert(Rc::clone(&progress));
        OpenConnection {
            connections: Rc::clone(self),
            place,
            progress,
        }
    }

    fn remove(&self, place: usize) {
        let mut open = self.open.borrow_mut();
        open.remove(place);
        if open.is_empty() {
            self.all_closed.notify_one();
        }
    }

    /// The number of open connections.
    pub(super) fn count(&self) -> usize {
        self.open.borrow().len()
    }

    /// Whether the task of every connection has begun, and waits for bytes or has read some.
    pub(super) fn all_begun(&self) -> bool {
        let open = self.open.borrow();
        open.iter()
            .all(|(_, progress)| progress.waker.get().is_some())
    }

    /// Whether connections should end with their current request.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Ends all connections with their current request, or at once where there is none.
    pub(super) fn start_draining(&self) {
        self.draining.set(true);
        self.open
            .borrow()
            .iter()
            .for_each(|(_, progress)| progress.wake());
    }

    /// Suspends until no connection is open.
    pub(super) async fn all_closed(&self) {
        while self.count() > 0 {
            self.all_closed.notified().await;
        }
    }

    /// Ticks until it is dropped.
    pub(super) async fn keep_ticking(&self) {
        let tick = Duration::from_secs(1) / TICKS_PER_SECOND;
        loop {
            let parts = self.places().div_ceil(SWEPT_AT_ONCE).max(1);
            // Parts begin by the beginning of their tick: a worker that is late at one is not late at all others.
            let mut begins = interval(tick / parts as u32);
            begins.tick().await;
            for part in 0..parts {
                begins.tick().await;
                self.sweep(part * SWEPT_AT_ONCE..(part + 1) * SWEPT_AT_ONCE);
            }
            self.advance();
        }
    }

    /// Returns how many places there are, in use or not.
    fn places(&self) -> usize {
        let mut open = self.open.borrow_mut();
        if open.is_empty() {
            open.shrink_to_fit();
        }
        open.capacity()
    }

    fn advance(&self) {
        self.ticks.set(self.ticks.get().wrapping_add(1));
    }

    /// Wakes the connections at `places` that are overdue, or have become quiet.
    fn sweep(&self, places: Range<usize>) {
        let open = self.open.borrow();
        for progress in places.filter_map(|place| open.get(place)) {
            if progress.exceeds_its_deadline(self.idle_seconds) {
                progress.overdue.set(true);
                progress.wake();
            } else if progress.has_become_quiet() {
                progress.wake();
            }
        }
    }

    /// Advances the clock by one tick, and sees to all connections.
    #[cfg(test)]
    fn tick(&self) {
        self.advance();
        self.sweep(0..self.places());
    }
}

/// One open connection. Dropping it ends the count.
#[derive(Debug)]
pub(super) struct OpenConnection {
    connections: Rc<Connections>,
    place: usize,
    /// The connection's progress.
    pub(super) progress: Rc<ConnectionProgress>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.remove(self.place);
    }
}

#[cfg(test)]
mod tests;
