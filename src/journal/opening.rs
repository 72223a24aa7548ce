//! Opening a journal: lock it, read what is there, settle its tail, and start the writing.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::error::JournalError;
use super::ownership::Ownership;
use super::pacer::Pacer;
use super::preallocator::{Preallocator, new_header};
use super::reader::{SegmentEnd, SegmentReader};
use super::sale_file::{self, SaleFile};
use super::segment::{self, SEGMENT_HEADER_BYTES, Segment};
use super::settling::FoundEnd;
use super::{Journal, Options, Tools, names, snapshot};
use crate::env::{Disk, OpenMode};
use crate::limits;
use crate::planted::{Slip, is_planted};
use crate::record::envelope::Entry;
use crate::types::Lsn;

/// The pause between two looks at whether an earlier process's last write is done.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// A journal that this process has locked and may read; nothing is written yet.
pub struct Opening {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    ownership: Ownership,
}

/// The result of a replay.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The last record.
    pub last_lsn: Lsn,
    /// Records handed to the visitor.
    pub records: u64,
    /// The end of the frames was torn: a batch that nobody was answered from will be cut off.
    pub torn: bool,
    /// Bytes of the segments that were read, but for the last one.
    pub sealed_bytes: u64,
    /// The segment files, in order.
    pub segments: Vec<u64>,
    end: Option<(u64, SegmentEnd)>,
}

/// Hands every record after `after` to `visit`, in order, and finds the end. Changes nothing. With
/// `until`, which must be durable, it reads no further than that, so the journal may be in use.
///
/// # Errors
/// Damage anywhere but in the last batch, or the visitor's own error.
pub fn replay(
    disk: &dyn Disk,
    dir: &Path,
    after: Lsn,
    until: Option<Lsn>,
    visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>,
) -> Result<Replayed, JournalError> {
    let segments = segment::list_segments(disk, dir)?;
    let mut replayed = Replayed {
        last_lsn: after,
        records: 0,
        torn: false,
        sealed_bytes: 0,
        segments,
        end: None,
    };
    let start = first_needed(disk, dir, &replayed.segments, after)?;
    check_contiguous(dir, replayed.segments.get(..=start).unwrap_or_default())?;
    let mut next_lsn = None;
    for index in start..replayed.segments.len() {
        if until.is_some_and(|until| replayed.last_lsn >= until) {
            break;
        }
        check_contiguous(dir, &replayed.segments[index.saturating_sub(1)..=index])?;
        let number = replayed.segments[index];
        let segment = Segment::open(disk, dir, number, OpenMode::Read)?;
        // Behind a torn batch the numbers cannot go on; the error is that of the batch.
        let expected = next_lsn.filter(|_| !replayed.torn);
        let mut reader = SegmentReader::new(&segment, expected);
        let mut frames = 0_u64;
        let end = loop {
            match reader.next_frame()? {
                Err(end) => break end,
                Ok(frame) => {
                    frames += 1;
                    check_order(dir, &replayed, number)?;
                    check_first(&segment, &replayed, frame.header.first_lsn, frame.offset)?;
                    frame.visit(&segment, &mut |entry| {
                        let is_dropped = frame.header.count > 1
                            && entry.lsn == frame.header.last_lsn()
                            && is_planted(Slip::DropsLastOfBatch);
                        if is_dropped {
                            return Ok(());
                        }
                        if entry.lsn > after {
                            replayed.records += 1;
                            replayed.last_lsn = entry.lsn;
                            return visit(entry);
                        }
                        Ok(entry.check()?)
                    })?;
                    if until.is_some_and(|until| replayed.last_lsn >= until) {
                        return Ok(replayed);
                    }
                }
            }
        };
        next_lsn = reader.next_lsn().or(next_lsn);
        // A torn batch may be the first of its segment.
        let torn_here = end.torn && !replayed.torn;
        if frames > 0 || torn_here || replayed.end.is_none() {
            replayed.torn = end.torn;
            let before = replayed.end.replace((number, end));
            replayed.sealed_bytes += before.map_or(0, |(_, end)| end.offset);
        }
    }
    check_reaches(dir, after, until, next_lsn)?;
    Ok(replayed)
}

