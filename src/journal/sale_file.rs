//! The file of an ended sale: the records that lead to it, in a [file](super::record_file) of its own
//! beside the segments. Its name says which record closed the sale, and which sale it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::record_file;
use crate::env::{Disk, OpenMode};
use crate::record::envelope::Entry;
use crate::types::{Lsn, SaleId};

/// Names the file of an ended sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SaleFile {
    /// The record that closed the sale.
    pub closed_lsn: Lsn,
    /// The sale.
    pub sale: SaleId,
}

impl SaleFile {
    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{:020}-{}.sale", self.closed_lsn.0, self.sale))
    }

    fn named(name: &str) -> Option<Self> {
        let (closed_lsn, sale) = name.strip_suffix(".sale")?.split_once('-')?;
        let file = Self {
            closed_lsn: Lsn(closed_lsn.parse().ok()?),
            sale: sale.parse().ok()?,
        };
        // What is written otherwise is not ours.
        (file.path(Path::new("")).to_str() == Some(name)).then_some(file)
    }

    /// Returns whether the file is there.
    #[must_use]
    pub fn exists(&self, disk: &dyn Disk, dir: &Path) -> bool {
        disk.open(&self.path(dir), OpenMode::Read).is_ok()
    }

    /// Hands the file's records to `visit`, in order, as if each were the one that closed the sale.
    ///
    /// # Errors
    /// It is damaged or not there, or the visitor's own error.
    pub fn read(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        record_file::read(disk, self.path(dir), self.closed_lsn, visit)
    }

    /// Returns the error that says that the file is missing.
    #[must_use]
    pub fn missing(&self, dir: &Path) -> JournalError {
        JournalError::Damaged {
            path: self.path(dir),
            offset: 0,
            what: format!("the file of sale {} is missing", self.sale),
        }
    }
}

/// Returns the files of ended sales in `dir`, in the order in which the sales were closed.
///
/// # Errors
/// The directory cannot be read.
pub fn list(disk: &dyn Disk, dir: &Path) -> Result<BTreeSet<SaleFile>, JournalError> {
    let names = disk.list(dir).map_err(JournalError::io("list", dir))?;
    Ok(names
        .iter()
        .filter_map(|name| SaleFile::named(name))
        .collect())
}

/// Returns the path of the mark that says up to which closing record files of sales may be gone, because a database has what
/// they held.
fn mark_path(dir: &Path, removed_until: Lsn) -> PathBuf {
    dir.join(format!("{:020}.sales-removed", removed_until.0))
}

fn marks(disk: &dyn Disk, dir: &Path) -> Result<BTreeSet<Lsn>, JournalError> {
    let names = disk.list(dir).map_err(JournalError::io("list", dir))?;
    let number = |name: &String| name.strip_suffix(".sales-removed")?.parse().ok().map(Lsn);
    Ok(names.iter().filter_map(number).collect())
}

/// Returns the last closing record of sales that need not have their file any more; 0 when all
/// have to.
///
/// # Errors
/// The directory cannot be read.
pub fn removed_until(disk: &dyn Disk, dir: &Path) -> Result<Lsn, JournalError> {
    Ok(marks(disk, dir)?.pop_last().unwrap_or(Lsn::ZERO))
}

/// Notes, durably, that the files of sales closed up to `until` may be gone. Nothing is removed.
///
/// # Errors
/// An error of the operating system.
pub fn allow_missing(disk: &dyn Disk, dir: &Path, until: Lsn) -> Result<(), JournalError> {
    let earlier = marks(disk, dir)?;
    if earlier.last().is_some_and(|&last| last >= until) {
        return Ok(());
    }
    let path = mark_path(dir, until);
    disk.open(&path, OpenMode::Create)
        .map_err(JournalError::io("create", &path))?;
    let sync = || disk.sync_dir(dir).map_err(JournalError::io("sync", dir));
    sync()?;
    for path in earlier.into_iter().map(|lsn| mark_path(dir, lsn)) {
        disk.remove(&path)
            .map_err(JournalError::io("remove", &path))?;
    }
    sync()
}

