//! The units sold by the journal, added up without the help of the engine that decided it.

use std::collections::HashMap;
use std::path::Path;

use flashsale::env::RealDisk;
use flashsale::journal::{self, JournalError};
use flashsale::record::Record;
use flashsale::types::{Lsn, PurchasedLine};

use super::super::receipt::Line;

/// A purchase in the journal.
#[derive(Debug)]
pub(super) struct Purchase {
    pub(super) lines: Vec<Line>,
    /// By one of this run's users.
    pub(super) ours: bool,
}

impl Purchase {
    pub(super) fn units_sold(&self) -> u64 {
        self.lines.iter().filter(|line| line.sold).count() as u64
    }
}

/// One sale, as the journal has it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Purchases by the secret half of their codes.
    pub(super) purchases: HashMap<u128, Purchase>,
    /// Codes that were used more than once.
    pub(super) used_twice: u64,
    sold_by_item: HashMap<u32, u64>,
    sold_by_user: HashMap<String, u64>,
    /// Units that one user may buy.
    pub(super) limit: u64,
    pub(super) total_items: u32,
    /// The first record that is still there.
    pub(super) first: Lsn,
}

impl Ledger {
    /// Reads all records of the journal in `dir` that are about `sale`, also while a server writes it.
    pub(super) fn read(dir: &Path, sale: u32, prefix: &str) -> Result<Self, JournalError> {
        let disk = RealDisk;
        let first = journal::first_lsn(&disk, dir)?.unwrap_or(Lsn::ZERO);
        let mut ledger = Self {
            first,
            ..Self::default()
        };
        let before = Lsn(first.0.saturating_sub(1));
        journal::replay(&disk, dir, before, None, &mut |entry| {
            ledger.add(&entry.record()?, sale, prefix);
            Ok(())
        })?;
        Ok(ledger)
    }

    fn add(&mut self, record: &Record<'_>, wanted: u32, prefix: &str) {
        match *record {
            Record::SaleCreated { sale, terms } if sale.0 == wanted => {
                self.limit = u64::from(terms.max_items_per_user);
                self.total_items = terms.catalogue.item_count();
            }
            Record::Purchase {
                sale,
                secret,
                user,
                lines,
                ..
            } if sale.0 == wanted => {
                let ours = user.starts_with(prefix);
                let mut purchase = Purchase {
                    lines: Vec::new(),
                    ours,
                };
                for line in lines.iter() {
                    self.add_line(user, line, &mut purchase.lines);
                }
                let before = self.purchases.insert(secret, purchase);
                self.used_twice += u64::from(before.is_some());
            }
            _ => {}
        }
    }

    fn add_line(&mut self, user: &str, line: PurchasedLine, lines: &mut Vec<Line>) {
        let PurchasedLine {
            item,
            quantity,
            sold,
        } = line;
        lines.push(Line { item: item.0, sold });
        if sold {
            let units = u64::from(quantity);
            *self.sold_by_item.entry(item.0).or_default() += units;
            *self.sold_by_user.entry(user.to_owned()).or_default() += units;
        }
    }

    /// Units sold to anybody.
    pub(super) fn sold(&self) -> u64 {
        self.sold_by_item.values().sum()
    }

    /// Items of which more than the one unit was sold, or that do not exist.
    pub(super) fn oversold(&self) -> usize {
        let is_over = |(item, units): &(&u32, &u64)| **units > 1 || **item >= self.total_items;
        self.sold_by_item.iter().filter(is_over).count()
    }

    /// Users with more than the limit.
    pub(super) fn over_limit(&self) -> usize {
        self.sold_by_user
            .values()
            .filter(|&&units| units > self.limit)
            .count()
    }

    /// Users to whom something was sold, and the most that one has.
    pub(super) fn users(&self) -> (usize, u64) {
        let most = self.sold_by_user.values().max().copied();
        (self.sold_by_user.len(), most.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use flashsale::record::{CatalogueKind, Lines, SaleTerms};
    use flashsale::types::{ItemIndex, PaymentTerms, SaleId, Timestamp};

    use super::*;

    const SALE: SaleId = SaleId(3);

    /// A code, a user, and items with whether they were sold.
    type Bought<'a> = (u128, &'a str, &'a [(u32, bool)]);

    fn ledger(purchases: &[Bought<'_>]) -> Ledger {
        let mut ledger = Ledger::default();
        let terms = SaleTerms {
            started_at: Timestamp::from_seconds(0),
            ended_at: Timestamp::from_seconds(1),
            max_items_per_user: 2,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            catalogue: CatalogueKind::Generated {
                seed: 0,
                item_count: 10,
            },
        };
        ledger.add(&Record::SaleCreated { sale: SALE, terms }, SALE.0, "we-");
        for &(secret, user, lines) in purchases {
            let lines: Vec<_> = lines
                .iter()
                .map(|&(item, sold)| PurchasedLine {
                    item: ItemIndex(item),
                    quantity: 1,
                    sold,
                })
                .collect();
            let lines = Lines::Slice(&lines);
            let record = Record::Purchase {
                sale: SALE,
                secret,
                user,
                key: None,
                payment_ref: None,
                lines,
            };
            ledger.add(&record, SALE.0, "we-");
            ledger.add(&record, SALE.0 + 1, "we-");
        }
        ledger
    }

    #[test]
    fn purchases_of_the_sale_are_added_up() {
        let ledger = ledger(&[
            (1, "we-1", &[(0, true), (1, false)]),
            (2, "they", &[(1, true)]),
        ]);
        assert_eq!(
            (ledger.sold(), ledger.oversold(), ledger.over_limit()),
            (2, 0, 0)
        );
        assert_eq!((ledger.users(), ledger.used_twice), ((2, 1), 0));
        assert!(ledger.purchases[&1].ours && !ledger.purchases[&2].ours);
    }

    #[test]
    fn what_must_not_be_is_noticed() {
        let twice = ledger(&[(1, "a", &[(0, true)]), (2, "b", &[(0, true)])]);
        assert_eq!(twice.oversold(), 1);
        let missing = ledger(&[(1, "a", &[(10, true)])]);
        assert_eq!(missing.oversold(), 1);
        let greedy = ledger(&[(1, "a", &[(0, true), (1, true)]), (2, "a", &[(2, true)])]);
        assert_eq!((greedy.over_limit(), greedy.users()), (1, (1, 3)));
        let spent = ledger(&[(1, "a", &[(0, true)]), (1, "a", &[(1, true)])]);
        assert_eq!(spent.used_twice, 1);
    }
}
