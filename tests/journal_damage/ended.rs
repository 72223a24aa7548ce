//! Ended sales: the files that they leave memory for, and what disks and people do to those.

use std::path::PathBuf;
use std::sync::Arc;

use flashsale::env::{Disk, ManualClock, SimulatedDisk};
use flashsale::journal::frame::FrameAlign;
use flashsale::journal::record_file::RecordFileWriter;
use flashsale::journal::segment::SegmentHeader;
use flashsale::journal::{JournalError, Lost, sale_file, snapshot};
use flashsale::record::envelope::encode;
use flashsale::record::{Entry, Lines, Record};
use flashsale::sale::{
    CheckoutOutcome, CheckoutRequest, Engine, NewCatalogue, NewSale, PurchaseOutcome, State,
    load_ended,
};
use flashsale::types::{
    CheckoutCode, IdempotencyKey, ItemId, Lsn, PaymentTerms, SaleId, Timestamp, UserId,
};

use crate::common::{dump, dump_whole, open_engine, recover};
use crate::journal_damage::fixture::{dir, path, repair};
use crate::journal_damage::snapshots::{clock, take_snapshot, use_engine};

const EVERYTHING: Lsn = Lsn(u64::MAX);

pub fn shared(disk: &SimulatedDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn open(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Engine {
    open_engine(&shared(disk), dir(), clock, seed).expect("intact")
}

fn whole(disk: &SimulatedDisk) -> Vec<String> {
    let state = recover(&shared(disk), dir()).expect("intact");
    dump_whole(disk, dir(), &state)
}

fn checkout(engine: &Engine, user: &str, item: &str, sale: Option<u32>) -> CheckoutOutcome {
    let request = CheckoutRequest {
        user: UserId::new(user).expect("an id"),
        item: ItemId::new(item).expect("an id"),
        quantity: 1,
        sale: sale.map(SaleId),
        key: None,
    };
    engine.checkout(&request).outcome
}

fn choose(engine: &Engine, user: &str, item: &str) -> CheckoutCode {
    match checkout(engine, user, item, None) {
        CheckoutOutcome::Accepted { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

fn create_generated(engine: &Engine, clock: &ManualClock, item_count: u32) -> SaleId {
    let now = flashsale::env::Clock::now(clock);
    let new = NewSale {
        started_at: now,
        ended_at: now.plus_seconds(100),
        max_items_per_user: 2,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue: NewCatalogue::Generated {
            item_count,
            seed: 1,
        },
    };
    let created = engine.create_sale(&new).expect("it is allowed");
    created.outcome.id()
}

/// Ends all sales at their time, durably.
fn end_all(engine: &Engine, clock: &ManualClock) {
    clock.advance_us(20_000 * 1_000_000);
    engine.close_ended();
    let status = engine.journal().status();
    let last = Lsn(status.appended_lsn);
    engine.journal().wait(last).expect("the disk works");
}

/// Three sales that have ended, and one that runs. The first is of listed items with holds.
pub fn three_ended(disk: &SimulatedDisk, clock: &Arc<ManualClock>) -> Engine {
    let engine = open(disk, clock, 1);
    use_engine(&engine, clock);
    end_all(&engine, clock);
    for _ in 0..2 {
        let sale = create_generated(&engine, clock, 5);
        let key = IdempotencyKey::new("k").expect("a key");
        let codes = ["ada", "eve"].map(|user| choose(&engine, user, &format!("ITM-{sale}-0")));
        let _ = engine.purchase(codes[0], Some(key));
        let _ = engine.purchase(codes[1], None);
        choose(&engine, "eve", &format!("ITM-{sale}-1"));
        end_all(&engine, clock);
    }
    let sale = create_generated(&engine, clock, 5);
    choose(&engine, "ada", &format!("ITM-{sale}-3"));
    let last = Lsn(engine.journal().status().appended_lsn);
    engine.journal().wait(last).expect("the disk works");
    engine
}

pub fn put_away(engine: &Engine) -> usize {
    let left = engine.put_ended_away(0);
    left.expect("the disk works").len()
}

fn sale_paths(disk: &SimulatedDisk) -> Vec<PathBuf> {
    let files = sale_file::list(disk, dir()).expect("readable");
    files.iter().map(|file| file.path(dir())).collect()
}

#[test]
fn a_file_gives_back_the_sale_that_it_was_written_for() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = three_ended(&disk, &clock);
    let before = dump(&State::of_engine(&engine));
    assert_eq!(engine.sales().len(), 4);
    let kept = engine.put_ended_away(1_000_000);
    assert_eq!(kept.expect("the disk works").len(), 0, "it is too early");
    assert_eq!((put_away(&engine), put_away(&engine)), (3, 0));
    assert_eq!(engine.sales().len(), 1);
    let state = State::of_engine(&engine);
    assert_eq!(dump_whole(&disk, dir(), &state), before);
    let ids: Vec<_> = engine
        .ended()
        .newest_first()
        .map(|sale| sale.id.0)
        .collect();
    assert_eq!(ids, [3, 2, 1]);
    let overviews = engine.overviews(None, None, 10);
    let figures: Vec<_> = overviews
        .iter()
        .map(|it| (it.id.0, it.total, it.sold))
        .collect();
    assert_eq!(figures, [(4, 5, 0), (3, 5, 1), (2, 5, 1), (1, 270, 4)]);
    engine.journal().close();
    assert_eq!(whole(&disk), before, "recovered without a snapshot");
    let recovered = recover(&shared(&disk), dir()).expect("intact");
    let in_memory = (recovered.sales().len(), recovered.ended().count());
    assert_eq!(in_memory, (1, 3), "what has its file stays out of memory");
    take_snapshot(&disk, engine.journal().durable()).expect("the disk works");
    assert_eq!(whole(&disk), before, "recovered from the snapshot");
    let engine = open(&disk, &clock, 5);
    assert_eq!((engine.sales().len(), engine.ended().count()), (1, 3));
    assert_eq!(create_generated(&engine, &clock, 1), SaleId(5));
}

#[test]
fn an_archived_sale_is_answered_as_before() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = three_ended(&disk, &clock);
    let sale = create_generated(&engine, &clock, 2);
    let item = format!("ITM-{sale}-0");
    let key = IdempotencyKey::new("once").expect("a key");
    let bought = choose(&engine, "ada", &item);
    let first = engine.purchase(bought, Some(key)).outcome;
    let open_code = choose(&engine, "bob", &format!("ITM-{sale}-1"));
    end_all(&engine, &clock);
    let codes = [
        (bought, Some(key)),
        (bought, None),
        (open_code, None),
        (CheckoutCode { sale, secret: 7 }, None),
    ];
    let answers = |engine: &Engine| codes.map(|(code, key)| engine.purchase(code, key).outcome);
    let before = answers(&engine);
    let PurchaseOutcome::Processed { result, .. } = first else {
        panic!("{first:?}");
    };
    let replayed = true;
    assert_eq!(before[0], PurchaseOutcome::Processed { result, replayed });
    put_away(&engine);
    assert!(
        answers(&engine)
            .iter()
            .all(|it| *it == PurchaseOutcome::SaleArchived)
    );
    let ended = *engine.ended().get(sale).expect("it was put away");
    let loaded = load_ended(&disk, dir(), &ended).expect("intact");
    let after = codes.map(|(code, key)| {
        let decision = engine.purchase_of(&loaded, code, key);
        assert!(decision.lsn <= Some(engine.journal().durable()));
        decision.outcome
    });
    assert_eq!(after, before);
    for (item, wanted, active) in [
        (&*item, None, true),
        (&format!("ITM-{sale}-2"), None, false),
        ("item 1", None, false),
        ("item 1", Some(1), true),
        ("item 1", Some(2), false),
    ] {
        let expected = match active {
            true => CheckoutOutcome::SaleNotActive,
            false => CheckoutOutcome::ItemNotFound,
        };
        assert_eq!(
            checkout(&engine, "ada", item, wanted),
            expected,
            "{item} {wanted:?}"
        );
    }
}

#[test]
fn snapshots_keep_only_what_is_known_of_ended_sales() {
    let (whole_disk, clock) = (SimulatedDisk::new(), clock());
    let engine = three_ended(&whole_disk, &clock);
    engine.journal().close();
    let last = engine.journal().durable();
    let expected = whole(&whole_disk);
    let rolling = whole_disk.crash(0);
    for until in (1..=last.0).map(Lsn) {
        let single = whole_disk.crash(0);
        for disk in [&single, &rolling] {
            take_snapshot(disk, until).expect("the disk works");
            assert_eq!(whole(disk), expected, "{until}");
            // A batch is read as a whole.
            let newest = snapshot::newest(disk, dir()).expect("readable");
            let newest = newest.expect("it was written");
            assert!(newest >= until);
            snapshot::read(disk, dir(), newest, &mut |entry| {
                assert!(!matches!(entry.record()?, Record::SaleClosed { .. }));
                Ok(())
            })
            .expect("intact");
        }
    }
    assert_eq!(sale_paths(&rolling).len(), 3);
}

#[test]
fn a_snapshot_with_whole_sales_still_opens() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = three_ended(&disk, &clock);
    engine.journal().close();
    let expected = whole(&disk);
    let until = engine.journal().durable();
    let header = SegmentHeader {
        number: until.0,
        seed: 5,
        length_bytes: 0,
        created_at: Timestamp(0),
        align: FrameAlign::NARROW,
    };
    let path = snapshot::path_of(dir(), until);
    let mut writer = RecordFileWriter::create(&disk, path, header).expect("room");
    let state = recover(&shared(&disk), dir()).expect("intact");
    let push =
        |at: Option<Timestamp>, record: &Record<'_>| writer.push(at.unwrap_or_default(), record);
    let mut push = push;
    state.visit_records(&mut push).expect("room");
    writer.finish().expect("room");
    let engine = open(&disk, &clock, 3);
    assert_eq!(engine.sales().len(), 4);
    assert_eq!(put_away(&engine), 3);
    engine.journal().close();
    assert_eq!(whole(&disk), expected);
    take_snapshot(&disk, until).expect("the disk works");
    assert_eq!(whole(&disk), expected);
}

#[test]
fn every_damage_to_a_file_is_noticed_and_named() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = three_ended(&disk, &clock);
    put_away(&engine);
    for ended in engine.ended().oldest_first() {
        let path = ended.file().path(dir());
        let intact = disk.contents(&path).expect("it is there");
        let flipped = (0..intact.len()).map(|offset| {
            let mut bytes = intact.clone();
            bytes[offset] ^= 1 << (offset % 8);
            bytes
        });
        // The last frame ends with zeros that nobody would miss.
        let end_mark = intact.iter().rposition(|&byte| byte != 0).expect("bytes");
        let cut = (0..=end_mark).map(|length| intact[..length].to_vec());
        let other = sale_paths(&disk).into_iter().filter(|other| *other != path);
        let other = other.map(|other| disk.contents(&other).expect("it is there"));
        let all: Vec<_> = flipped.chain(cut).chain(other).collect();
        for bytes in all {
            disk.overwrite(&path, bytes);
            match load_ended(&disk, dir(), ended) {
                Err(JournalError::Damaged { path: told, .. }) => assert_eq!(told, path),
                Err(other) => panic!("not a damage: {other}"),
                Ok(_) => panic!("accepted"),
            }
        }
        disk.overwrite(&path, intact);
    }
}

#[test]
fn a_power_cut_at_any_step_loses_and_doubles_nothing() {
    let (base, clock) = (SimulatedDisk::new(), clock());
    let engine = three_ended(&base, &clock);
    engine.journal().close();
    let expected = whole(&base);
    let until = engine.journal().durable();
    let mut interrupted = 0;
    // Each way of failing, a step later every time, until it comes to its end.
    for (snapshots, writes) in [(false, false), (false, true), (true, false), (true, true)] {
        for step in 0..40 {
            let disk = base.crash(step);
            let engine = open(&disk, &clock, 7);
            match writes {
                true => disk.fail_write_after(step),
                false => disk.fail_sync_after(step),
            }
            let done = match snapshots {
                true => take_snapshot(&disk, until).is_ok(),
                false => engine.put_ended_away(0).is_ok(),
            };
            let found = dump_whole(&disk, dir(), &State::of_engine(&engine));
            assert_eq!(found, expected, "while it runs");
            for seed in 0..4 {
                let crashed = disk.crash(seed);
                assert_eq!(whole(&crashed), expected, "step {step}, seed {seed}");
                let engine = open(&crashed, &clock, 8);
                put_away(&engine);
                assert_eq!((engine.sales().len(), engine.ended().count()), (1, 3));
                engine.journal().close();
                assert_eq!(whole(&crashed), expected, "step {step}, seed {seed}, again");
                assert_eq!(sale_paths(&crashed).len(), 3);
            }
            drop(engine);
            if done {
                break;
            }
            interrupted += 1;
        }
    }
    assert!(interrupted > 15, "{interrupted}");
}

#[test]
fn a_file_that_is_missing_stops_the_start() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = three_ended(&disk, &clock);
    put_away(&engine);
    engine.journal().close();
    take_snapshot(&disk, engine.journal().durable()).expect("the disk works");
    let files = sale_file::list(&disk, dir()).expect("readable");
    let first = *files.first().expect("three");
    disk.remove(&first.path(dir())).expect("it is there");
    match recover(&shared(&disk), dir()) {
        Err(error @ JournalError::Damaged { .. }) => {
            let said = error.to_string();
            let name = first.path(dir()).display().to_string();
            assert!(said.contains(&name) && said.contains("repair"), "{said}");
        }
        _ => panic!("accepted, or not a damage"),
    }
    // As when a database has what was in it.
    sale_file::remove(&disk, dir(), &[]).expect("writable");
    sale_file::allow_missing(&disk, dir(), first.closed_lsn).expect("writable");
    recover(&shared(&disk), dir()).expect("it may be missing");
    let second = files.iter().nth(1).expect("three");
    disk.remove(&second.path(dir())).expect("it is there");
    assert!(recover(&shared(&disk), dir()).is_err());
}

