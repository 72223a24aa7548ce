//! The journal's records, rebuilt from the rows that Postgres has of them.

use std::pin::Pin;

use futures_util::TryStreamExt;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, IsolationLevel, RowStream, Transaction};

use super::error::SinkError;
use super::postgres_rows::{ALL_ROWS, AnyRow, BREACHES, RowKind};
use super::watermark::Watermark;
use crate::journal::codec;
use crate::journal::record::{
    CatalogueKind, Items, Lines, NewItem, Record, RefusedReason, SaleTerms,
};
use crate::types::{ItemIndex, Lsn, PurchasedLine, SaleId, Timestamp};

/// Records that are handed over at once.
const CHUNK_RECORDS: usize = 4096;

/// What stands in Postgres at one number.
#[derive(Debug)]
pub struct Rebuilt {
    /// The number.
    pub lsn: Lsn,
    /// The record, encoded as in the journal; or why the rows make none.
    pub record: Result<Vec<u8>, String>,
}

/// Postgres at one moment, read-only.
pub struct PostgresRecords<'a> {
    transaction: Transaction<'a>,
    watermark: Watermark,
    rows: Rows,
    /// Rows of the record that is being put together.
    parts: Vec<AnyRow>,
}

enum Rows {
    NotAsked,
    Coming(Pin<Box<RowStream>>),
    Ended,
}

impl<'a> PostgresRecords<'a> {
    /// Looks at the database of `client`. What is written from now on is not seen.
    ///
    /// # Errors
    /// It does not answer, or has no watermark.
    pub async fn begin(client: &'a mut Client) -> Result<Self, SinkError> {
        let begun = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start();
        let transaction = begun.await.map_err(failed)?;
        // One large query, which is sorted by Postgres: with these it is faster.
        let settings =
            "SET LOCAL work_mem = '64MB'; SET LOCAL jit = off; SET LOCAL timezone = 'UTC'";
        transaction.batch_execute(settings).await.map_err(failed)?;
        let asked = transaction.query_opt("SELECT lsn, fingerprint FROM watermark", &[]);
        let row = asked.await.map_err(failed)?;
        let row = row.ok_or_else(|| SinkError::Refused("its watermark is gone".into()))?;
        let (lsn, fingerprint): (i64, i64) = (
            row.try_get(0).map_err(failed)?,
            row.try_get(1).map_err(failed)?,
        );
        let out_of_range = || SinkError::Refused("its watermark is none".into());
        let watermark = Watermark {
            lsn: Lsn(u64::try_from(lsn).map_err(|_| out_of_range())?),
            fingerprint: u32::try_from(fingerprint).map_err(|_| out_of_range())?,
        };
        Ok(Self {
            transaction,
            watermark,
            rows: Rows::NotAsked,
            parts: Vec::new(),
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
            let none: [&(dyn ToSql + Sync); 0] = [];
            let asked = self.transaction.query_raw(ALL_ROWS, none).await;
            self.rows = Rows::Coming(Box::pin(asked.map_err(failed)?));
        }
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK_RECORDS
            && let Rows::Coming(rows) = &mut self.rows
        {
            let Some(row) = rows.try_next().await.map_err(failed)? else {
                self.rows = Rows::Ended;
                chunk.extend(finish(&mut self.parts));
                break;
            };
            let row = AnyRow::read(&row).map_err(failed)?;
            if !self.parts.first().is_some_and(|first| row.continues(first)) {
                chunk.extend(finish(&mut self.parts));
            }
            self.parts.push(row);
        }
        Ok(chunk)
    }

    /// What contradicts itself in Postgres, whatever the journal says: something sold twice, a sum that
    /// is wrong, rows that nothing belongs to. Not more than `max` lines of text.
    ///
    /// # Errors
    /// The database does not answer, or its tables are not those of the schema.
    pub async fn breaches(&self, max: usize) -> Result<Vec<String>, SinkError> {
        let limited = format!("{BREACHES} LIMIT {max}");
        let rows = self.transaction.query(&limited, &[]).await;
        let rows = rows.map_err(failed)?;
        rows.iter()
            .map(|row| row.try_get(0).map_err(failed))
            .collect()
    }
}

/// In words that hold no value of a row.
fn failed(error: tokio_postgres::Error) -> SinkError {
    match error.as_db_error() {
        Some(error) => SinkError::Refused(format!("{} ({})", error.message(), error.code().code())),
        None if error.is_closed() => SinkError::Unavailable("the connection was closed".into()),
        None => SinkError::Unavailable(error.to_string()),
    }
}

/// The record that the rows make.
fn finish(parts: &mut Vec<AnyRow>) -> Option<Rebuilt> {
    let first = parts.first()?;
    let record = rebuild(first, parts).map_err(str::to_owned);
    // A negative number is no record's; it is told as one that the journal does not have.
    let lsn = Lsn(u64::try_from(first.lsn).unwrap_or(0));
    parts.clear();
    Some(Rebuilt { lsn, record })
}

const NO_CHECKOUT: &str = "its checkout is missing";
const OUT_OF_RANGE: &str = "a number is out of range";
const MISSING: &str = "a value is missing";

fn rebuild(first: &AnyRow, parts: &[AnyRow]) -> Result<Vec<u8>, &'static str> {
    let sale = SaleId(u32::try_from(first.sale).map_err(|_| OUT_OF_RANGE)?);
    match first.kind {
        RowKind::Item => {
            let items = parts.iter().map(item).collect::<Result<Vec<_>, _>>()?;
            let start = first.part.ok_or(MISSING)?;
            in_order(parts, start, "its items are not one after the other")?;
            let first_item = ItemIndex(u32::try_from(start).map_err(|_| OUT_OF_RANGE)?);
            let items = Items::Slice(&items);
            encode(
                first,
                &Record::SaleItems {
                    sale,
                    first: first_item,
                    items,
                },
            )
        }
        RowKind::SaleCreated => {
            let terms = terms(first)?;
            encode(first, &Record::SaleCreated { sale, terms })
        }
        RowKind::SaleClosed => encode(first, &Record::SaleClosed { sale }),
        RowKind::CheckoutItem => encode(first, &checkout(sale, first)?),
        RowKind::PurchaseLine => {
            let lines = parts.iter().map(line).collect::<Result<Vec<_>, _>>()?;
            in_order(parts, 0, "a result of it is missing")?;
            let key = first.texts[0].is_some();
            let key = key.then(|| text(&first.texts[0], MISSING)).transpose()?;
            if key == Some("") {
                return Err("its idempotency key is empty");
            }
            let purchase = Record::Purchase {
                sale,
                secret: first.secret.ok_or(MISSING)?,
                user: text(&first.user, NO_CHECKOUT)?,
                key,
                lines: Lines::Slice(&lines),
            };
            encode(first, &purchase)
        }
        RowKind::Expired => {
            let secret = first.secret.ok_or(MISSING)?;
            let user = text(&first.user, NO_CHECKOUT)?;
            encode(first, &Record::Expired { sale, secret, user })
        }
        RowKind::Refused => {
            let refused = Record::Refused {
                sale: Some(sale).filter(|sale| sale.0 > 0),
                user: text(&first.user, MISSING)?,
                item: text(&first.texts[0], MISSING)?,
                reason: reason(text(&first.texts[1], MISSING)?).ok_or("its reason is unknown")?,
            };
            encode(first, &refused)
        }
    }
}

