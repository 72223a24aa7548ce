//! Snapshots: the same state in fewer records, or refused.

use std::path::PathBuf;
use std::sync::Arc;

use flashsale::env::{Disk, ManualClock, SeededEntropy, SimulatedDisk};
use flashsale::journal::{JournalError, Lost, Opening, replay, snapshot};
use flashsale::record::NewItem;
use flashsale::sale::{
    CheckoutOutcome, CheckoutRequest, Engine, NewCatalogue, NewSale, State, write_snapshot,
};
use flashsale::types::{ItemId, Lsn, PaymentTerms, SaleId, Timestamp, UserId};

use crate::common::{dump, open_engine, tools};
use crate::journal_damage::fixture::{OPTIONS, dir, eventually, path, repair};

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_seconds(100)))
}

pub fn take_snapshot(disk: &SimulatedDisk, until: Lsn) -> Result<(), JournalError> {
    let entropy = SeededEntropy::new(3);
    write_snapshot(disk, dir(), until, &*clock(), &entropy)
}

fn recover(disk: &SimulatedDisk) -> Result<Vec<String>, JournalError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    crate::common::recover(&disk, dir()).map(|state| dump(&state))
}

fn snapshot_path(lsn: Lsn) -> PathBuf {
    dir().join(format!("{:020}.snapshot", lsn.0))
}

/// Creates a sale of 90 items and uses it: checkouts that are purchased, expire and stay open.
pub fn use_engine(engine: &Engine, clock: &ManualClock) {
    let ids: Vec<String> = (0..90).map(|index| format!("item {index}")).collect();
    let item = |id| NewItem {
        id,
        name: "An item",
        image_url: "",
        stock: 3,
        max_per_user: None,
    };
    let new = NewSale {
        started_at: Timestamp::from_seconds(100),
        ended_at: Timestamp::from_seconds(10_000),
        max_items_per_user: 4,
        hold_seconds: 60,
        payment: PaymentTerms::NONE,
        catalogue: NewCatalogue::Explicit(ids.iter().map(|id| item(id.as_str())).collect()),
    };
    let _ = engine.create_sale(&new).expect("it is allowed");
    for number in 0..12 {
        let user = format!("user {number}");
        let request = CheckoutRequest {
            user: UserId::new(&user).expect("an id"),
            item: ItemId::new(&ids[number % 5]).expect("an id"),
            quantity: 1,
            sale: None,
            key: None,
        };
        let CheckoutOutcome::Accepted { code, .. } = engine.checkout(&request).outcome else {
            panic!("there is enough");
        };
        if number % 3 == 0 {
            let _ = engine.purchase(code, None);
        }
        if number == 5 {
            clock.advance_us(61_000_000);
            assert_eq!(engine.release_expired(), 4);
        }
        clock.advance_us(1_000_000);
    }
}

/// A closed journal with one record in each batch; the number of its records.
fn journal_of_an_engine() -> (SimulatedDisk, Lsn) {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let engine = open_engine(&shared, dir(), &clock, 1).expect("an empty disk is fine");
    use_engine(&engine, &clock);
    engine.journal().close();

    let copy = SimulatedDisk::new();
    let opening = Opening::lock(Arc::new(copy.clone()), dir()).expect("it is free");
    let empty = opening
        .replay(Lsn::ZERO, &mut |_| Ok(()))
        .expect("it is empty");
    let journal = opening
        .start(&empty, &OPTIONS, tools(&clock, 2))
        .expect("it works");
    let replayed = replay(&disk, dir(), Lsn::ZERO, None, &mut |entry| {
        let lsn = journal.append(entry.at, &entry.record()?);
        journal.wait(lsn).expect("the disk works");
        Ok(())
    });
    journal.close();
    (copy, replayed.expect("intact").last_lsn)
}

#[test]
fn a_snapshot_anywhere_leads_to_the_same_state() {
    let (whole, last) = journal_of_an_engine();
    let expected = recover(&whole).expect("intact");
    let rolling = whole.crash(0);
    for until in (1..=last.0).map(Lsn) {
        let single = whole.crash(0);
        for disk in [&single, &rolling] {
            take_snapshot(disk, until).expect("the disk works");
            let newest = snapshot::list(disk, dir()).expect("the disk works");
            assert_eq!(newest, [until], "older ones are removed");
            assert_eq!(recover(disk).expect("intact"), expected, "{until}");
        }
    }
}

#[test]
fn the_engine_goes_on_from_a_snapshot() {
    let (disk, last) = journal_of_an_engine();
    take_snapshot(&disk, last).expect("the disk works");
    let (shared, clock): (Arc<dyn Disk>, _) = (Arc::new(disk.clone()), clock());
    clock.set(Timestamp::from_seconds(173));
    let engine = open_engine(&shared, dir(), &clock, 4).expect("intact");
    let state = State::of_engine(&engine);
    let [sale] = state.sales() else {
        panic!("there is one sale");
    };
    // The holds began one second apart, and run out in that order.
    while let Some(next) = engine.next_expiry() {
        clock.set(next);
        assert!(engine.release_expired() <= 1);
    }
    assert_eq!(sale.figures().held, 0);
    engine.journal().close();
    assert_eq!(recover(&disk).expect("intact"), dump(&state));
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let (disk, last) = journal_of_an_engine();
    take_snapshot(&disk, last).expect("the disk works");
    let path = snapshot_path(last);
    let whole = disk.contents(&path).expect("it is there");
    let flipped = (0..whole.len()).map(|offset| {
        let mut bytes = whole.clone();
        bytes[offset] ^= 1 << (offset % 8);
        bytes
    });
    // The last frame ends with zeros that nobody would miss.
    let end_mark = whole.iter().rposition(|&byte| byte != 0).expect("bytes");
    let cut = (0..=end_mark).map(|length| whole[..length].to_vec());
    for bytes in flipped.chain(cut) {
        disk.overwrite(&path, bytes);
        match recover(&disk) {
            Err(JournalError::Damaged { path: told, .. }) => assert_eq!(told, path),
            Err(other) => panic!("not a damage: {other}"),
            Ok(_) => panic!("accepted"),
        }
    }
}

