//! The requests of one worker that wait for their record to be durable.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Journal;
use super::error::JournalFailed;
use super::progress::Listener;
use crate::types::Lsn;

/// A worker's waiting requests, in the order of their records. The committer wakes the worker once
/// a batch; [`Self::drive`] then wakes, on the worker's own thread, all whose records are durable.
pub struct CommitWaiters {
    journal: Arc<Journal>,
    listener: Arc<Listener>,
    waiting: RefCell<VecDeque<(Lsn, Waker)>>,
}

impl CommitWaiters {
    /// The waiters of the calling worker.
    #[must_use]
    pub fn new(journal: Arc<Journal>) -> Rc<Self> {
        let listener = Arc::new(Listener::default());
        journal.progress().subscribe(Arc::clone(&listener));
        Rc::new(Self {
            journal,
            listener,
            waiting: RefCell::default(),
        })
    }

    /// Suspends until `lsn` is durable.
    ///
    /// A waiter that is dropped leaves its waker behind until the batch comes; that wakes a task for
    /// nothing at most.
    ///
    /// # Errors
    /// The journal failed before.
    pub fn durable(&self, lsn: Lsn) -> impl Future<Output = Result<(), JournalFailed>> + '_ {
        poll_fn(move |context| match self.journal.progress().reached(lsn) {
            Some(reached) => Poll::Ready(reached),
            None => {
                self.enqueue(lsn, context);
                Poll::Pending
            }
        })
    }

    /// Wakes the waiters, a whole batch at a time, for as long as it is polled. Without it nobody
    /// is woken: spawn it once per worker.
    pub async fn drive(self: Rc<Self>) {
        poll_fn(|context| {
            self.listener.listen(context.waker());
            self.release();
            Poll::<()>::Pending
        })
        .await;
    }

    /// Requests that wait at the moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    // The committer publishes first and wakes the worker afterwards, and `drive` runs on this same
    // thread. So a batch that becomes durable between the look at `reached` and this is seen by
    // the run of `drive` that its wake-up causes.
    fn enqueue(&self, lsn: Lsn, context: &Context<'_>) {
        let mut waiting = self.waiting.borrow_mut();
        let place = match waiting.back() {
            Some((last, _)) if *last > lsn => waiting.partition_point(|(other, _)| *other <= lsn),
            _ => waiting.len(),
        };
        waiting.insert(place, (lsn, context.waker().clone()));
    }

    fn release(&self) {
        let progress = self.journal.progress();
        let mut waiting = self.waiting.borrow_mut();
        while waiting
            .front()
            .is_some_and(|(lsn, _)| progress.reached(*lsn).is_some())
        {
            if let Some((_, waker)) = waiting.pop_front() {
                waker.wake();
            }
        }
    }
}
