//! The state that appenders, committer and preallocator share: the queue, the next segment, and the room left.

use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use super::batch::{BatchRange, Figures, empty_buffer};
use super::commit_time_estimate::CommitTimeEstimate;
use super::error::JournalError;
use super::footprint::Footprint;
use super::frame::{FRAME_HEADER_BYTES, FrameAlign};
use super::outbox::{HoldBackReason, Outbox};
use super::ownership::OpenFile;
use super::pacer::Haste;
use super::progress::CommitProgress;
use super::segment::Segment;
use super::stall::Stall;
use super::{FailStop, commit_hook};
use crate::record::envelope::{self, Encode};
use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, Ordering};
use crate::types::{Lsn, Timestamp};

/// The time that preallocator and committer wait before they try again on a full disk.
const FULL_RETRY: Duration = Duration::from_millis(200);
/// The time between two checks that paths still name the files that are written to.
const FILE_CHECK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Shared {
    pub(super) progress: CommitProgress,
    pub(super) commit_time: CommitTimeEstimate,
    pub(super) footprint: Footprint,
    pub(super) closing: AtomicBool,
    committer_ended: AtomicBool,
    pub(super) committer: OnceLock<Thread>,
    /// The batches for a replicated log, once there is one.
    pub(super) outbox: OnceLock<Arc<Outbox>>,
    pub(super) pending_bytes_max: u64,
    queue: Mutex<Queue>,
    pending_bytes: AtomicU64,
    accepting: AtomicBool,
    next: Mutex<Next>,
    next_changed: Condvar,
    figures: Figures,
    stall: Stall,
    failure: OnceLock<String>,
    fail_stop: FailStop,
}

struct Queue {
    buffer: Vec<u8>,
    next: Lsn,
    count: u32,
}

/// The prepared segment, and the room that is left in the current one.
#[derive(Default)]
struct Next {
    prepared: Option<Segment>,
    /// The segment that is written to.
    current: Option<OpenFile>,
    /// Where its frames begin.
    align: FrameAlign,
    room_bytes: u64,
    /// There is no room for the next segment.
    full: bool,
    /// There was no room to write to the current one.
    short: bool,
    /// The end that the start has found is not settled yet.
    unsettled: bool,
    held_back: bool,
    outbox_full: bool,
    sealed_bytes: u64,
}

/// The result of taking a batch from the queue.
pub(super) enum Taken {
    Batch(BatchRange),
    Nothing,
    /// The frame would not fit into the room. It stays in the queue.
    TooLarge,
}

/// The next work of the preallocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Preallocates a segment.
    Preallocate,
    /// Only checks the open files. Returned at least once in [`FILE_CHECK_EVERY`].
    CheckFiles,
    /// Ends: the committer has ended or the journal has failed.
    Stop,
}

impl Shared {
    pub(super) fn new(
        durable: Lsn,
        pending_bytes_max: u64,
        prepared: Option<Segment>,
        fail_stop: FailStop,
    ) -> Self {
        let queue = Queue {
            buffer: empty_buffer(),
            next: durable.next(),
            count: 0,
        };
        Self {
            progress: CommitProgress::starting_at(durable),
            commit_time: CommitTimeEstimate::default(),
            footprint: Footprint::default(),
            closing: AtomicBool::new(false),
            committer_ended: AtomicBool::new(false),
            committer: OnceLock::new(),
            outbox: OnceLock::new(),
            pending_bytes_max,
            queue: Mutex::new(queue),
            pending_bytes: AtomicU64::new(0),
            accepting: AtomicBool::new(false),
            next: Mutex::new(Next {
                prepared,
                ..Next::default()
            }),
            next_changed: Condvar::new(),
            figures: Figures::default(),
            stall: Stall::default(),
            failure: OnceLock::new(),
            fail_stop,
        }
    }