/// Checks that the journal does not end before the snapshot: what is appended next would leave a gap.
fn check_reaches(
    dir: &Path,
    after: Lsn,
    until: Option<Lsn>,
    next_lsn: Option<Lsn>,
) -> Result<(), JournalError> {
    let next = next_lsn.unwrap_or(Lsn::ZERO.next());
    if until.is_some() || next > after {
        return Ok(());
    }
    let what = format!("it stands for record {after}, but record {next} is missing");
    Err(JournalError::Damaged {
        path: snapshot::path_of(dir, after),
        offset: 0,
        what,
    })
}

/// Returns whether a process has the journal in `dir`, as its locks say. Makes nothing, and has the locks for no
/// longer than it takes to ask.
///
/// # Errors
/// The directory or the lock file cannot be opened, or what is in the directory cannot be a journal's.
pub fn is_in_use(disk: &dyn Disk, dir: &Path) -> Result<bool, JournalError> {
    match disk.list(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        listed => listed.map_err(JournalError::io("list", dir))?,
    };
    names::check_regular(disk, dir)?;
    Ownership::is_taken(disk, dir)
}

fn check_contiguous(dir: &Path, segments: &[u64]) -> Result<(), JournalError> {
    match segments.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        None => Ok(()),
        Some(pair) => Err(JournalError::Damaged {
            path: segment::segment_path(dir, pair[0] + 1),
            offset: 0,
            what: "the file is missing".into(),
        }),
    }
}

/// Checks that the first frame that is read leaves no gap behind the snapshot.
fn check_first(
    segment: &Segment,
    replayed: &Replayed,
    first: Lsn,
    offset: u64,
) -> Result<(), JournalError> {
    if first <= replayed.last_lsn.next() {
        return Ok(());
    }
    let what = format!(
        "record {} is missing, {first} is here",
        replayed.last_lsn.next()
    );
    Err(JournalError::Damaged {
        path: segment.path.clone(),
        offset,
        what,
    })
}

/// Refuses a torn batch before `number`: frames in a later segment prove that all before them was durable.
fn check_order(dir: &Path, replayed: &Replayed, number: u64) -> Result<(), JournalError> {
    match replayed.end {
        Some((torn, end)) if replayed.torn => Err(JournalError::Damaged {
            path: segment::segment_path(dir, torn),
            offset: end.offset,
            what: format!("a batch is incomplete, but segment {number} goes on after it"),
        }),
        _ => Ok(()),
    }
}

/// Returns the index of the last segment that begins at or before the record after `after`.
pub(super) fn first_needed(
    disk: &dyn Disk,
    dir: &Path,
    segments: &[u64],
    after: Lsn,
) -> Result<usize, JournalError> {
    for (index, &number) in segments.iter().enumerate().rev() {
        // Damage is found again, and returned, when the segment is read in its turn.
        let Ok(segment) = Segment::open(disk, dir, number, OpenMode::Read) else {
            continue;
        };
        if SegmentReader::first_lsn(&segment).is_some_and(|first| first <= after.next()) {
            return Ok(index);
        }
    }
    Ok(0)
}

impl Opening {
    /// Locks the journal in `dir`, which must be there.
    ///
    /// # Errors
    /// There is no journal, or an error of [`Self::lock`].
    pub fn lock_existing(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, JournalError> {
        if segment::list_segments(&*disk, dir)?.is_empty() {
            // What stands in the place of a segment is no journal that is missing.
            names::check_regular(&*disk, dir)?;
            let missing = std::io::ErrorKind::NotFound.into();
            return Err(JournalError::io("find a journal in", dir)(missing));
        }
        Self::lock(disk, dir)
    }

    /// Makes `dir` if it is missing and locks it.
    ///
    /// # Errors
    /// [`JournalError::InUse`], [`JournalError::SegmentInUse`], [`JournalError::Irregular`], or an error of the
    /// operating system.
    pub fn lock(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, JournalError> {
        disk.create_dir_all(dir)
            .map_err(JournalError::io("create", dir))?;
        names::check_regular(&*disk, dir)?;
        let ownership = Ownership::take(&*disk, dir)?;
        await_last_write(&*disk, dir)?;
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            ownership,
        })
    }

