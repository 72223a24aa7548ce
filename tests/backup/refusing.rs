//! Journals that a backup refuses to copy, with its errors.

use std::path::Path;
use std::sync::Arc;

use flashsale::env::SimulatedDisk;
use flashsale::journal::JournalError;
use flashsale::journal::backup::{Copied, CopyError, DirOnDisk, copy};
use flashsale::journal::segment::segment_path;

use crate::backup::shop::Shop;

fn dir() -> &'static Path {
    Path::new("/journal")
}

fn try_copy(from: &SimulatedDisk, to: &SimulatedDisk) -> Result<Copied, CopyError> {
    let from = DirOnDisk {
        disk: from,
        dir: dir(),
    };
    let to = DirOnDisk {
        disk: to,
        dir: Path::new("/copy"),
    };
    copy(from, to, &mut || ())
}

/// The first segment of a journal of several, with its bytes.
fn several_segments() -> (SimulatedDisk, Vec<u8>) {
    let disk = SimulatedDisk::new();
    let shop = Shop::open(Arc::new(disk.clone()), dir());
    for _ in 0..30 {
        let sale = shop.create();
        for user in 0..60 {
            let user = format!("{user}-{}", "u".repeat(100));
            shop.choose(sale, &user, user.len() as u32 % 7);
        }
    }
    shop.engine.journal().close();
    let bytes = disk.contents(&segment_path(dir(), 1)).expect("it is used");
    (disk, bytes)
}

#[test]
fn damage_in_the_source_is_told_and_not_copied() {
    let (disk, intact) = several_segments();
    try_copy(&disk, &SimulatedDisk::new()).expect("it is intact");
    for offset in [5_000, 20_000] {
        let mut bytes = intact.clone();
        bytes[offset] ^= 4;
        disk.overwrite(&segment_path(dir(), 1), bytes);
        let error = try_copy(&disk, &SimulatedDisk::new()).expect_err("it is damaged");
        let CopyError::Journal(JournalError::Damaged { path, .. }) = error else {
            panic!("{error}");
        };
        assert_eq!(path, segment_path(dir(), 1));
    }
}

#[test]
fn a_segment_that_is_missing_is_damage() {
    let (disk, _) = several_segments();
    let second = disk.contents(&segment_path(dir(), 2)).expect("used");
    disk.overwrite(&segment_path(dir(), 2), vec![0; second.len()]);
    let error = try_copy(&disk, &SimulatedDisk::new()).expect_err("its head is gone");
    assert!(error.to_string().contains("0002.segment"), "{error}");
    // An unused one in its place.
    let mut unused = second;
    unused[4096..].fill(0);
    disk.overwrite(&segment_path(dir(), 2), unused);
    let error = try_copy(&disk, &SimulatedDisk::new()).expect_err("records are gone");
    assert!(error.to_string().contains("is missing before"), "{error}");
}

#[test]
fn where_there_is_no_journal_there_is_no_backup() {
    let error = try_copy(&SimulatedDisk::new(), &SimulatedDisk::new());
    let error = error.expect_err("there is nothing");
    assert!(error.to_string().contains("find a journal"), "{error}");
}

#[test]
fn a_full_or_failing_target_is_an_error() {
    let (disk, _) = several_segments();
    let fails_at = |write: Option<u64>, sync: Option<u64>| {
        let target = SimulatedDisk::new();
        write
            .into_iter()
            .for_each(|count| target.fail_write_after(count));
        sync.into_iter()
            .for_each(|count| target.fail_sync_after(count));
        try_copy(&disk, &target).is_err()
    };
    let writes = (0..).take_while(|&count| fails_at(Some(count), None));
    assert!(writes.count() >= 5, "each segment is written");
    let syncs = (0..).take_while(|&count| fails_at(None, Some(count)));
    assert!(syncs.count() >= 5, "each segment is synced");
    let target = SimulatedDisk::new();
    target.set_capacity_bytes(Some(100_000));
    match try_copy(&disk, &target) {
        Err(CopyError::Journal(error)) => assert!(error.is_shortage(), "{error}"),
        other => panic!("{other:?}"),
    }
}
