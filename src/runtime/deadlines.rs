//! Coarse deadlines: one counter per worker that ticks twice a second, and a sweep over all
//! connections at every tick. A request costs a few cell writes and no timer.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use crate::http::Peer;
use crate::limits::{
    ADMIN_BODY_SECONDS_MAX, BODY_SECONDS_MAX, FIRST_BYTE_SECONDS_MAX, HANDSHAKE_SECONDS_MAX,
    HEAD_SECONDS_MAX, QUIET_SECONDS, WRITE_SECONDS_MAX,
};

const TICKS_PER_SECOND: u32 = 2;

/// What a connection is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It was accepted and agrees on its encryption.
    Handshake,
    /// It was accepted and has sent nothing.
    FirstByte,
    /// Its last request was answered.
    Idle,
    /// A request has begun and its head is not complete. More bytes do not extend the deadline.
    Head,
    /// The head is complete; its body may still be on the way. Only where a long one is expected do
    /// more bytes extend the deadline.
    Body,
    /// The answer goes on for as long as there is something to tell.
    Stream,
}

/// How the chunked body of the current request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// More of it may be asked for.
    Awaited,
    /// Its end was read.
    Read,
    /// The request was answered without the end of it, which nobody will read any more.
    Left,
}

/// What the deadlines know about one connection.
#[derive(Debug)]
pub(super) struct Progress {
    /// Who is at the other end.
    pub(super) peer: Peer,
    ticks: Rc<Cell<u32>>,
    phase: Cell<Phase>,
    since: Cell<u32>,
    /// When bytes of a body came in last.
    body_grew: Cell<u32>,
    /// The body of the current request was read to its end.
    body_ended: Cell<bool>,
    /// The last read found nothing, and there was no other since.
    awaits_bytes: Cell<bool>,
    /// Nothing is kept for the next request.
    quiet: Cell<bool>,
    /// Since when the client has taken nothing of what is to be written.
    blocked_since: Cell<Option<u32>>,
    overdue: Cell<bool>,
    waker: OnceCell<Waker>,
}

impl Progress {
    fn new(peer: Peer, ticks: Rc<Cell<u32>>) -> Self {
        let since = Cell::new(ticks.get());
        Self {
            peer,
            ticks,
            phase: Cell::new(Phase::FirstByte),
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

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(self.ticks.get());
    }

    /// The connection is to be encrypted.
    pub(super) fn handshake_begun(&self) {
        self.enter(Phase::Handshake);
    }

    /// The connection is encrypted, and may send its first request.
    pub(super) fn handshake_ended(&self) {
        self.enter(Phase::FirstByte);
    }

    /// Bytes came in, of whatever.
    pub(super) fn read(&self) {
        self.awaits_bytes.set(false);
        if self.phase.get() == Phase::Body {
            self.body_grew.set(self.ticks.get());
        }
    }

    /// Bytes of a head are there.
    pub(super) fn head_begun(&self) {
        if matches!(self.phase.get(), Phase::FirstByte | Phase::Idle) {
            self.enter(Phase::Head);
        }
    }

    /// More bytes are wanted and none is there.
    pub(super) fn read_blocked(&self) {
        self.awaits_bytes.set(true);
    }

    /// The client took some bytes.
    pub(super) fn written(&self) {
        self.blocked_since.set(None);
    }

    /// The client takes no bytes.
    pub(super) fn write_blocked(&self) {
        if self.blocked_since.get().is_none() {
            self.blocked_since.set(Some(self.ticks.get()));
        }
    }

    /// A request's head is complete.
    pub(super) fn request_begun(&self) {
        self.awaits_bytes.set(false);
        self.enter(Phase::Body);
        self.body_grew.set(self.ticks.get());
        self.body_ended.set(false);
    }

    /// The request's body was read to its end.
    pub(super) fn body_ended(&self) {
        self.body_ended.set(true);
    }

    /// The answer to the request is known.
    pub(super) fn request_ended(&self) {
        self.peer.set_long_body(false);
        self.enter(Phase::Idle);
    }

    /// The answer to the request is a stream.
    pub(super) fn stream_begun(&self) {
        self.enter(Phase::Stream);
    }

    /// Whether a part of a head is there.
    pub(super) fn is_in_head(&self) -> bool {
        self.phase.get() == Phase::Head
    }

    /// How the body of the last request stands, if it is a chunked one.
    pub(super) fn chunks_are(&self) -> Chunks {
        match self.phase.get() {
            _ if self.body_ended.get() => Chunks::Read,
            Phase::Idle | Phase::Head => Chunks::Left,
            _ => Chunks::Awaited,
        }
    }

    /// Whether the connection streams, and the client has taken all that there was so far.
    pub(super) fn head_is_sent(&self) -> bool {
        self.phase.get() == Phase::Stream && !self.is_blocked()
    }

    /// Whether the client takes nothing of what is to be written.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked_since.get().is_some()
    }

