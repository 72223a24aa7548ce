//! One batch, one transaction.

use std::io::Write;
use std::pin::pin;

use bytes::Bytes;
use futures_util::SinkExt;
use futures_util::future::try_join_all;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, CopyInSink, Error, Statement};

use super::batch::{Closed, GeneratedItems, PostgresBatch};
use super::connection::Connection;
use super::copy::Rows;
use super::failure::explain;
use super::tables::Table;
use crate::generated;
use crate::limits;
use crate::reconcile::{SinkError, Watermark};
use crate::types::{GeneratedItemId, ItemIndex};

/// The row lock that this takes makes a second writer wait, and its condition fences it.
const MOVE_WATERMARK: &str = "
    UPDATE watermark SET lsn = $3, fingerprint = $4, applied_at = now()
    WHERE lsn = $1 AND fingerprint = $2";
const CLOSE_SALES: &str = "
    UPDATE sales SET closed_lsn = ended.lsn,
                     closed_at = timestamptz 'epoch' + ended.at_us * interval '1 microsecond'
    FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS ended (id, at_us, lsn)
    WHERE sales.id = ended.id";
const CHANGE_POOLS: &str = "
    UPDATE pools SET sold = pools.sold + more.sold, stock = pools.stock + more.stock
    FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[]) AS more (sale_id, item_index, sold, stock)
    WHERE pools.sale_id = more.sale_id AND pools.item_index = more.item_index";

/// What exists once may be sold to somebody else from then on.
const CANCEL_RESULTS: &str = "
    UPDATE purchase_results r SET cancelled = true
    FROM unnest($1::int[], $2::text[], $3::int[]) AS gone (sale_id, secret, item_index)
    WHERE r.sale_id = gone.sale_id AND r.secret = gone.secret::uuid AND r.item_index = gone.item_index
      AND r.sold AND r.is_single AND NOT r.cancelled";

/// The connection that batches go over, with what it has learned.
pub(super) struct Applier {
    connection: Connection,
    /// Partitions that are known to be there.
    partitions: Vec<u32>,
}

