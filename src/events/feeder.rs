//! The thread of a feed: reads for everybody who asked, and once for all who follow the end of the journal.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::feed::{FeedReaders, FeedShared, PageRequest, StreamSlot};
use super::filter::EventFilter;
use super::reader::{EventForm, EventMark, EventPage, EventQuery, EventReader, ReadError};
use crate::env::step_back;
use crate::limits::{EVENT_PIECE_EVENTS_MAX, EVENT_TICK_MS, FOLLOW_NICE, STREAM_SILENCE_SECONDS};
use crate::types::Lsn;

/// The work of the thread.
pub(super) struct Feeder {
    shared: Arc<FeedShared>,
    reader: EventReader,
    waiting: Vec<PageRequest>,
    /// The record up to which those have everything who follow the end; `None` while there are no streams.
    live: Option<Lsn>,
    /// There is more to do at once.
    is_busy: bool,
}

/// Events of the end of the journal, for all streams that follow it.
struct LiveChunk {
    after: Lsn,
    last: Lsn,
    text: Bytes,
    marks: Vec<EventMark>,
}

/// What some streams lack.
struct Wanted {
    after: Lsn,
    filter: EventFilter,
}

impl StreamSlot {
    /// Returns whether its next piece is what `filter` admits behind `after`: the place of one may be another's by now.
    fn awaits(&self, after: Lsn, filter: &EventFilter) -> bool {
        self.piece.is_none() && self.position == after && self.filter == *filter
    }
}

impl Feeder {
    pub(super) fn new(shared: Arc<FeedShared>, reader: EventReader) -> Self {
        Self {
            shared,
            reader,
            waiting: Vec::new(),
            live: None,
            is_busy: false,
        }
    }

    pub(super) fn run(mut self) {
        // Of this thread only: those who sell go first.
        step_back(FOLLOW_NICE);
        while self.wait() {
            let (until, now_us) = (self.reader.acknowledged(), self.now_us());
            self.is_busy = false;
            self.answer_requests(until, now_us);
            self.feed_streams(until, now_us);
        }
    }

    fn now_us(&self) -> u64 {
        self.shared.clock.monotonic_us()
    }

    /// Blocks until there may be something to do. Returns false once the thread is to end.
    fn wait(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        loop {
            let is_new = !state.requests.is_empty() || std::mem::take(&mut state.is_hungry);
            self.waiting.append(&mut state.requests);
            self.waiting.retain(|request| !request.reply.is_closed());
            state.waiting = self.waiting.len();
            let is_read = !self.waiting.is_empty() || !state.streams.is_empty();
            shared.gauge.set_readers(state.streams.len(), state.waiting);
            if state.is_stopped {
                // Whoever waits yet hears that the server is shutting down.
                return false;
            }
            if is_new || self.is_busy || self.is_to_close(&state) {
                return true;
            }
            if is_read {
                let tick = Duration::from_millis(EVENT_TICK_MS);
                // What has come meanwhile is taken in the next turn of the loop.
                self.is_busy = shared.changed.wait_for(&mut state, tick).timed_out();
            } else {
                self.reader.forget();
                shared.changed.wait(&mut state);
            }
        }
    }

    /// Returns whether the feed was closed, and somebody does not know it.
    fn is_to_close(&self, state: &FeedReaders) -> bool {
        let mut streams = state.streams.iter();
        state.is_closed && (!self.waiting.is_empty() || streams.any(|(_, slot)| !slot.has_ended))
    }

    fn answer_requests(&mut self, until: Lsn, now_us: u64) {
        let is_closed = self.shared.state.lock().is_closed;
        for request in std::mem::take(&mut self.waiting) {
            if self.is_stopped() {
                return;
            }
            let must_end = is_closed || request.deadline_us <= now_us;
            if let Some(request) = self.answer(request, until, must_end) {
                self.waiting.push(request);
            }
        }
    }

    /// Answers `request` where there is something for it, or it `must_end`; returns it where it goes on waiting.
    fn answer(
        &mut self,
        mut request: PageRequest,
        until: Lsn,
        must_end: bool,
    ) -> Option<PageRequest> {
        if request.query.after >= until && !must_end {
            return Some(request);
        }
        let read = self.reader.read(&request.query, until);
        if let Ok(page) = &read
            && page.events == 0
            && !must_end
        {
            request.query.after = page.last;
            self.is_busy |= page.last < until;
            return Some(request);
        }
        let events = read.as_ref().map_or(0, |page| page.events);
        self.shared.gauge.add_sent(events);
        // An error means that the client has left.
        let _ = request.reply.send(read);
        None
    }

