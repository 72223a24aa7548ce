//! Removal of sealed segments that a snapshot covers and no follower has to read.

use std::path::Path;

use super::error::JournalError;
use super::reader::SegmentReader;
use super::segment::{self, Segment};
use crate::env::{Disk, OpenMode};
use crate::types::{Lsn, Timestamp};

/// Returns the first record that the journal in `dir` still holds; `None` when it holds none.
///
/// # Errors
/// Damage, or the disk cannot be read.
pub fn first_lsn(disk: &dyn Disk, dir: &Path) -> Result<Option<Lsn>, JournalError> {
    match segment::list_segments(disk, dir)?.first() {
        None => Ok(None),
        Some(&number) => first_lsn_of(disk, dir, number),
    }
}

fn first_lsn_of(disk: &dyn Disk, dir: &Path, number: u64) -> Result<Option<Lsn>, JournalError> {
    let segment = Segment::open(disk, dir, number, OpenMode::Read)?;
    let mut reader = SegmentReader::new(&segment, None);
    let first = reader.next_frame()?.ok();
    Ok(first.map(|frame| frame.header.first_lsn))
}

/// Removes the oldest segments as long as all their records are before `covered`, which a snapshot must
/// stand for, and older than `before`. Returns their number. The record at `covered` itself stays: a
/// follower that has come so far can see by it that this is the same journal.
///
/// # Errors
/// An error of the operating system. What was removed until then is gone.
pub fn trim(
    disk: &dyn Disk,
    dir: &Path,
    covered: Lsn,
    before: Timestamp,
) -> Result<usize, JournalError> {
    trim_noting(disk, dir, covered, before, &mut |_| ())
}

/// Removes segments as [`trim`] does, and calls `note` with the length of each, in bytes.
pub(super) fn trim_noting(
    disk: &dyn Disk,
    dir: &Path,
    covered: Lsn,
    before: Timestamp,
    note: &mut dyn FnMut(u64),
) -> Result<usize, JournalError> {
    let segments = segment::list_segments(disk, dir)?;
    let mut removed = 0;
    for triple in segments.windows(3) {
        // The next segment tells the last record of this one; the one after it was prepared when
        // the next came into use, and so after this one's last record was written.
        let Some(next_first) = first_lsn_of(disk, dir, triple[1])? else {
            break;
        };
        let after_next = Segment::open(disk, dir, triple[2], OpenMode::Read)?;
        if next_first > covered || after_next.header.created_at >= before {
            break;
        }
        let bytes = segment::length_bytes(disk, dir, triple[0])?;
        let path = segment::segment_path(dir, triple[0]);
        disk.remove(&path)
            .map_err(JournalError::io("remove", &path))?;
        note(bytes);
        removed += 1;
    }
    if removed > 0 {
        disk.sync_dir(dir).map_err(JournalError::io("sync", dir))?;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SimulatedDisk;
    use crate::journal::test_journal::{SEGMENT_BYTES, open};
    use crate::journal::{self, Journal};
    use crate::record::{Entry, Record};
    use crate::types::SaleId;

    /// Fills several segments, all prepared at second 100. Returns the last record.
    fn fill(journal: &Journal) -> Lsn {
        let record = Record::SaleClosed { sale: SaleId(1) };
        let mut last = Lsn::ZERO;
        for _ in 0..4 * SEGMENT_BYTES / 64 {
            last = journal.append(Timestamp(0), &record);
            journal.wait(last).expect("the disk works");
        }
        last
    }

    #[test]
    fn only_covered_and_old_segments_go() {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("journal"));
        let last = fill(&open(&disk, dir));
        let (then, later) = (Timestamp::from_seconds(100), Timestamp::from_seconds(101));
        let count = || segment::list_segments(&disk, dir).expect("readable").len();
        let all = count();
        assert_eq!(
            trim(&disk, dir, last, then).expect("writable"),
            0,
            "they are not old"
        );
        assert_eq!(
            trim(&disk, dir, Lsn(5), later).expect("writable"),
            0,
            "nothing is covered"
        );
        assert_eq!(trim(&disk, dir, last, later).expect("writable"), all - 2);
        assert_eq!(count(), 2);

        let first = first_lsn(&disk, dir)
            .expect("readable")
            .expect("some are left");
        let mut read = first.0 - 1;
        let visit = &mut |entry: Entry<'_>| {
            read += 1;
            assert_eq!(entry.lsn, Lsn(read));
            Ok(())
        };
        journal::replay(&disk, dir, Lsn(first.0 - 1), None, visit).expect("intact");
        assert_eq!(Lsn(read), last);
        let from_start = journal::replay(&disk, dir, Lsn::ZERO, None, &mut |_| Ok(()));
        assert!(
            from_start.is_err(),
            "a start without the snapshot is refused"
        );
    }

    #[test]
    fn the_status_counts_the_files_that_are_there() {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("journal"));
        let in_dir = || segment::list_segments(&disk, dir).expect("readable").len() as u64;
        let journal = open(&disk, dir);
        let last = fill(&journal);
        // The next segment is made behind the last commit.
        journal.close();
        let counted = |journal: &Journal| {
            let status = journal.status();
            assert_eq!(status.segment_bytes, status.segments * SEGMENT_BYTES);
            status.segments
        };
        assert_eq!(counted(&journal), in_dir());
        let later = Timestamp::from_seconds(101);
        assert!(journal.trim(last, later).expect("writable") > 0);
        assert_eq!((counted(&journal), in_dir()), (2, 2));
        assert_eq!(journal.status().snapshot_lsn, None);
        journal.note_snapshot(last);
        assert_eq!(journal.status().snapshot_lsn, Some(last.0));
    }

    #[test]
    fn a_start_counts_what_was_there_before() {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("journal"));
        let before = open(&disk, dir);
        fill(&before);
        before.close();
        let snapshot = crate::journal::snapshot::path_of(dir, Lsn(7));
        disk.open(&snapshot, OpenMode::Create).expect("room");
        let again = open(&disk, dir);
        // It may have made the next segment meanwhile.
        again.close();
        let status = again.status();
        let in_dir = segment::list_segments(&disk, dir).expect("readable").len() as u64;
        assert_eq!(status.segments, in_dir);
        assert_eq!(status.segment_bytes, in_dir * SEGMENT_BYTES);
        assert_eq!(status.snapshot_lsn, Some(7));
    }
}
