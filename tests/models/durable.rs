//! Nobody who waits for a record misses that it is durable. A lost wake-up shows as a deadlock.

use std::sync::Arc;
use std::task::{Wake, Waker};

use loom::sync::Notify;
use loom::thread::{self, JoinHandle};

use crate::check;
use crate::error::JournalFailed;
use crate::progress::{CommitListener, CommitProgress};
use crate::types::Lsn;

/// What puts a worker to sleep and wakes it.
struct Alarm(Notify);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// A worker as in `journal/waiters.rs`: its driver looks what is durable, asks to be woken for what is
/// not, and the worker then sleeps until it is.
fn suspend(progress: &CommitProgress, lsn: Lsn) -> Result<(), JournalFailed> {
    let listener = Arc::new(CommitListener::default());
    progress.subscribe(Arc::clone(&listener));
    let alarm = Arc::new(Alarm(Notify::new()));
    let waker = Waker::from(Arc::clone(&alarm));
    listener.listen(&waker);
    loop {
        if let Some(reached) = progress.reached(lsn) {
            return reached;
        }
        if !listener.request_wake(progress, lsn) {
            alarm.0.wait();
        }
    }
}

fn committer(progress: &Arc<CommitProgress>, act: fn(&CommitProgress)) -> JoinHandle<()> {
    let progress = Arc::clone(progress);
    thread::spawn(move || act(&progress))
}

fn publish_two_batches(progress: &CommitProgress) {
    progress.publish(Lsn(1));
    progress.publish(Lsn(3));
}

#[test]
fn a_blocked_thread_is_woken() {
    check(3, || {
        let progress = Arc::new(CommitProgress::default());
        let committer = committer(&progress, publish_two_batches);
        assert_eq!(progress.wait(Lsn(2)), Ok(()));
        assert!(progress.durable() >= Lsn(2));
        committer.join().expect("the committer panicked");
    });
}

#[test]
fn every_blocked_thread_is_woken() {
    check(2, || {
        let progress = Arc::new(CommitProgress::default());
        let committer = committer(&progress, publish_two_batches);
        let other = {
            let progress = Arc::clone(&progress);
            thread::spawn(move || progress.wait(Lsn(1)))
        };
        assert_eq!(progress.wait(Lsn(3)), Ok(()));
        assert_eq!(other.join().expect("a waiter panicked"), Ok(()));
        committer.join().expect("the committer panicked");
    });
}

#[test]
fn a_suspended_worker_is_woken() {
    check(3, || {
        let progress = Arc::new(CommitProgress::default());
        let committer = committer(&progress, publish_two_batches);
        assert_eq!(suspend(&progress, Lsn(3)), Ok(()));
        committer.join().expect("the committer panicked");
    });
}

#[test]
fn workers_and_threads_are_woken_together() {
    check(2, || {
        let progress = Arc::new(CommitProgress::default());
        let committer = committer(&progress, |progress| progress.publish(Lsn(1)));
        let other = {
            let progress = Arc::clone(&progress);
            thread::spawn(move || suspend(&progress, Lsn(1)))
        };
        assert_eq!(progress.wait(Lsn(1)), Ok(()));
        assert_eq!(other.join().expect("a worker panicked"), Ok(()));
        committer.join().expect("the committer panicked");
    });
}

#[test]
fn a_failure_reaches_every_waiter() {
    check(3, || {
        let fails = |progress: &CommitProgress| {
            progress.publish(Lsn(1));
            progress.fail();
        };
        let progress = Arc::new(CommitProgress::default());
        let committer = committer(&progress, fails);
        assert_eq!(progress.wait(Lsn(2)), Err(JournalFailed));
        assert_eq!(progress.reached(Lsn(1)), Some(Ok(())));
        committer.join().expect("the committer panicked");

        let progress = Arc::new(CommitProgress::default());
        let committer = self::committer(&progress, fails);
        assert_eq!(suspend(&progress, Lsn(2)), Err(JournalFailed));
        committer.join().expect("the committer panicked");
    });
}