/// Lowers the mark to `last`, durably, if it is higher: behind the end of a journal that was
/// cut, the numbers are used again, by sales whose files must be there.
///
/// # Errors
/// An error of the operating system.
pub(super) fn lower_removed_until(
    disk: &dyn Disk,
    dir: &Path,
    last: Lsn,
) -> Result<(), JournalError> {
    let beyond = marks(disk, dir)?.split_off(&last.next());
    if beyond.is_empty() {
        return Ok(());
    }
    let path = mark_path(dir, last);
    disk.open(&path, OpenMode::Create)
        .map_err(JournalError::io("create", &path))?;
    let sync = || disk.sync_dir(dir).map_err(JournalError::io("sync", dir));
    sync()?;
    for path in beyond.into_iter().map(|lsn| mark_path(dir, lsn)) {
        disk.remove(&path)
            .map_err(JournalError::io("remove", &path))?;
    }
    sync()
}

/// Removes the files of `sales`, for whose contents a database answers from now on.
///
/// # Errors
/// An error of the operating system. What was removed until then is gone.
pub fn remove(disk: &dyn Disk, dir: &Path, sales: &[SaleFile]) -> Result<(), JournalError> {
    let Some(last) = sales.iter().max() else {
        return Ok(());
    };
    allow_missing(disk, dir, last.closed_lsn)?;
    for path in sales.iter().map(|file| file.path(dir)) {
        disk.remove(&path)
            .map_err(JournalError::io("remove", &path))?;
    }
    disk.sync_dir(dir).map_err(JournalError::io("sync", dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SimulatedDisk;

    const fn file(closed_lsn: u64, sale: u32) -> SaleFile {
        SaleFile {
            closed_lsn: Lsn(closed_lsn),
            sale: SaleId(sale),
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("/journal"));
        let files = [file(9, 2), file(10, 1), file(10, 12)];
        for file in files.iter().rev() {
            disk.overwrite(&file.path(dir), Vec::new());
        }
        for other in [
            "1-1.sale",
            "00000000000000000001-01.sale",
            "00000000000000000001-1.sale.preparing",
            "00000000000000000001.sale",
        ] {
            disk.overwrite(&dir.join(other), Vec::new());
        }
        let found = list(&disk, dir).expect("readable");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), files);
        assert!(files[0].exists(&disk, dir) && !file(1, 1).exists(&disk, dir));
    }

    #[test]
    fn what_is_removed_was_allowed_to_be_missing_before() {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("/journal"));
        let files = [file(3, 1), file(7, 2), file(9, 3)];
        for file in files {
            disk.overwrite(&file.path(dir), Vec::new());
        }
        assert_eq!(removed_until(&disk, dir).expect("readable"), Lsn::ZERO);
        remove(&disk, dir, &files[..1]).expect("writable");
        remove(&disk, dir, &files[1..2]).expect("writable");
        let disk = disk.crash(0);
        assert_eq!(removed_until(&disk, dir).expect("readable"), Lsn(7));
        allow_missing(&disk, dir, Lsn(5)).expect("writable");
        assert_eq!(removed_until(&disk, dir).expect("readable"), Lsn(7));
        for (last, mark) in [(8, 7), (7, 7), (6, 6), (6, 6)] {
            lower_removed_until(&disk, dir, Lsn(last)).expect("writable");
            let cut = removed_until(&disk.crash(0), dir).expect("readable");
            assert_eq!(cut, Lsn(mark), "the journal ends at {last}");
        }
        let left = list(&disk, dir).expect("readable");
        assert_eq!(left.into_iter().collect::<Vec<_>>(), files[2..]);
        assert_eq!(disk.paths().len(), 2, "one mark is left");
    }
}
