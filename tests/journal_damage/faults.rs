//! Disks that fail and disks that are full.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flashsale::env::{Disk, OpenMode, SimulatedDisk};
use flashsale::journal::{JournalError, NotAdmitted};
use flashsale::types::Lsn;

use crate::journal_damage::fixture::{
    SEGMENT_BYTES, append, contents, dir, eventually, open, path, recover,
};

/// Writes until `inject`ed faults end it; everything that was confirmed survives a power cut, and
/// nothing is confirmed afterwards.
fn fail_stop_after(inject: impl Fn(&SimulatedDisk)) {
    let (disk, failures) = (SimulatedDisk::new(), Arc::new(AtomicU32::new(0)));
    let journal = open(&disk, &failures).expect("an empty disk is fine");
    inject(&disk);
    let mut confirmed = Lsn::ZERO;
    loop {
        let lsn = append(&journal, confirmed.0 + 1);
        match journal.wait(lsn) {
            Ok(()) => confirmed = lsn,
            Err(_) => break,
        }
        assert!(confirmed < Lsn(500), "the fault never came");
    }
    assert_eq!(journal.admit(), Err(NotAdmitted::NotWritable));
    let lost = append(&journal, confirmed.0 + 2);
    assert!(journal.wait(lost).is_err());
    assert!(journal.wait(confirmed).is_ok());
    journal.close();
    assert_eq!(failures.load(Ordering::SeqCst), 1);
    assert!(journal.status().failure.is_some());
    for seed in 0..5 {
        let replayed = recover(&disk.crash(seed)).expect("a power cut is no damage");
        assert!(replayed.last_lsn >= confirmed, "seed {seed}");
        assert!(replayed.last_lsn < lost, "seed {seed}");
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
fn a_segment_that_is_replaced_by_a_copy_ends_the_journal() {
    let (disk, failures) = (SimulatedDisk::new(), Arc::new(AtomicU32::new(0)));
    let journal = open(&disk, &failures).expect("an empty disk is fine");
    assert_eq!(journal.wait(append(&journal, 1)), Ok(()));
    let copy = contents(&disk, 1);
    disk.overwrite(&path(1), copy);
    eventually("it is noticed", || journal.status().failure.is_some());
    assert_eq!(journal.admit(), Err(NotAdmitted::NotWritable));
    assert!(journal.wait(append(&journal, 2)).is_err());
    journal.close();
    assert_eq!(failures.load(Ordering::SeqCst), 1);
    assert_eq!(recover(&disk).expect("intact").last_lsn, Lsn(1));
}

#[test]
fn a_segment_is_written_by_one_journal_whatever_its_directory_is_called() {
    let disk = SimulatedDisk::new();
    let journal = open(&disk, &Arc::default()).expect("an empty disk is fine");
    assert_eq!(journal.wait(append(&journal, 1)), Ok(()));
    // Both locks are gone, as in a directory of hard links.
    disk.rename(&dir().join("lock"), &dir().join("gone"))
        .expect("a lock");
    disk.exchange_dir(dir());
    let second = open(&disk, &Arc::default()).map(drop);
    assert!(
        matches!(second, Err(JournalError::SegmentInUse { .. })),
        "{second:?}"
    );
    // Whoever is the first one has noticed, or does now.
    journal.close();
    assert!(journal.status().failure.is_some());
    open(&disk, &Arc::default()).expect("nobody has it any more");
}

#[test]
fn a_full_disk_refuses_work_only_when_the_room_is_needed() {
    let (disk, failures) = (SimulatedDisk::new(), Arc::new(AtomicU32::new(0)));
    disk.set_capacity_bytes(Some(SEGMENT_BYTES * 5 / 2));
    let journal = open(&disk, &failures).expect("there is room for one segment");
    let mut confirmed = Lsn::ZERO;
    let mut go_on = |enough: &dyn Fn(u64) -> bool| {
        while journal.admit().is_ok() && !enough(confirmed.0) {
            let lsn = append(&journal, confirmed.0 + 1);
            journal.wait(lsn).expect("the room was there");
            confirmed = lsn;
        }
        confirmed
    };
    // Until then the next segment may merely not be ready yet.
    eventually("the disk is full", || {
        go_on(&|_| false);
        journal.status().disk_full
    });
    assert_eq!(journal.admit(), Err(NotAdmitted::NotWritable));
    let written = journal.status().written_bytes;
    assert!(written > SEGMENT_BYTES, "both segments are used");
    let refused_at = journal.durable();
    for seed in 0..5 {
        let replayed = recover(&disk.crash(seed)).expect("a full disk is no damage");
        assert_eq!(replayed.last_lsn, refused_at, "seed {seed}");
    }

    disk.set_capacity_bytes(None);
    eventually("there is room again", || journal.admit().is_ok());
    let goal = refused_at.0 + 100;
    eventually("the work goes on", || {
        go_on(&|number| number >= goal).0 >= goal
    });
    journal.close();
    assert_eq!(failures.load(Ordering::SeqCst), 0);
    assert_eq!(recover(&disk).expect("intact").last_lsn, Lsn(goal));
}

#[test]
fn a_full_disk_does_not_matter_while_the_segment_has_room() {
    let disk = SimulatedDisk::new();
    disk.set_capacity_bytes(Some(SEGMENT_BYTES + 100));
    let journal = open(&disk, &Arc::default()).expect("there is room for one segment");
    eventually("the disk is seen to be full", || journal.status().disk_full);
    assert_eq!(journal.admit(), Ok(()));
    let lsn = append(&journal, 1);
    assert_eq!(journal.wait(lsn), Ok(()));
}

/// Or what would make room is never looked for.
#[test]
fn waiters_for_sealed_bytes_are_released_while_the_disk_is_full() {
    let disk = SimulatedDisk::new();
    disk.set_capacity_bytes(Some(SEGMENT_BYTES + 100));
    let journal = open(&disk, &Arc::default()).expect("there is room for one segment");
    eventually("the disk is seen to be full", || journal.status().disk_full);
    let journal = Arc::new(journal);
    let waiting = Arc::clone(&journal);
    // Longer than the time between two attempts to find room, each of which wakes everybody.
    let patience = Duration::from_millis(500);
    let waiter = std::thread::spawn(move || waiting.wait_until_sealed(u64::MAX, patience));
    eventually("it is let go", || waiter.is_finished());
    assert_eq!(waiter.join().expect("no panic"), Some(0));
}

/// A killed process may have given the kernel a write, which then keeps the segment locked.
#[test]
fn a_start_waits_for_the_last_write_of_a_killed_process() {
    let disk = SimulatedDisk::new();
    let journal = open(&disk, &Arc::default()).expect("an empty disk is fine");
    assert_eq!(journal.wait(append(&journal, 1)), Ok(()));
    journal.close();
    let on_its_way = disk.open(&path(1), OpenMode::ReadWrite).expect("there");
    assert!(on_its_way.try_lock().expect("possible"));
    // Nobody is told to stop a process without a word of the disk.
    let refused = recover(&disk).expect_err("it does not end");
    let expected = matches!(&refused, JournalError::SegmentInUse { path: on } if *on == path(1));
    assert!(expected, "{refused}");
    let starting = {
        let disk = disk.clone();
        std::thread::spawn(move || open(&disk, &Arc::default()))
    };
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(5));
        assert!(
            !starting.is_finished(),
            "it must not read what may still change"
        );
    }
    on_its_way.unlock().expect("possible");
    let started = starting.join().expect("no panic").expect("it is done");
    assert_eq!(started.durable(), Lsn(1));
}
