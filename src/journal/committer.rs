//! The one thread that writes: whatever has gathered becomes a frame, one write and one
//! `fdatasync`; meanwhile the next batch gathers. The batch size adjusts itself to the disk.

use std::sync::Arc;
use std::thread;

use super::Durability;
use super::error::JournalError;
use super::frame::{self, FRAME_HEADER_BYTES};
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use super::shared::{Batch, Shared};
use crate::env::Clock;
use crate::sync::Ordering;

/// The committer's own state: where it writes.
pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) durability: Durability,
    pub(super) segment: Segment,
    pub(super) offset: u64,
}

impl Committer {
    /// Writes until the journal is closed or fails.
    pub(super) fn run(mut self) {
        if let Err(error) = self.write_batches() {
            self.shared.fail(&error);
        }
        self.shared.end_committer();
    }

    fn write_batches(&mut self) -> Result<(), JournalError> {
        let mut spare = Shared::empty_buffer();
        loop {
            // Read before the queue: what is enqueued before the closing is then taken.
            let closing = self.shared.closing.load(Ordering::Acquire);
            match self.shared.take_batch(&mut spare) {
                Some(batch) => self.commit(&batch, &mut spare)?,
                None if closing => return Ok(()),
                None => thread::park(),
            }
        }
    }

    fn commit(&mut self, batch: &Batch, buffer: &mut Vec<u8>) -> Result<(), JournalError> {
        let frame_bytes = frame::frame_bytes(buffer.len() - FRAME_HEADER_BYTES) as u64;
        assert!(
            SEGMENT_HEADER_BYTES + frame_bytes <= self.segment.header.length_bytes,
            "a batch fits into a segment, because what may be pending is bounded"
        );
        if self.offset + frame_bytes > self.segment.header.length_bytes {
            self.advance()?;
        }
        frame::seal(self.segment.header.seed, batch.first, batch.count, buffer);
        let started_us = self.clock.monotonic_us();
        self.write(buffer)?;
        let took_us = self.clock.monotonic_us().saturating_sub(started_us);
        self.offset += frame_bytes;
        self.publish_room();
        self.shared.progress.publish(batch.last());
        self.shared.record_batch(batch, buffer.len(), took_us);
        Ok(())
    }

    fn write(&self, frame: &[u8]) -> Result<(), JournalError> {
        let path = &self.segment.path;
        self.segment
            .file
            .write_at(frame, self.offset)
            .map_err(JournalError::io("write", path))?;
        match self.durability {
            Durability::Fsync => self
                .segment
                .file
                .sync_data()
                .map_err(JournalError::io("sync", path)),
            Durability::Os => Ok(()),
        }
    }

    /// Goes on in the next segment.
    fn advance(&mut self) -> Result<(), JournalError> {
        let Some(next) = self.shared.take_prepared() else {
            let full = std::io::ErrorKind::StorageFull.into();
            return Err(JournalError::io("extend", &self.segment.path)(full));
        };
        let sealed_bytes = self.offset;
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
