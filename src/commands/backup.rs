//! `flashsale journal backup`: a copy of a journal that may be in use, checked as a start would.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::journal::{write_files, write_state};
use super::pace::resting_disk;
use crate::env::{Clock, Disk, RealDisk, SystemClock, is_mount_point, step_back, target_dir};
use crate::journal::backup::{self, Copied, DirOnDisk};
use crate::journal::{JournalError, Opening};
use crate::limits;
use crate::sale::{CheckedFiles, Recovered, check_files};
use crate::types::{Timestamp, counted};

/// The pause before a place is looked at again in which somebody seems to be writing.
const PAUSE: Duration = Duration::from_millis(10);

/// Why there is no backup. Nothing is left behind then.
#[derive(Debug, thiserror::Error)]
pub enum BackupCommandError {
    /// Something is where the backup is to be.
    #[error(
        "{} is not empty: a backup is written only into a directory that is empty or missing; give \
         another with --to",
        .0.display()
    )]
    InTheWay(PathBuf),
    /// The backup would be a part of what it is a copy of.
    #[error(
        "{} is inside of the journal's directory, {}: a backup there is lost together with the journal; give \
         another place with --to",
        to.display(),
        dir.display()
    )]
    Inside {
        /// Where it was to be.
        to: PathBuf,
        /// The journal's directory.
        dir: PathBuf,
    },
    /// A file system begins where the backup is to be.
    #[error(
        "{} is a mount point, and a backup is written beside its place and then renamed: give a directory \
         in it, as --to {}",
        .0.display(),
        .0.join("NAME").display()
    )]
    Mounted(PathBuf),
    /// Another backup is being written to the same place.
    #[error("another process is writing a backup to {}: wait for it, or give another --to", .0.display())]
    InUse(PathBuf),
    /// The journal, or its copy.
    #[error("{0}; no backup was made")]
    Copy(#[from] backup::CopyError),
    /// The copy does not pass the check of a start.
    #[error("the copy does not pass the check of a start, and was removed: {0}")]
    Unfit(JournalError),
    /// The copy cannot be put in its place.
    #[error("cannot put the backup into {}: {source}; no backup was made", dir.display())]
    Target {
        /// The directory that it was to be in.
        dir: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The output is gone.
    #[error("cannot write the report: {0}")]
    Output(#[from] io::Error),
}

impl BackupCommandError {
    /// Returns whether the reader of the report has gone.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Copies the journal in `dir`, which a server may be using, to `to`, checks the copy, and says what it
/// holds. It is written next to `to` and renamed when it is whole and checked. The directory that is to hold `to`
/// must be there: it may be a disk that is not mounted.
///
/// # Errors
/// See [`BackupCommandError`].
pub fn back_up(dir: &Path, to: &Path, out: &mut dyn Write) -> Result<(), BackupCommandError> {
    let made_in = &*target_dir(to).map_err(target(to))?;
    if !RealDisk.is_free(to).map_err(target(to))? {
        return Err(BackupCommandError::InTheWay(to.to_owned()));
    }
    if is_mount_point(to).map_err(target(to))? {
        return Err(BackupCommandError::Mounted(to.to_owned()));
    }
    // Before anything is made at the target.
    RealDisk
        .list(dir)
        .map_err(JournalError::io("list", dir))
        .map_err(backup::CopyError::from)?;
    if made_in.starts_with(target_dir(dir).map_err(target(to))?) {
        let (to, dir) = (to.to_owned(), dir.to_owned());
        return Err(BackupCommandError::Inside { to, dir });
    }
    let aside = aside(made_in).map_err(target(to))?;
    // The copy is also checked at that pace.
    let opening = match Opening::lock(Arc::new(resting_disk()), &aside) {
        Err(JournalError::InUse { .. } | JournalError::SegmentInUse { .. }) => {
            Err(BackupCommandError::InUse(to.to_owned()))
        }
        locked => locked.map_err(|error| backup::CopyError::from(error).into()),
    }?;
    let made = make(dir, made_in, &aside, &opening);
    if made.is_err() {
        let _ = RealDisk.remove_dir_all(&aside);
    }
    made?.print(dir, to, out)?;
    Ok(())
}

fn target(to: &Path) -> impl FnOnce(io::Error) -> BackupCommandError {
    let dir = to.to_owned();
    move |source| BackupCommandError::Target { dir, source }
}

/// Returns the directory that the copy is written to until it is whole.
fn aside(to: &Path) -> io::Result<PathBuf> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "the path has no last part");
    let mut name = to.file_name().ok_or_else(invalid)?.to_owned();
    name.push(".copying");
    Ok(to.with_file_name(name))
}

fn make(
    dir: &Path,
    to: &Path,
    aside: &Path,
    opening: &Opening,
) -> Result<FinishedBackup, BackupCommandError> {
    remove_leftovers(aside).map_err(target(to))?;
    let clock = SystemClock::new();
    let (began_at, began_us) = (clock.now(), clock.monotonic_us());
    step_back(limits::BACKGROUND_NICE);
    let disk = resting_disk();
    let [from, copy] = [dir, aside].map(|dir| DirOnDisk { disk: &disk, dir });
    let copied = backup::copy(from, copy, &mut || thread::sleep(PAUSE))?;
    let copied_us = clock.monotonic_us();
    let recovered = Recovered::from_journal(opening).map_err(BackupCommandError::Unfit)?;
    let files = check_files(&disk, aside, &recovered.state).map_err(BackupCommandError::Unfit)?;
    let found = recovered.replayed.last_lsn;
    if found != copied.last_lsn || recovered.replayed.torn {
        let what = format!("it ends at record {found}, not at {}", copied.last_lsn);
        return Err(BackupCommandError::Unfit(JournalError::Damaged {
            path: aside.to_owned(),
            offset: 0,
            what,
        }));
    }
    RealDisk.rename(aside, to).map_err(target(to))?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    RealDisk
        .sync_dir(parent.unwrap_or(Path::new(".")))
        .map_err(target(to))?;
    Ok(FinishedBackup {
        copied,
        recovered,
        files,
        began_at,
        copy_us: copied_us - began_us,
        check_us: clock.monotonic_us() - copied_us,
    })
}

/// Removes what a backup that was killed has left. Nobody works on it: its lock is ours.
fn remove_leftovers(aside: &Path) -> io::Result<()> {
    let names = RealDisk.list(aside)?;
    let mut leftovers = names.iter().filter(|name| *name != "lock");
    leftovers.try_for_each(|name| RealDisk.remove(&aside.join(name)))
}

/// A backup in its place.
struct FinishedBackup {
    copied: Copied,
    recovered: Recovered,
    files: CheckedFiles,
    began_at: Timestamp,
    copy_us: u64,
    check_us: u64,
}

impl FinishedBackup {
    fn print(&self, dir: &Path, to: &Path, out: &mut dyn Write) -> io::Result<()> {
        let Copied {
            files,
            bytes,
            first_lsn,
            last_lsn,
            torn,
        } = self.copied;
        let (copy_seconds, check_seconds) = (seconds(self.copy_us), seconds(self.check_us));
        let mebibytes = bytes as f64 / f64::from(1 << 20);
        writeln!(
            out,
            "copied {} to {}: {}, {bytes} bytes in {copy_seconds:.2} s, {:.0} MiB/s",
            dir.display(),
            to.display(),
            counted(files, "file", "files"),
            mebibytes / copy_seconds.max(1e-6)
        )?;
        match first_lsn {
            Some(first) if first <= last_lsn => {
                writeln!(out, "records {first} to {last_lsn} are in its segments")?;
            }
            _ => writeln!(out, "there is no record in its segments")?,
        }
        writeln!(
            out,
            "everything that was answered before {} is in it",
            self.began_at
        )?;
        if torn {
            writeln!(
                out,
                "an incomplete batch, from which nobody was answered, is not"
            )?;
        }
        let state = &self.recovered.state;
        write_state(out, self.recovered.snapshot_lsn, last_lsn, state)?;
        write_files(out, &self.files)?;
        let sales = state.sales().len() + state.ended().count();
        writeln!(
            out,
            "checked in {check_seconds:.2} s: {}, up to record {last_lsn}",
            counted(sales as u64, "sale", "sales")
        )
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}
