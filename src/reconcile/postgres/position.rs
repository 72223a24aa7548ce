//! The position of the database in the journal.

use std::collections::BTreeMap;

use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::failure::explain;
use crate::reconcile::{SinkError, Watermark};
use crate::types::{Lsn, SaleId};

/// Open sales, and whether their items are generated: those exist once each.
pub(super) type OpenSales = BTreeMap<SaleId, bool>;

/// How far the database is, and what must be known to go on from there; seen at one moment.
pub(super) struct PostgresPosition {
    pub(super) watermark: Watermark,
    pub(super) open_sales: OpenSales,
}

const ASK: &str = "
    SELECT lsn, fingerprint, pg_is_in_recovery(),
           array_to_string(ARRAY(SELECT id FROM sales WHERE closed_at IS NULL AND generated_seed IS NOT NULL), ' '),
           array_to_string(ARRAY(SELECT id FROM sales WHERE closed_at IS NULL AND generated_seed IS NULL), ' ')
    FROM watermark";
const COLUMNS: usize = 5;

impl PostgresPosition {
    /// Asks over `client`, in one message that is a transaction with these `settings`: a future that is
    /// dropped leaves nothing open behind it.
    ///
    /// # Errors
    /// It does not answer, cannot be written, or has no watermark.
    pub(super) async fn read(client: &Client, settings: &str) -> Result<Self, SinkError> {
        let messages = client.simple_query(&format!("{settings} {ASK}")).await;
        let messages = messages.map_err(|error| explain(&error))?;
        let row = messages.iter().find_map(|message| match message {
            // The settings may answer, too, with one column.
            SimpleQueryMessage::Row(row) if row.len() == COLUMNS => Some(row),
            _ => None,
        });
        let row = row.ok_or_else(|| {
            SinkError::Refused(
                "the table watermark has lost its row; restore the database from a backup, or \
                 give an empty one"
                    .into(),
            )
        })?;
        if row.get(2) == Some("t") {
            let standby = "the database is a standby, and read-only";
            return Err(SinkError::Unavailable(standby.into()));
        }
        Self::of(row).ok_or_else(|| SinkError::Refused("its watermark is none".into()))
    }

    fn of(row: &SimpleQueryRow) -> Option<Self> {
        let mut open_sales = OpenSales::new();
        for (column, is_generated) in [(3, true), (4, false)] {
            for sale in row.get(column)?.split_ascii_whitespace() {
                open_sales.insert(SaleId(sale.parse().ok()?), is_generated);
            }
        }
        let watermark = Watermark {
            lsn: Lsn(row.get(0)?.parse().ok()?),
            fingerprint: row.get(1)?.parse().ok()?,
        };
        Some(Self {
            watermark,
            open_sales,
        })
    }
}
