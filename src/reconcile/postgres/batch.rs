//! Records of the journal, turned into rows.

use std::collections::{BTreeMap, BTreeSet};

use super::copy::Rows;
use super::position::OpenSales;
use super::tables::Table;
use crate::limits;
use crate::reconcile::SinkBatch;
use crate::record::{CatalogueKind, Entry, Items, Lines, Record, SaleTerms, Undecodable};
use crate::types::{ItemIndex, Lsn, SaleId, Timestamp};

/// Sales that share a partition of each table that grows with every sale.
const SALES_PER_PARTITION: u32 = 1000;

/// Rows of some records that follow each other.
pub struct PostgresBatch {
    records: usize,
    rows: [Rows; Table::ALL.len()],
    /// The sales that are open behind the last record.
    pub(super) open_sales: OpenSales,
    /// Whose announced items, if there are any, belong to no sale.
    pub(super) abandoned: Option<SaleId>,
    /// Whose items still have to be written down.
    pub(super) generated: Option<GeneratedItems>,
    pub(super) closed: Vec<Closed>,
    /// What changes of items that there are many of.
    pub(super) pools: BTreeMap<(SaleId, ItemIndex), PoolChange>,
    /// Lines of purchases that are cancelled, of items that exist once.
    pub(super) cancelled: Vec<(SaleId, u128, ItemIndex)>,
    /// The items of those: they may be sold again when that is written.
    freed: BTreeSet<(SaleId, ItemIndex)>,
    /// A sale in each partition that rows go to.
    pub(super) partitions: BTreeSet<u32>,
    /// What should not be: why the batch cannot be applied.
    pub(super) contradiction: Option<String>,
}

/// The items of a new sale with a generated catalogue. There may be a million: they are written down
/// while they are sent.
#[derive(Clone, Copy)]
pub(super) struct GeneratedItems {
    pub(super) sale: SaleId,
    pub(super) seed: u64,
    pub(super) count: u32,
    pub(super) lsn: Lsn,
    pub(super) at: Timestamp,
}

/// What changes of an item that there are many of: in one step, as never more may be sold than there are.
#[derive(Clone, Copy, Default)]
pub(super) struct PoolChange {
    /// Units sold.
    pub(super) sold: i64,
    /// Units added, or taken out where it is negative.
    pub(super) stock: i64,
}

/// The end of a sale.
pub(super) struct Closed {
    pub(super) sale: SaleId,
    pub(super) at: Timestamp,
    pub(super) lsn: Lsn,
}

impl PostgresBatch {
    /// An empty batch, behind which `open_sales` are open.
    pub(super) fn new(open_sales: OpenSales) -> Self {
        Self {
            records: 0,
            rows: Table::ALL.map(Table::no_rows),
            open_sales,
            abandoned: None,
            generated: None,
            closed: Vec::new(),
            pools: BTreeMap::new(),
            cancelled: Vec::new(),
            freed: BTreeSet::new(),
            partitions: BTreeSet::new(),
            contradiction: None,
        }
    }

    pub(super) fn rows(&mut self, table: Table) -> &mut Rows {
        &mut self.rows[table as usize]
    }

    /// Whether anything is to be copied into `table`.
    pub(super) fn has_rows(&self, table: Table) -> bool {
        let is_generated = table == Table::Items && self.generated.is_some();
        is_generated || self.rows[table as usize].count() > 0
    }

    fn is_full(&self) -> bool {
        self.rows.iter().map(Rows::len_bytes).sum::<usize>() >= limits::BATCH_BYTES_MAX
    }

    fn write(&mut self, entry: &Entry<'_>, record: &Record<'_>) {
        match *record {
            Record::SaleItems { sale, first, items } => self.items(entry, sale, first, items),
            Record::SaleCreated { sale, terms } => self.created(entry, sale, terms),
            Record::SaleClosed { sale } => self.closed(entry, sale),
            Record::SaleChanged { sale, change } => {
                let rows = self.rows(Table::SaleChanges).row();
                rows.u64(entry.lsn.0).u32(sale.0).text(change.name());
                match change.ended_at() {
                    Some(ended_at) => rows.time(ended_at),
                    None => rows.null(),
                };
                rows.time(entry.at);
            }
            Record::StockChanged {
                sale,
                item,
                units,
                reference,
            } => {
                let rows = self.rows(Table::StockChanges).row();
                rows.u64(entry.lsn.0).u32(sale.0).u32(item.0).i64(units);
                rows.text(reference).time(entry.at);
                self.pools.entry((sale, item)).or_default().stock += units;
            }
            // Only snapshots have them, and nobody follows those.
            Record::SaleArchived { .. } | Record::KeptKey { .. } => {}
            Record::Checkout { .. } => self.checkout(entry, record),
            Record::PaymentBegun { .. } => self.payment(entry, record),
            Record::Purchase { .. } => self.purchase(entry, record),
            Record::Cancelled { .. } => self.cancel(entry, record),
            Record::Expired { sale, secret, .. } => {
                let rows = self.rows_of(Table::ExpiredCheckouts, sale);
                rows.row()
                    .u32(sale.0)
                    .uuid(secret)
                    .time(entry.at)
                    .u64(entry.lsn.0);
            }
            Record::Released {
                sale, secret, line, ..
            } => {
                let rows = self.rows_of(Table::Releases, sale);
                rows.row().u32(sale.0).uuid(secret);
                match line {
                    Some(line) => rows.u32(line.item.0).u32(line.quantity),
                    None => rows.null().null(),
                };
                rows.time(entry.at).u64(entry.lsn.0);
            }
            Record::Refused {
                sale,
                user,
                item,
                reason,
            } => {
                let sale = sale.unwrap_or(SaleId(0));
                let rows = self.rows_of(Table::RefusedAttempts, sale);
                rows.row().u32(sale.0).text(user).text(item);
                rows.text(reason.as_str()).time(entry.at).u64(entry.lsn.0);
            }
        }
    }