#[test]
fn old_files_go_where_a_database_has_followed() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = three_ended(&disk, &clock);
    put_away(&engine);
    let closings: Vec<_> = engine.ended().oldest_first().map(|it| it.closing).collect();
    let remove = |followed, before| {
        engine
            .remove_sale_files(followed, before)
            .expect("writable")
    };
    assert_eq!(remove(EVERYTHING, closings[0].at), 0, "none is older");
    assert_eq!(remove(Lsn(closings[0].lsn.0 - 1), Timestamp(i64::MAX)), 0);
    assert_eq!(remove(EVERYTHING, closings[1].at), 1);
    assert_eq!(remove(closings[1].lsn, Timestamp(i64::MAX)), 1);
    assert_eq!(sale_paths(&disk).len(), 1);
    engine.journal().close();
    let expected = engine.ended().clone();
    take_snapshot(&disk, engine.journal().durable()).expect("the disk works");
    let state = recover(&shared(&disk), dir()).expect("intact");
    assert_eq!(*state.ended(), expected);
}

#[test]
fn repair_sets_files_aside_that_are_behind_the_cut_or_damaged() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = three_ended(&disk, &clock);
    put_away(&engine);
    engine.journal().close();
    let files: Vec<_> = sale_file::list(&disk, dir())
        .expect("readable")
        .into_iter()
        .collect();
    // A bit of the first file, and all of the journal behind the second sale's end.
    let mut bytes = disk.contents(&files[0].path(dir())).expect("it is there");
    bytes[4096 + 40] ^= 1;
    disk.overwrite(&files[0].path(dir()), bytes);
    let mut bytes = disk.contents(&path(1)).expect("it is there");
    let batch = crate::journal_damage::fixture::batches(&disk)
        .into_iter()
        .find(|batch| batch.first > files[1].closed_lsn)
        .expect("there is more");
    bytes[batch.start + 40] ^= 1;
    disk.overwrite(&path(1), bytes);
    sale_file::allow_missing(&disk, dir(), files[2].closed_lsn).expect("writable");
    let repaired = repair(&disk).expect("it can be repaired").expect("damage");
    assert_eq!(repaired.last_lsn.0, batch.first.0 - 1);
    let removed_until = sale_file::removed_until(&disk, dir()).expect("readable");
    assert_eq!(removed_until, repaired.last_lsn, "numbers are used again");
    let aside = |path: PathBuf| PathBuf::from(format!("{}.damaged", path.display()));
    for file in [files[0], files[2]] {
        assert!(repaired.set_aside.contains(&aside(file.path(dir()))));
    }
    assert_eq!(sale_paths(&disk), [files[1].path(dir())]);
    let engine = open(&disk, &clock, 9);
    assert_eq!((engine.sales().len(), put_away(&engine)), (1, 1));
    assert!(
        sale_paths(&disk).contains(&files[0].path(dir())),
        "written again"
    );
}

