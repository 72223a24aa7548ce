//! Cut, flipped and zeroed bytes.

use std::sync::Arc;

use flashsale::env::SimulatedDisk;
use flashsale::journal::Opening;
use flashsale::journal::frame::{FRAME_HEADER_BYTES, FrameAlign};
use flashsale::types::Lsn;

use crate::journal_damage::fixture::{
    Batch, LAST, SEGMENT_BYTES, append, contents, damaged_at, dir, open, path, recover,
    two_segments,
};

const SECTOR: usize = 512;
const SEGMENT_HEADER: usize = 4096;

#[test]
fn a_cut_segment_is_refused() {
    let (disk, batches) = two_segments();
    let end = batches[batches.len() - 1].end;
    let whole = contents(&disk, 2);
    for length in 0..end + FRAME_HEADER_BYTES {
        disk.overwrite(&path(2), whole[..length].to_vec());
        let offset = damaged_at(recover(&disk), 2) as usize;
        let latest = length.next_multiple_of(FrameAlign::SECTOR.bytes()).min(end);
        assert!(offset <= latest, "{offset} for a cut at {length}");
    }
    // The zeros that end the frames are there: nothing was lost, and the file is made whole again.
    let samples = (end + FRAME_HEADER_BYTES..whole.len()).step_by(997);
    for length in samples.chain([whole.len() - 1]) {
        disk.overwrite(&path(2), whole[..length].to_vec());
        assert_eq!(recover(&disk).expect("all frames are there").last_lsn, LAST);
        open(&disk, &Arc::default())
            .expect("nothing is lost")
            .close();
        assert_eq!(contents(&disk, 2), whole);
    }
}

/// The offset at which damage to the byte at `offset` has to be told.
fn place_of(batches: &[Batch], segment: u64, offset: usize) -> usize {
    let own = |batch: &&Batch| batch.segment == segment;
    let start = batches
        .iter()
        .filter(own)
        .map(|batch| batch.start)
        .rfind(|&start| start <= offset);
    start.unwrap_or(0)
}

fn flip(disk: &SimulatedDisk, segment: u64, offset: usize, bit: usize) {
    let mut bytes = contents(disk, segment);
    bytes[offset] ^= 1 << bit;
    disk.overwrite(&path(segment), bytes);
}

#[test]
fn a_flipped_bit_is_never_passed_over() {
    let (disk, batches) = two_segments();
    let last = batches[batches.len() - 1];
    for batch_segment in [1, 2] {
        let of_segment = batches
            .iter()
            .filter(|batch| batch.segment == batch_segment);
        let end = of_segment.map(|batch| batch.end).max().expect("batches");
        for offset in 0..end {
            let is_last = batch_segment == last.segment && offset >= last.start;
            for bit in if is_last {
                0..8
            } else {
                offset % 8..offset % 8 + 1
            } {
                flip(&disk, batch_segment, offset, bit);
                let told = damaged_at(recover(&disk), batch_segment) as usize;
                assert_eq!(told, place_of(&batches, batch_segment, offset), "{offset}");
                flip(&disk, batch_segment, offset, bit);
            }
        }
    }
    assert_eq!(recover(&disk).expect("whole again").last_lsn, LAST);
}

#[test]
fn a_flipped_bit_behind_the_data_hides_nothing() {
    let (disk, batches) = two_segments();
    let end = batches[batches.len() - 1].end;
    let length = SEGMENT_BYTES as usize;
    let prepared = (SEGMENT_HEADER..length).step_by(61).map(|at| (3, at));
    let behind = (end..end + 600).chain((end + 600..length).step_by(61));
    for (segment, offset) in behind.map(|at| (2, at)).chain(prepared) {
        flip(&disk, segment, offset, offset % 8);
        match recover(&disk) {
            Ok(replayed) => assert_eq!(replayed.last_lsn, LAST),
            refused => assert!(damaged_at(refused, segment) as usize <= offset),
        }
        flip(&disk, segment, offset, offset % 8);
    }
}

