//! What the database says about where it is.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Row};

use super::failure::explain;
use crate::reconcile::{SinkError, Watermark};
use crate::types::{Lsn, SaleId};

/// Open sales, and whether their items are generated: those exist once each.
pub(super) type OpenSales = BTreeMap<SaleId, bool>;

/// How far the database is, and what must be known to go on from there; seen at one moment.
pub(super) struct Position {
    pub(super) watermark: Watermark,
    pub(super) open_sales: OpenSales,
}

const ASK: &str = "
    SELECT lsn, fingerprint, pg_is_in_recovery(),
           ARRAY(SELECT id FROM sales WHERE closed_at IS NULL AND generated_seed IS NOT NULL),
           ARRAY(SELECT id FROM sales WHERE closed_at IS NULL AND generated_seed IS NULL)
    FROM watermark";

impl Position {
    /// Asks over `client`.
    ///
    /// # Errors
    /// It does not answer, cannot be written, or has no watermark.
    pub(super) async fn ask(client: &Client) -> Result<Self, SinkError> {
        let row = client.query_opt(ASK, &[]).await;
        let row = row.map_err(|error| explain(&error))?;
        let row = row.ok_or_else(|| {
            SinkError::Refused(
                "the table watermark has lost its row; restore the database from a backup, or \
                 give an empty one"
                    .into(),
            )
        })?;
        Self::of(&row).map_err(|error| explain(&error))?
    }

    fn of(row: &Row) -> Result<Result<Self, SinkError>, tokio_postgres::Error> {
        let (lsn, fingerprint): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if row.try_get(2)? {
            let standby = "the database is a standby, and read-only";
            return Ok(Err(SinkError::Unavailable(standby.into())));
        }
        let mut open_sales = OpenSales::new();
        for (column, is_generated) in [(3, true), (4, false)] {
            let sales: Vec<i32> = row.try_get(column)?;
            let sales = sales.into_iter().map(i32::cast_unsigned);
            open_sales.extend(sales.map(|sale| (SaleId(sale), is_generated)));
        }
        let watermark = Watermark {
            lsn: Lsn(lsn.cast_unsigned()),
            // The table keeps it in the range of 32 bits.
            fingerprint: u32::try_from(fingerprint).unwrap_or_default(),
        };
        Ok(Ok(Self {
            watermark,
            open_sales,
        }))
    }
}
