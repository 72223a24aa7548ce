//! A disk that copies on write and is full, and one that does not answer.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use flashsale::env::{ManualClock, SimulatedDisk};
use flashsale::journal::{CommitWaiters, Journal, NotAdmitted};
use flashsale::types::{Lsn, Timestamp};

use crate::journal_damage::fixture::{append, eventually, open, open_at, recover};

/// A journal on a disk that copies on write, with records up to `last`, and a count of its failures.
fn copying(last: u64) -> (SimulatedDisk, Journal, Arc<AtomicU32>) {
    let (disk, failures) = (SimulatedDisk::new(), Arc::new(AtomicU32::new(0)));
    disk.copy_on_write();
    let journal = open(&disk, &failures).expect("there is room");
    write(&journal, 1, last);
    eventually("the next segment is prepared", || journal.has_headroom());
    (disk, journal, failures)
}

fn write(journal: &Journal, first: u64, last: u64) {
    for number in first..=last {
        journal
            .wait(append(journal, number))
            .expect("there is room");
    }
}

#[test]
fn a_full_copy_on_write_disk_refuses_and_goes_on_by_itself() {
    let (disk, journal, failures) = copying(3);
    disk.set_capacity_bytes(Some(0));
    let waiting = append(&journal, 4);
    eventually("the write finds no room", || journal.status().disk_full);
    assert_eq!(journal.admit(), Err(NotAdmitted::NotWritable));
    // What was decided before that was known.
    let behind = append(&journal, 5);
    for seed in 0..5 {
        // Half a frame is on the disk; the rest of a short one is zeros.
        let found = recover(&disk.crash(seed)).expect("a full disk is no damage");
        assert!([Lsn(3), Lsn(4)].contains(&found.last_lsn), "seed {seed}");
    }
    assert_eq!(journal.durable(), Lsn(3));

    disk.set_capacity_bytes(None);
    assert_eq!(journal.wait(waiting), Ok(()));
    assert_eq!(journal.wait(behind), Ok(()));
    eventually("new work is taken", || journal.admit().is_ok());
    write(&journal, 6, 60);
    journal.close();
    assert_eq!(failures.load(Ordering::SeqCst), 0);
    assert_eq!(recover(&disk).expect("intact").last_lsn, Lsn(60));
}

#[test]
fn a_record_without_room_until_the_end_is_not_reported_as_written() {
    let (disk, journal, failures) = copying(3);
    disk.set_capacity_bytes(Some(0));
    let lost = append(&journal, 4);
    eventually("the write finds no room", || journal.status().disk_full);
    journal.close();
    assert!(journal.wait(lost).is_err());
    assert_eq!(failures.load(Ordering::SeqCst), 1);
}

/// The kernel may have dropped what it could not write: a second sync alone would succeed, and prove nothing.
#[test]
fn a_frame_whose_sync_finds_no_room_is_written_again() {
    let (disk, journal, failures) = copying(3);
    disk.fail_syncs_for_room(true);
    let waiting = append(&journal, 4);
    eventually("the sync finds no room", || journal.status().disk_full);
    assert_eq!(recover(&disk.crash(1)).expect("intact").last_lsn, Lsn(3));
    disk.fail_syncs_for_room(false);
    assert_eq!(journal.wait(waiting), Ok(()));
    assert_eq!(recover(&disk.crash(2)).expect("intact").last_lsn, Lsn(4));
    write(&journal, 5, 60);
    journal.close();
    assert_eq!(failures.load(Ordering::SeqCst), 0);
    assert_eq!(recover(&disk).expect("intact").last_lsn, Lsn(60));
}

/// What a start has folded into memory must not be lost by a sync that failed then.
#[test]
fn an_end_whose_sync_finds_no_room_is_written_again() {
    let (disk, journal, failures) = copying(3);
    journal.close();
    disk.fail_syncs_for_room(true);
    let _ = open(&disk, &failures)
        .map(drop)
        .expect_err("what was found cannot be synced");
    disk.fail_syncs_for_room(false);
    disk.set_capacity_bytes(Some(0));
    let journal = open(&disk, &failures).expect("it can be read");
    disk.fail_syncs_for_room(true);
    disk.set_capacity_bytes(None);
    std::thread::sleep(Duration::from_millis(500));
    assert!(!journal.is_settled());
    disk.fail_syncs_for_room(false);
    eventually("it is settled", || journal.is_settled());
    journal.close();
    assert_eq!(recover(&disk.crash(1)).expect("intact").last_lsn, Lsn(3));
}

