//! The contents of the journals in the end, held against what the buyers were told.

use std::collections::{BTreeMap, BTreeSet};

use flashsale::env::RealDisk;
use flashsale::journal::replay;
use flashsale::record::Record;
use flashsale::types::Lsn;

use super::buyers::Told;
use crate::server::Place;

/// The records of one journal.
pub struct Ledger {
    /// The items that each code has sold.
    sold: BTreeMap<String, Vec<u32>>,
    /// A checksum of each record.
    records: BTreeMap<Lsn, u32>,
}

impl Ledger {
    /// Reads the journal in `place`, of which nothing may have been trimmed.
    pub fn read(place: &Place) -> Self {
        let (mut sold, mut records) = (BTreeMap::new(), BTreeMap::new());
        let dir = place.journal_dir();
        replay(&RealDisk, &dir, Lsn::ZERO, None, &mut |entry| {
            records.insert(entry.lsn, flashsale::journal::fingerprint(&entry));
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
                assert!(sold.insert(code, items).is_none(), "a code was used twice");
            }
            Ok(())
        })
        .expect("an intact journal");
        Self { sold, records }
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
