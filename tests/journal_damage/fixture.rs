//! A journal of numbered records on a simulated disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use flashsale::env::{Clock, ManualClock, OpenMode, SeededEntropy, SimulatedDisk};
use flashsale::journal::segment::{Segment, list_segments, segment_path};
use flashsale::journal::{
    Durability, Journal, JournalError, NotAdmitted, Opening, Options, Repaired, Replayed,
    SegmentReader, Tools,
};
use flashsale::record::{Entry, Lines, Record};
use flashsale::types::{ItemIndex, Lsn, PurchasedLine, SaleId, Timestamp};

pub const SEGMENT_BYTES: u64 = 32 * 1024;
/// The last record of [`two_segments`].
pub const LAST: Lsn = Lsn(43);
pub const OPTIONS: Options = Options {
    durability: Durability::Fsync,
    segment_bytes: SEGMENT_BYTES,
};

pub fn dir() -> &'static Path {
    Path::new("/journal")
}

/// Tools whose failures are counted in `failures`.
pub fn tools(failures: &Arc<AtomicU32>) -> Tools {
    tools_at(
        failures,
        &Arc::new(ManualClock::at(Timestamp::from_seconds(1))),
    )
}

fn tools_at(failures: &Arc<AtomicU32>, clock: &Arc<ManualClock>) -> Tools {
    let failures = Arc::clone(failures);
    Tools {
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        entropy: Arc::new(SeededEntropy::new(7)),
        fail_stop: Box::new(move |_| {
            failures.fetch_add(1, Ordering::SeqCst);
        }),
    }
}

/// As an operator would.
pub fn repair(disk: &SimulatedDisk) -> Result<Option<Repaired>, JournalError> {
    let clock = ManualClock::at(Timestamp::from_seconds(2));
    flashsale::journal::repair(disk, dir(), &clock, &SeededEntropy::new(8))
}

/// Appends the record that belongs to the next number: its secret is `number`, its length varies.
pub fn append(journal: &Journal, number: u64) -> Lsn {
    while journal.admit() == Err(NotAdmitted::Overloaded) {
        std::thread::yield_now();
    }
    let line = PurchasedLine {
        item: ItemIndex(0),
        quantity: 1,
        sold: true,
    };
    let lines = vec![line; 1 + (number * 37 % 160) as usize];
    let lsn = journal.append(
        Timestamp(1),
        &Record::Purchase {
            sale: SaleId(1),
            secret: u128::from(number),
            user: "somebody",
            key: None,
            payment_ref: None,
            lines: Lines::Slice(&lines),
        },
    );
    assert_eq!(lsn, Lsn(number), "records are numbered without gaps");
    lsn
}

/// Opens the journal, checks that it holds the records 1, 2, 3 and so on, and starts it.
pub fn open(disk: &SimulatedDisk, failures: &Arc<AtomicU32>) -> Result<Journal, JournalError> {
    open_at(
        disk,
        failures,
        &Arc::new(ManualClock::at(Timestamp::from_seconds(1))),
    )
}

/// Opens a journal with the given clock.
pub fn open_at(
    disk: &SimulatedDisk,
    failures: &Arc<AtomicU32>,
    clock: &Arc<ManualClock>,
) -> Result<Journal, JournalError> {
    let opening = Opening::lock(Arc::new(disk.clone()), dir())?;
    let replayed = replay(&opening)?;
    opening.start(&replayed, &OPTIONS, tools_at(failures, clock))
}

fn replay(opening: &Opening) -> Result<Replayed, JournalError> {
    let mut expected = Lsn(1);
    let mut visit = |entry: Entry<'_>| {
        check(&entry, expected);
        expected = expected.next();
        Ok(())
    };
    opening.replay(Lsn::ZERO, &mut visit)
}

/// The record is the one that [`append`] wrote as `expected`.
pub fn check(entry: &Entry<'_>, expected: Lsn) {
    assert_eq!(entry.lsn, expected);
    let Ok(Record::Purchase { secret, .. }) = entry.record() else {
        panic!("{:?} was never written", entry.record());
    };
    assert_eq!(secret, u128::from(expected.0));
}

/// What a recovery finds, without starting anything.
pub fn recover(disk: &SimulatedDisk) -> Result<Replayed, JournalError> {
    replay(&Opening::lock(Arc::new(disk.clone()), dir())?)
}

/// A batch as it lies on the disk.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    pub segment: u64,
    pub start: usize,
    pub end: usize,
    pub first: Lsn,
    pub last: Lsn,
}

/// The batches of all segments.
pub fn batches(disk: &SimulatedDisk) -> Vec<Batch> {
    let mut batches = Vec::new();
    for number in list_segments(disk, dir()).expect("the disk works") {
        let segment = Segment::open(disk, dir(), number, OpenMode::Read).expect("it is intact");
        let mut reader = SegmentReader::new(&segment, None);
        while let Ok(frame) = reader.next_frame().expect("it is intact") {
            let (header, start) = (frame.header, frame.offset as usize);
            batches.push(Batch {
                segment: number,
                start,
                end: start + header.frame_bytes(segment.header.align) as usize,
                first: header.first_lsn,
                last: Lsn(header.first_lsn.0 + u64::from(header.count) - 1),
            });
        }
    }
    batches
}

/// A closed journal of two used segments and a prepared one, and its batches. The last batch lies
/// in several sectors.
pub fn two_segments() -> (SimulatedDisk, Vec<Batch>) {
    let disk = SimulatedDisk::new();
    let journal = open(&disk, &Arc::default()).expect("an empty disk is fine");
    for number in 1..=LAST.0 {
        let lsn = append(&journal, number);
        journal.wait(lsn).expect("the disk works");
    }
    eventually("the next segment is prepared", || {
        list_segments(&disk, dir()).expect("the disk works").len() == 3
    });
    journal.close();
    let batches = batches(&disk);
    let last = batches[batches.len() - 1];
    assert_eq!((last.segment, last.last), (2, LAST));
    assert!(last.end - last.start > 2 * 512);
    (disk, batches)
}

pub fn path(segment: u64) -> PathBuf {
    segment_path(dir(), segment)
}

pub fn contents(disk: &SimulatedDisk, segment: u64) -> Vec<u8> {
    disk.contents(&path(segment)).expect("the segment is there")
}

/// The recovery was refused, and the error names the segment and the offset.
pub fn damaged_at(result: Result<Replayed, JournalError>, segment: u64) -> u64 {
    match result {
        Err(JournalError::Damaged { path, offset, .. }) => {
            assert_eq!(path, self::path(segment));
            offset
        }
        Err(other) => panic!("not a damage: {other}"),
        Ok(replayed) => panic!("accepted, up to {}", replayed.last_lsn),
    }
}

/// Waits for something that another thread is about to do.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