    fn feed_streams(&mut self, until: Lsn, now_us: u64) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        if state.is_closed {
            state
                .streams
                .iter_mut()
                .for_each(|(_, slot)| end_stream(slot));
        }
        if state.streams.is_empty() {
            self.live = None;
            return;
        }
        drop(state);
        self.read_live(until, now_us);
        self.catch_up(now_us);
        let live = self.live.unwrap_or(until);
        let mut state = shared.state.lock();
        let places = state.streams.iter().map(|(_, slot)| slot.position);
        let lag = places.map(|place| until.0.saturating_sub(place.0)).max();
        shared.gauge.set_lag(lag.unwrap_or(0));
        for (_, slot) in &mut state.streams {
            slot.is_behind = slot.position < live;
            break_silence(slot, now_us);
        }
    }

    /// Reads what is new at the end of the journal, once for all streams that have everything before it.
    fn read_live(&mut self, until: Lsn, now_us: u64) {
        let after = *self.live.get_or_insert(until);
        if after >= until {
            return;
        }
        let query = stream_query(after, EventFilter::default());
        let mut marks = Vec::new();
        let read = self
            .reader
            .read_noting(&query, until, &mut |mark| marks.push(mark));
        let Ok(page) = read else {
            // Each stream meets the error by itself.
            self.live = Some(until);
            return;
        };
        self.live = Some(page.last);
        self.is_busy |= page.last < until;
        let chunk = LiveChunk {
            after,
            last: page.last,
            text: page.body.into(),
            marks,
        };
        // Workers wait for the lock: nothing is copied under it, and once for all who want the same.
        for wanted in self.wanted_of(&chunk) {
            let (piece, events) = chunk.piece_for(&wanted);
            let mut state = self.shared.state.lock();
            for (_, slot) in &mut state.streams {
                if slot.awaits(wanted.after, &wanted.filter) {
                    self.shared.gauge.add_sent(events);
                    give(slot, piece.clone(), chunk.last, now_us);
                }
            }
        }
    }

    /// Returns what streams lack that `chunk` has the next record for, each once.
    fn wanted_of(&self, chunk: &LiveChunk) -> Vec<Wanted> {
        let mut all: Vec<Wanted> = Vec::new();
        let state = self.shared.state.lock();
        for (_, slot) in &state.streams {
            let is_due = slot.piece.is_none() && chunk.holds(slot.position);
            let is_known = |it: &Wanted| slot.awaits(it.after, &it.filter);
            if is_due && !all.iter().any(is_known) {
                all.push(Wanted {
                    after: slot.position,
                    filter: slot.filter.clone(),
                });
            }
        }
        all
    }

    fn is_stopped(&self) -> bool {
        self.shared.state.lock().is_stopped
    }

    /// Reads a piece for each stream that is behind the others and has taken the one before.
    fn catch_up(&mut self, now_us: u64) {
        let Some(live) = self.live else { return };
        let behind = |(key, slot): (usize, &StreamSlot)| {
            let is_due = slot.piece.is_none() && !slot.has_ended && slot.position < live;
            is_due.then(|| (key, stream_query(slot.position, slot.filter.clone())))
        };
        let all: Vec<_> = {
            let state = self.shared.state.lock();
            state.streams.iter().filter_map(behind).collect()
        };
        let shared = Arc::clone(&self.shared);
        for (key, query) in all {
            if shared.state.lock().is_stopped {
                return;
            }
            let read = self.reader.read(&query, live);
            let mut state = shared.state.lock();
            self.give_read(&mut state, key, &query, read, now_us);
        }
    }

    fn give_read(
        &mut self,
        state: &mut FeedReaders,
        key: usize,
        query: &EventQuery,
        read: Result<EventPage, ReadError>,
        now_us: u64,
    ) {
        let slot = state.streams.get_mut(key);
        let Some(slot) = slot.filter(|slot| slot.awaits(query.after, &query.filter)) else {
            return;
        };
        match read {
            Ok(page) => {
                self.shared.gauge.add_sent(page.events);
                // A page without events is no piece that the client takes: it is followed by the next one.
                self.is_busy |= page.events == 0;
                give(slot, page.body.into(), page.last, now_us);
            }
            // The client comes again, and hears why.
            Err(_) => end_stream(slot),
        }
    }
}

impl LiveChunk {
    /// Returns whether the next record behind `place` is in it.
    fn holds(&self, place: Lsn) -> bool {
        self.after <= place && place < self.last
    }

    /// Returns the events that are wanted, and their number.
    fn piece_for(&self, wanted: &Wanted) -> (Bytes, usize) {
        if wanted.filter.is_open() && wanted.after == self.after {
            return (self.text.clone(), self.marks.len());
        }
        let (mut piece, mut events, mut start) = (Vec::new(), 0, 0);
        for mark in &self.marks {
            if mark.lsn > wanted.after && wanted.filter.admits(mark.kind, mark.sale) {
                piece.extend_from_slice(&self.text[start..mark.end]);
                events += 1;
            }
            start = mark.end;
        }
        (piece.into(), events)
    }
}

fn stream_query(after: Lsn, filter: EventFilter) -> EventQuery {
    EventQuery {
        after,
        limit: EVENT_PIECE_EVENTS_MAX,
        filter,
        form: EventForm::Stream,
    }
}

/// Gives a stream its next piece, with which it has everything up to `last`.
fn give(slot: &mut StreamSlot, piece: Bytes, last: Lsn, now_us: u64) {
    slot.position = last;
    if !piece.is_empty() {
        slot.piece = Some(piece);
        slot.given_us = now_us;
        wake(slot);
    }
}

/// Gives a stream that was silent for long its place: a client that comes again begins there, and proxies see that the
/// connection is in use.
fn break_silence(slot: &mut StreamSlot, now_us: u64) {
    let silent_us = now_us.saturating_sub(slot.given_us);
    if slot.piece.is_none() && !slot.has_ended && silent_us >= STREAM_SILENCE_SECONDS * 1_000_000 {
        let place = format!("id: {}\n\n", slot.position);
        give(slot, place.into(), slot.position, now_us);
    }
}

fn end_stream(slot: &mut StreamSlot) {
    slot.has_ended = true;
    wake(slot);
}

fn wake(slot: &mut StreamSlot) {
    if let Some(waker) = slot.waker.take() {
        waker.wake();
    }
}
