//! The connection to the database that keeps the replicated log.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::sinks::postgres_options;
use crate::config::ReplicationConfig;
use crate::limits;
use crate::reconcile::SinkError;
use crate::reconcile::postgres::{PostgresDial, PostgresOptions};
use crate::replication::postgres::{Dial, DialFuture, Dialled};

/// Connects to the server of the configured ones that takes changes.
pub struct LogDial {
    dial: PostgresDial,
    options: PostgresOptions,
}

impl LogDial {
    /// Reads what the settings name.
    ///
    /// # Errors
    /// The certificates of the authorities cannot be read.
    pub fn new(settings: &ReplicationConfig) -> Result<Self, SinkError> {
        let options = PostgresOptions {
            others: settings.other_hosts.clone(),
            ..postgres_options(&settings.database)
        };
        let dial = PostgresDial::new(&options)?;
        Ok(Self { dial, options })
    }

    /// Returns where the servers are. Holds no secret.
    #[must_use]
    pub fn address_text(&self) -> String {
        let others = self.options.others.iter().map(ToString::to_string);
        let all: Vec<_> = [self.options.address()].into_iter().chain(others).collect();
        all.join(",")
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

    fn address(&self) -> String {
        self.address_text()
    }
}
