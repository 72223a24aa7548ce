//! The journal's records, rebuilt from the rows that Postgres has of them.

use std::pin::Pin;

use futures_util::TryStreamExt;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, IsolationLevel, RowStream, Transaction};

use super::connection::{Connection, Dial, Purpose};
use super::failure::explain;
use super::options::PostgresOptions;
use super::rebuild::{Parts, Rebuilt};
use super::rows::{ALL_ROWS, AnyRow, BREACHES, REFUSED};
use crate::reconcile::{SinkError, Watermark};
use crate::types::{Lsn, SaleId};

/// Records that are handed over at once.
const CHUNK_RECORDS: usize = 4096;
/// Bytes of records after which no more are handed over at once: a list of items may be long.
const CHUNK_BYTES: usize = 4 << 20;

/// A connection to a database that is read as a whole.
pub struct PostgresReader {
    connection: Connection,
}

impl PostgresReader {
    /// Connects. The schema must be there; nothing is migrated.
    ///
    /// # Errors
    /// It cannot be reached, or lets nobody in.
    pub async fn connect(options: &PostgresOptions) -> Result<Self, SinkError> {
        let connection = Dial::new(options)?.connect(Purpose::ReadAll).await?;
        Ok(Self { connection })
    }

    /// What it holds now. What is written from here on is not seen.
    ///
    /// # Errors
    /// It does not answer, or has no watermark.
    pub async fn records(&mut self) -> Result<PostgresRecords<'_>, SinkError> {
        PostgresRecords::begin(self.connection.client_mut(), None).await
    }

    /// The same, but only the records of `sale` that were not refused attempts.
    ///
    /// # Errors
    /// It does not answer, or has no watermark.
    pub async fn records_of(&mut self, sale: SaleId) -> Result<PostgresRecords<'_>, SinkError> {
        PostgresRecords::begin(self.connection.client_mut(), Some(sale)).await
    }
}

/// Postgres at one moment, read-only.
pub struct PostgresRecords<'a> {
    transaction: Transaction<'a>,
    watermark: Watermark,
    /// The only sale that is wanted; `None` for all.
    sale: Option<SaleId>,
    rows: Rows,
    /// Rows of the record that is being put together.
    parts: Parts,
}

enum Rows {
    NotAsked,
    Coming(Pin<Box<RowStream>>),
    Ended,
}

impl<'a> PostgresRecords<'a> {
    async fn begin(client: &'a mut Client, sale: Option<SaleId>) -> Result<Self, SinkError> {
        let begun = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start();
        let transaction = begun.await.map_err(|error| explain(&error))?;
        // One large query, which is sorted by Postgres: with these it is faster.
        let settings =
            "SET LOCAL work_mem = '64MB'; SET LOCAL jit = off; SET LOCAL timezone = 'UTC'";
        transaction
            .batch_execute(settings)
            .await
            .map_err(|error| explain(&error))?;
        let asked = transaction.query_opt("SELECT lsn, fingerprint FROM watermark", &[]);
        let row = asked.await.map_err(|error| explain(&error))?;
        let row = row.ok_or_else(|| SinkError::Refused("its watermark is gone".into()))?;
        let (lsn, fingerprint): (i64, i64) = (
            row.try_get(0).map_err(|error| explain(&error))?,
            row.try_get(1).map_err(|error| explain(&error))?,
        );
        let out_of_range = || SinkError::Refused("its watermark is none".into());
        let watermark = Watermark {
            lsn: Lsn(u64::try_from(lsn).map_err(|_| out_of_range())?),
            fingerprint: u32::try_from(fingerprint).map_err(|_| out_of_range())?,
        };
        Ok(Self {
            transaction,
            watermark,
            sale,
            rows: Rows::NotAsked,
            parts: Parts::default(),
        })
    }

    /// How far it has followed the journal.
    #[must_use]
    pub fn watermark(&self) -> Watermark {
        self.watermark
    }

    /// The next records in order, as many as fit into memory with ease; none at the end.
    ///
    /// # Errors
    /// The database does not answer, or its tables are not those of the schema.
    pub async fn next_chunk(&mut self) -> Result<Vec<Rebuilt>, SinkError> {
        if matches!(self.rows, Rows::NotAsked) {
            let asked = self.ask().await.map_err(|error| explain(&error))?;
            self.rows = Rows::Coming(Box::pin(asked));
        }
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while chunk.len() < CHUNK_RECORDS
            && bytes < CHUNK_BYTES
            && let Rows::Coming(rows) = &mut self.rows
        {
            let Some(row) = rows.try_next().await.map_err(|error| explain(&error))? else {
                self.rows = Rows::Ended;
                chunk.extend(self.parts.finish());
                break;
            };
            let row = AnyRow::read(&row).map_err(|error| explain(&error))?;
            if let Some(rebuilt) = self.parts.push(row) {
                bytes += rebuilt.record.as_ref().map_or(0, Vec::len);
                chunk.push(rebuilt);
            }
        }
        Ok(chunk)
    }

    async fn ask(&self) -> Result<RowStream, tokio_postgres::Error> {
        let none: [&(dyn ToSql + Sync); 0] = [];
        match self.sale {
            None => self.transaction.query_raw(ALL_ROWS, none).await,
            Some(sale) => {
                let of_sale = format!(
                    "SELECT * FROM ({ALL_ROWS}) AS rows WHERE sale = {sale} AND kind <> {REFUSED}
                     ORDER BY 1, 2, 5, 6, 3"
                );
                self.transaction.query_raw(&of_sale, none).await
            }
        }
    }

    /// Ends the looking in order, so that the server has nothing to complain of.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn end(self) -> Result<(), SinkError> {
        let ended = self.transaction.commit().await;
        ended.map_err(|error| explain(&error))
    }

    /// What contradicts itself in Postgres, whatever the journal says: something sold twice, a sum that
    /// is wrong, rows that nothing belongs to. Not more than `max` lines of text.
    ///
    /// # Errors
    /// The database does not answer, or its tables are not those of the schema.
    pub async fn breaches(&self, max: usize) -> Result<Vec<String>, SinkError> {
        let limited = format!("{BREACHES} LIMIT {max}");
        let rows = self.transaction.query(&limited, &[]).await;
        let rows = rows.map_err(|error| explain(&error))?;
        rows.iter()
            .map(|row| row.try_get(0).map_err(|error| explain(&error)))
            .collect()
    }
}
