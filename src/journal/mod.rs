//! The journal: one total order of records, durable a batch at a time. It is the truth; everything
//! else is a fold over it.
//!
//! [`Journal::append`] enqueues without waiting and gives the record its [`Lsn`]; one at a time, the
//! committer's thread or a worker at the end of its turn, writes what has gathered as one [frame], syncs
//! once, and publishes the durable LSN; [`CommitWaiters`] (tasks) or [`Journal::wait`] (threads) learn
//! of it.
//! Records are bytes with a kind, in [envelopes](crate::record::envelope); what they mean is for the parts above.
//!
//! **Invariants.** A batch is written only when the one before it is durable, so an incomplete
//! batch can only be the last, and nobody was answered from it. A failed write or sync is never
//! tried again: the journal stops confirming, for good. Nothing here knows what a sale is.

pub mod backup;
pub mod error;
pub mod frame;
pub mod record_file;
pub mod sale_file;
pub mod segment;
pub mod snapshot;

mod batch;
mod commit_hook;
mod commit_time_estimate;
mod committer;
mod cut;
mod footprint;
mod helpers;
mod loss;
mod names;
mod opening;
mod outbox;
mod ownership;
mod paced_disk;
mod pacer;
mod preallocator;
mod progress;
mod reader;
mod repair;
mod settling;
mod shared;
mod stall;
mod status;
mod tail;
#[cfg(test)]
mod test_journal;
mod trim;
mod waiters;

use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

pub use cut::cut_behind;
pub use error::{JournalError, JournalFailed};
pub use loss::Lost;
pub use names::{EVENT_SOURCE_FILE, MARK_FILE, check_regular};
pub use opening::{Opening, Replayed, is_in_use, replay};
pub use outbox::{Outbox, OutgoingBatch, Reached};
pub use paced_disk::PacedDisk;
pub use pacer::{Haste, Pacer};
pub use progress::CommitProgress;
pub use reader::{Frame, SegmentEnd, SegmentReader, check_decodable};
pub use repair::{Repaired, repair};
pub use tail::{Tail, TailPlace, fingerprint};
pub use trim::{first_lsn, trim};
pub use waiters::CommitWaiters;

use crate::env::{AsyncWriter, Clock, Disk, Entropy};
use crate::limits;
use crate::record::envelope::Encode;
use crate::sync::Ordering;
use crate::telemetry::{Counts, JournalStatus};
pub use crate::types::Durability;
use crate::types::{Lsn, Timestamp};
use committer::{CommitAttempt, Committer};
use helpers::Helpers;
use ownership::Ownership;
use preallocator::Preallocator;
use segment::Segment;
use settling::FoundEnd;
use shared::Shared;

/// How a journal is written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// When a record counts as durable.
    pub durability: Durability,
    /// Length of new segments, in bytes.
    pub segment_bytes: u64,
}

/// A function that is called once when the journal has failed, on the thread that noticed. The owner of the process
/// ends it here: what is in memory is no longer what is on the disk.
pub type FailStop = Box<dyn Fn(&JournalError) + Send + Sync>;

/// The parts of the outside world that a journal needs to write.
pub struct Tools {
    /// Tells the time of new segments and measures commits.
    pub clock: Arc<dyn Clock>,
    /// Draws the seeds of new segments.
    pub entropy: Arc<dyn Entropy>,
    /// Hears of a failure.
    pub fail_stop: FailStop,
}

/// The state of the files from which the writing begins.
struct Start {
    segment: Segment,
    offset: u64,
    /// The end that was found, where there was no room to settle it.
    unsettled: Option<FoundEnd>,
    prepared: Option<Segment>,
    last_number: u64,
    sealed_bytes: u64,
    ownership: Ownership,
}

/// The work that remains for a worker after its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AfterTurn {
    /// Nothing.
    Rest,
    /// More records have gathered: it comes again, behind the tasks that are ready by then.
    Again,
    /// It has begun a write, and is to hand its result over.
    Await,
}

