//! Writing: whatever has gathered becomes a frame, one write and one `fdatasync`; meanwhile the next
//! batch gathers. The batch size adjusts itself to the disk.
//!
//! One at a time holds the [`Committer`] and writes with it: its own thread, or a worker at the end
//! of a turn ([`super::turn`]). Whoever finds it taken may leave: the holder looks at the queue once
//! more after it has let go.

use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use super::Durability;
use super::error::JournalError;
use super::frame::{self, FRAME_HEADER_BYTES};
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use super::shared::{Batch, Shared, Taken};
use crate::env::Clock;
use crate::sync::Ordering;

/// Where is written, and how.
pub(super) struct Committer {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    durability: Durability,
    segment: Segment,
    offset: u64,
    buffer: Vec<u8>,
    ended: bool,
}

/// What came of a worker's attempt to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Led {
    /// What had gathered is durable, if there was anything.
    Committed,
    /// Nothing is written any more.
    Ended,
    /// It needs the next segment, for which one may have to wait.
    NeedsSegment,
}

impl Committer {
    pub(super) fn new(
        shared: Arc<Shared>,
        clock: Arc<dyn Clock>,
        durability: Durability,
        segment: Segment,
        offset: u64,
    ) -> Result<Self, JournalError> {
        shared.set_current(&segment)?;
        let committer = Self {
            shared,
            clock,
            durability,
            segment,
            offset,
            buffer: Shared::empty_buffer(),
            ended: false,
        };
        committer.publish_room();
        Ok(committer)
    }

    /// The thread's work: writes until the journal is closed or fails.
    pub(super) fn run(committer: &Mutex<Self>, shared: &Shared) {
        loop {
            // Read before the queue: what is enqueued before the closing is then taken.
            let closing = shared.closing.load(Ordering::Acquire);
            let is_over = committer.lock().commit_all();
            // Looked at after letting go, because whoever found the committer taken has left.
            let is_idle = !shared.has_pending();
            if is_over || closing && is_idle {
                break;
            }
            if is_idle {
                thread::park();
            }
        }
        committer.lock().ended = true;
        shared.end_committer();
    }

    /// Commits until nothing waits; whether nothing will be written any more.
    fn commit_all(&mut self) -> bool {
        while !self.ended
            && let Taken::Batch(batch) = self.shared.take_batch(&mut self.buffer, u64::MAX)
        {
            self.commit(&batch);
        }
        self.ended
    }

    /// Commits one batch for the worker that holds the committer. Does not wait for a segment.
    pub(super) fn lead(&mut self) -> Led {
        if self.ended {
            return Led::Ended;
        }
        let room_bytes = self.segment.header.length_bytes - self.offset;
        match self.shared.take_batch(&mut self.buffer, room_bytes) {
            Taken::Batch(batch) => {
                self.commit(&batch);
                Led::Committed
            }
            Taken::Nothing => Led::Committed,
            Taken::TooLarge => Led::NeedsSegment,
        }
    }

    fn commit(&mut self, batch: &Batch) {
        // Until it is done, because nothing may be written behind a batch that is not: the pages may be
        // gone after a failed sync, so that trying again could confirm what is not on the disk.
        self.ended = true;
        match self.try_commit(batch) {
            Ok(()) => self.ended = self.shared.has_failed(),
            Err(error) => self.shared.fail(&error),
        }
    }

    /// Gives the lock on the segment back.
    pub(super) fn unlock_segment(&self) {
        let _ = self.segment.file.unlock();
    }

    fn try_commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
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
        let took_ns = self.write()?;
        if self.shared.has_failed() {
            // The file may be one that no start will find.
            return Ok(());
        }
        self.offset += frame_bytes;
        self.publish_room();
        self.shared.progress.publish(batch.last());
        self.shared.record_batch(batch, self.buffer.len(), took_ns);
        Ok(())
    }

    /// Writes and syncs; how long that took, in nanoseconds.
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

    /// Goes on in the next segment.
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
