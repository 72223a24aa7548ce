//! The errors of copying a journal.

use super::super::error::JournalError;

/// A journal that could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source or the target.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Files were removed before they could be read, again and again.
    #[error(
        "the journal is trimmed faster than it can be copied ({0}); copy to a faster disk, or raise \
         journal.retain_hours"
    )]
    Outrun(#[source] JournalError),
}
