//! Workers that write by themselves: what disks do to a write that is on its way.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flashsale::env::{ManualClock, SimulatedDisk, splitmix64};
use flashsale::journal::{CommitWaiters, Journal, JournalFailed, NotAdmitted};
use flashsale::types::{Lsn, Timestamp};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::{JoinHandle, spawn_local, yield_now};
use tokio::time::timeout;

use crate::journal_damage::fixture::{append, eventually, open, open_at, recover};

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `work` on a worker of `journal`, which writes by itself.
fn on_worker<T>(journal: &Arc<Journal>, work: impl AsyncFnOnce(Rc<CommitWaiters>) -> T) -> T {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .expect("a runtime");
    runtime.block_on(async {
        let waiters = CommitWaiters::new(Arc::clone(journal));
        spawn_local(Rc::clone(&waiters).drive());
        yield_now().await;
        work(waiters).await
    })
}

fn asynchronous() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    disk.write_asynchronously();
    disk
}

fn wait(waiters: &Rc<CommitWaiters>, lsn: Lsn) -> JoinHandle<Result<(), JournalFailed>> {
    let waiters = Rc::clone(waiters);
    spawn_local(async move {
        let waited = timeout(PATIENCE, waiters.durable(lsn)).await;
        waited.expect("somebody commits")
    })
}

/// Cuts the power again and again, in any state of a write.
fn cut_power_repeatedly(seed: u64) {
    let mut random = seed;
    let mut disk = asynchronous();
    for cut in 0..20 {
        let journal = open(&disk, &Arc::default())
            .unwrap_or_else(|error| panic!("seed {seed}, after {cut} cuts: {error}"));
        let journal = Arc::new(journal);
        let first = journal.durable().0 + 1;
        let appended = first + splitmix64(&mut random) % 25;
        let (cut_off, confirmed) = on_worker(&journal, async |waiters| {
            for number in first..appended {
                // It is this thread that writes, so it must not wait with what blocks it.
                while journal.admit() == Err(NotAdmitted::Overloaded) {
                    yield_now().await;
                }
                let lsn = append(&journal, number);
                match splitmix64(&mut random) % 4 {
                    0 => wait(&waiters, lsn)
                        .await
                        .expect("no panic")
                        .expect("the disk works"),
                    1 => yield_now().await,
                    _ => {}
                }
            }
            for _ in 0..splitmix64(&mut random) % 4 {
                yield_now().await;
            }
            let confirmed = journal.durable();
            (disk.crash(splitmix64(&mut random)), confirmed)
        });
        disk = cut_off;
        disk.write_asynchronously();
        let replayed =
            recover(&disk).unwrap_or_else(|error| panic!("seed {seed}, cut {cut}: {error}"));
        let found = replayed.last_lsn;
        assert!(
            found >= confirmed,
            "seed {seed}, cut {cut}: {confirmed} was confirmed"
        );
        assert!(found.0 < appended, "seed {seed}, cut {cut}");
    }
}

#[test]
fn what_was_confirmed_survives_every_power_cut() {
    (0..30).for_each(cut_power_repeatedly);
}

/// Writes until `inject`ed faults end it; nothing is confirmed afterwards.
fn fail_stop_after(inject: impl Fn(&SimulatedDisk)) {
    let (disk, failures) = (asynchronous(), Arc::new(AtomicU32::new(0)));
    let journal = Arc::new(open(&disk, &failures).expect("an empty disk is fine"));
    inject(&disk);
    let confirmed = on_worker(&journal, async |waiters| {
        let mut confirmed = Lsn::ZERO;
        loop {
            let lsn = append(&journal, confirmed.0 + 1);
            match wait(&waiters, lsn).await.expect("no panic") {
                Ok(()) => confirmed = lsn,
                Err(_) => break,
            }
            assert!(confirmed < Lsn(500), "the fault never came");
        }
        let lost = append(&journal, confirmed.0 + 2);
        assert!(wait(&waiters, lost).await.expect("no panic").is_err());
        confirmed
    });
    journal.close();
    assert_eq!(failures.load(Ordering::SeqCst), 1);
    for seed in 0..5 {
        let replayed = recover(&disk.crash(seed)).expect("a power cut is no damage");
        assert!(replayed.last_lsn >= confirmed, "seed {seed}");
        assert!(replayed.last_lsn.0 < confirmed.0 + 2, "seed {seed}");
    }
}

