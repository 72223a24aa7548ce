//! A worker's turn: it works off the requests that are ready, and what they have enqueued is
//! committed once at the end, instead of waking the committer at the first record.

use std::cell::RefCell;
use std::ptr;
use std::task::Waker;

use super::shared::Shared;

/// The worker on this thread: whose journal it serves, and how its turn's end is called for.
struct Turn {
    journal: *const Shared,
    end: Waker,
}

thread_local! {
    static TURN: RefCell<Option<Turn>> = const { RefCell::new(None) };
}

/// From now on this thread commits what it appends to `journal`: whenever it has, `end` is woken.
pub(super) fn begin(journal: &Shared, end: &Waker) {
    TURN.set(Some(Turn {
        journal: ptr::from_ref(journal),
        end: end.clone(),
    }));
}

/// This thread does so no more.
pub(super) fn stop(journal: &Shared) {
    TURN.with_borrow_mut(|turn| {
        turn.take_if(|turn| ptr::eq(turn.journal, journal));
    });
}

/// Whether this thread will commit what it appends to `journal`, which it is told hereby.
pub(super) fn will_commit(journal: &Shared) -> bool {
    TURN.with_borrow(|turn| match turn {
        Some(turn) if ptr::eq(turn.journal, journal) => {
            turn.end.wake_by_ref();
            true
        }
        _ => false,
    })
}
