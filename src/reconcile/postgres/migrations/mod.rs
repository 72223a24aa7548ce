//! The schema, brought up step by step: each migration in one transaction with the record that it was
//! applied, none twice, and none that was changed afterwards.
//!
//! A lock of the database, which each of these transactions takes, keeps two servers that start at once from
//! migrating side by side.

mod error;
mod files;
mod lock;
mod names;
mod record;
mod rights;

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Client;

pub use error::MigrationError;
use files::{Migration, MigrationFiles};
use record::compare;

use super::connection::{Connection, PostgresDial, Purpose};
use super::failure::explain;
use super::options::PostgresOptions;
use crate::limits;
use crate::reconcile::SinkError;

/// Where a migration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    /// The name of its file, such as `001_watermark.up.sql`.
    pub name: String,
    /// When it was applied, in UTC; `None` when it is still to come.
    pub applied_at: Option<String>,
    /// The error.
    pub problem: Option<&'static str>,
}

/// What taking back a migration would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undoing {
    /// The name of its file, such as `001_watermark.up.sql`.
    pub name: String,
    /// Tables that would be dropped, with all they hold.
    pub tables: Vec<String>,
}

/// Applies what is pending; the names of what was applied, in order.
///
/// # Errors
/// See [`MigrationError`]. What was applied before the failure stays.
pub async fn up(options: &PostgresOptions) -> Result<Vec<String>, MigrationError> {
    let files = MigrationFiles::read(&options.migrations)?;
    let connection = connect(options).await?;
    let patience = Duration::from_secs(limits::MIGRATION_WAIT_SECONDS);
    apply_pending(&connection, &options.schema, &files, patience).await
}

/// Takes the last `steps` migrations back, the last one first; their names.
///
/// # Errors
/// See [`MigrationError`]. What was taken back before the failure stays so.
pub async fn down(options: &PostgresOptions, steps: usize) -> Result<Vec<String>, MigrationError> {
    let files = MigrationFiles::read(&options.migrations)?;
    let connection = connect(options).await?;
    let client = connection.client();
    let patience = Duration::from_secs(limits::MIGRATION_WAIT_SECONDS);
    let mut undone = Vec::new();
    while undone.len() < steps {
        connection.begin().await?;
        lock::acquire(client, patience).await?;
        let applied = applied_count(client, &files).await?;
        let Some(migration) = files.all()[..applied].last() else {
            connection.rollback().await?;
            break;
        };
        record::undo(client, migration).await?;
        connection.commit().await?;
        undone.push(migration.name.clone());
    }
    Ok(undone)
}

/// What [`down`] would do, the first step first. Changes nothing.
///
/// # Errors
/// See [`MigrationError`].
pub async fn plan_down(
    options: &PostgresOptions,
    steps: usize,
) -> Result<Vec<Undoing>, MigrationError> {
    let files = MigrationFiles::read(&options.migrations)?;
    let connection = connect(options).await?;
    connection.begin().await?;
    let applied = applied_count(connection.client(), &files).await?;
    connection.commit().await?;
    let last = files.all()[..applied].iter().rev().take(steps);
    Ok(last.map(Migration::undoing).collect())
}

/// All migrations, those of the files and those of the database. Changes nothing.
///
/// # Errors
/// The files cannot be read, or the database does not answer. A migration that was changed is no error
/// here.
pub async fn status(options: &PostgresOptions) -> Result<Vec<MigrationStatus>, MigrationError> {
    let files = MigrationFiles::read(&options.migrations)?;
    let connection = connect(options).await?;
    connection.begin().await?;
    let applied = record::read_any(connection.client()).await?;
    connection.commit().await?;
    Ok(record::status(&files, &applied))
}

async fn connect(options: &PostgresOptions) -> Result<Connection, MigrationError> {
    let connection = PostgresDial::new(options)?
        .connect(Purpose::Migrate)
        .await?;
    Ok(connection)
}

/// How many of the migrations are applied, which are the first ones.
async fn applied_count(client: &Client, files: &MigrationFiles) -> Result<usize, MigrationError> {
    match record::read(client).await? {
        Some(applied) => compare(files, &applied),
        None => Ok(0),
    }
}

/// Applies what is pending to a database that is about to be used, if that is soon done; how many
/// migrations there are, and how many of them were applied now. Where there is nothing to do, this is one
/// question.
pub(super) async fn bring_up(
    connection: &Connection,
    options: &PostgresOptions,
) -> Result<BroughtUp, SinkError> {
    let files = MigrationFiles::read(&options.migrations).map_err(SinkError::from)?;
    connection.begin().await?;
    let applied = record::read(connection.client()).await;
    let applied = applied.map_err(SinkError::from)?;
    connection.commit().await?;
    if let Some(applied) = applied {
        let count = compare(&files, &applied).map_err(SinkError::from)?;
        if count == files.all().len() {
            return Ok(BroughtUp { count, applied: 0 });
        }
    }
    let patience = Duration::from_secs(limits::MIGRATION_START_SECONDS);
    let lock_patience = Duration::from_secs(limits::MIGRATION_START_LOCK_SECONDS);
    let applying = apply_pending(connection, &options.schema, &files, lock_patience);
    let applied = timeout(patience, applying).await.map_err(|_| {
        let words = "its migrations take too long for a start; run `flashsale migrate up`";
        SinkError::Unavailable(words.into())
    })?;
    let applied = applied?;
    for name in &applied {
        tracing::info!("Postgres: applied {name}");
    }
    Ok(BroughtUp {
        count: files.all().len(),
        applied: applied.len(),
    })
}

/// A schema that is up to date.
pub(super) struct BroughtUp {
    /// Its migrations.
    pub(super) count: usize,
    /// Those of them that were still to come a moment ago.
    pub(super) applied: usize,
}

async fn apply_pending(
    connection: &Connection,
    schema: &str,
    files: &MigrationFiles,
    patience: Duration,
) -> Result<Vec<String>, MigrationError> {
    let client = connection.client();
    let mut done = Vec::new();
    loop {
        connection.begin().await?;
        lock::acquire(client, patience).await?;
        // Counted each time: between two transactions others may migrate, too.
        let applied = if done.is_empty() {
            prepare(client, schema, files).await?
        } else {
            applied_count(client, files).await?
        };
        let Some(migration) = files.all().get(applied) else {
            connection.commit().await?;
            return Ok(done);
        };
        record::apply(client, migration).await?;
        connection.commit().await?;
        done.push(migration.name.clone());
    }
}

/// Makes the schema and the table of the migrations where they are missing, if this user may apply what is
/// pending and every name that this needs is free; how many migrations are applied.
async fn prepare(
    client: &Client,
    schema: &str,
    files: &MigrationFiles,
) -> Result<usize, MigrationError> {
    let known = applied_count(client, files).await?;
    rights::check(client, schema, &files.all()[known..]).await?;
    if known == files.all().len() {
        return Ok(known);
    }
    names::check_own(client, schema).await?;
    record::prepare_table(client, files).await?;
    let known = applied_count(client, files).await?;
    names::check(client, schema, files.all(), known).await?;
    Ok(known)
}
