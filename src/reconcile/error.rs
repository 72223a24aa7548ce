//! Why a sink could not be written, told apart by what helps.

use crate::journal::JournalError;

/// Why a sink did not take a batch. The texts are shown in the log and in `/health`: they hold no
/// address, no password and no code of a checkout.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// It does not answer, or has no room: it is asked again later.
    #[error("{0}")]
    Unavailable(String),
    /// Its watermark is not the one that the batch follows: an earlier batch arrived although nobody
    /// said so, or somebody else has written, or data was lost. The sink is asked where it is.
    #[error("its watermark has moved")]
    Moved,
    /// It holds records that are not of this journal.
    #[error("{0}: it follows another journal, or this one has lost records")]
    Diverged(String),
    /// What it holds cannot be followed up, and a person has to decide.
    #[error("{0}")]
    Refused(String),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}
