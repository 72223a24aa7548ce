//! The requests of one worker that wait for their record to be durable. A batch is one wake-up of the worker, which
//! then polls all of its waiting requests without another one.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::task::spawn_local;

use super::commits::{Commits, Listener, OwnWrites};
use super::log::Technique;

/// A worker's waiting requests, in the order of their records.
pub struct Waiters {
    commits: Arc<Commits>,
    waiting: RefCell<VecDeque<(u64, Waker)>>,
    /// Set when the task that drives this has begun.
    driver: OnceCell<(Waker, Arc<Listener>)>,
    /// Where the worker writes by itself.
    own: RefCell<Option<OwnWrites>>,
}

impl Waiters {
    /// Creates the waiters of the calling worker, and the task that commits at the end of its turns.
    #[must_use]
    pub fn start(commits: Arc<Commits>) -> Rc<Self> {
        let own = (commits.technique() == Technique::Ring).then(OwnWrites::new);
        let own = own.flatten();
        let waiters = Rc::new(Self {
            commits,
            waiting: RefCell::default(),
            driver: OnceCell::new(),
            own: RefCell::new(own),
        });
        let driven = Rc::clone(&waiters);
        spawn_local(poll_fn(move |context| driven.drive(context)));
        waiters
    }

    /// Appends `record` and waits until it is durable.
    pub async fn commit(&self, record: &[u8]) {
        let number = self.commits.append(record);
        let mut is_waiting = false;
        poll_fn(|context| {
            if self.commits.durable() >= number {
                return Poll::Ready(());
            }
            // The waker of a task stays the same, and this one is kept until the batch comes.
            if !is_waiting {
                is_waiting = true;
                self.wait(number, context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    fn wait(&self, number: u64, waker: Waker) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty()
            && let Some((driver, _)) = self.driver.get()
        {
            driver.wake_by_ref();
        }
        waiting.push_back((number, waker));
    }

    /// Runs when the worker's ready requests are worked off, and when a batch is durable.
    fn drive(&self, context: &mut Context<'_>) -> Poll<()> {
        let (waker, listener) = self.driver.get_or_init(|| {
            let waker = context.waker().clone();
            (waker.clone(), self.commits.listen(waker))
        });
        let comes_again = match &mut *self.own.borrow_mut() {
            Some(own) => self.commits.poll_own(listener, own, context),
            None => self.commits.commit_pending(listener),
        };
        if comes_again {
            waker.wake_by_ref();
        }
        self.release();
        if !self.waiting.borrow().is_empty() {
            listener.want();
            self.release();
        }
        Poll::Pending
    }

    fn release(&self) {
        let durable = self.commits.durable();
        let mut waiting = self.waiting.borrow_mut();
        while let Some((_, waker)) = waiting.pop_front_if(|(number, _)| *number <= durable) {
            waker.wake();
        }
    }
}
