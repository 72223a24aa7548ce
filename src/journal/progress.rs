//! The durable LSN, and the wake-ups of those who wait for it.

use std::sync::Arc;
use std::task::Waker;

use super::error::JournalFailed;
use crate::planted::{Slip, is_planted};
use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, Ordering, fence};
use crate::types::Lsn;

/// The durable LSN, published by the committer and followed by everybody else.
#[derive(Default)]
pub struct CommitProgress {
    durable: AtomicU64,
    failed: AtomicBool,
    listeners: Mutex<Vec<Arc<CommitListener>>>,
    blocked: Mutex<()>,
    advanced: Condvar,
}

/// No wake-up is requested.
const NOTHING: u64 = u64::MAX;

/// The wake-up of one worker, however many of its requests wait. A worker is woken only on
/// request: one that is at work checks the progress itself at the end of its turn.
pub struct CommitListener {
    waker: Mutex<Option<Waker>>,
    requested: AtomicU64,
}

impl Default for CommitListener {
    fn default() -> Self {
        Self {
            waker: Mutex::default(),
            requested: AtomicU64::new(NOTHING),
        }
    }
}

impl CommitListener {
    /// Sets the waker that is woken from now on.
    pub fn listen(&self, waker: &Waker) {
        *self.waker.lock() = Some(waker.clone());
    }

    /// Requests one wake-up for when `lsn` is durable. Returns true, and requests nothing, where that is decided already.
    #[must_use]
    pub fn request_wake(&self, progress: &CommitProgress, lsn: Lsn) -> bool {
        self.requested.store(lsn.0, Ordering::Relaxed);
        // With the one in `wake_all`: here `requested` is written and then `durable` read, there `durable`
        // written and then `requested` read, so that at least one of the two sees the other.
        fence(Ordering::SeqCst);
        let reached = progress.reached(lsn).is_some();
        if reached {
            self.requested.store(NOTHING, Ordering::Relaxed);
        }
        reached
    }

    fn wake_for(&self, durable: u64) {
        let requested = self.requested.load(Ordering::Relaxed);
        let is_lost = requested != durable && is_planted(Slip::LosesWakeUps);
        let is_wanted = requested <= durable && requested != NOTHING && !is_lost;
        // Fails where the worker is awake by itself, and has requested another wake-up.
        let taken = is_wanted
            && self
                .requested
                .compare_exchange(requested, NOTHING, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if taken && let Some(waker) = &*self.waker.lock() {
            waker.wake_by_ref();
        }
    }
}

impl CommitProgress {
    /// Creates the progress of a journal that is durable up to `durable`.
    #[must_use]
    pub fn starting_at(durable: Lsn) -> Self {
        Self {
            durable: AtomicU64::new(durable.0),
            ..Self::default()
        }
    }

    /// Returns the newest durable record.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    /// Returns whether `lsn` is durable; `None` while that is open.
    #[must_use]
    pub fn reached(&self, lsn: Lsn) -> Option<Result<(), JournalFailed>> {
        if self.durable() >= lsn {
            Some(Ok(()))
        } else if self.failed.load(Ordering::Acquire) {
            Some(Err(JournalFailed))
        } else {
            None
        }
    }

    /// Adds the listener of a worker.
    pub fn subscribe(&self, listener: Arc<CommitListener>) {
        self.listeners.lock().push(listener);
    }

    /// Publishes that everything up to `durable` is on the disk. Only the holder of the committer calls
    /// this.
    pub fn publish(&self, durable: Lsn) {
        self.durable.store(durable.0, Ordering::Release);
        self.wake_all(durable.0);
    }

    /// Publishes `durable`, if it is further than what was published before. Two may not do so at the same time.
    pub(super) fn advance(&self, durable: Lsn) {
        if durable > self.durable() {
            self.publish(durable);
        }
    }

    /// Publishes that nothing will become durable any more.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.wake_all(u64::MAX);
    }

    /// Blocks the thread until `lsn` is durable.
    ///
    /// # Errors
    /// The journal failed before.
    pub fn wait(&self, lsn: Lsn) -> Result<(), JournalFailed> {
        let mut blocked = self.blocked.lock();
        loop {
            if let Some(reached) = self.reached(lsn) {
                return reached;
            }
            self.advanced.wait(&mut blocked);
        }
    }

    fn wake_all(&self, durable: u64) {
        fence(Ordering::SeqCst);
        for listener in &*self.listeners.lock() {
            listener.wake_for(durable);
        }
        // Taking the lock between the change and the notification keeps a thread that has just
        // checked and not yet begun to wait from missing it.
        drop(self.blocked.lock());
        self.advanced.notify_all();
    }
}