    /// The rows of a table that is partitioned by sale.
    fn rows_of(&mut self, table: Table, sale: SaleId) -> &mut Rows {
        self.partitions
            .insert(sale.0 / SALES_PER_PARTITION * SALES_PER_PARTITION);
        self.rows(table)
    }

    fn items(&mut self, entry: &Entry<'_>, sale: SaleId, first: ItemIndex, items: Items<'_>) {
        if first.0 == 0 {
            self.abandoned = Some(sale);
        }
        for (index, item) in (first.0..).zip(items.iter()) {
            let table = match item.max_per_user {
                None => Table::Items,
                Some(_) => Table::LimitedItems,
            };
            let rows = self.rows_of(table, sale);
            rows.row().u32(sale.0).u32(index).text(item.id);
            rows.text(item.name).text(item.image_url).u64(item.stock);
            rows.u64(entry.lsn.0).time(entry.at);
            if let Some(limit) = item.max_per_user {
                rows.u32(limit.get().into());
            }
            let pools = self.rows(Table::Pools).row();
            pools.u32(sale.0).u32(index).u64(item.stock);
        }
    }

    fn created(&mut self, entry: &Entry<'_>, sale: SaleId, terms: SaleTerms) {
        let rows = self.rows_of(Table::Sales, sale);
        rows.row().u32(sale.0);
        rows.time(terms.started_at).time(terms.ended_at);
        rows.u32(terms.max_items_per_user).u32(terms.hold_seconds);
        rows.u32(terms.payment.seconds);
        rows.text(terms.payment.purchase_by.name());
        rows.u32(terms.catalogue.item_count());
        match terms.catalogue {
            CatalogueKind::Generated { seed, .. } => rows.u64(seed),
            CatalogueKind::Explicit { .. } => rows.null(),
        };
        rows.time(entry.at).u64(entry.lsn.0);
        if let CatalogueKind::Generated { seed, item_count } = terms.catalogue {
            // Announced items of an attempt that had the same number are not this sale's.
            self.abandoned = Some(sale);
            self.generated = Some(GeneratedItems {
                sale,
                seed,
                count: item_count,
                lsn: entry.lsn,
                at: entry.at,
            });
        }
        let is_generated = matches!(terms.catalogue, CatalogueKind::Generated { .. });
        self.open_sales.insert(sale, is_generated);
    }

    fn closed(&mut self, entry: &Entry<'_>, sale: SaleId) {
        self.open_sales.remove(&sale);
        self.closed.push(Closed {
            sale,
            at: entry.at,
            lsn: entry.lsn,
        });
    }

    fn checkout(&mut self, entry: &Entry<'_>, record: &Record<'_>) {
        let Record::Checkout {
            sale,
            secret,
            user,
            item,
            quantity,
            hold_until,
            opens,
            key,
        } = *record
        else {
            return;
        };
        if opens {
            let rows = self.rows(Table::Checkouts);
            rows.row()
                .u32(sale.0)
                .uuid(secret)
                .text(user)
                .time(entry.at);
            match hold_until {
                Some(until) => rows.time(until),
                None => rows.null(),
            };
            rows.u64(entry.lsn.0);
        }
        let table = match key {
            None => Table::CheckoutItems,
            Some(_) => Table::KeyedCheckoutItems,
        };
        let rows = self.rows_of(table, sale);
        rows.row()
            .u32(sale.0)
            .uuid(secret)
            .u32(item.0)
            .u32(quantity);
        rows.time(entry.at).u64(entry.lsn.0);
        if let Some(key) = key {
            rows.text(key.key).u32(key.items_count);
            rows.time(key.sale_ends_at);
            match key.held_until {
                Some(until) => rows.time(until),
                None => rows.null(),
            };
        }
    }

    fn payment(&mut self, entry: &Entry<'_>, record: &Record<'_>) {
        let Record::PaymentBegun {
            sale,
            secret,
            hold_until,
            held_until,
            lines,
            ..
        } = *record
        else {
            return;
        };
        for (place, line) in (0..).zip(lines.iter()) {
            let rows = self.rows_of(Table::Payments, sale);
            rows.row().u32(sale.0).uuid(secret).i16(place);
            rows.u32(line.item.0).u32(line.quantity).bool(line.sold);
            rows.time(hold_until).time(held_until);
            rows.time(entry.at).u64(entry.lsn.0);
        }
    }