    pub(super) fn append(&self, at: Timestamp, record: &impl Encode) -> Lsn {
        let (lsn, first) = {
            let mut queue = self.queue.lock();
            let queue = &mut *queue;
            envelope::encode(at, record, &mut queue.buffer);
            let lsn = queue.next;
            queue.next = lsn.next();
            queue.count += 1;
            self.pending_bytes
                .store(queue.buffer.len() as u64, Ordering::Relaxed);
            (lsn, queue.count == 1)
        };
        if first && !commit_hook::schedule_commit(self) {
            self.wake_committer();
        }
        lsn
    }

    /// Wakes the committer's thread.
    pub(super) fn wake_committer(&self) {
        if let Some(committer) = self.committer.get() {
            committer.unpark();
        }
    }

    /// Exchanges the gathered records for the contents of `buffer`, which are dropped, if `has_room` for a
    /// payload of their bytes.
    pub(super) fn take_batch(
        &self,
        buffer: &mut Vec<u8>,
        has_room: impl FnOnce(usize) -> bool,
    ) -> Taken {
        buffer.truncate(FRAME_HEADER_BYTES);
        let mut queue = self.queue.lock();
        if queue.count == 0 {
            return Taken::Nothing;
        }
        if !has_room(queue.buffer.len() - FRAME_HEADER_BYTES) {
            return Taken::TooLarge;
        }
        std::mem::swap(&mut queue.buffer, buffer);
        let count = std::mem::take(&mut queue.count);
        self.pending_bytes.store(0, Ordering::Relaxed);
        Taken::Batch(BatchRange {
            first: Lsn(queue.next.0 - u64::from(count)),
            count,
        })
    }

    /// Returns whether records wait to be committed.
    pub(super) fn has_pending(&self) -> bool {
        self.queue.lock().count > 0
    }

    /// Returns the last record that has a number, whether or not it is on the disk.
    pub(super) fn appended(&self) -> Lsn {
        Lsn(self.queue.lock().next.0 - 1)
    }