impl Applier {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            partitions: Vec::new(),
        }
    }

    fn client(&self) -> &Client {
        self.connection.client()
    }

    /// Applies the batch and moves the watermark, both or neither. After an error other than
    /// [`SinkError::Moved`], or when the future is dropped, a transaction may be open, or its end be
    /// unknown: the connection must go.
    pub(super) async fn apply(
        &mut self,
        batch: &mut PostgresBatch,
        from: Watermark,
        to: Watermark,
    ) -> Result<(), SinkError> {
        let copies = self.begin(batch).await?;
        if self.move_watermark(from, to).await? == 0 {
            drop(copies);
            self.connection.rollback().await?;
            return Err(SinkError::Moved);
        }
        self.ensure_partitions(batch).await?;
        if let Some(sale) = batch.abandoned {
            let sale = sale.0.cast_signed();
            self.execute("SELECT abandon_sale($1)", &[(&sale, Type::INT4)])
                .await?;
        }
        // Each is gone from the session before the transaction ends.
        for (table, statement) in copies {
            self.copy(batch, table, &statement).await?;
        }
        self.close_sales(&batch.closed).await?;
        self.change_pools(batch).await?;
        self.cancel_results(batch).await?;
        self.connection.commit().await
    }

    /// Begins the transaction, and prepares the copies that the batch needs: a copy, unlike everything else,
    /// must be a statement with a name, and the client chooses that. Where the session of a pooler has a
    /// statement of that name from somebody else, the next names are tried.
    async fn begin(&self, batch: &mut PostgresBatch) -> Result<Vec<(Table, Statement)>, SinkError> {
        let tables: Vec<_> = Table::ALL
            .into_iter()
            .filter(|&table| batch.has_rows(table))
            .collect();
        let mut tries = 1..=limits::DATABASE_STATEMENT_TRIES_MAX;
        loop {
            self.connection.begin().await?;
            let prepared = tables.iter().map(|&table| async move {
                let statement = self.client().prepare(&table.copy_statement()).await?;
                Ok::<_, Error>((table, statement))
            });
            match try_join_all(prepared).await {
                Ok(copies) => return Ok(copies),
                Err(error)
                    if error.code() == Some(&SqlState::DUPLICATE_PSTATEMENT)
                        && tries.next().is_some() =>
                {
                    self.connection.rollback().await?;
                }
                Err(error) => return Err(explain(&error)),
            }
        }
    }

    async fn execute(
        &self,
        statement: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<u64, SinkError> {
        let executed = self.client().execute_typed(statement, values).await;
        executed.map_err(|error| explain(&error))
    }

    async fn move_watermark(&self, from: Watermark, to: Watermark) -> Result<u64, SinkError> {
        let values: [i64; 4] = [
            from.lsn.0.cast_signed(),
            i64::from(from.fingerprint),
            to.lsn.0.cast_signed(),
            i64::from(to.fingerprint),
        ];
        let values = values.each_ref().map(|value| (value as _, Type::INT8));
        self.execute(MOVE_WATERMARK, &values).await
    }

    async fn ensure_partitions(&mut self, batch: &PostgresBatch) -> Result<(), SinkError> {
        for &partition in &batch.partitions {
            if !self.partitions.contains(&partition) {
                let sale = partition.cast_signed();
                self.execute("SELECT ensure_partitions($1)", &[(&sale, Type::INT4)])
                    .await?;
                // Should the batch fail, this goes together with the connection.
                self.partitions.push(partition);
            }
        }
        Ok(())
    }

    async fn copy(
        &self,
        batch: &mut PostgresBatch,
        table: Table,
        statement: &Statement,
    ) -> Result<(), SinkError> {
        let generated = batch.generated.filter(|_| table == Table::Items);
        let rows = batch.rows(table);
        let copied = copy_rows(self.client(), statement, rows, generated).await;
        let copied = copied.map_err(|error| explain(&error))?;
        // A trigger or a rule that somebody has added may swallow rows.
        expect(copied, rows.count(), table.name())
    }

    async fn close_sales(&self, closed: &[Closed]) -> Result<(), SinkError> {
        if closed.is_empty() {
            return Ok(());
        }
        let sales: Vec<_> = closed.iter().map(|it| it.sale.0.cast_signed()).collect();
        let times: Vec<_> = closed.iter().map(|it| it.at.0).collect();
        let lsns: Vec<_> = closed.iter().map(|it| it.lsn.0.cast_signed()).collect();
        let values: [(&(dyn ToSql + Sync), Type); 3] = [
            (&sales, Type::INT4_ARRAY),
            (&times, Type::INT8_ARRAY),
            (&lsns, Type::INT8_ARRAY),
        ];
        let changed = self.execute(CLOSE_SALES, &values).await?;
        expect(changed, closed.len() as u64, "sales")
    }

    async fn change_pools(&self, batch: &PostgresBatch) -> Result<(), SinkError> {
        if batch.pools.is_empty() {
            return Ok(());
        }
        let items = batch.pools.keys();
        let (sales, items): (Vec<_>, Vec<_>) = items
            .map(|(sale, item)| (sale.0.cast_signed(), item.0.cast_signed()))
            .unzip();
        let changes = batch.pools.values();
        let (sold, stocks): (Vec<_>, Vec<_>) = changes.map(|it| (it.sold, it.stock)).unzip();
        let values: [(&(dyn ToSql + Sync), Type); 4] = [
            (&sales, Type::INT4_ARRAY),
            (&items, Type::INT4_ARRAY),
            (&sold, Type::INT8_ARRAY),
            (&stocks, Type::INT8_ARRAY),
        ];
        let changed = self.execute(CHANGE_POOLS, &values).await?;
        expect(changed, batch.pools.len() as u64, "pools")
    }

    async fn cancel_results(&self, batch: &PostgresBatch) -> Result<(), SinkError> {
        if batch.cancelled.is_empty() {
            return Ok(());
        }
        let lines = || batch.cancelled.iter();
        let sales: Vec<_> = lines().map(|(sale, ..)| sale.0.cast_signed()).collect();
        let secrets: Vec<_> = lines()
            .map(|(_, secret, _)| format!("{secret:032x}"))
            .collect();
        let items: Vec<_> = lines().map(|(.., item)| item.0.cast_signed()).collect();
        let values: [(&(dyn ToSql + Sync), Type); 3] = [
            (&sales, Type::INT4_ARRAY),
            (&secrets, Type::TEXT_ARRAY),
            (&items, Type::INT4_ARRAY),
        ];
        let changed = self.execute(CANCEL_RESULTS, &values).await?;
        expect(changed, batch.cancelled.len() as u64, "purchase_results")
    }
}

fn expect(done: u64, expected: u64, table: &str) -> Result<(), SinkError> {
    if done == expected {
        return Ok(());
    }
    Err(SinkError::Refused(format!(
        "the table {table} took {done} of {expected} rows: it is not what the journal made of it; \
         run `flashsale verify`"
    )))
}

async fn copy_rows(
    client: &Client,
    statement: &Statement,
    rows: &mut Rows,
    generated: Option<GeneratedItems>,
) -> Result<u64, Error> {
    let mut copy = pin!(client.copy_in::<_, Bytes>(statement).await?);
    if let Some(items) = generated {
        send_generated(&mut copy, rows, items).await?;
    }
    let mut rest = rows.end();
    while !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(limits::COPY_PIECE_BYTES));
        copy.feed(piece).await?;
    }
    copy.finish().await
}

/// Writes the items down, a piece at a time, behind what `rows` holds.
async fn send_generated(
    copy: &mut std::pin::Pin<&mut CopyInSink<Bytes>>,
    rows: &mut Rows,
    items: GeneratedItems,
) -> Result<(), Error> {
    let sale = items.sale;
    let (mut id, mut name, mut image_url) = (Vec::new(), Vec::new(), Vec::new());
    for index in (0..items.count).map(ItemIndex) {
        for text in [&mut id, &mut name, &mut image_url] {
            text.clear();
        }
        // Writing to memory does not fail.
        let _ = write!(id, "{}", GeneratedItemId { sale, index });
        generated::write_name(items.seed, index, &mut name);
        generated::write_image_url(items.seed, index, &mut image_url);
        rows.row().u32(sale.0).u32(index.0).utf8(&id).utf8(&name);
        rows.utf8(&image_url).u64(1).u64(items.lsn.0).time(items.at);
        if rows.len_bytes() >= limits::COPY_PIECE_BYTES {
            copy.feed(rows.take()).await?;
        }
    }
    Ok(())
}