    fn purchase(&mut self, entry: &Entry<'_>, record: &Record<'_>) {
        let Record::Purchase {
            sale,
            secret,
            key,
            payment_ref,
            lines,
            ..
        } = *record
        else {
            return;
        };
        let table = match payment_ref {
            None => Table::Purchases,
            Some(_) => Table::ConfirmedPurchases,
        };
        let rows = self.rows_of(table, sale);
        rows.row().u32(sale.0).uuid(secret).time(entry.at);
        match payment_ref.or(key) {
            Some(text) => rows.text(text),
            None => rows.null(),
        };
        rows.u64(entry.lsn.0);
        self.results(entry.lsn, sale, secret, lines);
    }

    fn cancel(&mut self, entry: &Entry<'_>, record: &Record<'_>) {
        let Record::Cancelled {
            sale,
            secret,
            reference,
            lines,
            restock,
            ..
        } = *record
        else {
            return;
        };
        let Some(&is_single) = self.open_sales.get(&sale) else {
            self.refuse(entry.lsn, "cancellation", sale);
            return;
        };
        for (place, line) in (0..).zip(lines.iter()) {
            let rows = self.rows(Table::Cancellations).row();
            rows.u64(entry.lsn.0).i16(place).u32(sale.0).uuid(secret);
            rows.text(reference).u32(line.item.0).u32(line.quantity);
            rows.bool(restock).time(entry.at);
            if is_single {
                self.cancelled.push((sale, secret, line.item));
                self.freed.insert((sale, line.item));
            } else {
                let pool = self.pools.entry((sale, line.item)).or_default();
                pool.sold -= i64::from(line.quantity);
                pool.stock -= if restock { 0 } else { i64::from(line.quantity) };
            }
        }
    }

    /// Returns whether a record sells again what an earlier one of this batch has cancelled.
    fn sells_again(&self, record: &Record<'_>) -> bool {
        let Record::Purchase { sale, lines, .. } = *record else {
            return false;
        };
        let is_freed = |item| self.freed.contains(&(sale, item));
        !self.freed.is_empty() && lines.iter().any(|line| line.sold && is_freed(line.item))
    }

    fn refuse(&mut self, lsn: Lsn, what: &str, sale: SaleId) {
        self.contradiction.get_or_insert(format!(
            "record {lsn} is a {what} in sale {sale}, which the database does not know or \
             has closed; run `flashsale verify`"
        ));
    }

    fn results(&mut self, lsn: Lsn, sale: SaleId, secret: u128, lines: Lines<'_>) {
        let Some(&is_single) = self.open_sales.get(&sale) else {
            self.refuse(lsn, "purchase", sale);
            return;
        };
        for (place, line) in (0..).zip(lines.iter()) {
            let rows = self.rows(Table::PurchaseResults);
            rows.row().u32(sale.0).uuid(secret).i16(place);
            rows.u32(line.item.0).u32(line.quantity);
            rows.bool(line.sold).bool(is_single);
            if line.sold && !is_single {
                let pool = self.pools.entry((sale, line.item)).or_default();
                pool.sold += i64::from(line.quantity);
            }
        }
    }
}

impl SinkBatch for PostgresBatch {
    fn push(&mut self, entry: &Entry<'_>) -> Result<bool, Undecodable> {
        let record = entry.record()?;
        let is_empty = self.records == 0;
        if !is_empty && (begins_a_batch(&record) || self.sells_again(&record) || self.is_full()) {
            return Ok(false);
        }
        self.records += 1;
        self.write(entry, &record);
        Ok(true)
    }
}

/// Whether rows that are there must go before the record's come.
fn begins_a_batch(record: &Record<'_>) -> bool {
    match record {
        Record::SaleItems { first, .. } => first.0 == 0,
        Record::SaleCreated { terms, .. } => {
            matches!(terms.catalogue, CatalogueKind::Generated { .. })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::record::RefusedReason;

    #[test]
    fn the_newest_constraint_of_refused_attempts_allows_every_reason() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let files = std::fs::read_dir(dir).expect("migrations");
        let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        paths.retain(|path| path.to_string_lossy().ends_with(".up.sql"));
        paths.sort();
        let texts = paths
            .iter()
            .map(|path| std::fs::read_to_string(path).expect("text"));
        let mut named =
            texts.filter(|text| text.contains("CONSTRAINT refused_attempts_reason_check"));
        let newest = named.next_back().expect("a constraint");
        let constraint = newest.split("CHECK (reason IN (").nth(1).expect("a list");
        let constraint = constraint.split(')').next().expect("an end");
        for reason in RefusedReason::ALL {
            let text = format!("'{}'", reason.as_str());
            assert!(constraint.contains(&text), "{text} needs a migration");
        }
    }
}
