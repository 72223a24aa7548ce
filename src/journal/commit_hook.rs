//! The hook by which a worker's thread commits what it appends. A worker works off the requests that are ready, and
//! what they have enqueued is committed once at the end of its turn, instead of waking the committer's thread at the
//! first record.
//!
//! The hook is found through a thread-local and not handed to the engine's calls: it is needed once a batch, by
//! whichever call enqueues the first record of one, and a parameter would go through every decision of the engine and
//! each of their hundreds of callers, most of which are not workers.

use std::cell::RefCell;
use std::ptr;
use std::sync::Arc;
use std::task::Waker;

use super::shared::Shared;

/// The hook that a worker's thread has installed.
struct Installed {
    journal: Arc<Shared>,
    /// Wakes the task that commits at the end of the turn.
    turn_end: Waker,
}

thread_local! {
    static INSTALLED: RefCell<Option<Installed>> = const { RefCell::new(None) };
}

/// A thread's promise to commit what it appends to a journal, for as long as this lives.
pub(super) struct CommitHook {
    journal: Arc<Shared>,
}

impl CommitHook {
    /// Installs the hook on the calling thread: whenever the thread has appended to `journal`, `turn_end` is woken.
    pub(super) fn install(journal: Arc<Shared>, turn_end: &Waker) -> Self {
        INSTALLED.set(Some(Installed {
            journal: Arc::clone(&journal),
            turn_end: turn_end.clone(),
        }));
        Self { journal }
    }
}

impl Drop for CommitHook {
    fn drop(&mut self) {
        let removed = INSTALLED.with_borrow_mut(|installed| {
            installed.take_if(|installed| Arc::ptr_eq(&installed.journal, &self.journal))
        });
        drop(removed);
        // What was enqueued in a turn that did not come to its end.
        self.journal.wake_committer();
    }
}

/// Schedules a commit of `journal` at the end of the current worker turn. Returns `false` on threads that are not
/// workers of this journal.
pub(super) fn schedule_commit(journal: &Shared) -> bool {
    INSTALLED.with_borrow(|installed| match installed {
        Some(installed) if ptr::eq(Arc::as_ptr(&installed.journal), journal) => {
            installed.turn_end.wake_by_ref();
            true
        }
        _ => false,
    })
}
