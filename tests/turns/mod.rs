//! Workers that commit at the end of their turns: nobody waits for ever, whoever commits.

use std::future::Future;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use flashsale::env::{SeededEntropy, SimulatedDisk, SystemClock};
use flashsale::journal::{
    CommitWaiters, Durability, Journal, JournalError, Opening, Options, Tools,
};
use flashsale::record::Record;
use flashsale::types::{Lsn, SaleId, Timestamp};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::{spawn_local, yield_now};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// An empty journal on a disk whose commits take no time, in segments of a few batches each.
fn quick_journal() -> Arc<Journal> {
    let disk = Arc::new(SimulatedDisk::new());
    let opening = Opening::lock(disk, Path::new("/journal")).expect("an empty disk");
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

#[test]
fn every_waiter_is_answered() {
    const TASKS: usize = 8;
    const RECORDS: usize = 1_500;
    let journal = quick_journal();
    let buyers = |journal: Arc<Journal>| {
        worker(|| async move {
            let waiters = CommitWaiters::new(Arc::clone(&journal));
            spawn_local(Rc::clone(&waiters).drive());
            let tasks: Vec<_> = (0..TASKS)
                .map(|task| {
                    let (journal, waiters) = (Arc::clone(&journal), Rc::clone(&waiters));
                    spawn_local(async move {
                        for record in 0..RECORDS {
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
            let journal = Arc::clone(&journal);
            thread::spawn(move || buyers(journal))
        })
        .collect();
    // A thread that is no worker, meanwhile.
    for _ in 0..RECORDS / 10 {
        journal.wait(append(&journal)).expect("the disk works");
    }
    for worker in workers {
        worker.join().expect("no worker panics");
    }
    assert_eq!(journal.status().records, journal.durable().0);
}

#[test]
fn records_that_a_worker_leaves_behind_are_committed() {
    let journal = quick_journal();
    for _ in 0..200 {
        let left = thread::scope(|scope| {
            let leaving = scope.spawn(|| {
                let mut left = Lsn::ZERO;
                worker(|| async {
                    let waiters = CommitWaiters::new(Arc::clone(&journal));
                    spawn_local(Rc::clone(&waiters).drive());
                    yield_now().await;
                    // The turn that would commit it does not come to its end.
                    left = append(&journal);
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
