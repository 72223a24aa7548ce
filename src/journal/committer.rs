//! Writing: the records that have gathered become a frame, one write and one `fdatasync`; meanwhile the next
//! batch gathers. The batch size adjusts itself to the disk.
//!
//! One thread at a time holds the [`Committer`] and writes with it: its own thread, or a worker at the end
//! of a turn ([`super::commit_hook`]). A thread that finds it taken may leave: the holder checks the queue once
//! more after it has let go.

use std::mem;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use super::Durability;
use super::error::JournalError;
use super::frame::{self, FRAME_HEADER_BYTES};
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use super::settling::FoundEnd;
use super::shared::{BatchRange, Shared, Taken};
use crate::env::Clock;
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
    /// There was no room at the last write.
    is_short: bool,
    ended: bool,
}

/// The result of a worker's attempt to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommitAttempt {
    /// All records that had gathered are durable.
    Committed,
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
            buffer: Shared::empty_buffer(),
            is_short: unsettled.is_some(),
            unsettled,
            unwritten: None,
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
            // Checked after letting go, because a worker that found the committer taken has left.
            let is_idle = !shared.has_pending();
            if left == Remaining::Ended || closing && (is_idle || left == Remaining::Unwritten) {
                break;
            }
            if is_idle {
                thread::park();
            }
        }
        committer.lock().give_up();
        shared.end_committer();
    }

    /// Commits batches until the queue is empty or the disk is full.
    fn commit_all(&mut self) -> Remaining {
        loop {
            let left = self.write_remaining();
            if left != Remaining::Nothing {
                return left;
            }
            match self.shared.take_batch(&mut self.buffer, u64::MAX) {
                Taken::Batch(batch) => self.commit(batch),
                Taken::Nothing | Taken::TooLarge => return left,
            }
        }
    }

    /// Commits one batch for the worker that holds the committer. Waits neither for a segment nor for room.
    pub(super) fn try_commit(&mut self) -> CommitAttempt {
        if self.ended {
            return CommitAttempt::Ended;
        }
        if self.has_remaining() {
            return CommitAttempt::MustWait;
        }
        let room_bytes = self.segment.header.length_bytes - self.offset;
        match self.shared.take_batch(&mut self.buffer, room_bytes) {
            Taken::Batch(batch) => {
                self.commit(batch);
                match self.has_remaining() {
                    true => CommitAttempt::MustWait,
                    false => CommitAttempt::Committed,
                }
            }
            Taken::Nothing => CommitAttempt::Committed,
            Taken::TooLarge => CommitAttempt::MustWait,
        }
    }

    /// Unlocks the segment.
    pub(super) fn unlock_segment(&self) {
        let _ = self.segment.file.unlock();
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
        self.shared.stall().begin(self.clock.monotonic_us());
        match self.seal(&batch) {
            Ok(()) => {
                self.unwritten = Some(batch);
                self.write_remaining();
            }
            Err(error) => {
                self.ended = true;
                self.shared.fail(&error);
            }
        }
    }

    /// Makes the batch in the buffer a frame of the segment that it will be written to.
    fn seal(&mut self, batch: &BatchRange) -> Result<(), JournalError> {
        let frame_bytes = frame::frame_bytes(self.buffer.len() - FRAME_HEADER_BYTES) as u64;
        assert!(
            SEGMENT_HEADER_BYTES + frame_bytes <= self.segment.header.length_bytes,
            "a batch fits into a segment, because what may be pending is bounded"
        );
        if self.offset + frame_bytes > self.segment.header.length_bytes {
            self.advance()?;
        }
        let seed = self.segment.header.seed;
        frame::seal(seed, batch.first, batch.count, &mut self.buffer);
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
        // Until it is done, because nothing may be written behind a batch that is not: the pages may be
        // gone after a failed sync, so that a second sync alone could confirm what is not on the disk.
        self.ended = true;
        let written = self.try_write_remaining();
        self.shared.stall().end();
        match written {
            Ok(()) => self.ended = self.shared.has_failed(),
            Err(error) if error.is_for_want_of_room() => {
                (self.ended, self.is_short) = (false, true);
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
        let Some(batch) = &self.unwritten else {
            return Ok(());
        };
        let took_ns = self.write()?;
        if self.shared.has_failed() {
            // The file may be one that no start will find.
            return Ok(());
        }
        self.offset += self.buffer.len() as u64;
        self.publish_room();
        self.shared.progress.publish(batch.last());
        self.shared.record_batch(batch, self.buffer.len(), took_ns);
        self.unwritten = None;
        Ok(())
    }

    /// Writes and syncs the buffer. Returns the time that took, in nanoseconds.
    fn write(&self) -> Result<u64, JournalError> {
        let Segment { path, file, .. } = &self.segment;
        let started_ns = self.clock.monotonic_ns();
        file.write_at(&self.buffer, self.offset)
            .map_err(JournalError::io("write", path))?;
        let written_ns = self.clock.monotonic_ns();
        if self.durability == Durability::Os {
            return Ok(written_ns.saturating_sub(started_ns));
        }
        file.sync_data().map_err(JournalError::io("sync", path))?;
        let synced_ns = self.clock.monotonic_ns();
        let sync_ns = &self.shared.figures().sync_ns;
        sync_ns.record(synced_ns.saturating_sub(written_ns));
        Ok(synced_ns.saturating_sub(started_ns))
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