#[test]
fn a_start_on_a_full_copy_on_write_disk_settles_when_there_is_room() {
    let (disk, journal, failures) = copying(3);
    journal.close();
    disk.set_capacity_bytes(Some(0));
    for _ in 0..2 {
        let journal = open(&disk, &failures).expect("it can be read");
        assert_eq!(journal.admit(), Err(NotAdmitted::NotWritable));
        assert!(journal.status().disk_full && !journal.is_settled());
        // Nothing was lost, so nothing is to be said.
        journal.close();
    }
    let journal = open(&disk, &failures).expect("it can be read");
    disk.set_capacity_bytes(None);
    eventually("it is settled", || journal.is_settled());
    eventually("new work is taken", || journal.admit().is_ok());
    write(&journal, 4, 60);
    journal.close();
    assert_eq!(failures.load(Ordering::SeqCst), 0);
    assert_eq!(recover(&disk).expect("intact").last_lsn, Lsn(60));
}

/// Or a power cut would leave a snapshot behind the end of the journal.
#[test]
fn nothing_rests_on_an_end_that_is_not_settled() {
    let (disk, journal, failures) = copying(3);
    journal.close();
    disk.set_capacity_bytes(Some(0));
    let journal = Arc::new(open(&disk, &failures).expect("it can be read"));
    let housekeeping = Arc::clone(&journal);
    let waiter = std::thread::spawn(move || housekeeping.wait_until_sealed(0, Duration::ZERO));
    // The committer has looked for room in vain at least twice by then.
    std::thread::sleep(Duration::from_millis(500));
    assert!(!waiter.is_finished());
    disk.set_capacity_bytes(None);
    assert!(waiter.join().expect("no panic").is_some());
    assert!(journal.is_settled());
}

/// A request that was decided before the start is answered again without a new record.
#[test]
fn no_answer_is_given_again_from_an_end_that_is_not_settled() {
    let (disk, journal, failures) = copying(3);
    journal.close();
    disk.set_capacity_bytes(Some(0));
    let journal = Arc::new(open(&disk, &failures).expect("it can be read"));
    let waiters = CommitWaiters::new(Arc::clone(&journal));
    let tell = || {
        let mut context = Context::from_waker(Waker::noop());
        std::pin::pin!(waiters.durable(Lsn(3))).poll(&mut context)
    };
    assert!(!journal.is_settled());
    assert!(matches!(tell(), Poll::Ready(Err(_))));
    disk.set_capacity_bytes(None);
    eventually("it is settled", || journal.is_settled());
    assert!(matches!(tell(), Poll::Ready(Ok(()))));
}

#[test]
fn a_sync_that_does_not_come_back_is_a_stall_until_it_does() {
    let (disk, failures) = (SimulatedDisk::new(), Arc::new(AtomicU32::new(0)));
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1)));
    let journal = open_at(&disk, &failures, &clock).expect("there is room");
    write(&journal, 1, 1);
    eventually("the next segment is prepared", || journal.has_headroom());
    disk.hold_syncs(true);
    let waiting = append(&journal, 2);
    eventually("it is on its way", || journal.status().pending_bytes == 0);
    clock.advance_us(9_000_000);
    assert_eq!(journal.stalled(), None);
    // The commit may have begun behind the first of these.
    eventually("it has stalled", || {
        clock.advance_us(1_000_000);
        journal.stalled().is_some()
    });
    assert!(journal.status().stalled);
    assert_eq!(journal.durable(), Lsn(1));
    disk.hold_syncs(false);
    assert_eq!(journal.wait(waiting), Ok(()));
    eventually("it is over", || journal.stalled().is_none());
    journal.close();
    assert_eq!(failures.load(Ordering::SeqCst), 0);
}
