//! What an operator wants to know of a journal.

use serde::Serialize;

use super::shared::Shared;
use crate::sync::Ordering;
use crate::telemetry::micros;

/// The journal's figures. Times in microseconds.
#[derive(Clone, Debug, Serialize)]
pub struct JournalStatus {
    /// Records are taken.
    pub writable: bool,
    /// There is no room on the disk, for the next segment or to write to this one.
    pub disk_full: bool,
    /// A commit has not come back for so long that the server does not count as ready.
    pub stalled: bool,
    /// Why the journal has failed, if it has.
    pub failure: Option<String>,
    /// The newest durable record.
    pub durable_lsn: u64,
    /// The newest record that has a number. While it is the durable one, nothing is on its way.
    pub appended_lsn: u64,
    /// Bytes that wait for the committer; what it is writing is not among them.
    pub pending_bytes: u64,
    /// Batches written since the start.
    pub batches: u64,
    /// Records written since the start.
    pub records: u64,
    /// Bytes written since the start.
    pub written_bytes: u64,
    /// Segment files that are there: sealed ones, the one that is written to, and the one that is kept
    /// ready behind it.
    pub segments: u64,
    /// Their bytes on the disk. A segment has its full length from the beginning.
    pub segment_bytes: u64,
    /// The record that the newest snapshot stands for, if there is one.
    pub snapshot_lsn: Option<u64>,
    /// Median records of a batch.
    pub batch_records_p50: u64,
    /// Most records of a batch, and at most 0.8 % more.
    pub batch_records_max: u64,
    /// Median time of a write and its sync.
    pub commit_us_p50: f64,
    /// 99th percentile of the same.
    pub commit_us_p99: f64,
    /// Longest of the same.
    pub commit_us_max: f64,
    /// Median time of a sync alone; 0 where the journal does not sync.
    pub fsync_us_p50: f64,
    /// 99th percentile of the same.
    pub fsync_us_p99: f64,
    /// Longest of the same.
    pub fsync_us_max: f64,
}

impl JournalStatus {
    pub(super) fn of(shared: &Shared, stalled: bool) -> Self {
        // In this order: what is appended is never shown behind what is durable.
        let durable = shared.progress.durable();
        let appended = shared.appended();
        let figures = shared.figures();
        let (commit_ns, sync_ns) = (figures.commit_ns.read(), figures.sync_ns.read());
        let batch_records = figures.batch_records.read();
        let [commit_p50, commit_p99] = commit_ns.at_quantiles([0.5, 0.99]).map(micros);
        let [sync_p50, sync_p99] = sync_ns.at_quantiles([0.5, 0.99]).map(micros);
        Self {
            writable: shared.is_accepting(),
            disk_full: shared.is_full(),
            stalled,
            failure: shared.failure().map(str::to_owned),
            durable_lsn: durable.0,
            appended_lsn: appended.0,
            pending_bytes: shared.pending_bytes(),
            batches: batch_records.count(),
            records: batch_records.sum(),
            written_bytes: figures.written_bytes.load(Ordering::Relaxed),
            segments: shared.footprint.segments(),
            segment_bytes: shared.footprint.segment_bytes(),
            snapshot_lsn: shared.footprint.snapshot_lsn().map(|lsn| lsn.0),
            batch_records_p50: batch_records.at_quantiles([0.5])[0],
            batch_records_max: batch_records.max(),
            commit_us_p50: commit_p50,
            commit_us_p99: commit_p99,
            commit_us_max: micros(commit_ns.max()),
            fsync_us_p50: sync_p50,
            fsync_us_p99: sync_p99,
            fsync_us_max: micros(sync_ns.max()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shared::Taken;
    use super::*;
    use crate::record::Record;
    use crate::types::{Lsn, SaleId, Timestamp};

    #[test]
    fn a_batch_on_its_way_to_the_disk_is_appended_and_not_durable() {
        let shared = Shared::new(Lsn(5), 1024, None, Box::new(|_| ()));
        let figures = || {
            let status = JournalStatus::of(&shared, false);
            (status.durable_lsn, status.appended_lsn)
        };
        assert_eq!(figures(), (5, 5));
        let record = Record::SaleClosed { sale: SaleId(1) };
        shared.append(Timestamp(0), &record);
        assert_eq!(figures(), (5, 6));
        let Taken::Batch(batch) = shared.take_batch(&mut Shared::empty_buffer(), u64::MAX) else {
            panic!("a record waits");
        };
        assert_eq!(shared.pending_bytes(), 0);
        assert_eq!(figures(), (5, 6), "the committer has it, the disk has not");
        shared.progress.publish(batch.last());
        assert_eq!(figures(), (6, 6));
    }
}