/// The reason why the journal takes no record at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// Too much waits for the disk.
    Overloaded,
    /// There is no room on the disk, or the journal has failed or is closed.
    NotWritable,
}

/// An open journal.
pub struct Journal {
    shared: Arc<Shared>,
    committer: Arc<Mutex<Committer>>,
    durability: Durability,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    background_disk: PacedDisk,
    dir: PathBuf,
    helpers: Mutex<Helpers>,
    ownership: Mutex<Option<Arc<Ownership>>>,
}

impl Journal {
    /// Creates a journal with what prepares its segments, which nobody does yet.
    fn assemble(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        durable: Lsn,
        start: Start,
        options: &Options,
        tools: Tools,
        is_paced: bool,
    ) -> Result<(Self, Preallocator), JournalError> {
        let segment_bytes = options.segment_bytes;
        // Segments keep the length that was configured when they were made.
        let prepared = start
            .prepared
            .as_ref()
            .map(|segment| segment.header.length_bytes);
        let smallest = segment_bytes
            .min(start.segment.header.length_bytes)
            .min(prepared.unwrap_or(segment_bytes));
        let pending_bytes_max = (limits::PENDING_BYTES_MAX as u64).min(smallest / 8);
        let shared = Arc::new(Shared::new(
            durable,
            pending_bytes_max,
            start.prepared,
            tools.fail_stop,
        ));
        shared.footprint.measure(&*disk, &dir)?;
        shared.note_sealed(start.sealed_bytes);
        // Says at once how much room there is, so that records are taken from the beginning.
        let committer = Arc::new(Mutex::new(Committer::new(
            Arc::clone(&shared),
            Arc::clone(&tools.clock),
            options.durability,
            start.segment,
            start.offset,
            start.unsettled,
        )?));
        let ownership = Arc::new(start.ownership);
        let pacer = match is_paced {
            true => background_pacer(&shared, &tools.clock),
            false => Pacer::full_speed(),
        };
        let journal = Self {
            shared: Arc::clone(&shared),
            committer,
            durability: options.durability,
            clock: Arc::clone(&tools.clock),
            disk: Arc::clone(&disk),
            background_disk: PacedDisk::new(Arc::clone(&disk), Arc::new(pacer)),
            dir: dir.clone(),
            helpers: Mutex::new(Helpers::Ended),
            ownership: Mutex::new(Some(Arc::clone(&ownership))),
        };
        let preallocator = Preallocator {
            pacer: match is_paced {
                true => preallocator::pacer(&shared, &tools.clock, segment_bytes),
                false => Pacer::full_speed(),
            },
            shared,
            ownership,
            disk,
            clock: tools.clock,
            entropy: tools.entropy,
            dir,
            segment_bytes,
            next_number: start.last_number + 1,
            is_short: false,
        };
        Ok((journal, preallocator))
    }

    /// Returns whether a record may be appended now. Called before a decision that would have to be
    /// recorded.
    ///
    /// # Errors
    /// Says why not.
    pub fn admit(&self) -> Result<(), NotAdmitted> {
        if !self.is_writable() {
            Err(NotAdmitted::NotWritable)
        } else if self.shared.is_overloaded() {
            Err(NotAdmitted::Overloaded)
        } else {
            Ok(())
        }
    }

    /// Returns whether there is room for records that can wait, too: most of the queue is empty, and the next segment is
    /// ready. So they never use up the room of records that cannot.
    #[must_use]
    pub fn has_headroom(&self) -> bool {
        self.shared.has_headroom()
    }

    /// Enqueues a record and gives it its number. Never waits and never fails: what was decided
    /// is recorded, or the journal fails as a whole.
    pub fn append(&self, at: Timestamp, record: &impl Encode) -> Lsn {
        self.shared.append(at, record)
    }