#[test]
fn a_file_behind_the_end_of_the_journal_is_refused() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let before = {
        let engine = open(&disk, &clock, 1);
        use_engine(&engine, &clock);
        engine.journal().close();
        disk.crash(0)
    };
    let engine = open(&disk, &clock, 2);
    end_all(&engine, &clock);
    put_away(&engine);
    engine.journal().close();
    let path = sale_paths(&disk).remove(0);
    before.overwrite(&path, disk.contents(&path).expect("it is there"));
    match recover(&shared(&before), dir()) {
        Err(JournalError::Damaged { path: told, .. }) => assert_eq!(told, path),
        _ => panic!("accepted, or not a damage"),
    }
    let repaired = repair(&before)
        .expect("it can be repaired")
        .expect("damage");
    assert_eq!(repaired.set_aside.len(), 1);
    let closed = engine.ended().get(SaleId(1)).expect("it ended").closing;
    assert_eq!(repaired.lost, Lost::Until(closed.lsn));
    recover(&shared(&before), dir()).expect("it is repaired");
}

fn entry(bytes: &[u8]) -> Entry<'_> {
    Entry::whole(Lsn(1_000), bytes).expect("one record")
}

#[test]
fn an_archived_sale_takes_no_records_and_only_a_snapshot_archives() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = three_ended(&disk, &clock);
    put_away(&engine);
    let mut state = State::of_engine(&engine);
    let ended = *engine.ended().get(SaleId(2)).expect("it was put away");
    let encoded = |record| {
        let mut bytes = Vec::new();
        encode(Timestamp(0), &record, &mut bytes);
        bytes
    };
    let (sale, terms) = (SaleId(2), ended.terms);
    let expired = Record::Expired {
        sale,
        secret: 1,
        user: "ada",
        lines: Lines::NONE,
    };
    for record in [
        expired,
        Record::SaleClosed { sale },
        Record::SaleCreated { sale, terms },
        ended.record(),
    ] {
        assert!(matches!(
            state.apply(&entry(&encoded(record))),
            Err(JournalError::Contradiction { .. })
        ));
    }
    assert!(
        state.restore(&entry(&encoded(ended.record()))).is_err(),
        "it comes twice"
    );
}
