//! The contents of the journals in the end, held against what the buyers were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flashsale::env::RealDisk;
use flashsale::journal::{JournalError, Tail, replay};
use flashsale::record::Record;
use flashsale::record::envelope::Entry;
use flashsale::types::Lsn;

use super::buyers::Told;
use crate::server::Place;

/// The records of one journal.
#[derive(Default)]
pub struct Ledger {
    /// The items that each code has sold.
    sold: BTreeMap<String, Vec<u32>>,
    /// A checksum of each record.
    records: BTreeMap<Lsn, u32>,
}

impl Ledger {
    /// Reads the journal in `place`, of which nothing may have been trimmed.
    pub fn read(place: &Place) -> Self {
        let mut ledger = Self::default();
        let dir = place.journal_dir();
        replay(&RealDisk, &dir, Lsn::ZERO, None, &mut |entry| {
            ledger.add(&entry)
        })
        .expect("an intact journal");
        ledger
    }

    /// Reads on up to the durable record `until` in the journal of a server that goes on, which may be another one than before.
    pub fn read_on(&mut self, place: &Place, until: Lsn) {
        let read = self.records.keys().next_back().copied();
        let read = read.unwrap_or(Lsn::ZERO);
        let disk = Arc::new(RealDisk);
        let tail = Tail::after(disk, place.journal_dir(), read, until);
        let mut tail = tail.expect("an intact journal").expect("nothing trimmed");
        tail.read(until, &mut |entry| self.add(entry).map(|()| true))
            .expect("an intact journal");
    }

    fn add(&mut self, entry: &Entry<'_>) -> Result<(), JournalError> {
        self.records
            .insert(entry.lsn, flashsale::journal::fingerprint(entry));
        if let Record::Purchase {
            sale,
            secret,
            lines,
            ..
        } = entry.record()?
        {
            let code = format!("CHK-{sale}-{secret:032x}");
            let lines = lines.iter().filter(|line| line.sold);
            let items = lines.map(|line| line.item.0).collect();
            let before = self.sold.insert(code, items);
            assert!(before.is_none(), "a code was used twice");
        }
        Ok(())
    }

    /// Checks that everything is there that the buyers were told, and nothing was sold twice.
    pub fn check(&self, told: &[Told]) {
        assert_eq!(self.oversold(), Vec::<u32>::new(), "items were sold twice");
        let lost = self.lost(told);
        assert!(lost.is_empty(), "told and not in the journal: {lost:?}");
    }

    /// The items that were sold more than once.
    pub fn oversold(&self) -> Vec<u32> {
        let mut items = BTreeSet::new();
        let all = self.sold.values().flatten().copied();
        all.filter(|&item| !items.insert(item)).collect()
    }

    /// The purchases that a buyer was told of, and that are not here.
    pub fn lost<'a>(&self, told: &'a [Told]) -> Vec<&'a Told> {
        let is_here = |purchase: &&Told| {
            let sold = self.sold.get(&purchase.code);
            sold.is_some_and(|items| *items == [purchase.item])
        };
        let told = told.iter().filter(|purchase| purchase.is_sold);
        told.filter(|purchase| !is_here(purchase)).collect()
    }

    /// Checks that the other journal has the same records, as far as both go.
    pub fn check_same_order(&self, other: &Self) {
        for (lsn, record) in &self.records {
            let theirs = other.records.get(lsn);
            assert!(
                theirs.is_none_or(|theirs| theirs == record),
                "record {lsn} is another one in the other journal"
            );
        }
    }
}
