//! Repair of a damaged journal: it keeps the intact beginning and sets the rest aside.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::frame::{self, FRAME_HEADER_BYTES};
use super::loss::{self, Lost};
use super::names::EVENT_SOURCE_FILE;
use super::pacer::Pacer;
use super::preallocator::new_header;
use super::reader::check_decodable;
use super::sale_file::{self, SaleFile};
use super::segment::{self, SEGMENT_HEADER_BYTES, Segment};
use super::{opening, snapshot};
use crate::env::{Clock, Disk, Entropy, OpenMode};
use crate::limits;
use crate::types::Lsn;

/// The result of a repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// The last record that was kept.
    pub last_lsn: Lsn,
    /// The loss behind it.
    pub lost: Lost,
    /// The files, renamed, that hold what was not: a copy of the damaged one, the later ones, the
    /// snapshots and the files of sales.
    pub set_aside: Vec<PathBuf>,
}

/// Cuts the journal in `dir` at the first damage that a start would meet, which is behind the newest
/// readable snapshot. A copy of the damaged segment, all later ones, unreadable snapshots, and the files of
/// ended sales that are unreadable or were closed behind the damage are set aside as `*.damaged`. Where the
/// damage hides the way from the snapshot on, all segments are, and the journal goes on from the snapshot.
/// `None` when nothing is damaged.
///
/// Records behind the damage are lost to the server, although clients may have been answered from
/// them: only for a journal of which there is no better copy.
///
/// # Errors
/// An error of the operating system, or damage that cutting does not mend.
pub fn repair(
    disk: &dyn Disk,
    dir: &Path,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Option<Repaired>, JournalError> {
    let (base, unreadable) = newest_readable_snapshot(disk, dir)?;
    let segments = segment::list_segments(disk, dir)?;
    if base == Lsn::ZERO && segments.first().is_some_and(|&first| first > 1) {
        let what = "the journal's beginning was in a snapshot that cannot be read; cutting would lose \
            what is left, so restore the directory from a backup";
        return Err(JournalError::Contradiction {
            lsn: Lsn::ZERO.next(),
            what: what.into(),
        });
    }
    // What is set aside or cut off is not there to be asked later.
    let mut last_named = loss::last_beside_segments(disk, dir)?;
    let mut set_aside = Vec::new();
    for lsn in unreadable {
        set_aside.push(set_file_aside(disk, &snapshot::path_of(dir, lsn))?);
    }
    let mut is_cut = false;
    if let Err(JournalError::Damaged { path, offset, .. }) = last_lsn(disk, dir, base) {
        is_cut = true;
        // Before the cut: what comes behind it has the numbers of events that were told, and is told under another name.
        set_aside.extend(set_source_aside(disk, dir)?);
        last_named = last_named.max(loss::last_in_segments(disk, dir)?);
        if let Some(number) = path.file_name().and_then(number_of) {
            cut(disk, dir, number, offset, &mut set_aside)?;
        }
        if matches!(last_lsn(disk, dir, base), Err(JournalError::Damaged { .. })) {
            begin_behind(disk, dir, base, clock, entropy, &mut set_aside)?;
        }
    }
    let last_lsn = last_lsn(disk, dir, base)?;
    let lost = match (last_named > last_lsn, is_cut) {
        (true, _) => Lost::Until(last_named),
        (false, true) => Lost::Unknown,
        (false, false) => Lost::Nothing,
    };
    for file in sale_file::list(disk, dir)? {
        if file.closed_lsn > last_lsn || is_damaged(&file, disk, dir)? {
            set_aside.push(set_file_aside(disk, &file.path(dir))?);
        }
    }
    sale_file::lower_removed_until(disk, dir, last_lsn)?;
    disk.sync_dir(dir).map_err(JournalError::io("sync", dir))?;
    let repaired = Repaired {
        last_lsn,
        lost,
        set_aside,
    };
    Ok((!repaired.set_aside.is_empty()).then_some(repaired))
}

fn is_damaged(file: &SaleFile, disk: &dyn Disk, dir: &Path) -> Result<bool, JournalError> {
    match file.read(disk, dir, &mut check_decodable) {
        Err(JournalError::Damaged { .. }) => Ok(true),
        read => read.map(|()| false),
    }
}

fn number_of(name: &OsStr) -> Option<u64> {
    segment::segment_number(name.to_str()?)
}

/// Returns the LSN of the newest snapshot that can be read, 0 for none, and those of the newer ones.
fn newest_readable_snapshot(disk: &dyn Disk, dir: &Path) -> Result<(Lsn, Vec<Lsn>), JournalError> {
    let mut unreadable = Vec::new();
    for lsn in snapshot::list(disk, dir)?.into_iter().rev() {
        match snapshot::read(disk, dir, lsn, &mut check_decodable) {
            Ok(()) => return Ok((lsn, unreadable)),
            Err(JournalError::Damaged { .. }) => unreadable.push(lsn),
            Err(error) => return Err(error),
        }
    }
    Ok((Lsn::ZERO, unreadable))
}

/// Returns the last record that a start from the snapshot at `base` would find.
fn last_lsn(disk: &dyn Disk, dir: &Path, base: Lsn) -> Result<Lsn, JournalError> {
    opening::replay(disk, dir, base, None, &mut check_decodable).map(|replayed| replayed.last_lsn)
}

/// Cuts segment `number` at `offset` and sets it and the later ones aside.
fn cut(
    disk: &dyn Disk,
    dir: &Path,
    number: u64,
    offset: u64,
    set_aside: &mut Vec<PathBuf>,
) -> Result<(), JournalError> {
    let later = segment::list_segments(disk, dir)?;
    for later in later.into_iter().filter(|&later| later > number) {
        set_aside.push(set_file_aside(disk, &segment::segment_path(dir, later))?);
    }
    let path = segment::segment_path(dir, number);
    if offset > 0 {
        set_aside.push(copy_and_cut(disk, dir, number, offset)?);
    } else if disk.open(&path, OpenMode::Read).is_ok() {
        set_aside.push(set_file_aside(disk, &path)?);
    }
    Ok(())
}

/// Sets all segments aside and makes one that goes on behind the snapshot at `base`: its first batch
/// is empty and says which record comes next.
fn begin_behind(
    disk: &dyn Disk,
    dir: &Path,
    base: Lsn,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    set_aside: &mut Vec<PathBuf>,
) -> Result<(), JournalError> {
    let (mut length_bytes, mut last) = (limits::SEGMENT_BYTES_MIN, 0);
    for number in segment::list_segments(disk, dir)? {
        if let Ok(segment) = Segment::open(disk, dir, number, OpenMode::Read) {
            length_bytes = segment.header.length_bytes;
        }
        last = number;
        set_aside.push(set_file_aside(disk, &segment::segment_path(dir, number))?);
    }
    let header = new_header(last + 1, length_bytes, clock, entropy);
    let segment = Segment::prepare(disk, dir, header, &Pacer::full_speed())?;
    let mut batch = vec![0; FRAME_HEADER_BYTES];
    frame::seal(
        header.seed,
        segment.header.align,
        base.next(),
        0,
        &mut batch,
    );
    let (file, path) = (&*segment.file, &segment.path);
    file.write_at(&batch, SEGMENT_HEADER_BYTES)
        .map_err(JournalError::io("write", path))?;
    file.sync_data().map_err(JournalError::io("sync", path))
}

/// Returns a name beside `path` that no earlier repair has used.
fn aside(disk: &dyn Disk, path: &Path) -> PathBuf {
    let named = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let is_free = |path: &PathBuf| disk.id_of(path).is_err();
    let numbered = (2..).map(|number: u32| named(&format!(".damaged-{number}")));
    let mut names = std::iter::once(named(".damaged")).chain(numbered);
    names.find(is_free).expect("there is no end of numbers")
}

fn set_file_aside(disk: &dyn Disk, path: &Path) -> Result<PathBuf, JournalError> {
    let target = aside(disk, path);
    disk.rename(path, &target)
        .map_err(JournalError::io("rename", path))?;
    Ok(target)
}

/// Sets the name aside that the journal has in its events, if it has one: the next start draws another.
fn set_source_aside(disk: &dyn Disk, dir: &Path) -> Result<Option<PathBuf>, JournalError> {
    let path = dir.join(EVENT_SOURCE_FILE);
    match disk.id_of(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(JournalError::io("look at", &path)(error)),
        Ok(_) => set_file_aside(disk, &path).map(Some),
    }
}

fn copy_and_cut(
    disk: &dyn Disk,
    dir: &Path,
    number: u64,
    offset: u64,
) -> Result<PathBuf, JournalError> {
    let segment = Segment::open(disk, dir, number, OpenMode::ReadWrite)?;
    let (file, path) = (&*segment.file, &segment.path);
    let target = aside(disk, path);
    let copy = disk
        .open(&target, OpenMode::Create)
        .map_err(JournalError::io("create", &target))?;
    let length_bytes = file
        .length_bytes()
        .map_err(JournalError::io("read", path))?;
    let mut bytes = vec![0; length_bytes as usize];
    file.read_at(&mut bytes, 0)
        .map_err(JournalError::io("read", path))?;
    copy.write_at(&bytes, 0)
        .map_err(JournalError::io("write", &target))?;
    copy.sync_data()
        .map_err(JournalError::io("sync", &target))?;
    disk.sync_dir(dir).map_err(JournalError::io("sync", dir))?;
    segment::zero(file, path, offset, segment.header.length_bytes)?;
    file.sync_data().map_err(JournalError::io("sync", path))?;
    Ok(target)
}
