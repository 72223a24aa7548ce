//! Reading a journal that is being written.

use std::sync::Arc;
use std::thread;

use flashsale::env::SimulatedDisk;
use flashsale::journal::replay;
use flashsale::types::Lsn;

use crate::journal_damage::fixture::{append, check, dir, open};

const RECORDS: u64 = 3_000;

#[test]
fn a_reader_up_to_the_durable_record_sees_no_damage() {
    let disk = SimulatedDisk::new();
    let journal = open(&disk, &Arc::default()).expect("an empty disk is fine");
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 1..=RECORDS {
                let lsn = append(&journal, number);
                // Batches of several records, and a bounded queue.
                if number % 8 == 0 {
                    journal.wait(lsn).expect("the disk works");
                }
            }
        });
        let mut after = Lsn::ZERO;
        while after < Lsn(RECORDS) {
            let until = journal.durable();
            let mut expected = after.next();
            let replayed = replay(&disk, dir(), after, Some(until), &mut |entry| {
                check(&entry, expected);
                expected = expected.next();
                Ok(())
            });
            let replayed = replayed.expect("what is durable can be read");
            assert!(replayed.last_lsn >= until);
            after = replayed.last_lsn;
        }
        writer.join().expect("the writer panicked");
    });
}
