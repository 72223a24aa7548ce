//! Names of a journal's files, which nothing but a regular file may have.

use std::path::Path;

use super::error::JournalError;
use crate::env::Disk;

/// The file whose lock says that a process has the journal.
pub(super) const LOCK_FILE: &str = "lock";

/// The file that says in which log the journal is replicated.
pub const MARK_FILE: &str = "replicated";

/// The file of the name that a journal has in its events, where it is not replicated.
pub const EVENT_SOURCE_FILE: &str = "events.source";

/// The ends of the names of its other files.
const ENDINGS: [&str; 5] = [
    ".segment",
    ".snapshot",
    ".sale",
    ".sales-removed",
    ".preparing",
];

/// Checks that everything in `dir` that is named as a file of the journal is a regular file: what is not
/// would stop the writing when its turn comes, or block the process that opens it for ever.
///
/// # Errors
/// [`JournalError::Irregular`], or the directory cannot be read.
pub fn check_regular(disk: &dyn Disk, dir: &Path) -> Result<(), JournalError> {
    let irregular = disk.list_irregular(dir);
    let mut irregular = irregular.map_err(JournalError::io("list", dir))?;
    irregular.sort_unstable();
    let found = irregular.into_iter().find(|(name, _)| is_reserved(name));
    match found {
        None => Ok(()),
        Some((name, kind)) => Err(JournalError::Irregular {
            path: dir.join(name),
            kind,
        }),
    }
}

fn is_reserved(name: &str) -> bool {
    name == LOCK_FILE || name == MARK_FILE || ENDINGS.iter().any(|end| name.ends_with(end))
}
