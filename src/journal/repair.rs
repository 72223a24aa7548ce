//! The way out of a damaged journal: keep the intact beginning, set the rest aside.

use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::opening;
use super::segment::{self, Segment};
use super::snapshot;
use super::trim;
use crate::env::{Disk, OpenMode};
use crate::types::Lsn;

/// What a repair has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// The last record that was kept.
    pub last_lsn: Lsn,
    /// The files, renamed, that hold what was not: a copy of the damaged one, the later ones and
    /// the snapshots.
    pub set_aside: Vec<PathBuf>,
}

/// Cuts the journal in `dir` at its first damage. A copy of the damaged segment, all later ones and
/// the snapshots of what is cut off are set aside as `*.damaged`. `None` when nothing is damaged.
///
/// Records behind the damage are lost to the server, although clients may have been answered from
/// them: whoever calls this has no better copy.
///
/// # Errors
/// An error of the operating system, or damage that cutting does not mend.
pub fn repair(disk: &dyn Disk, dir: &Path) -> Result<Option<Repaired>, JournalError> {
    // A first segment that cannot be read is damage, which the replay finds again.
    let first = trim::first_lsn(disk, dir).ok().flatten().unwrap_or(Lsn(1));
    let mut last_lsn = Lsn(first.0 - 1);
    let found = opening::replay(disk, dir, last_lsn, None, &mut |entry| {
        last_lsn = entry.lsn;
        Ok(())
    });
    let (path, offset) = match found {
        Ok(_) => {
            let set_aside = set_newer_snapshots_aside(disk, dir, last_lsn)?;
            let repaired = Repaired {
                last_lsn,
                set_aside,
            };
            return Ok((!repaired.set_aside.is_empty()).then_some(repaired));
        }
        Err(JournalError::Damaged { .. }) if first > Lsn(1) => {
            let what = "it is damaged, and the records before the first one kept are only in a \
                snapshot; cutting could lose both, so restore the directory from a backup";
            return Err(JournalError::Contradiction {
                lsn: last_lsn.next(),
                what: what.into(),
            });
        }
        Err(JournalError::Damaged { path, offset, .. }) => (path, offset),
        Err(error) => return Err(error),
    };
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let Some(number) = segment::segment_number(name) else {
        let what = "only segments can be repaired; remove a damaged snapshot by hand".into();
        return Err(JournalError::Damaged { path, offset, what });
    };
    let mut set_aside = set_newer_snapshots_aside(disk, dir, last_lsn)?;
    for later in segment::list_segments(disk, dir)?
        .into_iter()
        .filter(|&later| later > number)
    {
        set_aside.push(set_file_aside(disk, &segment::segment_path(dir, later))?);
    }
    if offset == 0 {
        if disk.open(&path, OpenMode::Read).is_ok() {
            set_aside.push(set_file_aside(disk, &path)?);
        }
    } else {
        set_aside.push(copy_and_cut(disk, dir, number, offset)?);
    }
    disk.sync_dir(dir).map_err(JournalError::io("sync", dir))?;
    Ok(Some(Repaired {
        last_lsn,
        set_aside,
    }))
}

/// A snapshot of what the journal no longer holds would leave a gap behind the kept part.
fn set_newer_snapshots_aside(
    disk: &dyn Disk,
    dir: &Path,
    last_lsn: Lsn,
) -> Result<Vec<PathBuf>, JournalError> {
    let newer = snapshot::list(disk, dir)?
        .into_iter()
        .filter(|&lsn| lsn > last_lsn);
    let set_aside = newer
        .map(|lsn| set_file_aside(disk, &snapshot::path_of(dir, lsn)))
        .collect::<Result<Vec<_>, _>>()?;
    disk.sync_dir(dir).map_err(JournalError::io("sync", dir))?;
    Ok(set_aside)
}

/// A name beside `path` that no earlier repair has used.
fn aside(disk: &dyn Disk, path: &Path) -> PathBuf {
    let named = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let is_free = |path: &PathBuf| disk.open(path, OpenMode::Read).is_err();
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
