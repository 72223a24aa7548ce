//! A snapshot, read a frame at a time: however large it is, only a little of it is in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::batch::RedisBatch;
use super::wire::expires_at;
use crate::env::OpenMode;
use crate::journal::segment::Segment;
use crate::journal::{Entry, JournalError, Record, SegmentReader, snapshot};
use crate::reconcile::{Batch, SinkError, Source};
use crate::types::{Lsn, SaleId, Timestamp};

/// An open snapshot that is whole. It stays readable when a newer one takes its place.
pub(super) struct StoredSnapshot {
    segment: Segment,
    /// Sales whose keys would have expired.
    gone: BTreeSet<SaleId>,
}

impl StoredSnapshot {
    /// Opens the snapshot at `lsn` and looks through all of it, so that damage is known before anything
    /// is done. That a sale was closed stands behind its buyers; so this also finds the sales that are
    /// not worth writing at `now`.
    ///
    /// # Errors
    /// It is damaged or cannot be read.
    pub(super) async fn open(source: &Source, lsn: Lsn, now: Timestamp) -> Result<Self, SinkError> {
        let path = snapshot::path_of(source.dir(), lsn);
        let segment = Segment::open_path(source.disk(), path, OpenMode::Read)?;
        let (mut ends, mut gone) = (BTreeMap::new(), BTreeSet::new());
        let mut frames = Frames::of(&segment);
        while frames.visit_next(&mut |entry| match entry.record {
            Record::SaleCreated { sale, terms } => drop(ends.insert(sale, terms.ended_at)),
            Record::SaleClosed { sale } => {
                let ended_at = ends.get(&sale).copied().unwrap_or(entry.at);
                if expires_at(entry.at, ended_at) <= now.seconds() {
                    gone.insert(sale);
                }
            }
            _ => {}
        })? {
            // The follower may have been asked to stop.
            tokio::task::yield_now().await;
        }
        Ok(Self { segment, gone })
    }

    /// What is to be written, from the beginning.
    pub(super) fn pieces(&self) -> Pieces<'_> {
        Pieces {
            frames: Frames::of(&self.segment),
            gone: &self.gone,
        }
    }
}

/// The way through a snapshot.
pub(super) struct Pieces<'a> {
    frames: Frames<'a>,
    gone: &'a BTreeSet<SaleId>,
}

impl Pieces<'_> {
    /// What the next frame holds; `None` at the end.
    ///
    /// # Errors
    /// The snapshot is damaged or cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Vec<RedisBatch>>, SinkError> {
        let mut pieces: Vec<RedisBatch> = Vec::new();
        let some = self.frames.visit_next(&mut |entry| {
            let gone = sale_of(&entry.record).is_some_and(|sale| self.gone.contains(&sale));
            if gone || pieces.last_mut().is_some_and(|piece| piece.push(&entry)) {
                return;
            }
            let mut piece = RedisBatch::silent();
            piece.push(&entry);
            pieces.push(piece);
        })?;
        Ok(some.then_some(pieces))
    }
}

struct Frames<'a> {
    segment: &'a Segment,
    reader: SegmentReader<'a>,
}

impl<'a> Frames<'a> {
    fn of(segment: &'a Segment) -> Self {
        let reader = SegmentReader::new(segment, Some(Lsn(1)));
        Self { segment, reader }
    }

    /// Hands the records of the next frame to `visit`; `false` at the end.
    fn visit_next(&mut self, visit: &mut dyn FnMut(Entry<'_>)) -> Result<bool, JournalError> {
        match self.reader.next_frame()? {
            Ok(frame) if frame.header.count == 0 => Ok(false),
            Ok(frame) => {
                frame.visit(self.segment, &mut |entry| {
                    visit(entry);
                    Ok(())
                })?;
                Ok(true)
            }
            Err(end) => Err(JournalError::Damaged {
                path: self.segment.path.clone(),
                offset: end.offset,
                what: "the snapshot is incomplete".into(),
            }),
        }
    }
}

/// Of which sale a record tells something that Redis shows.
fn sale_of(record: &Record<'_>) -> Option<SaleId> {
    match *record {
        Record::SaleItems { sale, .. }
        | Record::SaleCreated { sale, .. }
        | Record::SaleClosed { sale }
        | Record::Purchase { sale, .. } => Some(sale),
        Record::Checkout { .. } | Record::Expired { .. } | Record::Refused { .. } => None,
    }
}
