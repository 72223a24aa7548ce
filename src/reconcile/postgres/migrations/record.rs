//! What the database remembers of its migrations, in the table `migrations`.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use super::files::{Migration, MigrationFiles};
use super::{MigrationError, MigrationStatus};

/// As an earlier service made it, and a checksum.
const CREATE: &str = "
    BEGIN;
    CREATE TABLE IF NOT EXISTS migrations (
        id         serial PRIMARY KEY,
        name       varchar(255) NOT NULL UNIQUE,
        applied_at timestamp DEFAULT current_timestamp,
        checksum   text NOT NULL
    );
    ALTER TABLE migrations ADD COLUMN IF NOT EXISTS checksum text";
const APPLIED: &str = "
    SELECT name, to_char(applied_at, 'YYYY-MM-DD HH24:MI:SS'), checksum
    FROM migrations ORDER BY name";
/// As [`APPLIED`], of a table that knows no checksums.
const APPLIED_UNCHECKED: &str = "
    SELECT name, to_char(applied_at, 'YYYY-MM-DD HH24:MI:SS'), NULL::text
    FROM migrations ORDER BY name";

/// A migration that the database has.
pub(super) struct Applied {
    name: String,
    at: Option<String>,
    /// `None` when nobody wrote it down.
    checksum: Option<String>,
}

impl Applied {
    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            name: row.try_get(0)?,
            at: row.try_get(1)?,
            checksum: row.try_get(2)?,
        })
    }
}

/// What the database has, by name; `None` when the table is not there or has no checksums.
pub(super) async fn read(client: &Client) -> Result<Option<Vec<Applied>>, MigrationError> {
    ask(client, APPLIED).await
}

/// As [`read`], whatever form the table has.
pub(super) async fn read_any(client: &Client) -> Result<Vec<Applied>, MigrationError> {
    let applied = match ask(client, APPLIED).await? {
        None => ask(client, APPLIED_UNCHECKED).await?,
        applied => applied,
    };
    Ok(applied.unwrap_or_default())
}

async fn ask(client: &Client, question: &str) -> Result<Option<Vec<Applied>>, MigrationError> {
    let rows = match client.query(question, &[]).await {
        Ok(rows) => rows,
        Err(error) => {
            let missing = [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN];
            let is_missing = error.code().is_some_and(|code| missing.contains(code));
            return if is_missing {
                Ok(None)
            } else {
                Err(MigrationError::database(&error))
            };
        }
    };
    let applied = rows.iter().map(Applied::of).collect::<Result<_, _>>();
    applied
        .map(Some)
        .map_err(|error| MigrationError::database(&error))
}

/// How many of the files are applied, which must be the first ones, and unchanged.
pub(super) fn compare(
    files: &MigrationFiles,
    applied: &[Applied],
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
pub(super) fn status(files: &MigrationFiles, applied: &[Applied]) -> Vec<MigrationStatus> {
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
/// applied from the files of today.
pub(super) async fn prepare_table(
    client: &Client,
    files: &MigrationFiles,
) -> Result<(), MigrationError> {
    let database = |error| MigrationError::database(&error);
    client.batch_execute(CREATE).await.map_err(database)?;
    let unchecked = "SELECT name FROM migrations WHERE checksum IS NULL";
    for row in client.query(unchecked, &[]).await.map_err(database)? {
        let name: String = row.try_get(0).map_err(database)?;
        let file = files.find(&name).ok_or_else(|| file_is_missing(&name))?;
        let adopt = "UPDATE migrations SET checksum = $2 WHERE name = $1";
        let adopted = client.execute(adopt, &[&name, &file.checksum]).await;
        adopted.map_err(database)?;
    }
    let finish = "ALTER TABLE migrations ALTER COLUMN checksum SET NOT NULL; COMMIT";
    client.batch_execute(finish).await.map_err(database)
}

/// Applies a migration and remembers it, both or neither.
pub(super) async fn apply(client: &Client, migration: &Migration) -> Result<(), MigrationError> {
    let remember = "INSERT INTO migrations (name, checksum) VALUES ($1, $2)";
    let failed = |error| MigrationError::in_file(&migration.name, &error);
    begin(client).await?;
    client.batch_execute(&migration.up).await.map_err(failed)?;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
        [&migration.name, &migration.checksum];
    client.execute(remember, &values).await.map_err(failed)?;
    client.batch_execute("COMMIT").await.map_err(failed)
}

/// Takes a migration back and forgets it, both or neither.
pub(super) async fn undo(client: &Client, migration: &Migration) -> Result<(), MigrationError> {
    let forget = "DELETE FROM migrations WHERE name = $1";
    let failed = |error| MigrationError::in_file(&migration.down_name, &error);
    begin(client).await?;
    client
        .batch_execute(&migration.down)
        .await
        .map_err(failed)?;
    let forgotten = client.execute(forget, &[&migration.name]).await;
    forgotten.map_err(failed)?;
    client.batch_execute("COMMIT").await.map_err(failed)
}

async fn begin(client: &Client) -> Result<(), MigrationError> {
    let begun = client.batch_execute("BEGIN").await;
    begun.map_err(|error| MigrationError::database(&error))
}
