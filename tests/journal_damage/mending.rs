//! Repair, and who may open a journal.

use std::path::PathBuf;
use std::sync::Arc;

use flashsale::env::{Disk, RealDisk, SimulatedDisk};
use flashsale::journal::{JournalError, Lost, Opening};
use flashsale::types::Lsn;

use crate::journal_damage::fixture::{
    LAST, append, contents, damaged_at, dir, open, path, recover, repair, two_segments,
};

fn set_aside(segment: u64) -> PathBuf {
    let mut name = path(segment).into_os_string();
    name.push(".damaged");
    name.into()
}

/// Repairs, checks that `kept` records are left and that it is told what is `lost`, that the files hold
/// what they held, and that the journal goes on.
fn check_repair(disk: &SimulatedDisk, kept: Lsn, lost: Lost, aside: &[u64]) {
    let before: Vec<_> = aside
        .iter()
        .map(|&segment| disk.contents(&path(segment)))
        .collect();
    let repaired = repair(disk).expect("it can be repaired");
    let repaired = repaired.expect("there is damage");
    assert_eq!((repaired.last_lsn, repaired.lost), (kept, lost));
    let expected: Vec<_> = aside.iter().map(|&segment| set_aside(segment)).collect();
    assert_eq!(repaired.set_aside, expected);
    let after: Vec<_> = expected.iter().map(|path| disk.contents(path)).collect();
    assert_eq!(before, after);

    assert_eq!(repair(disk).expect("it can be read"), None);
    let disk = disk.crash(1);
    let journal = open(&disk, &Arc::default()).expect("it is repaired");
    for number in kept.0 + 1..kept.0 + 40 {
        let lsn = append(&journal, number);
        journal.wait(lsn).expect("the disk works");
    }
    journal.close();
    assert_eq!(recover(&disk).expect("intact").last_lsn.0, kept.0 + 39);
}

#[test]
fn repair_keeps_what_is_before_the_damage() {
    let (whole, batches) = two_segments();
    for batch in &batches {
        let disk = whole.crash(0);
        let mut bytes = contents(&disk, batch.segment);
        bytes[batch.start + 40] ^= 4;
        disk.overwrite(&path(batch.segment), bytes);
        let aside = if batch.segment == 1 {
            &[2, 3, 1][..]
        } else {
            &[3, 2]
        };
        check_repair(&disk, Lsn(batch.first.0 - 1), Lost::Until(LAST), aside);
    }
}

#[test]
fn repair_mends_a_cut_segment_and_a_broken_head() {
    let (whole, batches) = two_segments();
    let first_of_two = batches.iter().find(|batch| batch.segment == 2);
    let before_two = Lsn(first_of_two.expect("there is one").first.0 - 1);

    let cut = whole.crash(0);
    let last = batches[batches.len() - 1];
    cut.overwrite(&path(2), contents(&cut, 2)[..last.start + 64].to_vec());
    check_repair(&cut, Lsn(last.first.0 - 1), Lost::Until(LAST), &[3, 2]);

    let broken = whole.crash(0);
    let mut bytes = contents(&broken, 2);
    bytes[20] ^= 1;
    broken.overwrite(&path(2), bytes);
    check_repair(&broken, before_two, Lost::Unknown, &[3, 2]);

    let missing = whole.crash(0);
    missing.remove(&path(2)).expect("it is there");
    assert_eq!(damaged_at(recover(&missing), 2), 0);
    check_repair(&missing, before_two, Lost::Unknown, &[3]);
}

#[test]
fn what_is_lost_is_told_as_far_as_headers_tell_it() {
    let (whole, batches) = two_segments();
    for (index, batch) in batches.iter().enumerate() {
        let disk = whole.crash(0);
        let mut bytes = contents(&disk, batch.segment);
        bytes[batch.start + 4] ^= 1;
        disk.overwrite(&path(batch.segment), bytes);
        let lost = match index + 1 == batches.len() {
            // How many records the last batch had, only its own header knew.
            true => Lost::Unknown,
            false => Lost::Until(LAST),
        };
        let repaired = repair(&disk).expect("it can be repaired");
        assert_eq!(repaired.expect("there is damage").lost, lost);
    }
}

/// Nobody was answered from it.
#[test]
fn a_torn_last_batch_is_not_called_lost() {
    let (disk, batches) = two_segments();
    let last = batches[batches.len() - 1];
    let mut bytes = contents(&disk, last.segment);
    bytes[last.start + 512..last.end].fill(0);
    disk.overwrite(&path(last.segment), bytes);
    let kept = Lsn(last.first.0 - 1);
    assert_eq!(recover(&disk).expect("it is torn").last_lsn, kept);
    let snapshot = dir().join(format!("{:020}.snapshot", 3));
    disk.overwrite(&snapshot, b"half of it".to_vec());
    let repaired = repair(&disk).expect("it can be repaired");
    let repaired = repaired.expect("there is damage");
    assert_eq!((repaired.last_lsn, repaired.lost), (kept, Lost::Nothing));
}

#[test]
fn an_intact_journal_is_not_touched_by_repair() {
    let (disk, _) = two_segments();
    let before: Vec<_> = (1..=3).map(|segment| contents(&disk, segment)).collect();
    assert_eq!(repair(&disk).expect("it can be read"), None);
    let after: Vec<_> = (1..=3).map(|segment| contents(&disk, segment)).collect();
    assert_eq!(before, after);
}

#[test]
fn a_journal_has_one_owner() {
    let scratch = tempfile::tempdir().expect("a directory");
    let simulated: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
    for disk in [simulated, Arc::new(RealDisk)] {
        let first = Opening::lock(Arc::clone(&disk), scratch.path()).expect("it is free");
        let second = Opening::lock(Arc::clone(&disk), scratch.path());
        assert!(matches!(second, Err(JournalError::InUse { .. })));
        drop(first);
        assert!(Opening::lock(disk, scratch.path()).is_ok());
    }
}

#[test]
fn a_running_journal_keeps_its_lock_until_it_is_closed() {
    let disk = SimulatedDisk::new();
    let journal = open(&disk, &Arc::default()).expect("an empty disk is fine");
    assert!(matches!(recover(&disk), Err(JournalError::InUse { .. })));
    journal.close();
    assert!(recover(&disk).is_ok());
}
