//! Figures of a journal for operators.

use super::shared::Shared;
use crate::sync::Ordering;
use crate::telemetry::{JournalStatus, micros};

/// Returns the figures of now.
pub(super) fn status_of(shared: &Shared, stalled: bool) -> JournalStatus {
    // In this order: what is appended is never shown behind what is durable.
    let durable = shared.progress.durable();
    let appended = shared.appended();
    let figures = shared.figures();
    let (commit_ns, sync_ns) = (figures.commit_ns.read(), figures.sync_ns.read());
    let batch_records = figures.batch_records.read();
    let [commit_p50, commit_p99] = commit_ns.at_quantiles([0.5, 0.99]).map(micros);
    let [sync_p50, sync_p99] = sync_ns.at_quantiles([0.5, 0.99]).map(micros);
    JournalStatus {
        writable: shared.is_able(),
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

#[cfg(test)]
mod tests {
    use super::super::batch::empty_buffer;
    use super::super::outbox::HoldBackReason;
    use super::super::shared::Taken;
    use super::*;
    use crate::record::Record;
    use crate::types::{Lsn, SaleId, Timestamp};

    #[test]
    fn a_batch_on_its_way_to_the_disk_is_appended_and_not_durable() {
        let shared = Shared::new(Lsn(5), 1024, None, Box::new(|_| ()));
        let figures = || {
            let status = status_of(&shared, false);
            (status.durable_lsn, status.appended_lsn)
        };
        assert_eq!(figures(), (5, 5));
        let record = Record::SaleClosed { sale: SaleId(1) };
        shared.append(Timestamp(0), &record);
        assert_eq!(figures(), (5, 6));
        let Taken::Batch(batch) = shared.take_batch(&mut empty_buffer(), |_| true) else {
            panic!("a record waits");
        };
        assert_eq!(shared.pending_bytes(), 0);
        assert_eq!(figures(), (5, 6), "the committer has it, the disk has not");
        shared.progress.publish(batch.last());
        assert_eq!(figures(), (6, 6));
    }

    #[test]
    fn a_standby_does_not_look_like_a_journal_that_failed() {
        let shared = Shared::new(Lsn(0), 1024, None, Box::new(|_| ()));
        shared.set_room(1024 * 1024);
        let figures = || (shared.is_accepting(), status_of(&shared, false).writable);
        assert_eq!(figures(), (true, true));
        shared.refuse_for(HoldBackReason::HeldBack, true);
        assert_eq!(figures(), (false, true), "the leader decides");
        shared.refuse_for(HoldBackReason::OutboxFull, true);
        assert_eq!(figures(), (false, false), "too much waits for the log");
    }
}
