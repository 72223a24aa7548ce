//! Writing: the records that have gathered become a frame, one durable write; meanwhile the next
//! batch gathers. The batch size adjusts itself to the disk.
//!
//! One thread at a time holds the [`Committer`] and writes with it: its own thread, or a worker at the end
//! of a turn ([`super::commit_hook`]). A worker may also begin a write and let go; until it has been told the result
//! nobody else writes. A thread that finds the committer taken, or a write on its way, may leave: the holder, or who
//! began the write, checks the queue once more afterwards.

use std::io;
use std::mem;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use super::Durability;
use super::batch::{BatchRange, empty_buffer};
use super::error::JournalError;
use super::frame::{self, FRAME_HEADER_BYTES};
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use super::settling::FoundEnd;
use super::shared::{Shared, Taken};
use crate::env::{AsyncWriter, Clock};
use crate::planted::{Slip, is_planted};
use crate::sync::Ordering;

/// The writer of the journal: the current segment, the place in it, and the batch in hand.
pub(super) struct Committer {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    durability: Durability,
    segment: Segment,
    offset: u64,
    buffer: Vec<u8>,
    /// The end that the start has found, where there was no room to settle it.
    unsettled: Option<FoundEnd>,
    /// The batch whose frame is in the buffer, and not on the disk yet.
    unwritten: Option<BatchRange>,
    /// When the write began that a worker has begun and not been told the result of, in nanoseconds.
    began_ns: Option<u64>,
    /// There was no room at the last write.
    is_short: bool,
    ended: bool,
}

/// The result of a worker's attempt to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommitAttempt {
    /// All records that had gathered are durable.
    Committed,
    /// A write has begun. Who began it checks the queue when it is done.
    Begun,
    /// Another worker's write is on its way.
    OnItsWay,
    /// Nothing is written any more.
    Ended,
    /// It needs the next segment, or room on the disk, for which one may have to wait.
    MustWait,
}

/// The rest that the committer could not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remaining {
    /// Nothing.
    Nothing,
    /// A batch, or the found end, that there was no room to write.
    Unwritten,
    /// A batch that a worker is writing.
    OnItsWay,
    /// Nothing will be written any more.
    Ended,
}

impl Committer {
    pub(super) fn new(
        shared: Arc<Shared>,
        clock: Arc<dyn Clock>,
        durability: Durability,
        segment: Segment,
        offset: u64,
        unsettled: Option<FoundEnd>,
    ) -> Result<Self, JournalError> {
        shared.set_current(&segment)?;
        shared.set_unsettled(unsettled.is_some());
        shared.set_short(unsettled.is_some());
        let committer = Self {
            shared,
            clock,
            durability,
            segment,
            offset,
            buffer: empty_buffer(),
            is_short: unsettled.is_some(),
            unsettled,
            unwritten: None,
            began_ns: None,
            ended: false,
        };
        committer.publish_room();
        Ok(committer)
    }

    /// Runs the thread: writes batches until the journal is closed or fails.
    pub(super) fn run(committer: &Mutex<Self>, shared: &Shared) {
        loop {
            // Read before the queue: what is enqueued before the closing is then taken.
            let closing = shared.closing.load(Ordering::Acquire);
            let left = committer.lock().commit_all();
            if left == Remaining::Unwritten && !closing {
                shared.wait_to_write();
                continue;
            }
            if left == Remaining::OnItsWay {
                // Woken by the worker, if it is still needed then.
                thread::park();
                continue;
            }
            // Checked after letting go, because a worker that found the committer taken has left.
            let is_idle = !shared.has_pending();
            if left == Remaining::Ended || closing && (is_idle || left == Remaining::Unwritten) {
                break;
            }
            if is_idle {
                thread::park();
            }
        }
        committer.lock().end();
    }

    /// Commits batches until the queue is empty or the disk is full.
    fn commit_all(&mut self) -> Remaining {
        loop {
            let left = self.write_remaining();
            if left != Remaining::Nothing {
                return left;
            }
            match self.shared.take_batch(&mut self.buffer, |_| true) {
                Taken::Batch(batch) => self.commit(batch),
                Taken::Nothing | Taken::TooLarge => return left,
            }
        }
    }

    /// Commits batches until nothing is left that can be written without waiting for a segment or for room.
    pub(super) fn commit_ready(&mut self) {
        while self.write_remaining() == Remaining::Nothing {
            match self.try_take(self.shared.has_prepared()) {
                Ok(batch) => self.commit(batch),
                Err(_) => return,
            }
        }
    }

