//! `flashsale migrate …`: applies or lists the migrations and prints the result.

use std::io::{self, Write};

use tokio::runtime::{Builder, Runtime};

use crate::app::sinks::postgres_options;
use crate::config::Config;
use crate::reconcile::postgres::PostgresOptions;
use crate::reconcile::postgres::migrations::{self, MigrationError, MigrationStatus, Undoing};

/// Why a migration report broke off.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// There is nothing to migrate.
    #[error("no database is configured: set database.host, or DB_HOST")]
    NoDatabase,
    /// The files.
    #[error(transparent)]
    Files(MigrationError),
    /// The database.
    #[error("Postgres at {address}: {source}")]
    Database {
        /// The address of the database.
        address: String,
        /// The error.
        source: MigrationError,
    },
    /// Nothing would be taken back.
    #[error("--steps 0 takes nothing back: give a number from 1 on")]
    NoSteps,
    /// Tables would be dropped, and nobody has said that they may be.
    #[error("{0}")]
    NotConfirmed(String),
    /// The database's migrations differ from the files.
    #[error("the database does not match the migrations")]
    Differs,
    /// The output, or the runtime.
    #[error("cannot write the report: {0}")]
    Output(#[from] io::Error),
}

impl MigrateError {
    fn of(options: &PostgresOptions) -> impl Fn(MigrationError) -> Self {
        let address = options.address();
        move |error| match error {
            MigrationError::Files(_) => Self::Files(error),
            source => Self::Database {
                address: address.clone(),
                source,
            },
        }
    }

    /// Returns whether the reader of the report has gone.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Applies what is pending.
///
/// # Errors
/// See [`MigrateError`].
pub fn up(config: &Config, out: &mut dyn Write) -> Result<(), MigrateError> {
    let (runtime, options) = prepare(config)?;
    let applied = runtime
        .block_on(migrations::up(&options))
        .map_err(MigrateError::of(&options))?;
    if applied.is_empty() {
        writeln!(out, "nothing to do: every migration is applied")?;
    }
    for name in applied {
        writeln!(out, "applied {name}")?;
    }
    Ok(())
}

/// Takes the last `steps` migrations back, if `confirmed`.
///
/// # Errors
/// See [`MigrateError`]; [`MigrateError::NotConfirmed`] says what would be lost.
pub fn down(
    config: &Config,
    steps: usize,
    confirmed: bool,
    out: &mut dyn Write,
) -> Result<(), MigrateError> {
    if steps == 0 {
        return Err(MigrateError::NoSteps);
    }
    let (runtime, options) = prepare(config)?;
    if !confirmed {
        let plan = runtime
            .block_on(migrations::plan_down(&options, steps))
            .map_err(MigrateError::of(&options))?;
        if !plan.is_empty() {
            return Err(MigrateError::NotConfirmed(warning(&plan)));
        }
    }
    let undone = runtime
        .block_on(migrations::down(&options, steps))
        .map_err(MigrateError::of(&options))?;
    if undone.is_empty() {
        writeln!(out, "nothing to do: no migration is applied")?;
    }
    for name in undone {
        writeln!(out, "took back {name}")?;
    }
    Ok(())
}

/// Lists the migrations and where each stands. Changes nothing.
///
/// # Errors
/// See [`MigrateError`]; [`MigrateError::Differs`] after the list when something is wrong with one.
pub fn status(config: &Config, out: &mut dyn Write) -> Result<(), MigrateError> {
    let (runtime, options) = prepare(config)?;
    let all = runtime
        .block_on(migrations::status(&options))
        .map_err(MigrateError::of(&options))?;
    for MigrationStatus {
        name,
        applied_at,
        problem,
    } in &all
    {
        let applied = match applied_at {
            Some(at) => format!("applied {at}"),
            None => "pending".to_owned(),
        };
        match problem {
            Some(problem) => writeln!(out, "{name}: {applied}, {problem}")?,
            None => writeln!(out, "{name}: {applied}")?,
        }
    }
    if all.iter().any(|it| it.problem.is_some()) {
        return Err(MigrateError::Differs);
    }
    Ok(())
}

fn prepare(config: &Config) -> Result<(Runtime, PostgresOptions), MigrateError> {
    let database = config.database.as_ref().ok_or(MigrateError::NoDatabase)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Ok((runtime, postgres_options(database)))
}

fn warning(plan: &[Undoing]) -> String {
    let mut text = String::from("this would take back:\n");
    for Undoing { name, tables } in plan {
        text.push_str("  ");
        text.push_str(name);
        if !tables.is_empty() {
            text.push_str(", dropping with all they hold: ");
            text.push_str(&tables.join(", "));
        }
        text.push('\n');
    }
    if plan.iter().any(|it| !it.tables.is_empty()) {
        text.push_str(
            "The other tables are emptied with them: a server fills all of them again, from its \
             journal's first record on, if it still has that.\n",
        );
    }
    text.push_str("add --yes to do it");
    text
}
