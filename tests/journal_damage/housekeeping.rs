//! Faults that the housekeeper meets on a disk: some end the journal, and some may pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use flashsale::env::{SeededEntropy, SimulatedDisk};
use flashsale::journal::Opening;
use flashsale::sale::{Engine, EngineOptions, Housekeeper, Housekeeping, Recovered};
use flashsale::types::Lsn;

use crate::common::OPTIONS;
use crate::journal_damage::ended::{put_away, shared, three_ended};
use crate::journal_damage::fixture::{dir, eventually, tools};
use crate::journal_damage::snapshots::clock;

/// An engine like [`three_ended`]'s whose journal's failures are counted, with the next segment prepared.
fn counting_failures(disk: &SimulatedDisk, failures: &Arc<AtomicU32>) -> Arc<Engine> {
    let clock = clock();
    three_ended(disk, &clock).journal().close();
    let opening = Opening::lock(shared(disk), dir()).expect("free");
    let Recovered {
        state, replayed, ..
    } = Recovered::from_journal(&opening).expect("intact");
    let journal = opening.start(&replayed, &OPTIONS, tools(failures));
    let journal = Arc::new(journal.expect("the disk works"));
    eventually("the next segment is prepared", || journal.has_headroom());
    let (entropy, options) = (Arc::new(SeededEntropy::new(1)), EngineOptions::default());
    Arc::new(Engine::new(state, journal, clock, entropy, options))
}

#[test]
fn a_failed_sync_of_the_housekeeper_ends_the_journal() {
    // Of a segment, and of the second sale's file.
    for step in [0, 3] {
        let (disk, failures) = (SimulatedDisk::new(), Arc::default());
        let engine = counting_failures(&disk, &failures);
        disk.fail_sync_after(step);
        let housekeeping = Housekeeping {
            keep_ended_seconds: 0,
            followed: Box::new(|| Lsn::ZERO),
            retention: None,
        };
        let housekeeper = Housekeeper::start(Arc::clone(&engine), housekeeping);
        let housekeeper = housekeeper.expect("a thread");
        eventually("the journal fails", || engine.journal().is_over());
        housekeeper.join();
        assert_eq!(failures.load(Ordering::SeqCst), 1);
        assert_eq!(engine.sales().len(), 4, "none has left");
        let failure = engine.journal().status().failure.expect("it has failed");
        let expected = ["1.segment", ".sale.preparing"][usize::from(step > 0)];
        assert!(failure.contains(expected), "{failure}");
    }
}

#[test]
fn a_full_disk_is_no_failed_sync() {
    let (disk, failures) = (SimulatedDisk::new(), Arc::default());
    let engine = counting_failures(&disk, &failures);
    disk.set_capacity_bytes(Some(0));
    let error = engine.put_ended_away(0).map(drop).expect_err("no room");
    assert!(error.is_shortage() && !error.is_failed_sync(), "{error}");
    disk.set_capacity_bytes(None);
    assert_eq!(put_away(&engine), 3);
    assert_eq!(failures.load(Ordering::SeqCst), 0);
}
