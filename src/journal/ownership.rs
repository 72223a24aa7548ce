//! The locks by which a process is the only one to write a journal, and whether they still are on what
//! its path names.
//!
//! The directory is locked, and the segments that are written to; the file `lock` is locked for versions
//! that know nothing else, and shows an operator that the journal is in use. A lock belongs to a file and not to
//! its name. So removing or exchanging a file under a running server would let a second server in, or have
//! the first one write where nobody will read. The locks keep the second one out, and [`Ownership::check`]
//! notices the rest.

use std::io::ErrorKind::{NotADirectory, NotFound, StaleNetworkFileHandle};
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::names::LOCK_FILE;
use crate::env::{Disk, DiskFile, FileId};

/// The locks on a journal's directory and on its lock file, held for as long as this lives.
pub(super) struct Ownership {
    dir: Locked,
    lock: Locked,
}

struct Locked {
    file: OpenFile,
    _lock: Box<dyn DiskFile>,
}

/// A file that is open, and the path that it was opened by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenFile {
    path: PathBuf,
    id: FileId,
}

impl OpenFile {
    /// Returns the place of `file`, which is open.
    ///
    /// # Errors
    /// As the operating system says.
    pub(super) fn of(file: &dyn DiskFile, path: &Path) -> Result<Self, JournalError> {
        let id = file.id().map_err(JournalError::io("inspect", path))?;
        Ok(Self {
            path: path.to_owned(),
            id,
        })
    }

    /// Checks that the path still names the file.
    ///
    /// # Errors
    /// [`JournalError::Exchanged`]. An error that keeps the path from being inspected proves nothing.
    pub(super) fn check(&self, disk: &dyn Disk) -> Result<(), JournalError> {
        let what = match disk.id_of(&self.path) {
            Ok(id) if id == self.id => return Ok(()),
            Ok(_) => "was replaced by another one",
            Err(error) => match error.kind() {
                NotFound | NotADirectory | StaleNetworkFileHandle => "was removed or renamed",
                _ => return Ok(()),
            },
        };
        Err(JournalError::Exchanged {
            path: self.path.clone(),
            what,
        })
    }
}

impl Ownership {
    /// Takes the locks of the journal in `dir`, which must be there.
    ///
    /// # Errors
    /// [`JournalError::InUse`], or an error of the operating system.
    pub(super) fn take(disk: &dyn Disk, dir: &Path) -> Result<Self, JournalError> {
        let in_use = || JournalError::InUse {
            path: dir.to_owned(),
        };
        let dir_file = disk.open_dir(dir).map_err(JournalError::io("open", dir))?;
        if !try_lock(&*dir_file, dir)? {
            return Err(in_use());
        }
        let path = dir.join(LOCK_FILE);
        let lock = disk.try_lock(&path);
        let lock = lock.map_err(JournalError::io("lock", &path))?;
        let lock = lock.ok_or_else(in_use)?;
        Ok(Self {
            dir: Locked::new(dir_file, dir)?,
            lock: Locked::new(lock, &path)?,
        })
    }

    /// Returns whether somebody has the journal in `dir`; makes nothing, and has the locks for no longer than it
    /// takes to ask.
    ///
    /// # Errors
    /// The directory or the lock file cannot be opened.
    pub(super) fn is_taken(disk: &dyn Disk, dir: &Path) -> Result<bool, JournalError> {
        let dir_file = disk.open_dir(dir).map_err(JournalError::io("open", dir))?;
        if !try_lock(&*dir_file, dir)? {
            return Ok(true);
        }
        let names = disk.list(dir).map_err(JournalError::io("list", dir))?;
        if !names.iter().any(|name| name == LOCK_FILE) {
            return Ok(false);
        }
        let path = dir.join(LOCK_FILE);
        let lock = disk.try_lock(&path);
        Ok(lock.map_err(JournalError::io("lock", &path))?.is_none())
    }

    /// Checks that directory and lock file are still the ones that are locked.
    ///
    /// # Errors
    /// [`JournalError::Exchanged`].
    pub(super) fn check(&self, disk: &dyn Disk) -> Result<(), JournalError> {
        self.dir.file.check(disk)?;
        self.lock.file.check(disk)
    }
}

impl Locked {
    fn new(lock: Box<dyn DiskFile>, path: &Path) -> Result<Self, JournalError> {
        let file = OpenFile::of(&*lock, path)?;
        Ok(Self { file, _lock: lock })
    }
}

/// Returns whether `file` is locked by us now.
///
/// # Errors
/// As the operating system says.
pub(super) fn try_lock(file: &dyn DiskFile, path: &Path) -> Result<bool, JournalError> {
    file.try_lock().map_err(JournalError::io("lock", path))
}
