//! Power cuts while the journal is written.

use std::sync::Arc;

use flashsale::env::{SimulatedDisk, splitmix64};

use crate::journal_damage::fixture::{append, open, recover};

/// Cuts the power again and again, each time on the disk that the time before has left.
fn cut_power_repeatedly(seed: u64) {
    let mut random = seed;
    let mut disk = SimulatedDisk::new();
    for cut in 0..20 {
        let journal = open(&disk, &Arc::default())
            .unwrap_or_else(|error| panic!("seed {seed}, after {cut} cuts: {error}"));
        let first = journal.durable().0 + 1;
        let appended = first + splitmix64(&mut random) % 25;
        for number in first..appended {
            let lsn = append(&journal, number);
            if splitmix64(&mut random).is_multiple_of(4) {
                journal.wait(lsn).expect("the disk works");
            }
        }
        let confirmed = journal.durable();
        disk = disk.crash(splitmix64(&mut random));
        let replayed =
            recover(&disk).unwrap_or_else(|error| panic!("seed {seed}, cut {cut}: {error}"));
        let found = replayed.last_lsn;
        assert!(
            found >= confirmed,
            "seed {seed}, cut {cut}: {confirmed} was confirmed"
        );
        assert!(found.0 < appended, "seed {seed}, cut {cut}");
    }
}

#[test]
fn confirmed_records_survive_every_power_cut() {
    (0..30).for_each(cut_power_repeatedly);
}
