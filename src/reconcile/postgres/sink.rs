//! The database as a sink.

use std::time::Duration;

use super::apply::Applier;
use super::batch::PostgresBatch;
use super::connection::{PostgresDial, Purpose};
use super::migrations::{self, BroughtUp};
use super::options::PostgresOptions;
use super::pool::Readers;
use super::position::{OpenSales, PostgresPosition};
use crate::journal;
use crate::limits;
use crate::reconcile::source::Located;
use crate::reconcile::{CatchUpProgress, RecordSource, Sink, SinkError, Watermark};
use crate::types::Lsn;

/// A Postgres database that follows the journal.
pub struct PostgresSink {
    options: PostgresOptions,
    /// `None` until it has been opened, and while what became of a batch is unknown.
    applier: Option<Applier>,
    readers: Option<Readers>,
    /// The sales that are open behind the last watermark seen or made.
    open_sales: OpenSales,
    /// That the schema is up to date was said.
    told_of_schema: bool,
}

impl PostgresSink {
    /// The database that the options name. Nothing is connected before [`Sink::open`].
    #[must_use]
    pub fn new(options: PostgresOptions) -> Self {
        Self {
            options,
            applier: None,
            readers: None,
            open_sales: OpenSales::new(),
            told_of_schema: false,
        }
    }

    /// Says once, and then again where there was something to do, that the schema is up to date.
    fn log_schema(&mut self, schema: &BroughtUp) {
        if !self.told_of_schema || schema.applied > 0 {
            let BroughtUp { count, applied } = *schema;
            tracing::info!(count, applied, "Postgres: migrations are up to date");
        }
        self.told_of_schema = true;
    }

    fn adopt(&mut self, position: PostgresPosition) -> Watermark {
        self.open_sales = position.open_sales;
        position.watermark
    }

    /// Makes sure that a server with the journal of `source` would start with a database that says `found`.
    ///
    /// # Errors
    /// As at the start: [`SinkError::Diverged`], [`SinkError::Refused`] where the journal no longer holds
    /// what the database needs next, or the journal cannot be read.
    pub fn check(source: &RecordSource, found: Watermark) -> Result<(), SinkError> {
        match source.locate(found)? {
            Located::Continues(_) => Ok(()),
            Located::Diverged(error) => Err(error),
            Located::StartsOver => from_the_first(source, found).map(drop),
        }
    }
}

impl Sink for PostgresSink {
    type Batch = PostgresBatch;

    fn name(&self) -> &'static str {
        "Postgres"
    }

    fn address(&self) -> String {
        self.options.address()
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(limits::POSTGRES_PACE_MS)
    }

    async fn open(&mut self) -> Result<Watermark, SinkError> {
        // Whatever they were waiting for, nobody wants it any more.
        self.applier = None;
        self.readers = None;
        let dial = PostgresDial::new(&self.options)?;
        let connection = dial.connect(Purpose::Apply).await?;
        let schema = migrations::bring_up(&connection, &self.options).await?;
        self.log_schema(&schema);
        let position = PostgresPosition::read(connection.client(), connection.settings()).await?;
        self.applier = Some(Applier::new(connection));
        self.readers = Some(Readers::new(dial)?);
        Ok(self.adopt(position))
    }

    async fn watermark(&mut self) -> Result<Watermark, SinkError> {
        let readers = self.readers.as_ref().ok_or_else(not_connected)?;
        let position = readers.position().await?;
        Ok(self.adopt(position))
    }

    async fn start_over(
        &mut self,
        source: &RecordSource,
        found: Watermark,
        held: Lsn,
        _progress: &mut CatchUpProgress,
    ) -> Result<Watermark, SinkError> {
        let begun = from_the_first(source, found)?;
        if held > Lsn::ZERO {
            tracing::error!(
                address = self.address(),
                "Postgres lost what it held up to record {held}: it is filled again from the journal's \
                 first record"
            );
        } else {
            tracing::info!(
                "Postgres holds nothing yet: it is filled from the journal's first record"
            );
        }
        Ok(begun)
    }

    fn batch(&self) -> PostgresBatch {
        PostgresBatch::new(self.open_sales.clone())
    }

    async fn apply(
        &mut self,
        mut batch: PostgresBatch,
        from: Watermark,
        to: Watermark,
    ) -> Result<(), SinkError> {
        if let Some(contradiction) = batch.contradiction.take() {
            return Err(SinkError::Refused(contradiction));
        }
        // Out of reach, so that after a failure or a dropped future nobody goes on with it.
        let mut applier = self.applier.take().ok_or_else(not_connected)?;
        let applied = applier.apply(&mut batch, from, to).await;
        if matches!(applied, Ok(()) | Err(SinkError::Moved)) {
            self.applier = Some(applier);
        }
        if applied.is_ok() {
            self.open_sales = batch.open_sales;
        }
        applied
    }
}

/// An empty database is filled from the first record on, where the journal still has that.
fn from_the_first(source: &RecordSource, found: Watermark) -> Result<Watermark, SinkError> {
    if found == Watermark::ZERO && source.is_complete()? {
        return Ok(Watermark::ZERO);
    }
    let first = journal::first_lsn(source.disk(), source.dir())?.unwrap_or(Lsn(1));
    // Its last record must be there, too: by that the journal is known to be the same.
    Err(SinkError::Behind(if found == Watermark::ZERO {
        format!(
            "the database is empty, but the journal begins at record {first}: restore a backup \
             of the database that holds record {first}"
        )
    } else {
        format!(
            "the database holds records up to {}, but the journal begins at record {first}: \
             restore a newer backup of the database, one that holds record {first}",
            found.lsn
        )
    }))
}

fn not_connected() -> SinkError {
    SinkError::Unavailable("not connected".into())
}