    /// Whether the client was too slow and the connection must be closed.
    pub(super) fn is_overdue(&self) -> bool {
        self.overdue.get()
    }

    /// Says whether the connection keeps anything for its next request.
    pub(super) fn set_quiet(&self, quiet: bool) {
        self.quiet.set(quiet);
    }

    /// Whether the last answer was taken a while ago, and what is kept for the next request can be let
    /// go of.
    pub(super) fn has_become_quiet(&self) -> bool {
        self.phase.get() == Phase::Idle
            && !self.is_blocked()
            && !self.quiet.get()
            && self.ticks.get().wrapping_sub(self.since.get()) > QUIET_SECONDS * TICKS_PER_SECOND
    }

    /// Remembers how to wake the connection's task.
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
            Phase::Handshake => HANDSHAKE_SECONDS_MAX,
            Phase::FirstByte => FIRST_BYTE_SECONDS_MAX,
            Phase::Idle => idle_seconds,
            Phase::Head => HEAD_SECONDS_MAX,
            // The server is at work, or has nothing to tell, which is not the client's fault.
            Phase::Stream => return false,
            Phase::Body if !self.awaits_bytes.get() => return false,
            Phase::Body if !self.peer.has_long_body() => BODY_SECONDS_MAX,
            Phase::Body if passed(self.body_grew.get(), BODY_SECONDS_MAX) => return true,
            Phase::Body => ADMIN_BODY_SECONDS_MAX,
        };
        passed(self.since.get(), seconds_max)
    }
}

/// The open connections of one worker, and the clock of their deadlines.
#[derive(Debug)]
pub(super) struct Connections {
    idle_seconds: u32,
    ticks: Rc<Cell<u32>>,
    open: RefCell<HashMap<u64, Rc<Progress>>>,
    next: Cell<u64>,
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
    /// No connections yet. Each may be without a request for `idle_seconds`.
    pub(super) fn idle_for(idle_seconds: u32) -> Self {
        Self {
            idle_seconds,
            ticks: Rc::default(),
            open: RefCell::default(),
            next: Cell::default(),
            draining: Cell::default(),
            all_closed: Notify::default(),
        }
    }

    /// Takes in a new connection with whoever is at `address`. It counts from now on.
    pub(super) fn add(self: &Rc<Self>, address: IpAddr) -> OpenConnection {
        let (peer, ticks) = (Peer::new(address), Rc::clone(&self.ticks));
        let (id, progress) = (self.next.get(), Rc::new(Progress::new(peer, ticks)));
        self.next.set(id + 1);
        self.open.borrow_mut().insert(id, Rc::clone(&progress));
        OpenConnection {
            connections: Rc::clone(self),
            id,
            progress,
        }
    }

    fn remove(&self, id: u64) {
        let mut open = self.open.borrow_mut();
        open.remove(&id);
        if open.is_empty() {
            self.all_closed.notify_one();
        }
    }

    /// Connections that are open.
    pub(super) fn count(&self) -> usize {
        self.open.borrow().len()
    }

    /// Whether the task of every connection has begun, and waits for bytes or has read some.
    pub(super) fn all_begun(&self) -> bool {
        let open = self.open.borrow();
        open.values().all(|progress| progress.waker.get().is_some())
    }

    /// Whether connections should end with their current request.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Tells all connections to end with their current request, or now when they have none.
    pub(super) fn start_draining(&self) {
        self.draining.set(true);
        self.open
            .borrow()
            .values()
            .for_each(|progress| progress.wake());
    }

    /// Waits until no connection is open.
    pub(super) async fn all_closed(&self) {
        while self.count() > 0 {
            self.all_closed.notified().await;
        }
    }

    /// Ticks for ever.
    pub(super) async fn keep_ticking(&self) {
        let mut interval = interval(Duration::from_secs(1) / TICKS_PER_SECOND);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.tick();
        }
    }

    /// Advances the clock by one tick and wakes the connections that are overdue, or have become quiet.
    fn tick(&self) {
        self.ticks.set(self.ticks.get().wrapping_add(1));
        for progress in self.open.borrow().values() {
            if progress.exceeds_its_deadline(self.idle_seconds) {
                progress.overdue.set(true);
                progress.wake();
            } else if progress.has_become_quiet() {
                progress.wake();
            }
        }
    }
}

/// A connection that counts as open for as long as this lives.
#[derive(Debug)]
pub(super) struct OpenConnection {
    connections: Rc<Connections>,
    id: u64,
    /// What the deadlines know about it.
    pub(super) progress: Rc<Progress>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.remove(self.id);
    }
}

#[cfg(test)]
mod tests;
