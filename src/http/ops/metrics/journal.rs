//! Figures of the journal: its position and state.

use super::exposition::Exposition;
use crate::operations::View;

pub(super) fn write(view: &View, out: &mut Exposition) {
    let journal = view.engine().journal_status();
    out.gauge(
        "journal_durable_lsn",
        "Number of the last record that is on the disk.",
        journal.durable_lsn,
    );
    out.gauge(
        "journal_appended_lsn",
        "Number of the last record that waits for the disk or is on it.",
        journal.appended_lsn,
    );
    out.gauge(
        "journal_writable",
        "1 while the journal takes records, else 0.",
        journal.writable,
    );
    out.gauge(
        "journal_disk_full",
        "1 while the disk has no room for the journal, else 0.",
        journal.disk_full,
    );
    out.gauge(
        "journal_stalled",
        "1 while a commit has not come back for too long, else 0.",
        journal.stalled,
    );
    out.gauge(
        "journal_pending_bytes",
        "Records that nobody has begun to write.",
        journal.pending_bytes,
    );
    for (name, help, value) in [
        (
            "journal_batches_total",
            "Batches written and synced since the start.",
            journal.batches,
        ),
        (
            "journal_records_total",
            "Records in these batches.",
            journal.records,
        ),
        (
            "journal_written_bytes_total",
            "Bytes of these batches.",
            journal.written_bytes,
        ),
    ] {
        out.counter(name, help, value);
    }
    out.gauge(
        "journal_segments",
        "Segments of the journal that are on the disk.",
        journal.segments,
    );
    out.gauge(
        "journal_segment_bytes",
        "Bytes of these segments.",
        journal.segment_bytes,
    );
}
