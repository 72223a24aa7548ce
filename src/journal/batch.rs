//! A batch on its way to the disk, and the figures of those that have come there.

use super::frame::FRAME_HEADER_BYTES;
use crate::sync::{AtomicU64, Ordering};
use crate::telemetry::Recorder;
use crate::types::Lsn;

/// A batch on its way to the disk. Its bytes are in the committer's buffer.
pub(super) struct BatchRange {
    pub(super) first: Lsn,
    pub(super) count: u32,
}

impl BatchRange {
    pub(super) fn last(&self) -> Lsn {
        Lsn(self.first.0 + u64::from(self.count) - 1)
    }
}

/// Figures of the committer's work. Only its holder writes them.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) written_bytes: AtomicU64,
    /// A write with its sync, in nanoseconds.
    pub(super) commit_ns: Recorder,
    /// The sync alone, in nanoseconds.
    pub(super) sync_ns: Recorder,
    /// Records of a batch.
    pub(super) batch_records: Recorder,
}

impl Figures {
    /// Records a batch that is on the disk. Only the holder of the committer calls this.
    pub(super) fn record(&self, batch: &BatchRange, bytes: usize, took_ns: u64) {
        self.written_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
        self.commit_ns.record(took_ns);
        self.batch_records.record(u64::from(batch.count));
    }
}

/// Creates a buffer with room for a frame's header, so that the payload is never moved.
pub(super) fn empty_buffer() -> Vec<u8> {
    vec![0; FRAME_HEADER_BYTES]
}