    pub(super) fn pending_bytes(&self) -> u64 {
        self.pending_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn is_overloaded(&self) -> bool {
        self.pending_bytes() > self.pending_bytes_max
    }

    pub(super) fn has_headroom(&self) -> bool {
        self.pending_bytes() <= self.pending_bytes_max / 4 && self.next.lock().prepared.is_some()
    }

    pub(super) fn is_accepting(&self) -> bool {
        self.accepting.load(Ordering::Acquire)
    }

    /// Returns whether nothing stands against new records but that somebody else decides what comes into the journal.
    pub(super) fn is_able(&self) -> bool {
        self.is_accepting() || self.could_accept(&self.next.lock())
    }

    /// Returns the room that all pending records may need: a full queue behind a full batch, twice over for what
    /// threads append that checked the bound just before it was reached, and the frames' heads.
    fn room_bytes_min(&self, align: FrameAlign) -> u64 {
        4 * self.pending_bytes_max + 2 * align.bytes() as u64
    }

    fn update_accepting(&self, next: &Next) {
        let accepting = !next.held_back && self.could_accept(next);
        self.accepting.store(accepting, Ordering::Release);
    }

    fn could_accept(&self, next: &Next) -> bool {
        let roomy = next.room_bytes >= self.room_bytes_min(next.align) || next.prepared.is_some();
        roomy && !next.outbox_full && !next.short && self.failure.get().is_none()
    }

    /// Notes whether new work is refused for a reason that has nothing to do with the disk.
    pub(super) fn refuse_for(&self, reason: HoldBackReason, is_refused: bool) {
        let mut next = self.next.lock();
        let noted = match reason {
            HoldBackReason::HeldBack => &mut next.held_back,
            HoldBackReason::OutboxFull => &mut next.outbox_full,
        };
        if std::mem::replace(noted, is_refused) != is_refused {
            self.update_accepting(&next);
        }
    }

    /// Publishes that everything up to `last` is on this disk: at once, or when a replicated log has it, too.
    pub(super) fn note_durable(&self, last: Lsn) {
        match self.outbox.get() {
            None => self.progress.publish(last),
            Some(outbox) => outbox.note_local(last),
        }
    }

    pub(super) fn set_room(&self, room_bytes: u64) {
        let mut next = self.next.lock();
        next.room_bytes = room_bytes;
        self.update_accepting(&next);
    }

    /// Blocks until a segment is prepared, and takes it; `None` once the journal has failed, or is to
    /// be closed while there is no room.
    pub(super) fn take_prepared(&self) -> Option<Segment> {
        let mut next = self.next.lock();
        loop {
            if let Some(segment) = next.prepared.take() {
                self.next_changed.notify_all();
                return Some(segment);
            }
            let given_up = next.full && self.closing.load(Ordering::Acquire);
            if given_up || self.failure.get().is_some() {
                return None;
            }
            self.next_changed.wait(&mut next);
        }
    }

    pub(super) fn note_sealed(&self, bytes: u64) {
        self.next.lock().sealed_bytes += bytes;
        self.next_changed.notify_all();
    }

    /// Blocks until there is work for the preallocator, at most for [`FILE_CHECK_EVERY`].
    pub(super) fn wait_for_work(&self) -> Work {
        let is_over =
            || self.committer_ended.load(Ordering::Acquire) || self.failure.get().is_some();
        let mut next = self.next.lock();
        self.next_changed.wait_while_for(
            &mut next,
            |next| next.prepared.is_some() && !is_over(),
            FILE_CHECK_EVERY,
        );
        if is_over() {
            Work::Stop
        } else if next.prepared.is_none() {
            Work::Preallocate
        } else {
            Work::CheckFiles
        }
    }

    /// Notes that `segment` is written to from now on.
    ///
    /// # Errors
    /// The file cannot be inspected.
    pub(super) fn set_current(&self, segment: &Segment) -> Result<(), JournalError> {
        let place = OpenFile::of(&*segment.file, &segment.path)?;
        let mut next = self.next.lock();
        next.current = Some(place);
        next.align = segment.header.align;
        Ok(())
    }

    /// Returns the segments that are written to now and next, as open files.
    ///
    /// # Errors
    /// The next segment's file cannot be inspected.
    pub(super) fn open_files(&self) -> Result<Vec<OpenFile>, JournalError> {
        let next = self.next.lock();
        let of = |next: &Segment| OpenFile::of(&*next.file, &next.path);
        let prepared = next.prepared.as_ref().map(of);
        let current = next.current.clone();
        Ok(current.into_iter().chain(prepared.transpose()?).collect())
    }

    /// Unlocks the prepared segment.
    pub(super) fn unlock_prepared(&self) {
        if let Some(segment) = &self.next.lock().prepared {
            let _ = segment.file.unlock();
        }
    }

    /// Blocks until `bytes` have been sealed. Returns the bytes sealed, or `None` once the
    /// journal closes or has failed.
    pub(super) fn wait_until_sealed(&self, bytes: u64, patience: Duration) -> Option<u64> {
        let mut next = self.next.lock();
        // By a deadline, because while the disk is full there is a change several times a second.
        self.next_changed.wait_while_for(
            &mut next,
            |next| next.sealed_bytes < bytes && !self.is_over(),
            patience,
        );
        // Nothing may rest on what the next power cut may take.
        self.next_changed
            .wait_while(&mut next, |next| next.unsettled && !self.is_over());
        (!self.is_over()).then_some(next.sealed_bytes)
    }

    pub(super) fn put_prepared(&self, segment: Segment) {
        let mut next = self.next.lock();
        next.prepared = Some(segment);
        next.full = false;
        self.update_accepting(&next);
        self.next_changed.notify_all();
    }

    /// Notes that there is no room for the next segment. Returns whether that is new.
    pub(super) fn set_full(&self) -> bool {
        let mut next = self.next.lock();
        self.next_changed.notify_all();
        !std::mem::replace(&mut next.full, true)
    }

    /// Waits a little for room, or for another change.
    pub(super) fn wait_for_room(&self) {
        self.next_changed
            .wait_for(&mut self.next.lock(), FULL_RETRY);
    }

    /// Returns whether the next segment is prepared.
    pub(super) fn has_prepared(&self) -> bool {
        self.next.lock().prepared.is_some()
    }

    pub(super) fn is_full(&self) -> bool {
        let next = self.next.lock();
        next.full || next.short
    }

    /// Notes whether there is no room to write to the current segment. Returns whether that is new.
    pub(super) fn set_short(&self, short: bool) -> bool {
        let mut next = self.next.lock();
        let before = std::mem::replace(&mut next.short, short);
        self.update_accepting(&next);
        before != short
    }

    /// Notes whether what was found at the start is still to be settled.
    pub(super) fn set_unsettled(&self, unsettled: bool) {
        self.next.lock().unsettled = unsettled;
        self.next_changed.notify_all();
    }

    pub(super) fn is_settled(&self) -> bool {
        !self.next.lock().unsettled
    }

    /// Waits a little for room to write, but not when the journal is to be closed.
    pub(super) fn wait_to_write(&self) {
        let mut next = self.next.lock();
        self.next_changed
            .wait_while_for(&mut next, |_| !self.is_over(), FULL_RETRY);
    }

    /// Returns how much haste work in the background may make.
    pub(super) fn haste(&self) -> Haste {
        if self.is_over() {
            Haste::Urgent
        } else if self.pending_bytes() > 0 {
            Haste::Yielding
        } else {
            Haste::Calm
        }
    }

    /// Returns whether half of the room is used that the current segment, of `segment_bytes`, has before new work would
    /// have to wait for the next one.
    pub(super) fn is_next_needed_soon(&self, segment_bytes: u64) -> bool {
        let next = self.next.lock();
        let room_bytes_min = self.room_bytes_min(next.align);
        next.room_bytes < room_bytes_min + segment_bytes.saturating_sub(room_bytes_min) / 2
    }

    /// Blocks for the time of `pause`, but no longer than until the journal is closed or has failed.
    pub(super) fn pause(&self, pause: Duration) {
        let mut next = self.next.lock();
        self.next_changed
            .wait_while_for(&mut next, |_| !self.is_over(), pause);
    }

    pub(super) fn is_over(&self) -> bool {
        self.closing.load(Ordering::Acquire) || self.failure.get().is_some()
    }

    pub(super) fn close(&self) {
        {
            let _next = self.next.lock();
            self.closing.store(true, Ordering::Release);
        }
        self.next_changed.notify_all();
        self.wake_committer();
    }

    /// Notes that the committer writes nothing any more.
    pub(super) fn end_committer(&self) {
        {
            let _next = self.next.lock();
            self.committer_ended.store(true, Ordering::Release);
        }
        self.next_changed.notify_all();
    }

    /// Stops the journal for good and calls the owner of the process, once.
    pub(super) fn fail(&self, error: &JournalError) {
        {
            let next = self.next.lock();
            if self.failure.set(error.to_string()).is_err() {
                return;
            }
            self.update_accepting(&next);
        }
        self.next_changed.notify_all();
        self.progress.fail();
        (self.fail_stop)(error);
    }

    pub(super) fn stall(&self) -> &Stall {
        &self.stall
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.get().is_some()
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Records the figures of a batch that is on the disk. Only the holder of the committer calls this.
    pub(super) fn record_batch(&self, batch: &BatchRange, bytes: usize, took_ns: u64) {
        self.commit_time.record(took_ns / 1000);
        self.figures.record(batch, bytes, took_ns);
    }

    pub(super) fn figures(&self) -> &Figures {
        &self.figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_segment_is_needed_soon_well_before_new_work_is_refused() {
        const MIB: u64 = 1024 * 1024;
        let shared = Shared::new(Lsn(0), 8 * MIB, None, Box::new(|_| ()));
        let after = |room_bytes| {
            shared.set_room(room_bytes);
            let is_soon = shared.is_next_needed_soon(64 * MIB);
            (is_soon, shared.is_accepting())
        };
        assert_eq!(after(64 * MIB), (false, true));
        assert_eq!(after(49 * MIB), (false, true));
        assert_eq!(after(48 * MIB), (true, true));
        assert_eq!(after(33 * MIB), (true, true));
        assert_eq!(after(32 * MIB), (true, false));
    }
}
