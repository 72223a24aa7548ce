//! The copy of one segment, which may be written to meanwhile.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::super::error::JournalError;
use super::super::reader::SegmentReader;
use super::super::segment::{self, SEGMENT_HEADER_BYTES, Segment};
use super::{DirOnDisk, PIECE_BYTES, Records};
use crate::env::{DiskFile, OpenMode};
use crate::types::Lsn;

/// Reads of a place that seems damaged before it counts as damaged: a writer may be there.
const READS_MAX: u32 = 100;
/// Bytes after which the copy is synced, so that a disk that both share is never kept for long.
const SYNC_BYTES: u64 = 4 * 1024 * 1024;

pub(super) struct SegmentCopy {
    source: Segment,
    /// Where whole frames end, as far as they were read.
    offset: u64,
    records: Records,
    target: Option<Target>,
}

struct Target {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    copied: u64,
    synced: u64,
    piece: Vec<u8>,
}

impl SegmentCopy {
    /// Opens segment `number`, whose first record must be `next`, where that is known; `None` when it is
    /// not there.
    pub(super) fn open(
        from: DirOnDisk<'_>,
        number: u64,
        next: Option<Lsn>,
    ) -> Result<Option<Self>, JournalError> {
        match Segment::open(from.disk, from.dir, number, OpenMode::Read) {
            Ok(source) => Ok(Some(Self {
                source,
                offset: SEGMENT_HEADER_BYTES,
                records: Records {
                    next,
                    ..Records::default()
                },
                target: None,
            })),
            Err(JournalError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the segment's number.
    pub(super) fn number(&self) -> u64 {
        self.source.header.number
    }

    /// Creates the file of the copy.
    pub(super) fn begin(&mut self, to: DirOnDisk<'_>) -> Result<(), JournalError> {
        let path = segment::segment_path(to.dir, self.source.header.number);
        let file = to
            .disk
            .open(&path, OpenMode::Create)
            .map_err(JournalError::io("create", &path))?;
        self.target = Some(Target {
            file,
            path,
            copied: 0,
            synced: 0,
            piece: vec![0; PIECE_BYTES],
        });
        Ok(())
    }

    /// Returns whether there is a whole frame at its beginning.
    pub(super) fn is_used(&mut self, pause: &mut dyn FnMut()) -> Result<bool, JournalError> {
        retry_damage(pause, || {
            let is_whole = SegmentReader::new(&self.source, None).next_frame()?.is_ok();
            Ok(is_whole)
        })
    }

    /// Returns the error for a segment that has records where there should be none.
    pub(super) fn not_expected(&self, next: Option<Lsn>) -> JournalError {
        let next = next.unwrap_or(Lsn(1));
        JournalError::Damaged {
            path: self.source.path.clone(),
            offset: SEGMENT_HEADER_BYTES,
            what: format!("it has records, but record {next} is missing before them"),
        }
    }

    /// Copies the frames that have become whole since the last call.
    pub(super) fn follow(&mut self, pause: &mut dyn FnMut()) -> Result<(), JournalError> {
        loop {
            let before = self.offset;
            let read = retry_damage(pause, || self.read_on());
            // A read that has come further has met a writer, and not damage.
            if read.is_ok() || self.offset == before {
                return read;
            }
        }
    }

    fn read_on(&mut self) -> Result<(), JournalError> {
        let mut reader = SegmentReader::at(&self.source, self.offset, self.records.next);
        loop {
            match reader.next_frame()? {
                Err(end) => {
                    self.records.torn = end.torn;
                    break;
                }
                Ok(frame) => {
                    self.records.first.get_or_insert(frame.header.first_lsn);
                }
            }
            (self.offset, self.records.next) = (reader.offset(), reader.next_lsn());
            if let Some(target) = &mut self.target {
                target.copy(&self.source, self.offset, PIECE_BYTES as u64)?;
            }
        }
        match &mut self.target {
            Some(target) => target.copy(&self.source, self.offset, 1),
            None => Ok(()),
        }
    }

    /// Fills the copy with the zeros that a segment ends with and makes it durable; and the source before it,
    /// which need not be: not at the journal's end, and nowhere in one that leaves it to the system.
    pub(super) fn finish(self) -> Result<Records, JournalError> {
        let Self {
            source, records, ..
        } = self;
        let synced = source.file.sync_data();
        synced.map_err(JournalError::io("sync", &source.path))?;
        if let Some(Target {
            file, path, copied, ..
        }) = self.target
        {
            segment::zero(&*file, &path, copied, source.header.length_bytes)?;
            file.sync_data().map_err(JournalError::io("sync", &path))?;
        }
        Ok(records)
    }
}

/// Reads again where a read meets damage, because a writer may be at that place: its batch is whole sooner
/// or later, and damage stays.
fn retry_damage<T>(
    pause: &mut dyn FnMut(),
    mut read: impl FnMut() -> Result<T, JournalError>,
) -> Result<T, JournalError> {
    for _ in 1..READS_MAX {
        match read() {
            Err(JournalError::Damaged { .. }) => pause(),
            result => return result,
        }
    }
    read()
}

impl Target {
    /// Copies up to `until`, if at least `least` bytes are missing.
    fn copy(&mut self, source: &Segment, until: u64, least: u64) -> Result<(), JournalError> {
        if until - self.copied < least {
            return Ok(());
        }
        while self.copied < until {
            let wanted = (until - self.copied).min(PIECE_BYTES as u64) as usize;
            let piece = &mut self.piece[..wanted];
            let read = source
                .file
                .read_at(piece, self.copied)
                .map_err(JournalError::io("read", &source.path))?;
            if read < wanted {
                let cut = ErrorKind::UnexpectedEof.into();
                return Err(JournalError::io("read", &source.path)(cut));
            }
            self.file
                .write_at(piece, self.copied)
                .map_err(JournalError::io("write", &self.path))?;
            self.copied += wanted as u64;
        }
        if self.copied - self.synced >= SYNC_BYTES {
            let synced = self.file.sync_data();
            synced.map_err(JournalError::io("sync", &self.path))?;
            self.synced = self.copied;
        }
        Ok(())
    }
}