#[test]
fn a_failed_sync_ends_the_journal() {
    for count in 0..40 {
        fail_stop_after(|disk| disk.fail_sync_after(count));
    }
}

#[test]
fn a_failed_write_ends_the_journal() {
    for count in 0..40 {
        fail_stop_after(|disk| disk.fail_write_after(count));
    }
}

#[test]
fn a_write_that_comes_back_short_is_repeated_whole() {
    let (disk, failures) = (asynchronous(), Arc::new(AtomicU32::new(0)));
    let journal = Arc::new(open(&disk, &failures).expect("an empty disk is fine"));
    let half = on_worker(&journal, async |waiters| {
        let durable = wait(&waiters, append(&journal, 1)).await;
        durable.expect("no panic").expect("the disk works");
        disk.hold_syncs(true);
        disk.cut_next_write_short();
        let waiting = wait(&waiters, append(&journal, 2));
        while journal.status().pending_bytes > 0 {
            yield_now().await;
        }
        let behind = wait(&waiters, append(&journal, 3));
        yield_now().await;
        assert_eq!(journal.durable(), Lsn(1));
        let half = disk.crash(1);
        disk.hold_syncs(false);
        for waiting in [waiting, behind] {
            assert_eq!(waiting.await.expect("no panic"), Ok(()));
        }
        half
    });
    journal.close();
    assert_eq!(failures.load(Ordering::SeqCst), 0);
    assert_eq!(recover(&half).expect("a batch is torn").last_lsn, Lsn(1));
    assert_eq!(recover(&disk).expect("intact").last_lsn, Lsn(3));
}

/// The committer's thread waits for room in the worker's place.
#[test]
fn a_write_that_finds_no_room_is_repeated_when_there_is_some() {
    let fill: [fn(&SimulatedDisk, bool); 2] = [
        |disk, full| disk.set_capacity_bytes(full.then_some(0)),
        |disk, full| disk.fail_syncs_for_room(full),
    ];
    for fill in fill {
        let (disk, failures) = (asynchronous(), Arc::new(AtomicU32::new(0)));
        disk.copy_on_write();
        let journal = Arc::new(open(&disk, &failures).expect("there is room"));
        eventually("the next segment is prepared", || journal.has_headroom());
        on_worker(&journal, async |waiters| {
            let durable = wait(&waiters, append(&journal, 1)).await;
            durable.expect("no panic").expect("there is room");
            fill(&disk, true);
            let waiting = wait(&waiters, append(&journal, 2));
            while !journal.status().disk_full {
                yield_now().await;
            }
            let behind = wait(&waiters, append(&journal, 3));
            yield_now().await;
            assert_eq!(journal.durable(), Lsn(1));
            fill(&disk, false);
            for waiting in [waiting, behind] {
                assert_eq!(waiting.await.expect("no panic"), Ok(()));
            }
        });
        journal.close();
        assert_eq!(failures.load(Ordering::SeqCst), 0);
        assert_eq!(recover(&disk).expect("intact").last_lsn, Lsn(3));
    }
}

#[test]
fn a_write_that_does_not_come_back_is_a_stall_until_it_does() {
    let (disk, failures) = (asynchronous(), Arc::new(AtomicU32::new(0)));
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1)));
    let journal = Arc::new(open_at(&disk, &failures, &clock).expect("there is room"));
    eventually("the next segment is prepared", || journal.has_headroom());
    on_worker(&journal, async |waiters| {
        disk.hold_syncs(true);
        let waiting = wait(&waiters, append(&journal, 1));
        while journal.status().pending_bytes > 0 {
            yield_now().await;
        }
        clock.advance_us(9_000_000);
        assert_eq!(journal.stalled(), None);
        clock.advance_us(2_000_000);
        assert!(journal.stalled().is_some());
        assert_eq!(journal.durable(), Lsn::ZERO);
        disk.hold_syncs(false);
        assert_eq!(waiting.await.expect("no panic"), Ok(()));
        assert_eq!(journal.stalled(), None);
    });
    journal.close();
    assert_eq!(failures.load(Ordering::SeqCst), 0);
}
