//! Sales that have left memory, and whose files are gone because Postgres has what was in them.

use std::path::Path;
use std::sync::Arc;

use flashsale::app::postgres_sales::DatabaseSales;
use flashsale::env::{Clock, ManualClock, OsEntropy, RealDisk};
use flashsale::journal::sale_file;
use flashsale::record::envelope;
use flashsale::sale::{Archive, Engine, NotLoaded, Sale, load_ended, write_snapshot};
use flashsale::types::{Lsn, SaleId, Timestamp};

use crate::postgres_server::{DATABASE, Postgres};
use crate::verify::fixture::{agrees, close, fill, follow_journal, open, options, place};

const EVERYTHING: Lsn = Lsn(u64::MAX);

/// The sale as text, without the times that nobody keeps.
fn text(sale: &Sale) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let visit = &mut |at: Option<Timestamp>, record: &flashsale::record::Record<'_>| {
        let mut bytes = Vec::new();
        envelope::encode(at.unwrap_or_default(), record, &mut bytes);
        records.push(bytes);
        Ok(())
    };
    sale.visit_records(visit).expect("the visitor never fails");
    records.sort_unstable();
    records
}

/// All sales over and out of memory, and in Postgres.
fn archived(dir: &Path, postgres: &Postgres) -> (Arc<Engine>, Arc<ManualClock>) {
    fill(dir);
    let (engine, clock) = open(dir);
    clock.advance_us(32_000_000 * 1_000_000);
    assert_eq!(engine.close_ended(), 5);
    let last = Lsn(engine.journal().status().appended_lsn);
    engine.journal().wait(last).expect("the disk works");
    follow_journal(engine.journal(), postgres);
    let left = engine.put_ended_away(0).expect("the disk works");
    assert_eq!(left.len(), 6);
    (Arc::new(engine), clock)
}

fn load(archive: &Archive, sale: u32) -> Result<Arc<Sale>, NotLoaded> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().expect("a runtime");
    runtime.block_on(archive.load(SaleId(sale)))
}

#[test]
fn what_was_removed_comes_from_postgres() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let place = place(&postgres);
    let dir = place.journal_dir();
    let (engine, clock) = archived(&dir, &postgres);
    let known: Vec<_> = engine.ended().oldest_first().copied().collect();
    let from_files = known.iter().map(|ended| load_ended(&RealDisk, &dir, ended));
    let from_files: Vec<_> = from_files
        .map(|sale| text(&sale.expect("intact")))
        .collect();

    let later = clock.now().plus_seconds(1);
    let removed = engine.remove_sale_files(EVERYTHING, later);
    assert_eq!(removed.expect("writable"), 6);
    assert!(
        sale_file::list(&RealDisk, &dir)
            .expect("readable")
            .is_empty()
    );
    let elsewhere = DatabaseSales::with(options(&postgres, DATABASE)).expect("a runtime");
    let archive = Archive::start(Arc::clone(&engine), Some(Box::new(elsewhere)));
    let archive = archive.expect("a thread");
    for (ended, expected) in known.iter().zip(&from_files) {
        let sale = load(&archive, ended.id.0).expect("Postgres has it");
        assert_eq!(&text(&sale), expected, "sale {}", ended.id);
        assert_eq!(sale.closing(), Some(ended.closing));
    }
    assert_eq!(load(&archive, 9).err(), Some(NotLoaded::Unknown));
    assert_eq!(archive.kept(), 6);

    // Nobody else has it.
    let alone = Archive::start(Arc::clone(&engine), None).expect("a thread");
    assert_eq!(load(&alone, 1).err(), Some(NotLoaded::Unavailable));
    let elsewhere = DatabaseSales::with(options(&postgres, DATABASE)).expect("a runtime");
    drop(postgres);
    let alone = Archive::start(Arc::clone(&engine), Some(Box::new(elsewhere)));
    let alone = alone.expect("a thread");
    assert_eq!(load(&alone, 1).err(), Some(NotLoaded::Unavailable));
    assert!(load(&archive, 1).is_ok(), "it is kept");
}

#[test]
fn archived_sales_are_verified_with_and_without_their_files() {
    let postgres = Postgres::start_with(&["fsync=off"]);
    let place = place(&postgres);
    let dir = place.journal_dir();
    let (engine, clock) = archived(&dir, &postgres);
    close(&engine);
    let said = agrees(&place, &[]);
    assert!(said.contains("6 files of ended sales: intact"), "{said}");
    let until = engine.journal().durable();
    write_snapshot(&RealDisk, &dir, until, &*clock, &OsEntropy).expect("writable");
    let said = agrees(&place, &[]);
    assert!(said.contains("6 archived sales"), "{said}");
    assert!(said.contains("6 files of ended sales: intact"), "{said}");
    let later = clock.now().plus_seconds(1);
    engine
        .remove_sale_files(EVERYTHING, later)
        .expect("writable");
    let said = agrees(&place, &[]);
    assert!(
        said.contains("6 files of ended sales were removed"),
        "{said}"
    );
}
