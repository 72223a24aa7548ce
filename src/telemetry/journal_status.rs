//! The figures of a journal for operators.

use serde::Serialize;

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
