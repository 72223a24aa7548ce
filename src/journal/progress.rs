//! How far the journal is durable, and who waits for it.

use std::sync::Arc;
use std::task::Waker;

use super::error::JournalFailed;
use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, Ordering};
use crate::types::Lsn;

/// The durable LSN, published by the committer and followed by everybody else.
#[derive(Default)]
pub struct Progress {
    durable: AtomicU64,
    failed: AtomicBool,
    listeners: Mutex<Vec<Arc<Listener>>>,
    blocked: Mutex<()>,
    advanced: Condvar,
}

/// A worker's one place to be woken at: once per batch, however many of its requests wait.
#[derive(Default)]
pub struct Listener {
    waker: Mutex<Option<Waker>>,
}

impl Listener {
    /// From now on `waker` is woken after each batch.
    pub fn listen(&self, waker: &Waker) {
        let mut current = self.waker.lock();
        if !current
            .as_ref()
            .is_some_and(|current| current.will_wake(waker))
        {
            *current = Some(waker.clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.lock() {
            waker.wake_by_ref();
        }
    }
}

impl Progress {
    /// Everything up to `durable` is on the disk.
    #[must_use]
    pub fn starting_at(durable: Lsn) -> Self {
        Self {
            durable: AtomicU64::new(durable.0),
            ..Self::default()
        }
    }

    /// The newest durable record.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }

    /// Whether `lsn` is durable; `None` while that is open.
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

    /// Adds a worker that is to be woken.
    pub fn subscribe(&self, listener: Arc<Listener>) {
        self.listeners.lock().push(listener);
    }

    /// Everything up to `durable` is on the disk now. Only the committer calls this.
    pub fn publish(&self, durable: Lsn) {
        self.durable.store(durable.0, Ordering::Release);
        self.wake_all();
    }

    /// Nothing will become durable any more.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.wake_all();
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

    fn wake_all(&self) {
        for listener in &*self.listeners.lock() {
            listener.wake();
        }
        // Taking the lock between the change and the notification keeps a thread that has just
        // looked and not yet begun to wait from missing it.
        drop(self.blocked.lock());
        self.advanced.notify_all();
    }
}
