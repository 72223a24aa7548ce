//! Keeps two from migrating the same database at once.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

use super::MigrationError;

/// Any number will do, as long as nobody else takes it.
const KEY: i64 = i64::from_be_bytes(*b"flashsal");
const AGAIN: Duration = Duration::from_millis(50);

/// A lock that the session holds: if the process dies, or its connection is dropped, it is free.
pub(super) struct Lock;

impl Lock {
    /// Waits until nobody else has it.
    ///
    /// # Errors
    /// Somebody has it for longer than `patience`, or the database does not answer.
    pub(super) async fn take(client: &Client, patience: Duration) -> Result<Self, MigrationError> {
        let taken = timeout(patience, async {
            while !ask(client, "SELECT pg_try_advisory_lock($1)").await? {
                sleep(AGAIN).await;
            }
            Ok(Self)
        });
        let seconds = patience.as_secs();
        taken.await.unwrap_or(Err(MigrationError::Locked(seconds)))
    }

    /// Lets others in.
    pub(super) async fn release(self, client: &Client) -> Result<(), MigrationError> {
        ask(client, "SELECT pg_advisory_unlock($1)").await.map(drop)
    }
}

async fn ask(client: &Client, question: &str) -> Result<bool, MigrationError> {
    let row = client.query_one(question, &[&KEY]).await;
    let answer = row.and_then(|row| row.try_get(0));
    answer.map_err(|error| MigrationError::database(&error))
}
