//! Follows a journal that is being written: reads from one record on, a piece at a time, and no
//! further than what is durable.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::JournalError;
use super::opening::first_needed;
use super::reader::SegmentReader;
use super::segment::{self, Segment};
use crate::env::{Disk, OpenMode};
use crate::record::envelope::Entry;
use crate::types::Lsn;

/// A place in a journal, at which a [`Tail`] can go on.
#[derive(Clone, Copy, Debug)]
pub struct TailPlace {
    segment: u64,
    offset: u64,
    first: Option<Lsn>,
    next: Lsn,
}

impl TailPlace {
    /// Returns the next record that is read there.
    #[must_use]
    pub fn next(&self) -> Lsn {
        self.next
    }
}

/// A reader of a journal that is being written, with the place that it has come to.
pub struct Tail {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    cursor: Cursor,
    next: Lsn,
    /// Segments that were read from since the last [`Tail::sync`].
    unsynced: Vec<u64>,
}

struct Cursor {
    segment: Segment,
    /// Of the frame that the next record is in, or of the end of the frames so far.
    offset: u64,
    /// The record that the frame at `offset` begins with.
    first: Option<Lsn>,
}

impl Tail {
    /// Returns a reader whose first record is the one after `after`; `None` when the journal no longer holds
    /// that. Nothing behind `durable` is read: it may be half written.
    ///
    /// # Errors
    /// Damage, or the disk cannot be read.
    pub fn after(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        after: Lsn,
        durable: Lsn,
    ) -> Result<Option<Self>, JournalError> {
        let dir = dir.into();
        let segments = segment::list_segments(&*disk, &dir)?;
        let Some(&number) = segments.get(first_needed(&*disk, &dir, &segments, after)?) else {
            return Ok(None);
        };
        let segment = Segment::open(&*disk, &dir, number, OpenMode::Read)?;
        let first = if durable > Lsn::ZERO {
            let mut reader = SegmentReader::new(&segment, None);
            reader
                .next_frame()?
                .ok()
                .map(|frame| frame.header.first_lsn)
        } else {
            None
        };
        let first = first.unwrap_or(durable.next());
        if first > after.next() {
            return Ok(None);
        }
        Ok(Some(Self {
            disk,
            dir,
            cursor: Cursor {
                segment,
                offset: segment::SEGMENT_HEADER_BYTES,
                first: Some(first),
            },
            next: after.next(),
            unsynced: Vec::new(),
        }))
    }

    /// Returns a reader that goes on at `place`, where another one of this journal was.
    ///
    /// # Errors
    /// The segment of the place cannot be opened: it may have been removed.
    pub fn at(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        place: TailPlace,
    ) -> Result<Self, JournalError> {
        let dir = dir.into();
        let segment = Segment::open(&*disk, &dir, place.segment, OpenMode::Read)?;
        Ok(Self {
            disk,
            dir,
            cursor: Cursor {
                segment,
                offset: place.offset,
                first: place.first,
            },
            next: place.next,
            unsynced: Vec::new(),
        })
    }

    /// Returns the place that it has come to.
    #[must_use]
    pub fn place(&self) -> TailPlace {
        TailPlace {
            segment: self.cursor.segment.header.number,
            offset: self.cursor.offset,
            first: self.cursor.first,
            next: self.next,
        }
    }

    /// Returns the next record that will be read.
    #[must_use]
    pub fn next(&self) -> Lsn {
        self.next
    }

    /// Hands records up to `until`, which must be durable, to `visit`, in order, until it answers
    /// `false`: that record counts as not read.
    ///
    /// # Errors
    /// Damage, the disk cannot be read, or the visitor's own error, and then the record counts as not read.
    pub fn read(
        &mut self,
        until: Lsn,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<bool, JournalError>,
    ) -> Result<(), JournalError> {
        while self.next <= until {
            if !self.read_segment(until, visit)? {
                return Ok(());
            }
            if self.next <= until {
                self.enter_next_segment()?;
            }
        }
        Ok(())
    }

    /// Reads on in the current segment. Returns `false` when the visitor has.
    fn read_segment(
        &mut self,
        until: Lsn,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<bool, JournalError>,
    ) -> Result<bool, JournalError> {
        let Cursor {
            segment,
            offset,
            first,
        } = &mut self.cursor;
        if self.unsynced.last() != Some(&segment.header.number) {
            self.unsynced.push(segment.header.number);
        }
        // What is behind the durable record may be half written, and must not even be read.
        let mut reader = SegmentReader::at(segment, *offset, *first);
        let next = &mut self.next;
        while *next <= until {
            let Ok(frame) = reader.next_frame()? else {
                break;
            };
            let whole = frame.visit_while(segment, &mut |entry| {
                if entry.lsn < *next {
                    entry.check()?;
                    return Ok(true);
                }
                let taken = entry.lsn <= until && visit(&entry)?;
                if taken {
                    *next = entry.lsn.next();
                }
                Ok(taken)
            })?;
            if !whole {
                return Ok(*next > until);
            }
            (*offset, *first) = (reader.offset(), reader.next_lsn());
        }
        Ok(true)
    }

