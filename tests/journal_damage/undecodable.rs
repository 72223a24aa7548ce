//! Records whose bytes are intact, of a kind or with fields that this build does not know.

use std::sync::Arc;

use flashsale::env::{Disk, OpenMode, SimulatedDisk};
use flashsale::journal::frame::{self, FRAME_HEADER_BYTES, FrameAlign};
use flashsale::journal::record_file::RecordFileWriter;
use flashsale::journal::sale_file::SaleFile;
use flashsale::journal::segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader, segment_path};
use flashsale::journal::{JournalError, Pacer, Tail, check_decodable, replay, snapshot};
use flashsale::record::envelope::{Encode, encode};
use flashsale::types::{Lsn, SaleId, Timestamp};

use crate::common::recover;
use crate::journal_damage::fixture::{SEGMENT_BYTES, dir, repair};

/// A record as bytes.
struct Raw {
    kind: u8,
    fields: &'static [u8],
}

impl Encode for Raw {
    fn kind(&self) -> u8 {
        self.kind
    }

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.fields);
    }
}

/// A refused attempt: it changes nothing, and may come anywhere.
const REFUSED: Raw = Raw {
    kind: 7,
    fields: &[0, 0, 0, 0, 1, 0, 0, 0, 0],
};
const OF_ANOTHER_KIND: Raw = Raw {
    kind: 200,
    fields: &[1, 2, 3],
};
const WITH_A_FIELD_MORE: Raw = Raw {
    kind: 7,
    fields: &[0, 0, 0, 0, 1, 0, 0, 0, 0, 9],
};
const UNDECODABLE: [Raw; 2] = [OF_ANOTHER_KIND, WITH_A_FIELD_MORE];

fn header(number: u64, length_bytes: u64) -> SegmentHeader {
    SegmentHeader {
        number,
        seed: 5,
        length_bytes,
        created_at: Timestamp(1),
        align: FrameAlign::NARROW,
    }
}

/// A journal of these batches.
fn journal(batches: &[&[&Raw]]) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    disk.create_dir_all(dir()).expect("room");
    let segment = Segment::prepare(&disk, dir(), header(1, SEGMENT_BYTES), &Pacer::full_speed())
        .expect("room");
    let (mut offset, mut next) = (SEGMENT_HEADER_BYTES, Lsn(1));
    for batch in batches {
        let mut frame = vec![0; FRAME_HEADER_BYTES];
        for record in *batch {
            encode(Timestamp(1), *record, &mut frame);
        }
        frame::seal(
            5,
            segment.header.align,
            next,
            batch.len() as u32,
            &mut frame,
        );
        segment.file.write_at(&frame, offset).expect("room");
        offset += frame.len() as u64;
        next = Lsn(next.0 + batch.len() as u64);
    }
    segment.file.sync_data().expect("the disk works");
    disk
}

/// Checks that the error names the batch at `offset` of the first segment and the record `lsn`.
fn assert_damaged<T>(result: Result<T, JournalError>, expected_offset: u64, lsn: u64) {
    match result {
        Err(JournalError::Damaged { path, offset, what }) => {
            assert_eq!(path, segment_path(dir(), 1));
            assert_eq!(offset, expected_offset);
            let expected = format!("record {lsn} is not one that this build can read");
            assert_eq!(what, expected);
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was accepted"),
    }
}

#[test]
fn a_record_that_cannot_be_decoded_stops_start_reader_and_check() {
    for raw in &UNDECODABLE {
        let disk = journal(&[&[&REFUSED], &[&REFUSED, &REFUSED, raw]]);
        let offset = SEGMENT_HEADER_BYTES + FrameAlign::SECTOR.bytes() as u64;
        assert_damaged(recover(&(Arc::new(disk.clone()) as _), dir()), offset, 4);
        let checked = replay(&disk, dir(), Lsn::ZERO, None, &mut check_decodable);
        assert_damaged(checked, offset, 4);
        let tail = Tail::after(Arc::new(disk.clone()), dir(), Lsn::ZERO, Lsn(4));
        let mut tail = tail.expect("intact").expect("it begins here");
        let mut decoded = 0;
        let read = tail.read(Lsn(4), &mut |entry| {
            entry.record()?;
            decoded += 1;
            Ok(true)
        });
        assert_damaged(read, offset, 4);
        assert_eq!((decoded, tail.next()), (3, Lsn(4)));
    }
}

#[test]
fn a_record_that_cannot_be_decoded_is_found_also_before_the_first_that_is_wanted() {
    for raw in &UNDECODABLE {
        let disk = journal(&[&[&REFUSED, raw, &REFUSED]]);
        let replayed = replay(&disk, dir(), Lsn(2), None, &mut |_| Ok(()));
        assert_damaged(replayed, SEGMENT_HEADER_BYTES, 2);
        let tail = Tail::after(Arc::new(disk.clone()), dir(), Lsn(2), Lsn(3));
        let mut tail = tail.expect("intact").expect("it begins here");
        let read = tail.read(Lsn(3), &mut |_| Ok(true));
        assert_damaged(read, SEGMENT_HEADER_BYTES, 2);
    }
}

#[test]
fn a_repair_cuts_before_the_batch_with_a_record_that_cannot_be_decoded() {
    for raw in &UNDECODABLE {
        let disk = journal(&[&[&REFUSED], &[&REFUSED, raw]]);
        let repaired = repair(&disk).expect("it can be repaired");
        let repaired = repaired.expect("it is damaged");
        assert_eq!(repaired.last_lsn, Lsn(1));
        recover(&(Arc::new(disk) as _), dir()).expect("it is repaired");
    }
}

#[test]
fn a_repair_sets_files_aside_with_records_that_cannot_be_decoded() {
    for raw in &UNDECODABLE {
        let disk = journal(&[&[&REFUSED], &[&REFUSED]]);
        let (closed_lsn, sale) = (Lsn(1), SaleId(1));
        let file = SaleFile { closed_lsn, sale }.path(dir());
        for path in [snapshot::path_of(dir(), Lsn(1)), file] {
            let writer = RecordFileWriter::create(&disk, path, header(1, 0));
            let mut writer = writer.expect("room");
            writer.push(Timestamp(1), raw).expect("room");
            writer.finish().expect("room");
        }
        let repaired = repair(&disk).expect("it can be repaired");
        let repaired = repaired.expect("it is damaged");
        assert_eq!(repaired.set_aside.len(), 2, "{:?}", repaired.set_aside);
        assert_eq!(repaired.last_lsn, Lsn(2));
        let left = segment_path(dir(), 1);
        disk.open(&left, OpenMode::Read).expect("it is intact");
    }
}