    /// Hands the newest snapshot's records to `visit`. Returns the LSN that it stands for, or 0 when there
    /// is none.
    ///
    /// # Errors
    /// The snapshot is damaged, or the visitor's own error.
    pub fn restore_snapshot(
        &self,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>,
    ) -> Result<Lsn, JournalError> {
        match snapshot::newest(&*self.disk, &self.dir)? {
            None => Ok(Lsn::ZERO),
            Some(lsn) => snapshot::read(&*self.disk, &self.dir, lsn, visit).map(|()| lsn),
        }
    }

    /// Returns the files of ended sales beside the segments.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn sale_files(&self) -> Result<BTreeSet<SaleFile>, JournalError> {
        sale_file::list(&*self.disk, &self.dir)
    }

    /// Checks that the files of these sales are `there`, except where a database has what was in them,
    /// and that there are none of sales that were closed behind the journal's end, which is `last`.
    ///
    /// # Errors
    /// Names the file that is missing or left over.
    pub fn check_sale_files(
        &self,
        there: &BTreeSet<SaleFile>,
        expected: impl Iterator<Item = SaleFile>,
        last: Lsn,
    ) -> Result<(), JournalError> {
        let (disk, dir) = (&*self.disk, &*self.dir);
        if let Some(file) = there.last().filter(|file| file.closed_lsn > last) {
            let what = format!(
                "it stands for record {}, but the journal ends at {last}",
                file.closed_lsn
            );
            return Err(JournalError::Damaged {
                path: file.path(dir),
                offset: 0,
                what,
            });
        }
        let removed_until = sale_file::removed_until(disk, dir)?;
        let is_missing = |file: &SaleFile| file.closed_lsn > removed_until && !there.contains(file);
        match expected.into_iter().find(is_missing) {
            Some(file) => Err(file.missing(dir)),
            None => Ok(()),
        }
    }

    /// Replays this journal, as [`replay`] does.
    ///
    /// # Errors
    /// The errors of [`replay`].
    pub fn replay(
        &self,
        after: Lsn,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<(), JournalError>,
    ) -> Result<Replayed, JournalError> {
        replay(&*self.disk, &self.dir, after, None, visit)
    }

    /// Makes what was found durable, cuts a torn batch off, and starts the writing behind it.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn start(
        self,
        replayed: &Replayed,
        options: &Options,
        tools: Tools,
    ) -> Result<Journal, JournalError> {
        let (journal, preallocator) = self.assemble(replayed, options, tools, true)?;
        journal.spawn(preallocator)?;
        Ok(journal)
    }

    /// Does what [`Self::start`] does, but starts no threads: the owner calls [`Journal::step_commit`] and
    /// [`Journal::step_preparation`]. Nothing is paced then.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn start_stepped(
        self,
        replayed: &Replayed,
        options: &Options,
        tools: Tools,
    ) -> Result<Journal, JournalError> {
        let (journal, preallocator) = self.assemble(replayed, options, tools, false)?;
        journal.step_by_step(preallocator);
        Ok(journal)
    }

    fn assemble(
        self,
        replayed: &Replayed,
        options: &Options,
        tools: Tools,
        is_paced: bool,
    ) -> Result<(Journal, Preallocator), JournalError> {
        // Locked before anything is changed.
        let current = replayed.end.map(|(number, end)| {
            let segment = self.open_to_write(number)?;
            let found = FoundEnd::read(&segment, end)?;
            Ok::<_, JournalError>((segment, end.offset, found))
        });
        let current = current.transpose()?;
        self.remove_leftovers()?;
        self.sync_found(replayed)?;
        let (segment, offset, unsettled) = match current {
            Some((segment, offset, found)) => {
                let unsettled = settle_or_later(&segment, found)?;
                (segment, offset, unsettled)
            }
            None => {
                let first = self.first_segment(options, &tools)?;
                (first, SEGMENT_HEADER_BYTES, None)
            }
        };
        let number = segment.header.number;
        let last = self.keep_one_prepared(replayed, number)?;
        let prepared = (last > number).then(|| self.open_to_write(number + 1));
        let prepared = prepared.transpose()?;
        let start = super::Start {
            segment,
            offset,
            unsettled,
            prepared,
            last_number: last,
            sealed_bytes: replayed.sealed_bytes,
            ownership: self.ownership,
        };
        Journal::assemble(
            self.disk,
            self.dir,
            replayed.last_lsn,
            start,
            options,
            tools,
            is_paced,
        )
    }

    fn open_to_write(&self, number: u64) -> Result<Segment, JournalError> {
        let segment = Segment::open(&*self.disk, &self.dir, number, OpenMode::ReadWrite)?;
        segment.lock()?;
        Ok(segment)
    }

    fn first_segment(&self, options: &Options, tools: &Tools) -> Result<Segment, JournalError> {
        let header = new_header(1, options.segment_bytes, &*tools.clock, &*tools.entropy);
        Segment::prepare(&*self.disk, &self.dir, header, &Pacer::full_speed())
    }

    /// Removes the unused segments behind the one that is kept ready; left in place they would have to
    /// be skipped later. The number of the last segment that remains.
    fn keep_one_prepared(&self, replayed: &Replayed, current: u64) -> Result<u64, JournalError> {
        let unused = replayed.segments.iter().rev();
        for &number in unused.take_while(|&&number| number > current + 1) {
            let path = segment::segment_path(&self.dir, number);
            self.disk
                .remove(&path)
                .map_err(JournalError::io("remove", &path))?;
        }
        let last = replayed.segments.last().copied().unwrap_or(current);
        Ok(last.clamp(current, current + 1))
    }

    /// Removes unfinished segments and snapshots, which a crash has left.
    fn remove_leftovers(&self) -> Result<(), JournalError> {
        let names = self
            .disk
            .list(&self.dir)
            .map_err(JournalError::io("list", &self.dir))?;
        for name in names.iter().filter(|name| name.ends_with(".preparing")) {
            let path = self.dir.join(name);
            self.disk
                .remove(&path)
                .map_err(JournalError::io("remove", &path))?;
        }
        Ok(())
    }

    /// Syncs what was found: a process that was killed may have left pages that no sync has reached.
    fn sync_found(&self, replayed: &Replayed) -> Result<(), JournalError> {
        segment::sync(&*self.disk, &self.dir, &replayed.segments)?;
        self.disk
            .sync_dir(&self.dir)
            .map_err(JournalError::io("sync", &self.dir))
    }
}