    /// Blocks the thread until `lsn` is durable. Must not be called on a worker: the write that it has begun is ended
    /// by its own event loop, and nothing is committed before.
    ///
    /// # Errors
    /// The journal failed before.
    pub fn wait(&self, lsn: Lsn) -> Result<(), JournalFailed> {
        self.shared.wake_committer();
        if let Some(reached) = self.step_until(lsn) {
            return reached;
        }
        self.shared.progress.wait(lsn)
    }

    /// Blocks the thread for the time of `pause`, in which others work. Returns whether something may have changed by then.
    #[must_use]
    pub fn pause(&self, pause: Duration) -> bool {
        let stepped = self.step_once();
        if stepped.is_none() {
            thread::sleep(pause);
        }
        stepped.unwrap_or(true)
    }

    /// Blocks the thread until everything is durable that has been appended so far.
    ///
    /// # Errors
    /// The journal failed before.
    pub fn flush(&self) -> Result<(), JournalFailed> {
        self.wait(self.shared.appended())
    }

    /// Returns what the calling worker writes with by itself; `None` where nothing is synced, or the system has no such
    /// thing.
    fn async_writer(&self) -> Option<Box<dyn AsyncWriter>> {
        let is_synced = self.durability == Durability::Fsync;
        is_synced.then(|| self.disk.async_writer()).flatten()
    }

    /// Commits what a worker has enqueued in its turn: on the calling thread, one batch, where that
    /// costs less than a hand-over; else with the worker's `writer`, if it has one; else on the committer's thread.
    fn commit_pending(&self, writer: Option<&mut (dyn AsyncWriter + 'static)>) -> AfterTurn {
        if !self.shared.has_pending() {
            return AfterTurn::Rest;
        }
        let is_quick = self.shared.commit_time.is_quick();
        if !is_quick && writer.is_none() {
            self.shared.wake_committer();
            return AfterTurn::Rest;
        }
        let attempt = match (self.committer.try_lock(), writer) {
            (None, _) => return AfterTurn::Rest,
            (Some(mut committer), Some(writer)) if !is_quick => committer.begin(writer),
            (Some(mut committer), _) => committer.try_commit(),
        };
        self.after(attempt)
    }

    /// Ends the write that a worker began by [`Self::commit_pending`].
    fn finish_commit(&self, written: io::Result<()>) -> AfterTurn {
        let attempt = self.committer.lock().finish(written);
        if self.shared.closing.load(Ordering::Acquire) {
            self.shared.wake_committer();
        }
        self.after(attempt)
    }

    fn after(&self, attempt: CommitAttempt) -> AfterTurn {
        match attempt {
            CommitAttempt::Begun => AfterTurn::Await,
            CommitAttempt::OnItsWay | CommitAttempt::Ended => AfterTurn::Rest,
            CommitAttempt::MustWait => {
                self.shared.wake_committer();
                AfterTurn::Rest
            }
            // Checked after letting go, because a worker that found the committer taken has left.
            CommitAttempt::Committed if self.shared.has_pending() => AfterTurn::Again,
            CommitAttempt::Committed => AfterTurn::Rest,
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns the newest durable record.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.shared.progress.durable()
    }

    /// Returns whether what was found at the start is certain to be on the disk. It is not while the disk is so full
    /// that it cannot be written once more: after an earlier sync that failed it may only seem to be there.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.shared.is_settled()
    }

    /// Returns whether the found end is settled, without a lock as long as new work is taken. [`Self::is_settled`] always locks.
    fn is_certain(&self) -> bool {
        self.shared.is_accepting() || self.is_settled()
    }

    /// Returns the durable LSN with the threads and tasks that wait for it.
    #[must_use]
    pub fn progress(&self) -> &CommitProgress {
        &self.shared.progress
    }

    /// Stops the journal for good, because of an error that another part has met in its directory.
    pub fn fail(&self, error: &JournalError) {
        self.shared.fail(error);
    }

    /// Returns whether records are taken: there is room, nothing has failed, and it is not closed.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.shared.is_accepting() && !self.shared.closing.load(Ordering::Relaxed)
    }

