//! Why a sink could not be written, told apart by what helps.

use std::path::Path;

use crate::journal::JournalError;
use crate::types::Lsn;

/// Why a sink did not take a batch. The texts are shown in the log and, as far as [`SinkError::shown`] has
/// them, in `/health`: they hold no address, no password and no code of a checkout.
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
    #[error("{0}")]
    Diverged(String),
    /// It ends before the journal begins, so that it can neither go on nor be filled from the first record; a
    /// person has to decide. It holds nothing that the journal does not know.
    #[error("{0}")]
    Behind(String),
    /// What it holds cannot be followed up, and a person has to decide.
    #[error("{0}")]
    Refused(String),
    /// As [`Self::Refused`] where it lasts, otherwise as [`Self::Unavailable`]; but what a person has to
    /// know names roles or paths, or is in somebody else's words.
    #[error("{internal}")]
    Redacted {
        /// The text for the log and the terminal.
        internal: String,
        /// The text for everybody.
        public: String,
        /// Whether a person has to decide.
        permanent: bool,
    },
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl SinkError {
    /// What anybody may be told of it, as in `/health`.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Redacted { public, .. } => public.clone(),
            // It names files of this machine.
            Self::Journal(_) => "the journal cannot be read: the log says why".to_owned(),
            other => other.to_string(),
        }
    }

    /// Whether trying again is not what helps.
    #[must_use]
    pub fn lasts(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Diverged(_) | Self::Behind(_) => true,
            Self::Redacted { permanent, .. } => *permanent,
            Self::Unavailable(_) | Self::Moved | Self::Journal(_) => false,
        }
    }

    /// The error of a file of authorities that cannot be used, and `what` is wrong with it. Where it lies is
    /// for the log alone.
    #[must_use]
    pub fn authorities(path: &Path, what: &str) -> Self {
        Self::Redacted {
            internal: format!("{}: {what}", path.display()),
            public: "sslrootcert cannot be used: the log says why".to_owned(),
            permanent: true,
        }
    }

    /// The error of a sink that holds more than the journal, which ends at `last`.
    #[must_use]
    pub fn ahead(found: Lsn, last: Lsn) -> Self {
        Self::Diverged(format!(
            "it holds records up to {found}, but the journal ends at {last}"
        ))
    }
}
