//! The database as a sink.

use std::time::Duration;

use super::apply::Applier;
use super::batch::PostgresBatch;
use super::connection::{Dial, Purpose};
use super::migrations;
use super::options::PostgresOptions;
use super::pool::Readers;
use super::position::{OpenSales, Position};
use crate::journal;
use crate::limits;
use crate::reconcile::{Sink, SinkError, Source, Watermark};
use crate::types::Lsn;

/// A Postgres database that follows the journal.
pub struct PostgresSink {
    options: PostgresOptions,
    /// `None` until it has been opened, and while what became of a batch is unknown.
    applier: Option<Applier>,
    readers: Option<Readers>,
    /// What is open behind the watermark that was seen or made last.
    open_sales: OpenSales,
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
        }
    }

    fn take(&mut self, position: Position) -> Watermark {
        self.open_sales = position.open_sales;
        position.watermark
    }
}

impl Sink for PostgresSink {
    type Batch = PostgresBatch;

    fn name(&self) -> &'static str {
        "Postgres"
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(limits::POSTGRES_PACE_MS)
    }

    async fn open(&mut self) -> Result<Watermark, SinkError> {
        // Whatever they were waiting for, nobody wants it any more.
        self.applier = None;
        self.readers = None;
        let dial = Dial::new(&self.options)?;
        let connection = dial.connect(Purpose::Apply).await?;
        migrations::bring_up(connection.client(), &self.options.migrations).await?;
        let applier = Applier::new(connection);
        let position = Position::ask(applier.client()).await?;
        self.applier = Some(applier);
        self.readers = Some(Readers::new(dial)?);
        Ok(self.take(position))
    }

    async fn watermark(&mut self) -> Result<Watermark, SinkError> {
        let readers = self.readers.as_ref().ok_or_else(not_connected)?;
        let client = readers.get().await?;
        let position = Position::ask(&client).await?;
        drop(client);
        Ok(self.take(position))
    }

    async fn start_over(
        &mut self,
        source: &Source,
        found: Watermark,
    ) -> Result<Watermark, SinkError> {
        if found == Watermark::ZERO && source.is_complete()? {
            return Ok(Watermark::ZERO);
        }
        let first = journal::first_lsn(source.disk(), source.dir())?.unwrap_or(Lsn(1));
        let before = Lsn(first.0.saturating_sub(1));
        Err(SinkError::Refused(if found == Watermark::ZERO {
            format!(
                "the database is empty, but the journal begins at record {first}: restore a backup \
                 of the database that holds record {before}"
            )
        } else {
            format!(
                "the database holds records up to {}, but the journal begins at record {first}: \
                 restore a newer backup of the database, one that holds record {before}",
                found.lsn
            )
        }))
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

fn not_connected() -> SinkError {
    SinkError::Unavailable("not connected".into())
}
