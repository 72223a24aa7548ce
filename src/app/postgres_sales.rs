//! Ended sales whose file was removed, because the database has what was in it.

use tokio::runtime::{Builder, Runtime};

use super::sinks::postgres_options;
use crate::config::DatabaseConfig;
use crate::journal::JournalError;
use crate::reconcile::postgres::{PostgresOptions, Rebuilt, read_sale};
use crate::record::Entry;
use crate::sale::{EndedSale, SaleSource, VisitEntry};

/// The configured database. Every sale is read over a connection of its own: that is rare, and an idle one
/// would be gone by the next.
pub struct DatabaseSales {
    runtime: Runtime,
    options: PostgresOptions,
}

impl DatabaseSales {
    /// The database that the configuration names. Nothing is connected yet.
    ///
    /// # Errors
    /// No runtime can be made.
    pub fn new(config: &DatabaseConfig) -> std::io::Result<Self> {
        Self::with(postgres_options(config))
    }

    /// The database that the options name.
    ///
    /// # Errors
    /// No runtime can be made.
    pub fn with(options: PostgresOptions) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, options })
    }
}

impl SaleSource for DatabaseSales {
    fn read(&mut self, ended: &EndedSale, visit: VisitEntry<'_>) -> Result<(), String> {
        let mut take = |rebuilt: &Rebuilt| {
            let lsn = rebuilt.lsn;
            let bytes = rebuilt.record.as_ref();
            let bytes = bytes.map_err(|why| format!("record {lsn}: {why}"))?;
            let entry = Entry::whole(lsn, bytes).map_err(|_| format!("record {lsn} is none"))?;
            visit(&entry).map_err(|error| match error {
                JournalError::Undecodable(_) => format!("record {lsn} is none"),
                error => error.to_string(),
            })
        };
        let read = read_sale(&self.options, ended.id, ended.closing.lsn, &mut take);
        let read = self.runtime.block_on(read);
        read.map_err(|error| format!("Postgres at {}: {error}", self.options.address()))
    }
}
