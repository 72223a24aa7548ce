//! A copy of a journal that may be in use, made by reading alone: no lock, and nothing that the writer
//! would have to wait for.
//!
//! These files are copied, in this order, so that the copy is a journal that a start accepts as it is:
//!
//! 1. **The newest snapshot.** It stands for a record that is durable, and is never changed.
//! 2. **The segments**, listed behind the snapshot, so that the record of the snapshot is in one of them
//!    or in one that was trimmed before. Oldest first, frame by frame, each checked; bytes of a whole frame
//!    never change again. The copy ends at the first frame that is not whole, or with the last segment of
//!    the list, so that a writer that is as fast as the reader does not keep it for ever. A batch is written
//!    only when the one before is durable: so whatever was answered before the copying began is a whole
//!    frame by then, and in the copy. What is copied is made durable in the source before it counts, because
//!    its writer may not have come to that, or leave it to the system altogether.
//! 3. **Files of sales** that were closed up to that end. Each was there before the snapshot that needs it.
//! 4. **The mark** that says which of them a database has instead, cut at the end: read last, because a
//!    file that vanished before it was copied was allowed to by the mark.
//!
//! A batch that is being written looks torn, or damaged where the two meet in the middle: then it is read
//! again. Real damage stays. A file that vanishes before it is opened was trimmed, behind a newer snapshot:
//! then the list is made anew, and what is whole in the copy stays there.

mod error;
mod segment_copy;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub use self::error::CopyError;
use self::segment_copy::SegmentCopy;
use super::error::JournalError;
use super::names::{self, LOCK_FILE, MARK_FILE};
use super::sale_file;
use super::segment;
use super::snapshot;
use crate::env::{Disk, OpenMode};
use crate::types::Lsn;

/// Attempts to copy, each with a new list of files, before the copying gives up.
const ATTEMPTS_MAX: u32 = 20;
/// Bytes that are copied at once.
pub(super) const PIECE_BYTES: usize = 1024 * 1024;

/// A directory and the disk that it is on.
#[derive(Clone, Copy)]
pub struct DirOnDisk<'a> {
    /// The disk.
    pub disk: &'a dyn Disk,
    /// The directory.
    pub dir: &'a Path,
}

/// The result of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Its files.
    pub files: u64,
    /// Their length in all, in bytes.
    pub bytes: u64,
    /// The first record that its segments hold; `None` when they hold none.
    pub first_lsn: Option<Lsn>,
    /// The last record, of snapshot or segments.
    pub last_lsn: Lsn,
    /// A batch was incomplete, and is not in the copy.
    pub torn: bool,
}

/// Copies the journal at `from`, which may be in use, to the directory at `to`, which must be there and
/// empty. `pause` is called before a place is read once more where the writer may be, and should take
/// some milliseconds. When this returns, the files are durable, and so are their names.
///
/// # Errors
/// There is no journal, it is damaged, it is trimmed faster than it can be copied, or an error of the
/// operating system; what was copied until then is left for the caller to remove.
pub fn copy(
    from: DirOnDisk<'_>,
    to: DirOnDisk<'_>,
    pause: &mut dyn FnMut(),
) -> Result<Copied, CopyError> {
    let mut copier = Copier {
        from,
        to,
        pause,
        sealed: BTreeMap::new(),
        snapshot: None,
    };
    // First: the place that it names is then in the copy.
    copier.copy_file(&from.dir.join(MARK_FILE))?;
    let mut attempt = 1;
    loop {
        match copier.copy_records()? {
            Attempt::Done(records) => return copier.finish(records),
            Attempt::Again(_) if attempt < ATTEMPTS_MAX => attempt += 1,
            Attempt::Again(error @ JournalError::Damaged { .. }) => return Err(error.into()),
            Attempt::Again(error) => return Err(CopyError::Outrun(error)),
        }
    }
}

/// The result of one attempt to copy snapshot and segments.
enum Attempt {
    Done(Records),
    /// Something changed meanwhile, as the error says.
    Again(JournalError),
}

