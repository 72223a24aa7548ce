//! Settling the end of a journal: a start makes certain that what it found is on the disk.

use super::error::JournalError;
use super::reader::SegmentEnd;
use super::segment::{self, Segment};

/// The end of the journal as a start has found it: the last whole frame, and what lies behind it.
pub(super) struct FoundEnd {
    end: SegmentEnd,
    /// The last whole frame. Kept, because after a sync that failed it may be gone from the file.
    frame: Vec<u8>,
}

impl FoundEnd {
    /// Reads the frame before `end`. The caller syncs the file afterwards, not before.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(segment: &Segment, end: SegmentEnd) -> Result<Self, JournalError> {
        let begin = end.last_frame_offset.unwrap_or(end.offset);
        let mut frame = vec![0; (end.offset - begin) as usize];
        let read = segment.file.read_at(&mut frame, begin);
        read.map_err(JournalError::io("read", &segment.path))?;
        Ok(Self { end, frame })
    }

    /// Leaves the segment as if its last whole frame had been the last thing written.
    ///
    /// That frame is written once more: if its sync failed, the kernel may show its bytes and yet have
    /// given up on them, and only a new write makes it try again.
    ///
    /// # Errors
    /// An error of the operating system. Where there was no room this may be called again.
    pub(super) fn settle(&self, segment: &Segment) -> Result<(), JournalError> {
        let (file, path) = (&*segment.file, &segment.path);
        let (end, length) = (self.end, segment.header.length_bytes);
        let begin = end.offset - self.frame.len() as u64;
        file.write_at(&self.frame, begin)
            .map_err(JournalError::io("write", path))?;
        let found = file
            .length_bytes()
            .map_err(JournalError::io("read", path))?;
        if end.torn || found < length {
            segment::zero(file, path, end.offset, length)?;
        }
        file.sync_data().map_err(JournalError::io("sync", path))
    }
}