/// The parts of a batch that lie in one sector each.
fn sectors(batch: &Batch) -> Vec<(usize, usize)> {
    let inner = (batch.start / SECTOR + 1..).map(|sector| sector * SECTOR);
    let mut cuts = vec![batch.start];
    cuts.extend(inner.take_while(|&cut| cut < batch.end));
    cuts.push(batch.end);
    cuts.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

#[test]
fn a_torn_last_batch_is_cut_off_and_the_journal_goes_on() {
    let (disk, batches) = two_segments();
    let last = batches[batches.len() - 1];
    let sectors = sectors(&last);
    for lost in 1_u32..1 << sectors.len() {
        let disk = disk.crash(0);
        let mut bytes = contents(&disk, last.segment);
        for (index, &(start, end)) in sectors.iter().enumerate() {
            if lost & 1 << index != 0 {
                bytes[start..end].fill(0);
            }
        }
        disk.overwrite(&path(last.segment), bytes);

        let replayed = recover(&disk).expect("torn, not damaged");
        assert_eq!(replayed.last_lsn.next(), last.first, "lost {lost:b}");
        assert_eq!(
            replayed.torn,
            lost + 1 < 1 << sectors.len(),
            "lost {lost:b}"
        );
        open(&disk, &Arc::default())
            .expect("torn, not damaged")
            .close();
        let replayed = recover(&disk).expect("nothing is wrong any more");
        assert!(!replayed.torn, "what was torn is cut off");
        let journal = open(&disk, &Arc::default()).expect("nothing is wrong any more");
        for number in last.first.0..last.first.0 + 30 {
            let lsn = append(&journal, number);
            journal.wait(lsn).expect("the disk works");
        }
        journal.close();
        let replayed = recover(&disk).expect("nothing is wrong any more");
        assert_eq!(
            (replayed.last_lsn.0, replayed.torn),
            (last.first.0 + 29, false)
        );
    }
}

/// A snapshot may stand for the last record of a segment; what is read behind it begins with the torn batch.
#[test]
fn a_torn_first_batch_of_a_segment_leaves_no_gap_behind_a_snapshot() {
    let (disk, batches) = two_segments();
    let first = batches.iter().find(|batch| batch.segment == 2);
    let first = *first.expect("the second segment has batches");
    let sectors = sectors(&first);
    let &(torn_from, _) = sectors.get(1).expect("it has more than one sector");
    let mut bytes = contents(&disk, 2);
    bytes[torn_from..].fill(0);
    disk.overwrite(&path(2), bytes);
    let before = Lsn(first.first.0 - 1);
    let opening = Opening::lock(Arc::new(disk.clone()), dir()).expect("nobody has it");
    let replayed = opening.replay(before, &mut |entry| panic!("{} was torn", entry.lsn));
    let replayed = replayed.expect("torn, not damaged");
    assert_eq!((replayed.last_lsn, replayed.torn), (before, true));
    // What was torn may have been the record that the snapshot stands for; then something is missing.
    drop(opening);
    let opening = Opening::lock(Arc::new(disk), dir()).expect("nobody has it");
    let refused = opening.replay(first.first, &mut |_| Ok(()));
    let told = refused.map(drop).expect_err("a record is missing");
    assert!(
        told.to_string()
            .contains(&format!("record {} is missing", first.first)),
        "{told}"
    );
}

#[test]
fn a_torn_batch_before_the_last_is_refused() {
    let (disk, batches) = two_segments();
    for batch in &batches[..batches.len() - 1] {
        let whole = contents(&disk, batch.segment);
        for (start, end) in sectors(batch) {
            let mut bytes = whole.clone();
            bytes[start..end].fill(0);
            disk.overwrite(&path(batch.segment), bytes);
            let told = match recover(&disk) {
                // The last batch of the segment is gone without a trace; the next one tells.
                refused
                    if batches.iter().any(|next| {
                        next.start == SEGMENT_HEADER && next.first == batch.last.next()
                    }) && end - start == batch.end - batch.start =>
                {
                    damaged_at(refused, 2)
                }
                refused => damaged_at(refused, batch.segment),
            };
            assert!(told as usize <= batch.start.max(SEGMENT_HEADER));
        }
        disk.overwrite(&path(batch.segment), whole);
    }
}
