//! Errors of the journal. Each names the file, the place and the remedy.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::env::WithLimit;
use crate::record::envelope::Undecodable;

/// A journal that cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("journal: cannot {action} {}: {}", path.display(), WithLimit(source))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The disk has no room for another segment.
    #[error(
        "journal: there is no room for {}, which takes {bytes} bytes: {source}. Make room, set another journal.dir, or \
         make journal.segment_mebibytes smaller",
        path.display()
    )]
    NoRoom {
        /// The segment.
        path: PathBuf,
        /// The length of a segment.
        bytes: u64,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Another process has the journal.
    #[error(
        "journal: {} is in use by another process; stop that one, or set another journal.dir",
        path.display()
    )]
    InUse {
        /// The journal's directory.
        path: PathBuf,
    },
    /// Nobody has the journal's directory, but somebody has a segment.
    #[error(
        "journal: {} is in use, though nobody has its directory: by a process that has it under another path, which has \
         to be stopped, or by the last write of one that was killed, which the disk has not done yet. Start again when it \
         has",
        path.display()
    )]
    SegmentInUse {
        /// The segment.
        path: PathBuf,
    },
    /// The name of a file of the journal is that of something else.
    #[error(
        "journal: {} is {kind}, and every file of a journal is a regular one; move it away",
        path.display()
    )]
    Irregular {
        /// Where it is.
        path: PathBuf,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// A file or directory that is written to is no longer what its path names.
    #[error(
        "journal: {} {what} while it is in use. What was acknowledged lately is in the one that was there \
         before: put that back before the next start",
        path.display()
    )]
    Exchanged {
        /// The path.
        path: PathBuf,
        /// What has happened to it, as a verb.
        what: &'static str,
    },
    /// Bytes that were durable are not what was written.
    #[error(
        "journal: {} is damaged at offset {offset}: {what}. Nothing was changed. Restore the file \
         from a backup; or keep a copy of the directory and run `flashsale journal repair --dir {}`, \
         which sets the damaged part aside and says which records are lost",
        path.display(), path.parent().unwrap_or(std::path::Path::new(".")).display()
    )]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// Where the damage begins, in bytes from the file's start.
        offset: u64,
        /// The flaw.
        what: String,
    },
    /// A record is intact and cannot be decoded. A visitor of records returns this, and who reads the file
    /// makes [`JournalError::Damaged`] of it.
    #[error("journal: {0}")]
    Undecodable(#[from] Undecodable),
    /// The records are intact but contradict each other.
    #[error("journal: record {lsn} breaks an invariant: {what}")]
    Contradiction {
        /// The record.
        lsn: crate::types::Lsn,
        /// What it contradicts.
        what: String,
    },
}

impl JournalError {
    /// Adds to an error of the operating system what was tried, and on which path.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// Makes [`JournalError::NoRoom`] of the error with which the disk has refused the segment at `path`, if it was full.
    #[must_use]
    pub(super) fn of_segment(self, path: &Path, bytes: u64) -> Self {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded) => {
                Self::NoRoom {
                    path: path.to_owned(),
                    bytes,
                    source,
                }
            }
            other => other,
        }
    }

    /// Returns whether a sync has failed for another reason than a shortage. What it was to make durable may be
    /// lost although a second sync would succeed, so nothing may be built on it.
    #[must_use]
    pub fn is_failed_sync(&self) -> bool {
        matches!(self, Self::Io { action: "sync", .. }) && !self.is_shortage()
    }

    /// Returns whether a write has failed for want of room, or a sync has. A caller that still has all that was written since
    /// the last sync can write it again, and sync that.
    #[must_use]
    pub(super) fn is_for_want_of_room(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::Io {
                action: "write", ..
            } => self.is_shortage(),
            Self::Io {
                action: "sync",
                source,
                ..
            } => matches!(source.kind(), StorageFull | QuotaExceeded),
            _ => false,
        }
    }

    /// Returns whether the disk has no room, or the process no file or memory to spare: it may pass.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        use io::ErrorKind::{OutOfMemory, QuotaExceeded, StorageFull};
        let (Self::Io { source, .. } | Self::NoRoom { source, .. }) = self else {
            return false;
        };
        let no_files = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
        matches!(source.kind(), StorageFull | QuotaExceeded | OutOfMemory)
            || source
                .raw_os_error()
                .is_some_and(|code| no_files.contains(&code))
    }
}

/// The journal has failed and confirms nothing any more. The process is about to exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal has failed")]
pub struct JournalFailed;