    fn enter_next_segment(&mut self) -> Result<(), JournalError> {
        let number = self.cursor.segment.header.number + 1;
        let segment = Segment::open(&*self.disk, &self.dir, number, OpenMode::Read)?;
        self.cursor = Cursor {
            segment,
            offset: segment::SEGMENT_HEADER_BYTES,
            first: Some(self.next),
        };
        Ok(())
    }

    /// Syncs the segments that were read, for a journal that does not sync by itself.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        segment::sync(&*self.disk, &self.dir, &self.unsynced)?;
        self.unsynced.clear();
        Ok(())
    }
}

/// Returns a checksum of a record's bytes. Two journals that agree on it at one number agree, in all likelihood, on
/// everything before it, because the time of the decision is part of it.
#[must_use]
pub fn fingerprint(entry: &Entry<'_>) -> u32 {
    crc32c::crc32c(entry.bytes())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::env::SimulatedDisk;
    use crate::journal::test_journal::{append, open};
    use crate::journal::trim;
    use crate::types::Timestamp;

    fn read(tail: &mut Tail, until: Lsn, at_most: usize) -> Vec<u64> {
        let mut read = Vec::new();
        let visit = &mut |entry: &Entry<'_>| {
            let taken = read.len() < at_most;
            if taken {
                read.push(entry.lsn.0);
            }
            Ok(taken)
        };
        tail.read(until, visit).expect("intact");
        read
    }

    #[test]
    fn every_record_is_read_once_while_more_are_written() {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("journal"));
        let journal = open(&disk, dir);
        let new = || Tail::after(Arc::new(disk.clone()), dir, Lsn::ZERO, journal.durable());
        let mut tail = new().expect("intact").expect("it begins here");
        assert!(read(&mut tail, journal.durable(), 10).is_empty());
        let mut expected = 1;
        for round in 0..60 {
            append(&journal, 20);
            // Pieces that end in the middle of a batch, and now and then all there is.
            let at_most = if round % 7 == 6 { usize::MAX } else { 50 };
            for lsn in read(&mut tail, journal.durable(), at_most) {
                assert_eq!(lsn, expected);
                expected += 1;
            }
        }
        read(&mut tail, journal.durable(), usize::MAX);
        assert_eq!(tail.next(), journal.durable().next());
        tail.sync().expect("the disk works");
        assert!(segment::list_segments(&disk, dir).expect("readable").len() > 2);
    }

    #[test]
    fn a_tail_begins_anywhere_and_ends_where_it_is_told() {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("journal"));
        let journal = open(&disk, dir);
        append(&journal, 1000);
        let disk = Arc::new(disk);
        for after in [0, 1, 2, 3, 1499, 2998, 2999, 3000] {
            let mut tail = Tail::after(disk.clone(), dir, Lsn(after), journal.durable())
                .expect("intact")
                .expect("all is there");
            let until = (after + 4).min(2999);
            let expected: Vec<_> = (after + 1..=until).collect();
            assert_eq!(read(&mut tail, Lsn(until), usize::MAX), expected);
        }
    }

    #[test]
    fn a_tail_goes_on_at_a_place_that_it_has_come_to() {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("journal"));
        let journal = open(&disk, dir);
        append(&journal, 1000);
        let disk = Arc::new(disk);
        let durable = journal.durable();
        let mut tail = Tail::after(disk.clone(), dir, Lsn::ZERO, durable)
            .expect("intact")
            .expect("all is there");
        let mut expected = Vec::new();
        let mut places = Vec::new();
        while tail.next() <= durable {
            places.push(tail.place());
            expected.push(read(&mut tail, durable, 70));
        }
        for (place, expected) in places.into_iter().zip(expected) {
            let mut again = Tail::at(disk.clone(), dir, place).expect("intact");
            assert_eq!(again.next(), place.next());
            assert_eq!(read(&mut again, durable, 70), expected);
        }
    }

    #[test]
    fn what_was_trimmed_is_none() {
        let (disk, dir) = (SimulatedDisk::new(), Path::new("journal"));
        let journal = open(&disk, dir);
        append(&journal, 1000);
        trim(&disk, dir, Lsn(2000), Timestamp::from_seconds(101)).expect("writable");
        let disk = Arc::new(disk);
        let first = crate::journal::first_lsn(&*disk, dir).expect("readable");
        let first = first.expect("not empty");
        let after = |lsn| Tail::after(disk.clone(), dir, lsn, journal.durable()).expect("intact");
        assert!(after(Lsn(first.0 - 1)).is_some());
        assert!(after(Lsn(first.0 - 2)).is_none());
    }
}