/// Waits until no write of an earlier process is on its way any more. A process that was killed may have given one to
/// the kernel, which keeps the segment open, and so locked, until the write is done. Nobody else can begin
/// one: this process owns the directory.
fn await_last_write(disk: &dyn Disk, dir: &Path) -> Result<(), JournalError> {
    let segments = segment::list_segments(disk, dir)?;
    // The one that was written to, and the one that was prepared behind it.
    for &number in segments.iter().rev().take(2) {
        let path = segment::segment_path(dir, number);
        // A file that cannot be opened or locked is the matter of who reads or writes it.
        let Ok(file) = disk.open(&path, OpenMode::Read) else {
            continue;
        };
        let mut looks = 1..limits::LAST_WRITE_LOOKS;
        while let Ok(false) = file.try_lock() {
            if looks.next().is_none() {
                return Err(JournalError::SegmentInUse { path });
            }
            thread::sleep(LOOK_PAUSE);
        }
        let _ = file.unlock();
    }
    Ok(())
}

/// Settles the end, or leaves it to the committer where there is no room for that.
fn settle_or_later(segment: &Segment, found: FoundEnd) -> Result<Option<FoundEnd>, JournalError> {
    match found.settle(segment) {
        Err(error) if error.is_for_want_of_room() => {
            tracing::error!("{error}; starting without taking new work until there is room");
            Ok(Some(found))
        }
        settled => settled.map(|()| None),
    }
}
