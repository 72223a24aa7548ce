//! Cutting an intact journal off behind a record: what is behind it was never acknowledged by the log that it is replicated in.

use std::path::Path;

use super::error::JournalError;
use super::frame::{self, FRAME_HEADER_BYTES};
use super::reader::SegmentReader;
use super::segment::{self, SEGMENT_HEADER_BYTES, Segment};
use super::{sale_file, snapshot};
use crate::env::{Disk, OpenMode};
use crate::types::Lsn;

/// Cuts the journal in `dir` off behind the record `last`. Nobody may have it open.
///
/// Where this is interrupted, the journal may look damaged until it is called again with the same `last`, which ends it.
///
/// # Errors
/// The record is in the middle of a batch; a snapshot or an ended sale rests on what is behind it; damage before it; or an error of the
/// operating system.
pub fn cut_behind(disk: &dyn Disk, dir: &Path, last: Lsn) -> Result<(), JournalError> {
    check_nothing_rests_on(disk, dir, last)?;
    let mut segments = segment::list_segments(disk, dir)?;
    // From the end on, so that what is left never has a gap.
    while let Some(number) = segments.pop() {
        let segment = Segment::open(disk, dir, number, OpenMode::ReadWrite)?;
        let first = SegmentReader::first_lsn(&segment);
        let is_behind = first.is_none_or(|first| first > last);
        if is_behind && !segments.is_empty() {
            disk.remove(&segment.path)
                .map_err(JournalError::io("remove", &segment.path))?;
            continue;
        }
        cut_segment(&segment, last, is_behind)?;
        break;
    }
    disk.sync_dir(dir).map_err(JournalError::io("sync", dir))
}

fn check_nothing_rests_on(disk: &dyn Disk, dir: &Path, last: Lsn) -> Result<(), JournalError> {
    let snapshot = snapshot::newest(disk, dir)?;
    let sales = sale_file::list(disk, dir)?;
    let closed = sales.last().map(|file| file.closed_lsn);
    match snapshot.max(closed).filter(|&rests_on| rests_on > last) {
        None => Ok(()),
        Some(rests_on) => Err(JournalError::Contradiction {
            lsn: last,
            what: format!(
                "what is behind it is to be cut off, but a file stands for record {rests_on}"
            ),
        }),
    }
}

/// Zeros `segment` behind `last`. With `is_behind` that is all of it, and its only batch says then which record comes next.
fn cut_segment(segment: &Segment, last: Lsn, is_behind: bool) -> Result<(), JournalError> {
    let (file, path) = (&*segment.file, &segment.path);
    let offset = match is_behind {
        true => SEGMENT_HEADER_BYTES,
        false => offset_behind(segment, last)?,
    };
    segment::zero(file, path, offset, segment.header.length_bytes)?;
    if is_behind && last > Lsn::ZERO {
        let mut batch = vec![0; FRAME_HEADER_BYTES];
        let header = &segment.header;
        frame::seal(header.seed, header.align, last.next(), 0, &mut batch);
        file.write_at(&batch, offset)
            .map_err(JournalError::io("write", path))?;
    }
    file.sync_data().map_err(JournalError::io("sync", path))
}

/// Returns where the batch ends that `last` is the end of.
fn offset_behind(segment: &Segment, last: Lsn) -> Result<u64, JournalError> {
    let mut reader = SegmentReader::new(segment, None);
    loop {
        let Ok(frame) = reader.next_frame()? else {
            return Ok(reader.offset());
        };
        let reached = frame.header.last_lsn();
        if reached > last {
            return Err(JournalError::Contradiction {
                lsn: last,
                what: "what is behind it is to be cut off, and it is in the middle of a batch"
                    .into(),
            });
        }
        if reached == last {
            return Ok(reader.offset());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SimulatedDisk;
    use crate::journal::replay;
    use crate::journal::test_journal::{append, open};
    use crate::record::Record;
    use crate::types::{SaleId, Timestamp};

    fn last_of(disk: &SimulatedDisk, dir: &Path) -> Lsn {
        let replayed = replay(disk, dir, Lsn::ZERO, None, &mut |_| Ok(()));
        replayed.expect("intact").last_lsn
    }

    #[test]
    fn a_journal_ends_where_it_was_cut_and_goes_on_from_there() {
        for last in [0, 3, 300, 597, 600] {
            let (disk, dir) = (SimulatedDisk::new(), Path::new("journal"));
            let journal = open(&disk, dir);
            append(&journal, 200);
            journal.close();
            drop(journal);
            cut_behind(&disk, dir, Lsn(last)).expect("whole batches");
            let disk = disk.crash(0);
            assert_eq!(last_of(&disk, dir), Lsn(last));
            let journal = open(&disk, dir);
            append(&journal, 100);
            journal.close();
            drop(journal);
            assert_eq!(last_of(&disk, dir), Lsn(last + 300), "cut at {last}");
        }
    }

    #[test]
    fn a_batch_is_not_cut_in_two() {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("journal"));
        let journal = open(&disk, dir);
        let record = Record::SaleClosed { sale: SaleId(1) };
        journal.append(Timestamp(0), &record);
        journal.flush().expect("the disk works");
        // Three at once, while the disk is busy with nothing else: one batch at least holds two of them, or each is one.
        append(&journal, 1);
        journal.close();
        drop(journal);
        let mut ends = Vec::new();
        for last in 0..=4 {
            let copy = disk.crash(0);
            if cut_behind(&copy, dir, Lsn(last)).is_ok() {
                assert_eq!(last_of(&copy, dir), Lsn(last));
                ends.push(last);
            }
        }
        assert_eq!((ends.first(), ends.last()), (Some(&0), Some(&4)));
    }
}