/// Where the copied records begin and end.
#[derive(Clone, Copy, Default)]
struct Records {
    first: Option<Lsn>,
    next: Option<Lsn>,
    torn: bool,
}

impl Records {
    /// Joins two runs of records, of which `later` follows.
    fn then(self, later: Self) -> Self {
        Self {
            first: self.first.or(later.first),
            ..later
        }
    }
}

struct Copier<'a> {
    from: DirOnDisk<'a>,
    to: DirOnDisk<'a>,
    pause: &'a mut dyn FnMut(),
    /// Segments that are whole in the copy and get nothing any more, with the records that follow them.
    sealed: BTreeMap<u64, Records>,
    snapshot: Option<Lsn>,
}

impl Copier<'_> {
    fn copy_records(&mut self) -> Result<Attempt, JournalError> {
        names::check_regular(self.from.disk, self.from.dir)?;
        if let Err(error) = self.copy_snapshot()? {
            return Ok(Attempt::Again(error));
        }
        let segments = segment::list_segments(self.from.disk, self.from.dir)?;
        let Some(&first) = segments.first() else {
            let missing = ErrorKind::NotFound.into();
            return Err(JournalError::io("find a journal in", self.from.dir)(
                missing,
            ));
        };
        self.drop_trimmed(first)?;
        let mut all = Records::default();
        let mut ended = false;
        for (index, &number) in segments.iter().enumerate() {
            if let Some(sealed) = self.sealed.get(&number) {
                all = all.then(*sealed);
                continue;
            }
            let Some(mut copy) = SegmentCopy::open(self.from, number, all.next)? else {
                let path = segment::segment_path(self.from.dir, number);
                return Ok(Attempt::Again(vanished(path)));
            };
            if !ended {
                let (records, is_sealed) = self.copy_segment(copy, segments.get(index + 1))?;
                all = all.then(records);
                ended = !is_sealed;
            } else if copy.is_used(self.pause)? {
                return Ok(Attempt::Again(copy.not_expected(all.next)));
            }
        }
        Ok(match self.gap(&all) {
            Some(gap) => Attempt::Again(gap),
            None => Attempt::Done(all),
        })
    }

    /// Copies a segment's frames. Also returns whether the segment is sealed: a batch was written to `next`.
    fn copy_segment(
        &mut self,
        mut copy: SegmentCopy,
        next: Option<&u64>,
    ) -> Result<(Records, bool), JournalError> {
        copy.begin(self.to)?;
        copy.follow(self.pause)?;
        let is_sealed = next.map_or(Ok(false), |&next| self.is_used(next))?;
        if is_sealed {
            // Batches that were written between the reading of this segment and of the next one.
            copy.follow(self.pause)?;
        }
        let number = copy.number();
        let records = copy.finish()?;
        if is_sealed {
            self.sealed.insert(number, records);
        }
        Ok((records, is_sealed))
    }

    /// Returns whether a batch was written to the segment; one that is no longer there was not used.
    fn is_used(&mut self, number: u64) -> Result<bool, JournalError> {
        match SegmentCopy::open(self.from, number, None)? {
            Some(mut segment) => segment.is_used(self.pause),
            None => Ok(false),
        }
    }

    /// Returns an error that names the record between snapshot and segments that is missing: its segment was trimmed, behind
    /// a newer snapshot.
    fn gap(&self, records: &Records) -> Option<JournalError> {
        let wanted = self.snapshot.unwrap_or(Lsn::ZERO).next();
        let begins_late = records.first.is_some_and(|first| first > wanted);
        let ends_early = records.next.unwrap_or(Lsn(1)) < wanted;
        (begins_late || ends_early).then(|| JournalError::Damaged {
            path: self.from.dir.to_owned(),
            offset: 0,
            what: format!("record {wanted} is in no segment"),
        })
    }

    /// Copies the newest snapshot, unless it is there already; the error says that it has vanished.
    fn copy_snapshot(&mut self) -> Result<Result<(), JournalError>, JournalError> {
        let newest = snapshot::newest(self.from.disk, self.from.dir)?;
        if newest == self.snapshot {
            return Ok(Ok(()));
        }
        if let Some(lsn) = newest {
            let path = snapshot::path_of(self.from.dir, lsn);
            if !self.copy_file(&path)? {
                return Ok(Err(vanished(path)));
            }
        }
        if let Some(older) = std::mem::replace(&mut self.snapshot, newest) {
            self.remove_copy(&snapshot::path_of(self.to.dir, older))?;
        }
        Ok(Ok(()))
    }

    /// Removes from the copy the segments that the source no longer has, and those that were not whole.
    fn drop_trimmed(&mut self, first: u64) -> Result<(), JournalError> {
        self.sealed = self.sealed.split_off(&first);
        for number in segment::list_segments(self.to.disk, self.to.dir)? {
            if !self.sealed.contains_key(&number) {
                self.remove_copy(&segment::segment_path(self.to.dir, number))?;
            }
        }
        Ok(())
    }

    fn remove_copy(&self, path: &Path) -> Result<(), JournalError> {
        let removed = self.to.disk.remove(path);
        removed.map_err(JournalError::io("remove", path))
    }

    /// Copies the files of sales, and makes the whole durable.
    fn finish(mut self, records: Records) -> Result<Copied, CopyError> {
        let last = records.next.map_or(Lsn::ZERO, |next| Lsn(next.0 - 1));
        for file in sale_file::list(self.from.disk, self.from.dir)? {
            if file.closed_lsn <= last {
                self.copy_file(&file.path(self.from.dir))?;
            }
        }
        let removed_until = sale_file::removed_until(self.from.disk, self.from.dir)?.min(last);
        if removed_until > Lsn::ZERO {
            sale_file::allow_missing(self.to.disk, self.to.dir, removed_until)?;
        }
        let DirOnDisk { disk, dir } = self.to;
        disk.sync_dir(dir).map_err(JournalError::io("sync", dir))?;
        let mut names = disk.list(dir).map_err(JournalError::io("list", dir))?;
        names.retain(|name| name != LOCK_FILE);
        let mut copied = Copied {
            files: names.len() as u64,
            bytes: 0,
            first_lsn: records.first,
            last_lsn: last,
            torn: records.torn,
        };
        for path in names.iter().map(|name| dir.join(name)) {
            let file = disk.open(&path, OpenMode::Read);
            let length = file.and_then(|file| file.length_bytes());
            copied.bytes += length.map_err(JournalError::io("measure", &path))?;
        }
        Ok(copied)
    }

    /// Copies a file that is never changed, and makes the copy durable; `false` when it has vanished.
    fn copy_file(&mut self, path: &Path) -> Result<bool, JournalError> {
        let source = match self.from.disk.open(path, OpenMode::Read) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            opened => opened.map_err(JournalError::io("open", path))?,
        };
        let target = copy_path(self.to.dir, path);
        let copy = self
            .to
            .disk
            .open(&target, OpenMode::Create)
            .map_err(JournalError::io("create", &target))?;
        let (mut piece, mut offset) = (vec![0; PIECE_BYTES], 0);
        loop {
            let read = source
                .read_at(&mut piece, offset)
                .map_err(JournalError::io("read", path))?;
            if read == 0 {
                break;
            }
            copy.write_at(&piece[..read], offset)
                .map_err(JournalError::io("write", &target))?;
            offset += read as u64;
        }
        copy.sync_data()
            .map_err(JournalError::io("sync", &target))?;
        Ok(true)
    }
}

/// Returns the error for a file that was listed, and is no longer there.
fn vanished(path: PathBuf) -> JournalError {
    JournalError::io("open", path)(ErrorKind::NotFound.into())
}

/// Returns the path of the copy of the file at `path`.
fn copy_path(dir: &Path, path: &Path) -> PathBuf {
    dir.join(path.file_name().expect("a file of a journal has a name"))
}
