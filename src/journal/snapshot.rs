//! Snapshots: the state at one LSN, written as the fewest records that lead to it. They bound how
//! much of the journal a start must replay, and are read by the same code. Of a sale that has ended a
//! snapshot has only a [`Record::SaleArchived`](crate::record::Record::SaleArchived): the rest is in the sale's
//! [own file](super::sale_file).

use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::record_file;
use crate::env::{Disk, OpenMode};
use crate::record::envelope::Entry;
use crate::types::Lsn;

/// Returns the path of the snapshot at `lsn`.
#[must_use]
pub fn path_of(dir: &Path, lsn: Lsn) -> PathBuf {
    dir.join(format!("{:020}.snapshot", lsn.0))
}

/// Returns the LSNs of the snapshots in `dir`, in order.
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

/// Returns the LSN of the newest snapshot in `dir`.
///
/// # Errors
/// The directory cannot be read.
pub fn newest(disk: &dyn Disk, dir: &Path) -> Result<Option<Lsn>, JournalError> {
    Ok(list(disk, dir)?.pop())
}

/// Returns the length of the newest snapshot in `dir`, in bytes; 0 where there is none.
///
/// # Errors
/// The directory or the file cannot be read.
pub fn newest_bytes(disk: &dyn Disk, dir: &Path) -> Result<u64, JournalError> {
    let Some(lsn) = newest(disk, dir)? else {
        return Ok(0);
    };
    let path = path_of(dir, lsn);
    let file = disk.open(&path, OpenMode::Read);
    let length = file.and_then(|file| file.length_bytes());
    length.map_err(JournalError::io("read", &path))
}

/// Hands the records of the snapshot at `lsn` to `visit`, in order, as if all were the record at `lsn`.
///
/// # Errors
/// The snapshot is damaged, or the visitor's own error.
pub fn read(
    disk: &dyn Disk,
    dir: &Path,
    lsn: Lsn,
    visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    record_file::read(disk, path_of(dir, lsn), lsn, visit)
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
