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
        let mut items = BTreeSet::new();
        for item in self.sold.values().flatten() {
            assert!(items.insert(item), "item {item} was sold twice");
        }
        for purchase in told.iter().filter(|purchase| purchase.is_sold) {
            let sold = self.sold.get(&purchase.code);
            assert_eq!(
                sold,
                Some(&vec![purchase.item]),
                "{purchase:?} was told and is not in the journal"
            );
        }
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
