//! Files of records that are written once and never changed: snapshots, and the files of ended sales.
//!
//! Such a file has a segment's head and frames. Its records are numbered from 1; a frame without
//! records ends it, so that an incomplete one is known.

use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::frame::{self, FRAME_HEADER_BYTES};
use super::reader::{Frame, SegmentReader};
use super::segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader};
use crate::env::{Disk, DiskFile, OpenMode, give_way};
use crate::planted::{Slip, is_planted};
use crate::record::envelope::{self, Encode, Entry};
use crate::types::{Lsn, Timestamp};

/// Payload bytes after which a frame is written.
const FRAME_PAYLOAD_BYTES: usize = 1024 * 1024;

/// Hands the records of the file at `path` to `visit`, in order. They have no place in the journal, so
/// each is handed over as if it were the record `lsn`, for which the file stands.
///
/// # Errors
/// The file is damaged or stands for another record, or the visitor's own error.
pub fn read(
    disk: &dyn Disk,
    path: PathBuf,
    lsn: Lsn,
    visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    let segment = open(disk, path, lsn)?;
    let mut frames = Frames::of(&segment);
    while let Some(frame) = frames.next()? {
        frame.visit(&segment, &mut |entry| visit(entry.numbered(lsn)))?;
    }
    Ok(())
}

/// Opens the file at `path`, which must stand for the record `lsn`.
///
/// # Errors
/// It cannot be read, its head is damaged, or it stands for another record.
pub fn open(disk: &dyn Disk, path: PathBuf, lsn: Lsn) -> Result<Segment, JournalError> {
    let segment = Segment::open_path(disk, path, OpenMode::Read)?;
    let number = segment.header.number;
    if number == lsn.0 {
        return Ok(segment);
    }
    let what = format!("its header says that it stands for record {number}");
    Err(JournalError::Damaged {
        path: segment.path,
        offset: 0,
        what,
    })
}

/// The frames of a whole file.
pub struct Frames<'a> {
    reader: SegmentReader<'a>,
    path: &'a Path,
}

impl<'a> Frames<'a> {
    /// Creates the iterator over the frames of `segment`, which must be a whole record file.
    #[must_use]
    pub fn of(segment: &'a Segment) -> Self {
        Self {
            reader: SegmentReader::new(segment, Some(Lsn(1))),
            path: &segment.path,
        }
    }

    /// Returns the next frame; `None` at the end.
    ///
    /// # Errors
    /// The file is damaged or ends too early.
    #[allow(
        clippy::should_implement_trait,
        reason = "a frame borrows from the reader"
    )]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, JournalError> {
        match self.reader.next_frame()? {
            Ok(frame) => Ok((frame.header.count > 0).then_some(frame)),
            Err(end) => Err(JournalError::Damaged {
                path: self.path.to_owned(),
                offset: end.offset,
                what: "the file is incomplete".into(),
            }),
        }
    }
}

/// Writes such a file; it exists only once [`Self::finish`] has returned.
pub struct RecordFileWriter<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    temporary: PathBuf,
    file: Box<dyn DiskFile>,
    header: SegmentHeader,
    offset: u64,
    buffer: Vec<u8>,
    next: Lsn,
    count: u32,
    finished: bool,
}

/// Removes an unfinished file, which is of no use and takes room.
impl Drop for RecordFileWriter<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.disk.remove(&self.temporary);
        }
    }
}

impl<'a> RecordFileWriter<'a> {
    /// Begins the file at `path`, which stands for the record `header.number`.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn create(
        disk: &'a dyn Disk,
        path: PathBuf,
        header: SegmentHeader,
    ) -> Result<Self, JournalError> {
        let mut temporary = path.clone().into_os_string();
        temporary.push(".preparing");
        let temporary = PathBuf::from(temporary);
        let file = disk
            .open(&temporary, OpenMode::Create)
            .map_err(JournalError::io("create", &temporary))?;
        let writer = Self {
            disk,
            path,
            temporary,
            file,
            header,
            offset: SEGMENT_HEADER_BYTES,
            buffer: vec![0; FRAME_HEADER_BYTES],
            next: Lsn(1),
            count: 0,
            finished: false,
        };
        writer.write_at(&header.encode(), 0)?;
        Ok(writer)
    }

    /// Appends a record to the file.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn push(&mut self, at: Timestamp, record: &impl Encode) -> Result<(), JournalError> {
        self.hold(at, record);
        give_way();
        self.write_full()
    }

    /// Appends a record in memory alone, so that a caller with a lock waits for no disk. It calls [`Self::write_full`] when
    /// the lock is released.
    pub fn hold(&mut self, at: Timestamp, record: &impl Encode) {
        envelope::encode(at, record, &mut self.buffer);
        self.count += 1;
    }

    /// Writes the records that are in memory alone, if they are enough for a frame.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn write_full(&mut self) -> Result<(), JournalError> {
        if self.buffer.len() >= FRAME_PAYLOAD_BYTES {
            self.write_frame()
        } else {
            Ok(())
        }
    }

    /// Ends the file, makes it durable, renames it to its name and makes that durable, too.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn finish(self) -> Result<(), JournalError> {
        let (disk, path) = (self.disk, self.path.clone());
        self.finish_but_for_name()?;
        let dir = path.parent().unwrap_or(Path::new("."));
        disk.sync_dir(dir).map_err(JournalError::io("sync", dir))
    }

    /// Ends the file, makes it durable and renames it. The name is durable only when the directory is synced: once for many files.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn finish_but_for_name(mut self) -> Result<(), JournalError> {
        if self.count > 0 {
            self.write_frame()?;
        }
        self.write_frame()?;
        if !is_planted(Slip::SkipsSnapshotSync) {
            self.file
                .sync_data()
                .map_err(JournalError::io("sync", &self.temporary))?;
        }
        self.disk
            .rename(&self.temporary, &self.path)
            .map_err(JournalError::io("rename", &self.path))?;
        self.finished = true;
        Ok(())
    }

    fn write_frame(&mut self) -> Result<(), JournalError> {
        frame::seal(
            self.header.seed,
            self.header.align,
            self.next,
            self.count,
            &mut self.buffer,
        );
        self.write_at(&self.buffer, self.offset)?;
        self.offset += self.buffer.len() as u64;
        self.next = Lsn(self.next.0 + u64::from(std::mem::take(&mut self.count)));
        self.buffer.truncate(FRAME_HEADER_BYTES);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), JournalError> {
        let written = self.file.write_at(bytes, offset);
        written.map_err(JournalError::io("write", &self.temporary))
    }
}
