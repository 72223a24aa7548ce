//! A journal on a simulated disk, for the tests of several files.

use std::path::Path;
use std::sync::Arc;

use super::{Durability, Journal, Opening, Options, Tools};
use crate::env::{ManualClock, SeededEntropy, SimulatedDisk};
use crate::record::Record;
use crate::types::{Lsn, SaleId, Timestamp};

/// Bytes of its segments.
pub(super) const SEGMENT_BYTES: u64 = 64 * 1024;

/// Opens the journal in `dir` at second 100.
pub(super) fn open(disk: &SimulatedDisk, dir: &Path) -> Journal {
    let opening = Opening::lock(Arc::new(disk.clone()), dir).expect("free");
    let replayed = opening.replay(Lsn::ZERO, &mut |_| Ok(())).expect("intact");
    let tools = Tools {
        clock: Arc::new(ManualClock::at(Timestamp::from_seconds(100))),
        entropy: Arc::new(SeededEntropy::new(1)),
        fail_stop: Box::new(|error| panic!("{error}")),
    };
    let options = Options {
        durability: Durability::Fsync,
        segment_bytes: SEGMENT_BYTES,
    };
    opening.start(&replayed, &options, tools).expect("room")
}

/// Appends `batches` batches of three records each.
pub(super) fn append(journal: &Journal, batches: usize) {
    for _ in 0..batches {
        let record = Record::SaleClosed { sale: SaleId(1) };
        let lsns = [0; 3].map(|at| journal.append(Timestamp(at), &record));
        journal.wait(lsns[2]).expect("the disk works");
    }
}
