//! A snapshot with the files of its archived sales, read a frame at a time: however large they are, only
//! a little of it is in memory.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::batch::{CancelledLine, RedisBatch};
use super::wire::expires_at;
use crate::journal::record_file::{self, Frames};
use crate::journal::sale_file::SaleFile;
use crate::journal::segment::Segment;
use crate::journal::{Frame, JournalError, snapshot};
use crate::reconcile::{RecordSource, SinkError};
use crate::record::{Entry, Record};
use crate::types::{Lsn, SaleId, Timestamp};

/// An open snapshot that is whole. It stays readable when a newer one takes its place.
pub(super) struct StoredSnapshot {
    /// The snapshot.
    pub(super) file: Segment,
    /// The archived sales whose keys would not have expired.
    pub(super) archived: Vec<SaleFile>,
    /// How many records all of these hold.
    pub(super) records: u64,
    /// Other sales whose keys would have expired.
    gone: BTreeSet<SaleId>,
    /// What was cancelled of purchases that come behind it.
    cancelled: RefCell<BTreeMap<(SaleId, u128), Vec<CancelledLine>>>,
}

impl StoredSnapshot {
    /// Opens the snapshot at `lsn` and looks through all of it, so that damage is known before anything
    /// is done. That a sale was closed stands behind its buyers; so this also finds the sales that are
    /// not worth writing at `now`.
    ///
    /// # Errors
    /// It is damaged or cannot be read.
    pub(super) async fn open(
        source: &RecordSource,
        lsn: Lsn,
        now: Timestamp,
    ) -> Result<Self, SinkError> {
        let file = record_file::open(source.disk(), snapshot::path_of(source.dir(), lsn), lsn)?;
        let (mut ends, mut gone, mut archived) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        let mut records = 0;
        let shown = |closed_at, ended_at| expires_at(closed_at, ended_at) > now.seconds();
        records += visit_all(&file, &mut |entry, record| match *record {
            Record::SaleCreated { sale, terms } => drop(ends.insert(sale, terms.ended_at)),
            Record::SaleClosed { sale } => {
                let ended_at = ends.get(&sale).copied().unwrap_or(entry.at);
                if !shown(entry.at, ended_at) {
                    gone.insert(sale);
                }
            }
            Record::SaleArchived {
                sale,
                terms,
                closed_at,
                closed_lsn,
                ..
            } if shown(closed_at, terms.ended_at) => archived.push(SaleFile { closed_lsn, sale }),
            _ => {}
        })
        .await?;
        for sale in &archived {
            records += visit_all(&open_sale(source, sale)?, &mut |_, _| ()).await?;
        }
        Ok(Self {
            file,
            archived,
            records,
            gone,
            cancelled: RefCell::default(),
        })
    }

    /// Reads the next frame of the snapshot or of an archived sale's file, and returns what to write of it.
    ///
    /// # Errors
    /// The frame is damaged.
    pub(super) fn pieces(
        &self,
        file: &Segment,
        frame: &Frame<'_>,
    ) -> Result<Vec<RedisBatch>, JournalError> {
        let mut pieces: Vec<RedisBatch> = Vec::new();
        frame.visit(file, &mut |entry| {
            let record = entry.record()?;
            let gone = sale_of(&record).is_some_and(|sale| self.gone.contains(&sale));
            if gone || self.keep_cancelled(&record) {
                return Ok(());
            }
            let cancelled = self.cancelled_of(&record);
            if !pieces
                .last_mut()
                .is_some_and(|piece| piece.add(&entry, &record, &cancelled))
            {
                let mut piece = RedisBatch::silent();
                piece.add(&entry, &record, &cancelled);
                pieces.push(piece);
            }
            Ok(())
        })?;
        Ok(pieces)
    }
}

impl StoredSnapshot {
    /// Keeps a cancellation until its purchase comes. Returns false where the record is none.
    fn keep_cancelled(&self, record: &Record<'_>) -> bool {
        let Record::Cancelled {
            sale,
            secret,
            lines,
            restock,
            ..
        } = *record
        else {
            return false;
        };
        let mut kept = self.cancelled.borrow_mut();
        let kept = kept.entry((sale, secret)).or_default();
        kept.extend(lines.iter().map(|it| (it.item.0, it.quantity, restock)));
        true
    }

    /// Returns what was cancelled of a purchase.
    fn cancelled_of(&self, record: &Record<'_>) -> Vec<CancelledLine> {
        let Record::Purchase { sale, secret, .. } = *record else {
            return Vec::new();
        };
        let kept = self.cancelled.borrow_mut().remove(&(sale, secret));
        kept.unwrap_or_default()
    }
}

/// Opens the file of an archived sale.
pub(super) fn open_sale(source: &RecordSource, sale: &SaleFile) -> Result<Segment, JournalError> {
    record_file::open(source.disk(), sale.path(source.dir()), sale.closed_lsn)
}

/// Visits all records; how many there are.
async fn visit_all(
    file: &Segment,
    visit: &mut dyn FnMut(&Entry<'_>, &Record<'_>),
) -> Result<u64, JournalError> {
    let mut records = 0;
    let mut frames = Frames::of(file);
    while let Some(frame) = frames.next()? {
        frame.visit(file, &mut |entry| {
            visit(&entry, &entry.record()?);
            records += 1;
            Ok(())
        })?;
        // The follower may have been asked to stop.
        tokio::task::yield_now().await;
    }
    Ok(records)
}

/// Of which sale a record tells something that Redis shows.
fn sale_of(record: &Record<'_>) -> Option<SaleId> {
    match *record {
        Record::SaleItems { sale, .. }
        | Record::SaleCreated { sale, .. }
        | Record::SaleChanged { sale, .. }
        | Record::StockChanged { sale, .. }
        | Record::SaleClosed { sale }
        | Record::Purchase { sale, .. }
        | Record::Cancelled { sale, .. } => Some(sale),
        Record::SaleArchived { .. }
        | Record::Checkout { .. }
        | Record::KeptKey { .. }
        | Record::PaymentBegun { .. }
        | Record::Expired { .. }
        | Record::Released { .. }
        | Record::Refused { .. } => None,
    }
}