    /// Commits one batch for the worker that holds the committer. Waits neither for a segment nor for room.
    pub(super) fn try_commit(&mut self) -> CommitAttempt {
        match self.try_take(false) {
            Ok(batch) => {
                self.commit(batch);
                self.attempted()
            }
            Err(attempt) => attempt,
        }
    }

    /// Begins to write one batch with the worker's own `writer`. The worker calls [`Self::finish`] with the result.
    pub(super) fn begin(&mut self, writer: &mut dyn AsyncWriter) -> CommitAttempt {
        let batch = match self.try_take(false) {
            Ok(batch) => batch,
            Err(attempt) => return attempt,
        };
        let now_ns = self.clock.monotonic_ns();
        if !self.make_unwritten(batch, now_ns) {
            return CommitAttempt::Ended;
        }
        if !writer.begin(&*self.segment.file, &self.buffer, self.offset) {
            return CommitAttempt::MustWait;
        }
        self.began_ns = Some(now_ns);
        CommitAttempt::Begun
    }

    /// Ends the write that [`Self::begin`] began.
    pub(super) fn finish(&mut self, written: io::Result<()>) -> CommitAttempt {
        let Some(began_ns) = self.began_ns.take() else {
            return self.attempted();
        };
        self.shared.stall().end();
        match written {
            Ok(()) => {
                let took_ns = self.clock.monotonic_ns().saturating_sub(began_ns);
                self.shared.figures().sync_ns.record(took_ns);
                self.note_written(took_ns);
            }
            // The committer's thread writes it once more, and waits for room if there is none.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let error = JournalError::io("write", &self.segment.path)(error);
                if !error.is_for_want_of_room() {
                    self.ended = true;
                    self.shared.fail(&error);
                }
            }
        }
        self.ended |= self.shared.has_failed();
        self.attempted()
    }

    /// Takes a batch that fits into the segment, or any where it `may_advance` to the next one, if nothing has to be
    /// written before it.
    fn try_take(&mut self, may_advance: bool) -> Result<BatchRange, CommitAttempt> {
        if self.ended {
            return Err(CommitAttempt::Ended);
        }
        if self.began_ns.is_some() {
            return Err(CommitAttempt::OnItsWay);
        }
        if self.has_remaining() {
            return Err(CommitAttempt::MustWait);
        }
        let room_bytes = self.segment.header.length_bytes - self.offset;
        let align = self.segment.header.align;
        let has_room =
            |payload_bytes| may_advance || align.frame_bytes(payload_bytes) as u64 <= room_bytes;
        match self.shared.take_batch(&mut self.buffer, has_room) {
            Taken::Batch(batch) => Ok(batch),
            Taken::Nothing => Err(CommitAttempt::Committed),
            Taken::TooLarge => Err(CommitAttempt::MustWait),
        }
    }

    /// Returns the result of an attempt that is over.
    fn attempted(&self) -> CommitAttempt {
        if self.ended {
            CommitAttempt::Ended
        } else if self.has_remaining() {
            CommitAttempt::MustWait
        } else {
            CommitAttempt::Committed
        }
    }

    /// Unlocks the segment.
    pub(super) fn unlock_segment(&self) {
        let _ = self.segment.file.unlock();
    }

    /// Ends the writing, and wakes the threads that wait for its end.
    pub(super) fn end(&mut self) {
        self.give_up();
        self.shared.end_committer();
    }

    /// Ends the writing. Records for which there was no room until the end are lost with this
    /// process, so the journal fails.
    fn give_up(&mut self) {
        let lost = !self.ended && (self.unwritten.is_some() || self.shared.has_pending());
        self.ended = true;
        if lost {
            let full = std::io::ErrorKind::StorageFull.into();
            let error = JournalError::io("write", &self.segment.path)(full);
            self.shared.fail(&error);
        }
    }

    fn has_remaining(&self) -> bool {
        self.unsettled.is_some() || self.unwritten.is_some()
    }

    fn commit(&mut self, batch: BatchRange) {
        if self.make_unwritten(batch, self.clock.monotonic_ns()) {
            self.write_remaining();
        }
    }

    /// Makes the batch in the buffer the frame that is written next, from now on. Returns `false` where the journal has
    /// failed over that.
    fn make_unwritten(&mut self, batch: BatchRange, now_ns: u64) -> bool {
        self.shared.stall().begin(now_ns / 1000);
        if let Some(outbox) = self.shared.outbox.get() {
            outbox.put(&batch, &self.buffer);
        }
        let sealed = self.seal(&batch);
        match sealed {
            Ok(()) => {
                if is_planted(Slip::PublishesBeforeSync) {
                    self.shared.progress.publish(batch.last());
                }
                self.unwritten = Some(batch);
            }
            Err(error) => {
                self.ended = true;
                self.shared.fail(&error);
            }
        }
        !self.ended
    }

    /// Makes the batch in the buffer a frame of the segment that it will be written to.
    fn seal(&mut self, batch: &BatchRange) -> Result<(), JournalError> {
        let payload_bytes = self.buffer.len() - FRAME_HEADER_BYTES;
        let end = |segment: &Segment, offset: u64| {
            offset + segment.header.align.frame_bytes(payload_bytes) as u64
        };
        assert!(
            end(&self.segment, SEGMENT_HEADER_BYTES) <= self.segment.header.length_bytes,
            "a batch fits into a segment, because what may be pending is bounded"
        );
        if end(&self.segment, self.offset) > self.segment.header.length_bytes {
            self.advance()?;
        }
        let header = &self.segment.header;
        frame::seal(
            header.seed,
            header.align,
            batch.first,
            batch.count,
            &mut self.buffer,
        );
        Ok(())
    }

    /// Writes what is not on the disk yet, and returns what remains.
    ///
    /// A frame that found no room, when it was written or when it was synced, is written again as it is, the
    /// whole of it, to the same place, and synced then. What may be missing in the file after a failed sync was
    /// written since the one before, and that is this frame: nothing else is written before it is durable.
    fn write_remaining(&mut self) -> Remaining {
        if self.ended {
            return Remaining::Ended;
        }
        if self.began_ns.is_some() {
            return Remaining::OnItsWay;
        }
        // Until it is done, because nothing may be written behind a batch that is not: the pages may be
        // gone after a failed sync, so that a second sync alone could confirm what is not on the disk.
        self.ended = true;
        let written = self.try_write_remaining();
        self.shared.stall().end();
        match written {
            Ok(()) => self.ended = self.shared.has_failed(),
            Err(error) if error.is_for_want_of_room() => {
                (self.ended, self.is_short) = (false, true);
                if is_planted(Slip::DropsBatchWithoutRoom) {
                    self.unwritten = None;
                }
                if self.shared.set_short(true) {
                    tracing::error!("{error}; new work is refused until there is room");
                }
                return Remaining::Unwritten;
            }
            Err(error) => self.shared.fail(&error),
        }
        if self.ended {
            return Remaining::Ended;
        }
        if mem::take(&mut self.is_short) {
            self.shared.set_short(false);
            tracing::info!("there is room for the journal again: it takes new work");
        }
        Remaining::Nothing
    }

    fn try_write_remaining(&mut self) -> Result<(), JournalError> {
        if let Some(found) = &self.unsettled {
            found.settle(&self.segment)?;
            self.unsettled = None;
            self.shared.set_unsettled(false);
        }
        if self.unwritten.is_some() {
            let took_ns = self.write()?;
            self.note_written(took_ns);
        }
        Ok(())
    }

    /// Publishes the batch in the buffer, which is on the disk.
    fn note_written(&mut self, took_ns: u64) {
        // Otherwise the file may be one that no start will find.
        if !self.shared.has_failed()
            && let Some(batch) = self.unwritten.take()
        {
            self.offset += self.buffer.len() as u64;
            self.publish_room();
            self.shared.note_durable(batch.last());
            self.shared.record_batch(&batch, self.buffer.len(), took_ns);
        }
    }

    /// Writes and syncs the buffer. Returns the time that took, in nanoseconds.
    fn write(&self) -> Result<u64, JournalError> {
        let Segment { path, file, .. } = &self.segment;
        let started_ns = self.clock.monotonic_ns();
        let written = match self.durability {
            Durability::Os => file.write_at(&self.buffer, self.offset),
            Durability::Fsync => file.write_durably(&self.buffer, self.offset),
        };
        let written = match is_planted(Slip::IgnoresFailedSync) {
            true => Ok(()),
            false => written,
        };
        written.map_err(JournalError::io("write", path))?;
        let took_ns = self.clock.monotonic_ns().saturating_sub(started_ns);
        if self.durability == Durability::Fsync {
            self.shared.figures().sync_ns.record(took_ns);
        }
        Ok(took_ns)
    }

    /// Switches to the next segment.
    fn advance(&mut self) -> Result<(), JournalError> {
        let Some(next) = self.shared.take_prepared() else {
            let full = std::io::ErrorKind::StorageFull.into();
            return Err(JournalError::io("extend", &self.segment.path)(full));
        };
        let sealed_bytes = self.offset;
        self.shared.set_current(&next)?;
        self.segment = next;
        self.offset = SEGMENT_HEADER_BYTES;
        self.shared.note_sealed(sealed_bytes);
        Ok(())
    }

    fn publish_room(&self) {
        self.shared
            .set_room(self.segment.header.length_bytes - self.offset);
    }
}
