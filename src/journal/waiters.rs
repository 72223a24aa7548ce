//! The requests of one worker that wait for their record to be durable.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::commit_hook::CommitHook;
use super::error::JournalFailed;
use super::progress::CommitListener;
use super::{AfterTurn, Journal};
use crate::env::AsyncWriter;
use crate::types::Lsn;

/// A worker's waiting requests, in the order of their records. At the end of every turn in which the
/// worker has enqueued records, [`Self::drive`] sees to it that they are committed; once they are
/// durable it wakes all who wait for them, on the worker's own thread.
pub struct CommitWaiters {
    journal: Arc<Journal>,
    listener: Arc<CommitListener>,
    waiting: RefCell<VecDeque<(Lsn, Waker)>>,
    driver: OnceCell<Waker>,
}

/// A worker's own way to write: what it writes with, and whether it waits for that.
struct OwnWrites {
    journal: Arc<Journal>,
    writer: Option<Box<dyn AsyncWriter>>,
    is_writing: bool,
}

impl OwnWrites {
    fn new(journal: Arc<Journal>) -> Self {
        Self {
            writer: journal.async_writer(),
            journal,
            is_writing: false,
        }
    }

    /// Ends the write that is done, and commits what has gathered. Returns whether this is to be called again behind the
    /// tasks that are ready by then.
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        if self.is_writing
            && let Some(writer) = &mut self.writer
        {
            let Poll::Ready(written) = writer.poll_written(context) else {
                return false;
            };
            self.is_writing = false;
            if self.journal.finish_commit(written) == AfterTurn::Rest {
                return false;
            }
        }
        let writer = self.writer.as_deref_mut();
        match self.journal.commit_pending(writer) {
            AfterTurn::Rest => false,
            AfterTurn::Again => true,
            AfterTurn::Await => {
                self.is_writing = true;
                // Registers the task.
                self.poll(context)
            }
        }
    }
}

impl Drop for OwnWrites {
    fn drop(&mut self) {
        if self.is_writing
            && let Some(writer) = &mut self.writer
        {
            let written = writer.wait_written();
            if self.journal.finish_commit(written) == AfterTurn::Again {
                self.journal.shared().wake_committer();
            }
        }
    }
}

impl CommitWaiters {
    /// Creates the waiters of the calling worker.
    #[must_use]
    pub fn new(journal: Arc<Journal>) -> Rc<Self> {
        let listener = Arc::new(CommitListener::default());
        journal.progress().subscribe(Arc::clone(&listener));
        Rc::new(Self {
            journal,
            listener,
            waiting: RefCell::default(),
            driver: OnceCell::new(),
        })
    }

    /// Returns the result of [`Self::durable`]; `None` while it would suspend.
    ///
    /// # Errors
    /// Those of [`Self::durable`].
    #[must_use]
    pub fn settled(&self, lsn: Lsn) -> Option<Result<(), JournalFailed>> {
        match self.journal.progress().reached(lsn) {
            Some(Ok(())) if !self.journal.is_certain() => Some(Err(JournalFailed)),
            reached => reached,
        }
    }

    /// Suspends until `lsn` is durable.
    ///
    /// A waiter that is dropped leaves its waker behind until the batch comes; that wakes a task for
    /// nothing at most.
    ///
    /// # Errors
    /// The journal failed before, or what a start has found is not certain to be on the disk yet: an answer
    /// that is given again could rest on a record that the next power cut takes.
    pub fn durable(&self, lsn: Lsn) -> impl Future<Output = Result<(), JournalFailed>> + '_ {
        poll_fn(move |context| match self.settled(lsn) {
            Some(settled) => Poll::Ready(settled),
            None => {
                self.enqueue(lsn, context);
                Poll::Pending
            }
        })
    }

    /// Commits, and wakes the waiters, a whole batch at a time, for as long as it is polled. Without it
    /// nobody is woken: spawn it once per worker.
    pub async fn drive(self: Rc<Self>) {
        // Ends with this future, also where another task still has the waiters.
        let mut hook = None;
        let mut own_writes = OwnWrites::new(Arc::clone(&self.journal));
        poll_fn(|context| {
            // A task's waker stays good for its whole life.
            let waker = self.driver.get_or_init(|| context.waker().clone());
            hook.get_or_insert_with(|| {
                self.listener.listen(waker);
                CommitHook::install(Arc::clone(self.journal.shared()), waker)
            });
            if own_writes.poll(context) {
                waker.wake_by_ref();
            }
            self.release();
            Poll::<()>::Pending
        })
        .await;
    }

    /// Returns the number of requests that wait at the moment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Returns whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    fn enqueue(&self, lsn: Lsn, context: &Context<'_>) {
        let mut waiting = self.waiting.borrow_mut();
        let place = match waiting.back() {
            Some((last, _)) if *last > lsn => waiting.partition_point(|(other, _)| *other <= lsn),
            _ => waiting.len(),
        };
        waiting.insert(place, (lsn, context.waker().clone()));
        // For all behind the first, `drive` has requested a wake-up already, or is about to.
        if place == 0
            && let Some(driver) = self.driver.get()
        {
            driver.wake_by_ref();
        }
    }

    fn release(&self) {
        let progress = self.journal.progress();
        let mut waiting = self.waiting.borrow_mut();
        while let Some((lsn, _)) = waiting.front() {
            if progress.reached(*lsn).is_none() && !self.listener.request_wake(progress, *lsn) {
                return;
            }
            if let Some((_, waker)) = waiting.pop_front() {
                waker.wake();
            }
        }
    }
}
