//! The schema, brought up step by step: each migration in one transaction with the record that it was
//! applied, none twice, and none that was changed afterwards.
//!
//! A lock of the database keeps two servers that start at once from migrating side by side.

mod error;
mod files;
mod lock;
mod record;
mod rights;

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Client;

pub use error::MigrationError;
use files::{Migration, MigrationFiles};
use lock::Lock;
use record::compare;

use super::connection::{Connection, Dial, Purpose};
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
    /// What is wrong with it.
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
    apply_pending(connection.client(), &files, patience).await
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
    let lock = Lock::take(client, patience).await?;
    let applied = applied_count(client, &files).await?;
    let mut undone = Vec::new();
    for migration in files.all()[..applied].iter().rev().take(steps) {
        record::undo(client, migration).await?;
        undone.push(migration.name.clone());
    }
    lock.release(client).await?;
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
    let applied = applied_count(connection.client(), &files).await?;
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
    let applied = record::read_any(connection.client()).await?;
    Ok(record::status(&files, &applied))
}

async fn connect(options: &PostgresOptions) -> Result<Connection, MigrationError> {
    let connection = Dial::new(options)?.connect(Purpose::Migrate).await?;
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
pub(super) async fn bring_up(client: &Client, dir: &Path) -> Result<BroughtUp, SinkError> {
    let files = MigrationFiles::read(dir).map_err(SinkError::from)?;
    let applied = record::read(client).await.map_err(SinkError::from)?;
    if let Some(applied) = applied {
        let count = compare(&files, &applied).map_err(SinkError::from)?;
        if count == files.all().len() {
            return Ok(BroughtUp { count, applied: 0 });
        }
    }
    let patience = Duration::from_secs(limits::MIGRATION_START_SECONDS);
    let lock_patience = Duration::from_secs(limits::MIGRATION_START_LOCK_SECONDS);
    let applying = apply_pending(client, &files, lock_patience);
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
    client: &Client,
    files: &MigrationFiles,
    patience: Duration,
) -> Result<Vec<String>, MigrationError> {
    let lock = Lock::take(client, patience).await?;
    let known = applied_count(client, files).await?;
    rights::check(client, &files.all()[known..]).await?;
    record::prepare_table(client, files).await?;
    let applied = applied_count(client, files).await?;
    let mut done = Vec::new();
    for migration in &files.all()[applied..] {
        record::apply(client, migration).await?;
        done.push(migration.name.clone());
    }
    lock.release(client).await?;
    Ok(done)
}
