//! One ended sale, read again as a whole.

use std::time::Duration;

use tokio::time::timeout;

use super::options::PostgresOptions;
use super::rebuild::Rebuilt;
use super::records::PostgresReader;
use crate::limits;
use crate::reconcile::SinkError;
use crate::types::{Lsn, SaleId};

/// Hands the records of `sale` to `take`, in order. The record `closed` must be among them.
///
/// # Errors
/// The database cannot be reached, is too slow, or has not followed the journal so far; or `take` says
/// what is wrong.
pub async fn read_sale(
    options: &PostgresOptions,
    sale: SaleId,
    closed: Lsn,
    take: &mut dyn FnMut(&Rebuilt) -> Result<(), String>,
) -> Result<(), SinkError> {
    let seconds = limits::DATABASE_SALE_SECONDS;
    let reading = async {
        let reader = PostgresReader::connect(options).await?;
        let mut records = reader.records_of(sale).await?;
        let followed = records.watermark();
        if followed.lsn < closed {
            let what = format!("it ends at {followed}, before record {closed}");
            return Err(SinkError::Unavailable(what));
        }
        loop {
            let chunk = records.next_chunk().await?;
            if chunk.is_empty() {
                return records.end().await;
            }
            for rebuilt in &chunk {
                take(rebuilt).map_err(SinkError::Refused)?;
            }
        }
    };
    let slow = |_| SinkError::Unavailable(format!("sale {sale} was not read within {seconds} s"));
    timeout(Duration::from_secs(seconds), reading)
        .await
        .map_err(slow)?
}
