//! The table `migrations`, in which the database keeps the migrations that were applied.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::files::{Migration, MigrationFiles};
use super::{MigrationError, MigrationStatus};

/// As an earlier service made it, and a checksum.
const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS migrations (
        id         serial PRIMARY KEY,
        name       varchar(255) NOT NULL UNIQUE,
        applied_at timestamp DEFAULT current_timestamp,
        checksum   text NOT NULL
    );
    ALTER TABLE migrations ADD COLUMN IF NOT EXISTS checksum text";
const HAS_COLUMN: &str = "
    SELECT EXISTS (SELECT FROM pg_attribute
                   WHERE attrelid = to_regclass('migrations') AND attname = $1 AND NOT attisdropped)";
const APPLIED: &str = "
    SELECT name, to_char(applied_at, 'YYYY-MM-DD HH24:MI:SS'), checksum
    FROM migrations ORDER BY name";
/// As [`APPLIED`], of a table that knows no checksums.
const APPLIED_UNCHECKED: &str = "
    SELECT name, to_char(applied_at, 'YYYY-MM-DD HH24:MI:SS'), NULL::text
    FROM migrations ORDER BY name";

/// A migration that the database has.
pub(super) struct AppliedMigration {
    name: String,
    at: Option<String>,
    /// `None` when nobody wrote it down.
    checksum: Option<String>,
}

impl AppliedMigration {
    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            name: row.try_get(0)?,
            at: row.try_get(1)?,
            checksum: row.try_get(2)?,
        })
    }
}

/// Reads the applied migrations by name; `None` when the table is missing or has no checksums.
pub(super) async fn read(client: &Client) -> Result<Option<Vec<AppliedMigration>>, MigrationError> {
    if !has_column(client, "checksum").await? {
        return Ok(None);
    }
    query(client, APPLIED).await.map(Some)
}

/// As [`read`], whatever form the table has.
pub(super) async fn read_any(client: &Client) -> Result<Vec<AppliedMigration>, MigrationError> {
    match read(client).await? {
        Some(applied) => Ok(applied),
        None if has_column(client, "name").await? => query(client, APPLIED_UNCHECKED).await,
        None => Ok(Vec::new()),
    }
}

/// Whether the table is there and has that column: to ask without knowing would undo the transaction.
async fn has_column(client: &Client, column: &str) -> Result<bool, MigrationError> {
    let row = client
        .query_typed_one(HAS_COLUMN, &[(&column, Type::TEXT)])
        .await;
    let answer = row.and_then(|row| row.try_get(0));
    answer.map_err(|error| MigrationError::database(&error))
}

async fn query(client: &Client, question: &str) -> Result<Vec<AppliedMigration>, MigrationError> {
    let rows = client.query_typed(question, &[]).await;
    let applied = rows.and_then(|rows| rows.iter().map(AppliedMigration::of).collect());
    applied.map_err(|error| MigrationError::database(&error))
}

/// How many of the files are applied, which must be the first ones, and unchanged.
pub(super) fn compare(
    files: &MigrationFiles,
    applied: &[AppliedMigration],
) -> Result<usize, MigrationError> {
    for (place, applied) in applied.iter().enumerate() {
        let name = &applied.name;
        let file = files.find(name).ok_or_else(|| file_is_missing(name))?;
        if applied.checksum.as_ref() != Some(&file.checksum) {
            return Err(MigrationError::Files(format!(
                "{name} was changed after it was applied to this database: put its text back, and \
                 what is new into a migration of its own"
            )));
        }
        let expected = &files.all()[place].name;
        if expected != name {
            return Err(MigrationError::Files(format!(
                "{expected} was never applied to this database, but {name} was: the two are not \
                 of one history"
            )));
        }
    }
    Ok(applied.len())
}

fn file_is_missing(name: &str) -> MigrationError {
    MigrationError::Files(format!(
        "{name} was applied to this database, but there is no such file: use the migrations of the \
         version that the database is from, or an empty database"
    ))
}

/// Each migration of either side, in order.
pub(super) fn status(files: &MigrationFiles, applied: &[AppliedMigration]) -> Vec<MigrationStatus> {
    let mut all: Vec<_> = applied
        .iter()
        .map(|applied| MigrationStatus {
            name: applied.name.clone(),
            applied_at: Some(applied.at.clone().unwrap_or_else(|| "unknown".into())),
            problem: match (files.find(&applied.name), &applied.checksum) {
                (None, _) => Some("its file is missing"),
                (Some(_), None) => Some("its checksum was not recorded"),
                (Some(file), Some(checksum)) if file.checksum != *checksum => {
                    Some("changed after it was applied")
                }
                _ => None,
            },
        })
        .collect();
    let is_pending = |file: &&Migration| applied.iter().all(|it| it.name != file.name);
    let pending = files.all().iter().filter(is_pending);
    all.extend(pending.map(|file| MigrationStatus {
        name: file.name.clone(),
        applied_at: None,
        problem: None,
    }));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Makes the table, or brings that of an earlier service to today's form: what is applied counts as
/// applied from the files of today. In a transaction, as all below.
pub(super) async fn prepare_table(
    client: &Client,
    files: &MigrationFiles,
) -> Result<(), MigrationError> {
    let database = |error| MigrationError::database(&error);
    client.batch_execute(CREATE).await.map_err(database)?;
    let unchecked = "SELECT name FROM migrations WHERE checksum IS NULL";
    for row in client.query_typed(unchecked, &[]).await.map_err(database)? {
        let name: String = row.try_get(0).map_err(database)?;
        let file = files.find(&name).ok_or_else(|| file_is_missing(&name))?;
        let adopt = "UPDATE migrations SET checksum = $2 WHERE name = $1";
        let adopted = client
            .execute_typed(adopt, &[(&name, Type::TEXT), (&file.checksum, Type::TEXT)])
            .await;
        adopted.map_err(database)?;
    }
    let finish = "ALTER TABLE migrations ALTER COLUMN checksum SET NOT NULL";
    client.batch_execute(finish).await.map_err(database)
}

/// Applies a migration and remembers it.
pub(super) async fn apply(client: &Client, migration: &Migration) -> Result<(), MigrationError> {
    let remember = "INSERT INTO migrations (name, checksum) VALUES ($1, $2)";
    let failed = |error| MigrationError::in_file(&migration.name, &error);
    client.batch_execute(&migration.up).await.map_err(failed)?;
    let values: [(&(dyn ToSql + Sync), Type); 2] = [
        (&migration.name, Type::TEXT),
        (&migration.checksum, Type::TEXT),
    ];
    let remembered = client.execute_typed(remember, &values).await;
    remembered.map(drop).map_err(failed)
}

/// Takes a migration back and forgets it.
pub(super) async fn undo(client: &Client, migration: &Migration) -> Result<(), MigrationError> {
    let forget = "DELETE FROM migrations WHERE name = $1";
    let failed = |error| MigrationError::in_file(&migration.down_name, &error);
    client
        .batch_execute(&migration.down)
        .await
        .map_err(failed)?;
    let forgotten = client
        .execute_typed(forget, &[(&migration.name, Type::TEXT)])
        .await;
    forgotten.map(drop).map_err(failed)
}
