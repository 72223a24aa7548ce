//! The files and bytes of a journal on the disk, counted by the code that changes them, so that nobody has to read
//! the directory for it.

use std::path::Path;

use super::error::JournalError;
use super::segment;
use super::snapshot;
use crate::env::Disk;
use crate::sync::{AtomicU64, Ordering};
use crate::types::Lsn;

/// Segments and the newest snapshot of one journal.
#[derive(Default)]
pub(super) struct Footprint {
    segments: AtomicU64,
    segment_bytes: AtomicU64,
    snapshot_lsn: AtomicU64,
}

impl Footprint {
    /// Counts the files that are in `dir`, once, before anybody changes them.
    pub(super) fn measure(&self, disk: &dyn Disk, dir: &Path) -> Result<(), JournalError> {
        for number in segment::list_segments(disk, dir)? {
            self.segment_added(segment::length_bytes(disk, dir, number)?);
        }
        if let Some(lsn) = snapshot::newest(disk, dir)? {
            self.snapshot_written(lsn);
        }
        Ok(())
    }

    /// Counts a new segment of `bytes`.
    pub(super) fn segment_added(&self, bytes: u64) {
        self.segments.fetch_add(1, Ordering::Relaxed);
        self.segment_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts the removal of a segment of `bytes`.
    pub(super) fn segment_removed(&self, bytes: u64) {
        self.segments.fetch_sub(1, Ordering::Relaxed);
        self.segment_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Notes that a snapshot of the state at `lsn` was written.
    pub(super) fn snapshot_written(&self, lsn: Lsn) {
        self.snapshot_lsn.store(lsn.0, Ordering::Relaxed);
    }

    /// Returns the number of segments: the sealed ones, the one that is written to, and the one that is kept
    /// ready behind it.
    pub(super) fn segments(&self) -> u64 {
        self.segments.load(Ordering::Relaxed)
    }

    /// Returns the length of all segments, in bytes. A segment has its full length from the beginning.
    pub(super) fn segment_bytes(&self) -> u64 {
        self.segment_bytes.load(Ordering::Relaxed)
    }

    /// Returns the record that the newest snapshot stands for.
    pub(super) fn snapshot_lsn(&self) -> Option<Lsn> {
        let lsn = self.snapshot_lsn.load(Ordering::Relaxed);
        (lsn > 0).then_some(Lsn(lsn))
    }
}