    /// Returns whether nothing stands against new records but that somebody else decides what comes into the journal, as on a standby.
    #[must_use]
    pub fn is_able(&self) -> bool {
        self.shared.is_able()
    }

    /// Sets the time after which a commit counts as stalled.
    pub fn set_stall_threshold(&self, threshold: Duration) {
        self.shared.stall().set_threshold(threshold);
    }

    /// Returns how long the commit that is on its way has taken, if that is too long: the disk does not answer. One that
    /// waits for room on a full disk does not count.
    #[must_use]
    pub fn stalled(&self) -> Option<Duration> {
        let stalled = self.shared.stall().stalled(self.clock.monotonic_us());
        stalled.filter(|_| !self.shared.is_full())
    }

    /// Returns whether the journal never takes a record again: it is closed, or has failed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.shared.is_over()
    }

    /// Returns the directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the disk that the directory is on.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Returns the same disk at the pace of work that nobody waits for: slower while records wait to be committed, and at full
    /// speed once the journal is closed.
    #[must_use]
    pub fn background_disk(&self) -> &PacedDisk {
        &self.background_disk
    }

    /// Blocks until `bytes` have been sealed since the snapshot that was there at the start, or nothing has happened for the time of
    /// `patience`, and says how many have; `None` once the journal is closed or has failed.
    #[must_use]
    pub fn wait_until_sealed(&self, bytes: u64, patience: Duration) -> Option<u64> {
        self.shared.wait_until_sealed(bytes, patience)
    }

    /// Removes the oldest segments of this journal, as [`trim()`] does.
    ///
    /// # Errors
    /// The errors of [`trim()`].
    pub fn trim(&self, covered: Lsn, before: Timestamp) -> Result<usize, JournalError> {
        let removed = &mut |bytes| self.shared.footprint.segment_removed(bytes);
        self.background_disk.begin();
        trim::trim_noting(&self.background_disk, &self.dir, covered, before, removed)
    }

    /// Notes that a snapshot of the state at `lsn` was written beside the segments.
    pub fn note_snapshot(&self, lsn: Lsn) {
        self.shared.footprint.snapshot_written(lsn);
    }

    /// Returns figures for operators.
    #[must_use]
    pub fn status(&self) -> JournalStatus {
        status::status_of(&self.shared, self.stalled().is_some())
    }

    /// Returns how long the syncs took since the start, in nanoseconds.
    #[must_use]
    pub fn syncs(&self) -> Counts {
        self.shared.figures().sync_ns.read()
    }

    /// Makes all appended records durable, ends the threads and releases the locks.
    /// Records appended afterwards are lost, so nobody may append any more.
    pub fn close(&self) {
        self.shared.close();
        let helpers = mem::replace(&mut *self.helpers.lock(), Helpers::Ended);
        match helpers {
            Helpers::Threads(threads) => threads.into_iter().for_each(|thread| {
                let _ = thread.join();
            }),
            Helpers::Steps(preallocator) => self.end_steps(*preallocator),
            Helpers::Ended => {}
        }
        if let Some(outbox) = self.shared.outbox.get() {
            outbox.close();
        }
        if self.ownership.lock().take().is_some() {
            self.committer.lock().unlock_segment();
            self.shared.unlock_prepared();
        }
    }
}

/// Returns the pace of what is read and written beside the journal.
fn background_pacer(shared: &Arc<Shared>, clock: &Arc<dyn Clock>) -> Pacer {
    let (asked, pausing) = (Arc::clone(shared), Arc::clone(shared));
    Pacer::new(
        Arc::clone(clock),
        move || asked.haste(),
        move |pause| pausing.pause(pause),
        Duration::from_secs(limits::PACED_SECONDS_MAX),
    )
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}
