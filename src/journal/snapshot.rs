//! Snapshots: the state at one LSN, written as the fewest records that lead to it. They bound how
//! much of the journal a start must replay, and are read by the same code.
//!
//! A snapshot has a segment's head and frames. Its records are numbered from 1; a frame without
//! records ends it, so that an incomplete one is known.

use std::path::{Path, PathBuf};

use super::codec;
use super::error::JournalError;
use super::frame::{self, FRAME_HEADER_BYTES};
use super::reader::{Entry, SegmentReader};
use super::record::Record;
use super::segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader};
use crate::env::{Disk, DiskFile, OpenMode};
use crate::types::{Lsn, Timestamp};

/// Payload bytes after which a frame is written.
const FRAME_PAYLOAD_BYTES: usize = 1024 * 1024;

/// Where the snapshot at `lsn` is.
#[must_use]
pub fn path_of(dir: &Path, lsn: Lsn) -> PathBuf {
    dir.join(format!("{:020}.snapshot", lsn.0))
}

/// The LSNs of the snapshots in `dir`, in order.
///
/// # Errors
/// The directory cannot be read.
pub fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<Lsn>, JournalError> {
    let names = disk.list(dir).map_err(JournalError::io("list", dir))?;
    let number = |name: &String| name.strip_suffix(".snapshot")?.parse().ok().map(Lsn);
    let mut lsns: Vec<Lsn> = names.iter().filter_map(number).collect();
    lsns.sort_unstable();
    Ok(lsns)
}

/// The LSN of the newest snapshot in `dir`.
///
/// # Errors
/// The directory cannot be read.
pub fn newest(disk: &dyn Disk, dir: &Path) -> Result<Option<Lsn>, JournalError> {
    Ok(list(disk, dir)?.pop())
}

/// Hands the records of the snapshot at `lsn` to `visit`, in order.
///
/// # Errors
/// The snapshot is damaged, or the visitor's own error.
pub fn read(
    disk: &dyn Disk,
    dir: &Path,
    lsn: Lsn,
    visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    let segment = Segment::open_path(disk, path_of(dir, lsn), OpenMode::Read)?;
    let mut reader = SegmentReader::new(&segment, Some(Lsn(1)));
    loop {
        match reader.next_frame()? {
            Ok(frame) if frame.header.count == 0 => return Ok(()),
            Ok(frame) => frame.visit(&segment, visit)?,
            Err(end) => {
                let (path, offset) = (segment.path.clone(), end.offset);
                let what = "the snapshot is incomplete".into();
                return Err(JournalError::Damaged { path, offset, what });
            }
        }
    }
}

/// Removes all snapshots but the newest.
///
/// # Errors
/// An error of the operating system.
pub fn remove_older(disk: &dyn Disk, dir: &Path) -> Result<(), JournalError> {
    let mut lsns = list(disk, dir)?;
    lsns.pop();
    for path in lsns.into_iter().map(|lsn| path_of(dir, lsn)) {
        disk.remove(&path)
            .map_err(JournalError::io("remove", &path))?;
    }
    Ok(())
}

/// Writes a snapshot; it exists only once [`Self::finish`] has returned.
pub struct SnapshotWriter<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    temporary: PathBuf,
    file: Box<dyn DiskFile>,
    header: SegmentHeader,
    offset: u64,
    buffer: Vec<u8>,
    next: Lsn,
    count: u32,
    finished: bool,
}

/// What was not finished is no snapshot, and takes room.
impl Drop for SnapshotWriter<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.disk.remove(&self.temporary);
        }
    }
}

impl<'a> SnapshotWriter<'a> {
    /// Begins the snapshot of the state at `header.number`.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn create(
        disk: &'a dyn Disk,
        dir: &'a Path,
        header: SegmentHeader,
    ) -> Result<Self, JournalError> {
        let temporary = dir.join(format!("{:020}.snapshot.preparing", header.number));
        let file = disk
            .open(&temporary, OpenMode::Create)
            .map_err(JournalError::io("create", &temporary))?;
        file.write_at(&header.encode(), 0)
            .map_err(JournalError::io("write", &temporary))?;
        let (offset, buffer) = (SEGMENT_HEADER_BYTES, vec![0; FRAME_HEADER_BYTES]);
        Ok(Self {
            disk,
            dir,
            temporary,
            file,
            header,
            offset,
            buffer,
            next: Lsn(1),
            count: 0,
            finished: false,
        })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn push(&mut self, at: Timestamp, record: &Record<'_>) -> Result<(), JournalError> {
        codec::encode(at, record, &mut self.buffer);
        self.count += 1;
        if self.buffer.len() >= FRAME_PAYLOAD_BYTES {
            self.write_frame()
        } else {
            Ok(())
        }
    }

    /// Ends the snapshot, makes it durable and gives it its name.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn finish(mut self) -> Result<(), JournalError> {
        if self.count > 0 {
            self.write_frame()?;
        }
        self.write_frame()?;
        self.file
            .sync_data()
            .map_err(JournalError::io("sync", &self.temporary))?;
        let path = path_of(self.dir, Lsn(self.header.number));
        self.disk
            .rename(&self.temporary, &path)
            .map_err(JournalError::io("rename", &path))?;
        self.finished = true;
        self.disk
            .sync_dir(self.dir)
            .map_err(JournalError::io("sync", self.dir))
    }

    fn write_frame(&mut self) -> Result<(), JournalError> {
        frame::seal(self.header.seed, self.next, self.count, &mut self.buffer);
        self.file
            .write_at(&self.buffer, self.offset)
            .map_err(JournalError::io("write", &self.temporary))?;
        self.offset += self.buffer.len() as u64;
        self.next = Lsn(self.next.0 + u64::from(std::mem::take(&mut self.count)));
        self.buffer.truncate(FRAME_HEADER_BYTES);
        Ok(())
    }
}
