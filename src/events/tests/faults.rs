//! Faults that readers of events met.

use super::*;
use crate::env::{Disk, OpenMode};
use crate::journal::{self, segment::SEGMENT_HEADER_BYTES};
use crate::sale::{NewCatalogue, NewItem, NewSale};
use crate::types::PaymentTerms;

#[test]
fn a_place_beyond_the_newest_record_poisons_no_reader() {
    let shop = Shop::new();
    let mut reader = shop.reader();
    let until = reader.acknowledged();
    let beyond = Lsn(until.0 + 250);
    let ahead = query(beyond.0, 10, EventForm::Batch);
    let page = reader.read(&ahead, until).expect("nothing yet");
    assert!(batch(&page).is_empty());
    assert_eq!(page.last, beyond);
    // The segment of the newest record ends long before that place.
    fill(&shop);
    let sold = shop.sell(0);
    let page = reader.read(&ahead, reader.acknowledged());
    assert_eq!(ids(&batch(&page.expect("readable"))), [sold.0]);
}

#[test]
fn a_place_at_the_end_of_a_segment_that_was_trimmed_is_no_end() {
    let shop = Shop::new();
    let last = fill(&shop);
    let sold = shop.sell(0);
    let mut reader = shop.reader();
    // Among these is the place at the end of each segment.
    for lsn in 2..=last.0 {
        let page = reader.read(&query(lsn - 1, 10, EventForm::Batch), Lsn(lsn));
        assert!(batch(&page.expect("readable")).is_empty());
    }
    let later = Timestamp::from_seconds(101);
    assert!(shop.engine.journal().trim(last, later).expect("writable") > 1);
    let (disk, dir) = (shop.engine.journal().disk(), shop.engine.journal().dir());
    let first = journal::first_lsn(&**disk, dir).expect("readable");
    let after = first.expect("not empty").0 - 1;
    let page = reader.read(&query(after, 10, EventForm::Batch), reader.acknowledged());
    assert_eq!(ids(&batch(&page.expect("readable"))), [sold.0]);
}

#[test]
fn events_before_damage_are_told_before_the_damage_is() {
    let shop = Shop::new();
    let sold = shop.sell(0);
    fill(&shop);
    let (disk, dir) = (shop.engine.journal().disk(), shop.engine.journal().dir());
    let mut segments = disk.list(dir).expect("readable");
    segments.retain(|name| name.ends_with(".segment"));
    segments.sort_unstable();
    disk.remove(&dir.join(&segments[1])).expect("it is there");
    let mut reader = shop.reader();
    let until = reader.acknowledged();
    let page = reader.read(&query(0, 10, EventForm::Batch), until);
    let page = page.expect("what is intact");
    assert_eq!(ids(&batch(&page)), [1, sold.0]);
    let next = reader.read(&query(page.last.0, 10, EventForm::Batch), until);
    assert_eq!(next, Err(ReadError::Journal));
}

#[test]
fn what_is_only_written_is_not_told() {
    let disk = SimulatedDisk::new();
    let shop = Shop::on(disk.clone());
    let until = shop.sell(0);
    disk.fail_sync_after(0);
    let (mut plain, mut careful) = (shop.reader_that(false), shop.reader_that(true));
    let all = query(0, 10, EventForm::Batch);
    assert_eq!(plain.read(&all, until).expect("readable").events, 2);
    assert_eq!(careful.read(&all, until), Err(ReadError::Journal));
    // A sync that works afterwards says nothing of what was lost.
    disk.fail_sync_after(u64::MAX);
    assert_eq!(careful.read(&all, until), Err(ReadError::Journal));
}

#[test]
fn a_journal_that_was_cut_by_a_repair_has_another_source() {
    let disk = SimulatedDisk::new();
    let shop = Shop::on(disk.clone());
    shop.sell(0);
    shop.sell(1);
    let journal = shop.engine.journal();
    journal.close();
    let dir = journal.dir();
    let source = || EventSource::of_dir(&disk, &OsEntropy, dir).expect("room");
    let repair = || journal::repair(&disk, dir, &*shop.clock, &OsEntropy).expect("writable");
    let before = source();
    assert_eq!(repair(), None);
    assert_eq!(source(), before);
    let names = disk.list(dir).expect("readable");
    let segment = names.iter().filter(|name| name.ends_with(".segment")).min();
    let path = dir.join(segment.expect("one"));
    let file = disk.open(&path, OpenMode::ReadWrite).expect("there");
    file.write_at(&[0xff; 8], SEGMENT_HEADER_BYTES + 40)
        .expect("room");
    assert!(repair().is_some());
    assert_ne!(source(), before);
}

#[test]
fn a_created_sale_has_as_many_units_as_its_items_have() {
    let shop = Shop::new();
    let items = [7, 43].map(|stock| NewItem {
        id: if stock == 7 { "a" } else { "b" },
        name: "x",
        image_url: "",
        stock,
        max_per_user: None,
    });
    let created = shop.engine.create_sale(&NewSale {
        started_at: Timestamp::from_seconds(100),
        ended_at: Timestamp::from_seconds(200),
        max_items_per_user: 10,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue: NewCatalogue::Explicit(items.to_vec()),
    });
    let created = created.expect("a sale").lsn.expect("a record");
    shop.engine.flush().expect("the disk works");
    let mut reader = shop.reader();
    let page = reader.read(&query(1, 10, EventForm::Batch), reader.acknowledged());
    let events = batch(&page.expect("readable"));
    assert_eq!(ids(&events), [created.0]);
    assert_eq!(events[0]["data"]["total_items"], 50);
}
