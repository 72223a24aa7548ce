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
    /// The schema belongs to somebody else.
    #[error(
        "{}: run `flashsale migrate up` with DB_USER={owner}, to whom the schema belongs",
        not_ours(pending, *more)
    )]
    NotOurs {
        /// The first file that is pending.
        pending: String,
        /// How many more there are.
        more: usize,
        /// To whom the tables belong, or where there is none yet the schema.
        owner: String,
    },
    /// The schema is not there for this user, who cannot make it.
    #[error(
        "the schema {0} is not there for this user: as the database's owner run CREATE SCHEMA \"{0}\" \
         AUTHORIZATION <who migrates>, or GRANT USAGE ON SCHEMA \"{0}\" to it; or set database.schema \
         (DB_SCHEMA) to another one"
    )]
    NoSchema(String),
    /// Somebody else has what the migrations would make.
    #[error(
        "the schema {schema} has what flashsale did not make, of names that it needs: {}; nothing was changed: \
         set database.schema (DB_SCHEMA) to a schema of its own, which is made where it is missing, or \
         give it another database",
        names.join(", ")
    )]
    Occupied {
        /// The schema.
        schema: String,
        /// Each name, and what it is.
        names: Vec<String>,
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

fn not_ours(pending: &str, more: usize) -> String {
    let are = match more {
        0 => " is".to_owned(),
        more => format!(" and {more} more are"),
    };
    format!("{pending}{are} not applied to this database, and this user may not do so")
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
            MigrationError::NoSchema(_) => Self::Redacted {
                internal: error.to_string(),
                public: "the database's schema is not there for this user: the log says what to do".into(),
                permanent: true,
            },
            MigrationError::Occupied { .. } => Self::Redacted {
                internal: error.to_string(),
                public: "the database's schema has tables of somebody else, of names that are needed: the log \
                        says which, and what to do"
                    .into(),
                permanent: true,
            },
            MigrationError::Failed {
                ref file, ref code, ..
            } => Self::Redacted {
                internal: error.to_string(),
                public: format!("{file} could not be applied ({code}): the log says why"),
                permanent: true,
            },
            MigrationError::Files(told) => Self::Redacted {
                internal: told,
                public: "the migrations are not those of this database, or not as they should be; the log \
                        says what is wrong"
                    .into(),
                permanent: true,
            },
            MigrationError::NotOurs {
                ref pending, more, ..
            } => Self::Redacted {
                internal: error.to_string(),
                public: format!(
                    "{}: run `flashsale migrate up` as the schema's owner, whom the log names",
                    not_ours(pending, more)
                ),
                permanent: true,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_owns_the_schema_and_where_files_are_is_for_the_log_alone() {
        let errors = [
            MigrationError::Failed {
                file: "001_a.up.sql".into(),
                code: "42601".into(),
                message: "syntax error at or near \"secret\"".into(),
            },
            MigrationError::Files("/srv/secret/001_a.up.sql: is empty".into()),
            MigrationError::NotOurs {
                pending: "001_a.up.sql".into(),
                more: 1,
                owner: "secret".into(),
            },
            MigrationError::NoSchema("secret".into()),
            MigrationError::Occupied {
                schema: "public".into(),
                names: vec!["secret (a view)".into()],
            },
        ];
        for error in errors {
            let told = error.to_string();
            let error = SinkError::from(error);
            assert_eq!(error.to_string(), told);
            assert!(told.contains("secret") && !error.shown().contains("secret"));
        }
    }
}
