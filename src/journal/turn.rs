//! A worker's turn: it works off the requests that are ready, and what they have enqueued is
//! committed once at the end, instead of waking the committer at the first record.

use std::cell::RefCell;
use std::ptr;
use std::sync::Arc;
use std::task::Waker;

use super::shared::Shared;

/// The worker on a thread: whose journal it serves, and how its turn's end is called for.
struct Worker {
    journal: *const Shared,
    end: Waker,
}

thread_local! {
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

/// A thread's promise to commit what it appends to a journal, for as long as this lives.
pub(super) struct Turn {
    journal: Arc<Shared>,
}

impl Turn {
    /// From now on the calling thread commits what it appends to `journal`: whenever it has, `end` is
    /// woken.
    pub(super) fn begin(journal: Arc<Shared>, end: &Waker) -> Self {
        WORKER.set(Some(Worker {
            journal: Arc::as_ptr(&journal),
            end: end.clone(),
        }));
        Self { journal }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        WORKER.with_borrow_mut(|worker| {
            worker.take_if(|worker| ptr::eq(worker.journal, Arc::as_ptr(&self.journal)));
        });
        // What was enqueued in a turn that did not come to its end.
        self.journal.wake_committer();
    }
}

/// Whether this thread will commit what it appends to `journal`, which it is told hereby.
pub(super) fn will_commit(journal: &Shared) -> bool {
    WORKER.with_borrow(|worker| match worker {
        Some(worker) if ptr::eq(worker.journal, journal) => {
            worker.end.wake_by_ref();
            true
        }
        _ => false,
    })
}