/// Encodes the record, if it is one that the journal could hold.
fn encode(row: &AnyRow, record: &Record<'_>) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::with_capacity(128);
    codec::encode(row.at, record, &mut bytes);
    match codec::decode(&bytes) {
        Some((at, decoded, [])) if at == row.at && decoded == *record => Ok(bytes),
        _ => Err("its rows make no record"),
    }
}

/// The text, if it is there and the journal could hold it.
fn text<'a>(text: &'a Option<String>, otherwise: &'static str) -> Result<&'a str, &'static str> {
    let text = text.as_deref().ok_or(otherwise)?;
    if text.len() <= usize::from(u16::MAX) {
        Ok(text)
    } else {
        Err("a text is too long")
    }
}

fn number<T: TryFrom<i64>>(number: Option<i64>) -> Result<T, &'static str> {
    T::try_from(number.ok_or(MISSING)?).map_err(|_| OUT_OF_RANGE)
}

fn in_order(parts: &[AnyRow], start: i32, otherwise: &'static str) -> Result<(), &'static str> {
    let expected = (i64::from(start)..).map(Some);
    let found = parts.iter().map(|row| row.part.map(i64::from));
    if found
        .zip(expected)
        .all(|(found, expected)| found == expected)
    {
        Ok(())
    } else {
        Err(otherwise)
    }
}

fn item(row: &AnyRow) -> Result<NewItem<'_>, &'static str> {
    let [id, name, image_url] = &row.texts;
    Ok(NewItem {
        id: text(id, MISSING)?,
        name: text(name, MISSING)?,
        image_url: text(image_url, MISSING)?,
        stock: number(row.numbers[0])?,
    })
}

fn line(row: &AnyRow) -> Result<PurchasedLine, &'static str> {
    if row.part.is_none() {
        return Err("its results are missing");
    }
    Ok(PurchasedLine {
        item: ItemIndex(number(row.numbers[1])?),
        quantity: number(row.numbers[0])?,
        sold: row.flag.ok_or(MISSING)?,
    })
}

fn terms(row: &AnyRow) -> Result<SaleTerms, &'static str> {
    let item_count = number(row.part.map(i64::from))?;
    let catalogue = match row.numbers[2] {
        // 64 bits, which Postgres knows only as signed.
        Some(seed) => CatalogueKind::Generated {
            seed: seed as u64,
            item_count,
        },
        None => CatalogueKind::Explicit { item_count },
    };
    let time = |time: Option<Timestamp>| time.ok_or(MISSING);
    Ok(SaleTerms {
        started_at: time(row.times[0])?,
        ended_at: time(row.times[1])?,
        max_items_per_user: number(row.numbers[0])?,
        hold_seconds: number(row.numbers[1])?,
        catalogue,
    })
}

fn checkout(sale: SaleId, row: &AnyRow) -> Result<Record<'_>, &'static str> {
    Ok(Record::Checkout {
        sale,
        secret: row.secret.ok_or(MISSING)?,
        user: text(&row.user, NO_CHECKOUT)?,
        item: ItemIndex(number(row.part.map(i64::from))?),
        quantity: number(row.numbers[0])?,
        hold_until: row.times[0],
        opens: row.flag.ok_or(NO_CHECKOUT)?,
    })
}

fn reason(text: &str) -> Option<RefusedReason> {
    Some(match text {
        "item_not_found" => RefusedReason::ItemNotFound,
        "quantity_not_allowed" => RefusedReason::QuantityNotAllowed,
        "sale_not_active" => RefusedReason::SaleNotActive,
        "user_limit_exceeded" => RefusedReason::UserLimitExceeded,
        "item_already_in_checkout" => RefusedReason::ItemAlreadyInCheckout,
        "item_sold_out" => RefusedReason::ItemSoldOut,
        "item_held" => RefusedReason::ItemHeld,
        _ => return None,
    })
}
