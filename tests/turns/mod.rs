//! Workers that commit at the end of their turns: nobody waits for ever, whoever commits.

use std::future::Future;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use flashsale::env::{Disk, RealDisk, SeededEntropy, SimulatedDisk, SystemClock};
use flashsale::journal::{
    CommitWaiters, Durability, Journal, JournalError, Opening, Options, Tools,
};
use flashsale::record::{Entry, Record};
use flashsale::types::{Lsn, SaleId, Timestamp};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::{spawn_local, yield_now};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// An empty journal on a simulated disk, in segments of a few batches each. Workers write by themselves, or commits take
/// no time.
fn simulated_journal(workers_write: bool) -> Arc<Journal> {
    let disk = SimulatedDisk::new();
    if workers_write {
        disk.write_asynchronously();
    }
    journal_on(Arc::new(disk), Path::new("/journal"))
}

fn journal_on(disk: Arc<dyn Disk>, dir: &Path) -> Arc<Journal> {
    let opening = Opening::lock(disk, dir).expect("an empty disk");
    let replayed = opening
        .replay(Lsn::ZERO, &mut |_| Ok::<(), JournalError>(()))
        .expect("nothing to replay");
    let options = Options {
        durability: Durability::Fsync,
        segment_bytes: 32 * 1024,
    };
    let tools = Tools {
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SeededEntropy::new(3)),
        fail_stop: Box::new(|error| panic!("{error}")),
    };
    Arc::new(
        opening
            .start(&replayed, &options, tools)
            .expect("it starts"),
    )
}

fn append(journal: &Journal) -> Lsn {
    while journal.admit().is_err() {
        thread::yield_now();
    }
    journal.append(Timestamp(1), &Record::SaleClosed { sale: SaleId(1) })
}

/// Runs `work` on a runtime like that of a worker of the server.
fn worker<F: Future<Output = ()>>(work: impl FnOnce() -> F) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .expect("a runtime");
    runtime.block_on(async { work().await });
}

const RECORDS: usize = 1_500;

#[test]
fn every_waiter_is_answered() {
    answer_every_waiter(&simulated_journal(false), RECORDS);
}

#[test]
fn every_waiter_is_answered_where_workers_write() {
    answer_every_waiter(&simulated_journal(true), RECORDS);
}

/// By the ring and past the cache, where the build's disk and the kernel have both.
#[test]
fn every_waiter_is_answered_on_a_real_disk() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("room");
    let journal = journal_on(Arc::new(RealDisk), dir.path());
    answer_every_waiter(&journal, RECORDS / 10);
    let last = journal.durable();
    journal.close();
    let mut read = Lsn::ZERO;
    let mut visit = |entry: Entry<'_>| {
        read = read.next();
        assert_eq!(entry.lsn, read);
        Ok::<(), JournalError>(())
    };
    let opening = Opening::lock(Arc::new(RealDisk), dir.path()).expect("it is closed");
    opening.replay(Lsn::ZERO, &mut visit).expect("intact");
    assert_eq!(read, last);
}

fn answer_every_waiter(journal: &Arc<Journal>, records: usize) {
    const TASKS: usize = 8;
    let buyers = move |journal: Arc<Journal>| {
        worker(|| async move {
            let waiters = CommitWaiters::new(Arc::clone(&journal));
            spawn_local(Rc::clone(&waiters).drive());
            let tasks: Vec<_> = (0..TASKS)
                .map(|task| {
                    let (journal, waiters) = (Arc::clone(&journal), Rc::clone(&waiters));
                    spawn_local(async move {
                        for record in 0..records {
                            let lsn = append(&journal);
                            let durable = timeout(PATIENCE, waiters.durable(lsn)).await;
                            durable.expect("somebody commits").expect("the disk works");
                            if (record + task) % 7 == 0 {
                                yield_now().await;
                            }
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("no task panics");
            }
        });
    };
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let journal = Arc::clone(journal);
            thread::spawn(move || buyers(journal))
        })
        .collect();
    // A thread that is no worker, meanwhile.
    for _ in 0..records / 10 {
        journal.wait(append(journal)).expect("the disk works");
    }
    for worker in workers {
        worker.join().expect("no worker panics");
    }
    // Who published the last batch may not have counted it yet.
    journal.close();
    assert_eq!(journal.status().records, journal.durable().0);
}

#[test]
fn records_that_a_worker_leaves_behind_are_committed() {
    leave_behind(&simulated_journal(false));
}

#[test]
fn a_write_that_a_worker_leaves_on_its_way_is_finished() {
    leave_behind(&simulated_journal(true));
}

fn leave_behind(journal: &Arc<Journal>) {
    for attempt in 0..200 {
        let left = thread::scope(|scope| {
            let leaving = scope.spawn(|| {
                let mut left = Lsn::ZERO;
                worker(|| async {
                    let waiters = CommitWaiters::new(Arc::clone(journal));
                    spawn_local(Rc::clone(&waiters).drive());
                    yield_now().await;
                    // The turn that would commit it does not come to its end, or the write does not.
                    left = append(journal);
                    for _ in 0..attempt % 3 {
                        yield_now().await;
                    }
                });
                left
            });
            leaving.join().expect("it ends")
        });
        let deadline = Instant::now() + PATIENCE;
        while journal.durable() < left {
            assert!(Instant::now() < deadline, "nobody commits {left}");
            thread::yield_now();
        }
    }
}
