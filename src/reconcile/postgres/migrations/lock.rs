//! Keeps two from migrating the same database at once.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::MigrationError;

/// Any number will do, as long as nobody else takes it.
const KEY: i64 = i64::from_be_bytes(*b"flashsal");
const AGAIN: Duration = Duration::from_millis(50);

/// Waits until nobody else migrates. The lock belongs to the transaction that `client` is in, and ends with
/// it: a session may be another client's afterwards.
///
/// # Errors
/// Somebody has it for longer than `patience`, or the database does not answer.
pub(super) async fn acquire(client: &Client, patience: Duration) -> Result<(), MigrationError> {
    let taken = timeout(patience, async {
        while !is_taken(client).await? {
            sleep(AGAIN).await;
        }
        Ok(())
    });
    let seconds = patience.as_secs();
    taken.await.unwrap_or(Err(MigrationError::Locked(seconds)))
}

async fn is_taken(client: &Client) -> Result<bool, MigrationError> {
    let question = "SELECT pg_try_advisory_xact_lock($1)";
    let row = client
        .query_typed_one(question, &[(&KEY, Type::INT8)])
        .await;
    let answer = row.and_then(|row| row.try_get(0));
    answer.map_err(|error| MigrationError::database(&error))
}
