//! Reading a journal that is being written, and one of an earlier format.

use std::sync::Arc;
use std::thread;

use flashsale::env::SimulatedDisk;
use flashsale::journal::frame::{self, FRAME_HEADER_BYTES, FrameAlign};
use flashsale::journal::segment::SegmentHeader;
use flashsale::journal::{Opening, replay};
use flashsale::record::{Record, envelope};
use flashsale::types::{Lsn, SaleId, Timestamp};

use crate::journal_damage::fixture::{
    OPTIONS, SEGMENT_BYTES, append, check, contents, dir, eventually, open, path, tools,
};

const RECORDS: u64 = 3_000;

#[test]
fn a_reader_up_to_the_durable_record_sees_no_damage() {
    let disk = SimulatedDisk::new();
    let journal = open(&disk, &Arc::default()).expect("an empty disk is fine");
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 1..=RECORDS {
                let lsn = append(&journal, number);
                // Batches of several records, and a bounded queue.
                if number % 8 == 0 {
                    journal.wait(lsn).expect("the disk works");
                }
            }
        });
        let mut after = Lsn::ZERO;
        while after < Lsn(RECORDS) {
            let until = journal.durable();
            let mut expected = after.next();
            let replayed = replay(&disk, dir(), after, Some(until), &mut |entry| {
                check(&entry, expected);
                expected = expected.next();
                Ok(())
            });
            let replayed = replayed.expect("what is durable can be read");
            assert!(replayed.last_lsn >= until);
            after = replayed.last_lsn;
        }
        writer.join().expect("the writer panicked");
    });
}

/// Format 2 says nothing of where frames begin, and has them at multiples of 64 bytes.
fn segment_of_format_2(batches: usize) -> Vec<u8> {
    let header = SegmentHeader {
        number: 1,
        seed: 9,
        length_bytes: SEGMENT_BYTES,
        created_at: Timestamp(1),
        align: FrameAlign::NARROW,
    };
    let mut bytes = header.encode();
    bytes[8..12].copy_from_slice(&2_u32.to_le_bytes());
    bytes[40..44].fill(0);
    let crc = crc32c::crc32c(&bytes[..44]);
    bytes[44..48].copy_from_slice(&crc.to_le_bytes());
    for batch in 0..batches {
        let mut buffer = vec![0; FRAME_HEADER_BYTES];
        for _ in 0..2 {
            let record = Record::SaleClosed { sale: SaleId(1) };
            envelope::encode(Timestamp(1), &record, &mut buffer);
        }
        let first = Lsn(1 + 2 * batch as u64);
        frame::seal(header.seed, header.align, first, 2, &mut buffer);
        bytes.extend_from_slice(&buffer);
    }
    bytes.resize(SEGMENT_BYTES as usize, 0);
    bytes
}

#[test]
fn a_segment_of_format_2_is_read_and_written_on() {
    let disk = SimulatedDisk::new();
    disk.overwrite(&path(1), segment_of_format_2(20));
    let reopen = |expected: u64| {
        let opening = Opening::lock(Arc::new(disk.clone()), dir()).expect("nobody has it");
        let mut found = 0;
        let mut visit = |entry: envelope::Entry<'_>| {
            found += 1;
            assert_eq!(entry.lsn, Lsn(found));
            Ok(())
        };
        let replayed = opening.replay(Lsn::ZERO, &mut visit).expect("intact");
        assert_eq!(replayed.last_lsn, Lsn(expected));
        let started = opening.start(&replayed, &OPTIONS, tools(&Arc::default()));
        started.expect("it goes on")
    };
    let journal = reopen(40);
    for number in 41..=60 {
        let lsn = append(&journal, number);
        journal.wait(lsn).expect("the disk works");
    }
    eventually("the next segment is prepared", || journal.has_headroom());
    journal.close();
    reopen(60).close();
    let header = |number| SegmentHeader::decode(&contents(&disk, number)).expect("it is whole");
    assert_eq!(header(1).align, FrameAlign::NARROW);
    assert_eq!(header(2).align, FrameAlign::SECTOR);
}