#[test]
fn an_interrupted_snapshot_does_no_harm() {
    let (whole, last) = journal_of_an_engine();
    take_snapshot(&whole, Lsn(last.0 / 2)).expect("the disk works");
    let expected = recover(&whole).expect("intact");
    for failing in 0..4 {
        for seed in 0..20 {
            let disk = whole.crash(0);
            match failing {
                0 => disk.fail_sync_after(0),
                writes => disk.fail_write_after(writes - 1),
            }
            assert!(take_snapshot(&disk, last).is_err(), "fault {failing}");
            let disk = disk.crash(seed);
            assert_eq!(recover(&disk).expect("intact"), expected, "seed {seed}");
        }
    }
    let unfinished = dir().join(format!("{:020}.snapshot.preparing", last.0));
    whole.overwrite(&unfinished, b"half of it".to_vec());
    let shared: Arc<dyn Disk> = Arc::new(whole.clone());
    let engine = open_engine(&shared, dir(), &clock(), 5).expect("intact");
    assert_eq!(dump(&State::of_engine(&engine)), expected);
    assert_eq!(whole.contents(&unfinished), None);
}

#[test]
fn a_journal_that_ends_before_its_snapshot_is_refused() {
    let (disk, last) = journal_of_an_engine();
    let before = disk.crash(0);
    let (shared, clock): (Arc<dyn Disk>, _) = (Arc::new(disk.clone()), clock());
    let engine = open_engine(&shared, dir(), &clock, 6).expect("intact");
    clock.advance_us(1_000_000_000);
    eventually("the next segment is prepared", || {
        engine.journal().has_headroom()
    });
    assert!(engine.release_expired() > 0);
    engine.journal().close();
    let durable = engine.journal().durable();
    take_snapshot(&disk, durable).expect("the disk works");

    let path = snapshot_path(durable);
    before.overwrite(&path, disk.contents(&path).expect("it is there"));
    assert!(matches!(
        recover(&before),
        Err(JournalError::Damaged { path: told, .. }) if told == path
    ));
    // The snapshot knows more than the segments.
    let repaired = repair(&before).expect("it can be repaired");
    assert_eq!(repaired.expect("there is damage").last_lsn, durable);
    let expected = recover(&disk).expect("intact");
    assert_eq!(recover(&before).expect("it is repaired"), expected);
    assert!(last < durable);
    goes_on(&before, durable);
}

/// Opens the engine, lets it write, and reads all of it again.
fn goes_on(disk: &SimulatedDisk, last: Lsn) {
    let (shared, clock): (Arc<dyn Disk>, _) = (Arc::new(disk.clone()), clock());
    let engine = open_engine(&shared, dir(), &clock, 9).expect("it is repaired");
    assert_eq!(engine.journal().durable(), last);
    let closed = engine.close_sale(SaleId(1)).expect("there is one");
    engine
        .journal()
        .wait(closed.expect("it was open"))
        .expect("the disk works");
    engine.journal().close();
    assert_eq!(
        recover(disk).expect("intact"),
        dump(&State::of_engine(&engine))
    );
    assert_eq!(repair(disk).expect("it can be read"), None);
}

#[test]
fn repair_goes_on_from_the_newest_snapshot_that_can_be_read() {
    let (whole, last) = journal_of_an_engine();
    for until in [4, last.0 / 2, last.0 - 1].map(Lsn) {
        let disk = whole.crash(0);
        take_snapshot(&disk, until).expect("the disk works");
        let expected = recover(&disk).expect("intact");
        // Damage in the first batch, which the snapshot stands for.
        let mut bytes = disk.contents(&path(1)).expect("it is there");
        bytes[4096 + 40] ^= 1;
        disk.overwrite(&path(1), bytes);
        assert!(recover(&disk).is_err());
        let repaired = repair(&disk).expect("it can be repaired");
        assert_eq!(repaired.expect("there is damage").last_lsn, until);
        let state = recover(&disk).expect("it is repaired");
        assert!(state == expected || until < last);
        goes_on(&disk, until);
    }
}

#[test]
fn an_unreadable_snapshot_is_set_aside_when_the_journal_has_all_it_stands_for() {
    let (disk, last) = journal_of_an_engine();
    let expected = recover(&disk).expect("intact");
    take_snapshot(&disk, Lsn(last.0 / 2)).expect("the disk works");
    let path = snapshot_path(Lsn(last.0 / 2));
    let mut bytes = disk.contents(&path).expect("it is there");
    bytes[4096 + 40] ^= 1;
    disk.overwrite(&path, bytes);
    assert!(recover(&disk).is_err());
    let repaired = repair(&disk).expect("it can be repaired");
    let repaired = repaired.expect("there is damage");
    assert_eq!((repaired.last_lsn, repaired.set_aside.len()), (last, 1));
    assert_eq!(repaired.lost, Lost::Nothing);
    assert_eq!(recover(&disk).expect("it is repaired"), expected);
}
