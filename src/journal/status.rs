//! What an operator wants to know of a journal.

use serde::Serialize;

use super::shared::Shared;

/// The journal's figures. Times in microseconds.
#[derive(Clone, Debug, Serialize)]
pub struct JournalStatus {
    /// Records are taken.
    pub writable: bool,
    /// There is no room on the disk for the next segment.
    pub disk_full: bool,
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
    /// Median records of a batch.
    pub batch_records_p50: u64,
    /// Most records of a batch.
    pub batch_records_max: u64,
    /// Median time of a write and its sync.
    pub commit_us_p50: u64,
    /// 99th percentile of the same.
    pub commit_us_p99: u64,
    /// Longest of the same.
    pub commit_us_max: u64,
}

impl JournalStatus {
    pub(super) fn of(shared: &Shared) -> Self {
        // In this order: what is appended is never shown behind what is durable.
        let durable = shared.progress.durable();
        let appended = shared.appended();
        shared.with_figures(|figures| Self {
            writable: shared.is_accepting(),
            disk_full: shared.is_full(),
            failure: shared.failure().map(str::to_owned),
            durable_lsn: durable.0,
            appended_lsn: appended.0,
            pending_bytes: shared.pending_bytes(),
            batches: figures.batches,
            records: figures.records,
            written_bytes: figures.written_bytes,
            batch_records_p50: figures.batch_records.value_at_quantile(0.5),
            batch_records_max: figures.batch_records.max(),
            commit_us_p50: figures.commit_us.value_at_quantile(0.5),
            commit_us_p99: figures.commit_us.value_at_quantile(0.99),
            commit_us_max: figures.commit_us.max(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::shared::Taken;
    use super::*;
    use crate::journal::Record;
    use crate::types::{Lsn, SaleId, Timestamp};

    #[test]
    fn a_batch_on_its_way_to_the_disk_is_appended_and_not_durable() {
        let shared = Shared::new(Lsn(5), 1024, None, Box::new(|_| ()));
        let figures = || {
            let status = JournalStatus::of(&shared);
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
