//! The journal's records, rebuilt from the rows that Postgres has of them.

use std::pin::Pin;

use futures_util::TryStreamExt;
use tokio_postgres::RowStream;
use tokio_postgres::types::{ToSql, Type};

use super::connection::{Connection, PostgresDial, Purpose};
use super::failure::explain;
use super::options::PostgresOptions;
use super::rebuild::{Rebuilt, RecordParts};
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
        let connection = PostgresDial::new(options)?
            .connect(Purpose::ReadAll)
            .await?;
        Ok(Self { connection })
    }

    /// What it holds now. What is written from here on is not seen.
    ///
    /// # Errors
    /// It does not answer, or has no watermark.
    pub async fn records(self) -> Result<PostgresRecords, SinkError> {
        PostgresRecords::begin(self.connection, None).await
    }

    /// Creates a reader of the records of `sale`, without refused attempts.
    ///
    /// # Errors
    /// It does not answer, or has no watermark.
    pub async fn records_of(self, sale: SaleId) -> Result<PostgresRecords, SinkError> {
        PostgresRecords::begin(self.connection, Some(sale)).await
    }
}

/// Postgres at one moment, read-only. Dropped before [`Self::end`], the connection is cut.
pub struct PostgresRecords {
    /// In a transaction.
    connection: Connection,
    watermark: Watermark,
    /// The only sale that is wanted; `None` for all.
    sale: Option<SaleId>,
    rows: RecordRows,
    /// Rows of the record that is being put together.
    parts: RecordParts,
}

enum RecordRows {
    NotAsked,
    Coming(Pin<Box<RowStream>>),
    Ended,
}

impl PostgresRecords {
    async fn begin(connection: Connection, sale: Option<SaleId>) -> Result<Self, SinkError> {
        connection.begin().await?;
        let client = connection.client();
        // One large query, which is sorted by Postgres: with these it is faster.
        let settings = client.batch_execute("SET LOCAL work_mem = '64MB'; SET LOCAL jit = off");
        settings.await.map_err(|error| explain(&error))?;
        let asked = client.query_typed_opt("SELECT lsn, fingerprint FROM watermark", &[]);
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
            connection,
            watermark,
            sale,
            rows: RecordRows::NotAsked,
            parts: RecordParts::default(),
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
        if matches!(self.rows, RecordRows::NotAsked) {
            let asked = self.query().await.map_err(|error| explain(&error))?;
            self.rows = RecordRows::Coming(Box::pin(asked));
        }
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while chunk.len() < CHUNK_RECORDS
            && bytes < CHUNK_BYTES
            && let RecordRows::Coming(rows) = &mut self.rows
        {
            let Some(row) = rows.try_next().await.map_err(|error| explain(&error))? else {
                self.rows = RecordRows::Ended;
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

    async fn query(&self) -> Result<RowStream, tokio_postgres::Error> {
        let client = self.connection.client();
        let none: [(&(dyn ToSql + Sync), Type); 0] = [];
        match self.sale {
            None => client.query_typed_raw(ALL_ROWS, none).await,
            Some(sale) => {
                let of_sale = format!(
                    "SELECT * FROM ({ALL_ROWS}) AS rows WHERE sale = {sale} AND kind <> {REFUSED}
                     ORDER BY 1, 2, 5, 6, 3"
                );
                client.query_typed_raw(&of_sale, none).await
            }
        }
    }

    /// Ends the looking in order, so that the server has nothing to complain of.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn end(self) -> Result<(), SinkError> {
        self.connection.commit().await
    }

    /// What contradicts itself in Postgres, whatever the journal says: something sold twice, a sum that
    /// is wrong, rows that nothing belongs to. Not more than `max` lines of text.
    ///
    /// # Errors
    /// The database does not answer, or its tables are not those of the schema.
    pub async fn breaches(&self, max: usize) -> Result<Vec<String>, SinkError> {
        let limited = format!("{BREACHES} LIMIT {max}");
        let rows = self.connection.client().query_typed(&limited, &[]).await;
        let rows = rows.map_err(|error| explain(&error))?;
        rows.iter()
            .map(|row| row.try_get(0).map_err(|error| explain(&error)))
            .collect()
    }
}
