//! The connection to the database that keeps the replicated log.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::sinks::postgres_options;
use crate::config::DatabaseConfig;
use crate::limits;
use crate::reconcile::SinkError;
use crate::reconcile::postgres::{PostgresDial, PostgresOptions};
use crate::replication::postgres::{Dial, DialFuture, Dialled};
use crate::types::ServerAddress;

/// Connects to the server of the configured ones that takes changes.
pub struct LogDial {
    dial: PostgresDial,
}

impl LogDial {
    /// Reads what the settings name. `others` are the servers behind the first.
    ///
    /// # Errors
    /// The certificates of the authorities cannot be read.
    pub fn new(database: &DatabaseConfig, others: &[ServerAddress]) -> Result<Self, SinkError> {
        let options = PostgresOptions {
            others: others.to_vec(),
            ..postgres_options(database)
        };
        let dial = PostgresDial::new(&options)?;
        Ok(Self { dial })
    }
}

impl Dial for LogDial {
    fn dial(&self, warned: Arc<AtomicBool>) -> DialFuture<'_> {
        Box::pin(async move {
            let statement_ms = limits::LOG_ANSWER_SECONDS * 1000 - 500;
            let connected = self.dial.connect_watched(warned, statement_ms).await;
            let (client, task) = connected.map_err(|error| error.to_string())?;
            Ok(Dialled { client, task })
        })
    }
}
