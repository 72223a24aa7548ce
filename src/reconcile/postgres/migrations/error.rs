//! Why the schema was not brought to where it should be.

use tokio_postgres::Error;

use super::explain;
use crate::reconcile::SinkError;

/// Why a migration was not done. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The files are not as they should be, or not those that the database was made with.
    #[error("{0}")]
    Files(String),
    /// The database refuses what a file says.
    #[error(
        "{file}: {code}: {message}; nothing of this migration was kept: remove the cause, then \
         start again or run `flashsale migrate up`"
    )]
    Failed {
        /// The file.
        file: String,
        /// The SQLSTATE.
        code: String,
        /// The database's own words, without values.
        message: String,
    },
    /// Somebody else migrates.
    #[error(
        "another process has been migrating this database for {0} s; see pg_stat_activity, where \
         its application_name is flashsale"
    )]
    Locked(u64),
    /// The database cannot be used at all.
    #[error(transparent)]
    Database(#[from] SinkError),
}

impl MigrationError {
    /// An error outside of any file's statements.
    pub(super) fn database(error: &Error) -> Self {
        Self::Database(explain(error))
    }

    /// An error of the statements in `file`.
    pub(super) fn in_file(file: &str, error: &Error) -> Self {
        match error.as_db_error() {
            Some(error) => Self::Failed {
                file: file.to_owned(),
                code: error.code().code().to_owned(),
                message: error.message().to_owned(),
            },
            None => Self::database(error),
        }
    }
}

impl From<MigrationError> for SinkError {
    fn from(error: MigrationError) -> Self {
        match error {
            MigrationError::Database(error) => error,
            MigrationError::Locked(_) => Self::Unavailable(error.to_string()),
            MigrationError::Files(_) | MigrationError::Failed { .. } => {
                Self::Refused(error.to_string())
            }
        }
    }
}
