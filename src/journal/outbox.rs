//! The batches that are on their way to a replicated log, and the records that may be told once they are there.
//!
//! The committer puts each batch in before it writes it, so that disk and log work side by side. A record is published when it
//! is in both: here alone that is decided.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Journal;
use super::batch::BatchRange;
use super::frame::FRAME_HEADER_BYTES;
use super::shared::Shared;
use crate::limits;
use crate::planted::{Slip, is_planted};
use crate::sync::{Condvar, Mutex};
use crate::types::Lsn;

/// The batches that a replicated log does not have yet, in order.
pub struct Outbox {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    shared: Weak<Shared>,
}

struct Waiting {
    batches: VecDeque<OutgoingBatch>,
    bytes: usize,
    /// The last record that is durable here.
    local: Lsn,
    /// The last record that is durable in the log.
    replicated: Lsn,
    is_closed: bool,
}

/// Records that follow each other, as the journal has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingBatch {
    /// The number of the first record.
    pub first: Lsn,
    /// The number of the last record.
    pub last: Lsn,
    /// Their envelopes, one behind the other.
    pub records: Vec<u8>,
}

/// The places of a record, as far as they differ while it is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The last record that is durable here.
    pub local: Lsn,
    /// The last record that is durable in the log.
    pub replicated: Lsn,
}

impl Outbox {
    /// Creates the outbox of a journal that is durable up to `at` here and in the log.
    pub(super) fn new(shared: &Arc<Shared>, at: Lsn) -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                batches: VecDeque::new(),
                bytes: 0,
                local: at,
                replicated: at,
                is_closed: false,
            }),
            changed: Condvar::new(),
            shared: Arc::downgrade(shared),
        }
    }

    /// Puts in the batch whose records follow the room for a frame's header in `buffer`.
    pub(super) fn put(&self, batch: &BatchRange, buffer: &[u8]) {
        let records = buffer[FRAME_HEADER_BYTES..].to_vec();
        let mut waiting = self.waiting.lock();
        waiting.bytes += records.len();
        waiting.batches.push_back(OutgoingBatch {
            first: batch.first,
            last: batch.last(),
            records,
        });
        self.hold_back(&waiting);
        drop(waiting);
        self.changed.notify_all();
    }

    /// Notes that everything up to `local` is durable here, and publishes what is in both places by now.
    pub(super) fn note_local(&self, local: Lsn) {
        let mut waiting = self.waiting.lock();
        waiting.local = local;
        self.publish(&waiting);
    }

    /// Notes that the log has everything up to `replicated`, which it has acknowledged, and publishes what is in both places by
    /// now.
    pub fn note_replicated(&self, replicated: Lsn) {
        let mut waiting = self.waiting.lock();
        while let Some(batch) = waiting
            .batches
            .pop_front_if(|batch| batch.last <= replicated)
        {
            waiting.bytes -= batch.records.len();
        }
        waiting.replicated = replicated;
        self.publish(&waiting);
        self.hold_back(&waiting);
    }

    /// Publishes under the lock, so that of two who do the later one never publishes less.
    fn publish(&self, waiting: &Waiting) {
        if let Some(shared) = self.shared.upgrade() {
            let both = match is_planted(Slip::TellsBeforeReplicated) {
                true => waiting.local,
                false => waiting.local.min(waiting.replicated),
            };
            shared.progress.advance(both);
        }
    }

    /// Refuses new work while too much waits for the log.
    fn hold_back(&self, waiting: &Waiting) {
        if let Some(shared) = self.shared.upgrade() {
            let bytes = waiting.bytes;
            let is_full = bytes > limits::OUTBOX_BYTES_MAX;
            if is_full || bytes <= limits::OUTBOX_BYTES_MAX / 2 {
                shared.refuse_for(HoldBackReason::OutboxFull, is_full);
            }
        }
    }

    /// Returns the batches from the front on, as one, without taking them out: as many as have no more than `bytes_max` bytes,
    /// but at least one. `None` where none waits.
    #[must_use]
    pub fn front(&self, bytes_max: usize) -> Option<OutgoingBatch> {
        let waiting = self.waiting.lock();
        let mut batches = waiting.batches.iter();
        let mut all = batches.next()?.clone();
        for batch in batches {
            if all.records.len() + batch.records.len() > bytes_max {
                break;
            }
            all.records.extend_from_slice(&batch.records);
            all.last = batch.last;
        }
        Some(all)
    }

    /// Returns whether no batch waits, and none will come any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.is_closed && waiting.batches.is_empty()
    }

    /// Blocks until a batch waits, or none will come any more: for at most `patience`.
    pub fn wait(&self, patience: Duration) {
        let mut waiting = self.waiting.lock();
        self.changed.wait_while_for(
            &mut waiting,
            |waiting| waiting.batches.is_empty() && !waiting.is_closed,
            patience,
        );
    }

    /// Notes that nothing is put in any more.
    pub(super) fn close(&self) {
        self.waiting.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Returns how far the records have come.
    #[must_use]
    pub fn reached(&self) -> Reached {
        let waiting = self.waiting.lock();
        Reached {
            local: waiting.local,
            replicated: waiting.replicated,
        }
    }

    /// Returns the bytes that wait.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.lock().bytes
    }
}

/// The reason why new work is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoldBackReason {
    /// Somebody else decides what comes into the journal.
    HeldBack,
    /// Too much waits for the replicated log.
    OutboxFull,
}

impl Journal {
    /// From now on a record is durable when a replicated log has it, too: what is appended goes into the returned outbox as well.
    /// Everything that was appended before must be durable in both places.
    ///
    /// # Panics
    /// When this was called before, or a record is not durable yet.
    pub fn replicate(&self) -> Arc<Outbox> {
        let durable = self.durable();
        assert_eq!(durable, self.shared.appended(), "nothing is on its way");
        let outbox = Arc::new(Outbox::new(&self.shared, durable));
        let set = self.shared.outbox.set(Arc::clone(&outbox));
        assert!(set.is_ok(), "a journal is replicated once");
        outbox
    }

    /// Returns how far the records have come here and in a replicated log; `None` where there is none.
    #[must_use]
    pub fn reached(&self) -> Option<Reached> {
        self.shared.outbox.get().map(|outbox| outbox.reached())
    }

    /// Sets whether new work is refused because somebody else decides what comes into the journal. [`Self::append`] goes on.
    pub fn hold_back(&self, held_back: bool) {
        self.shared.refuse_for(HoldBackReason::HeldBack, held_back);
    }
}
