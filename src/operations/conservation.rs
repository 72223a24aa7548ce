//! The check that `sold + held + free == stock` in every open sale, made while they sell.

use std::collections::HashMap;
use std::sync::Arc;

use crate::limits::{COUNTED_ITEMS_PER_SAMPLE, UNEVEN_SAMPLES};
use crate::sale::{Balance, Gap, Sale};
use crate::types::SaleId;

/// The results of counting the units of all open sales.
#[derive(Debug, Default)]
pub(super) struct Conservation {
    /// Items that may be counted now.
    credit: u64,
    /// The open sale that is counted next.
    next: usize,
    /// Gaps in the units of sales, each with the number of samples in a row that found just this gap.
    uneven: HashMap<SaleId, (Gap, u32)>,
}

impl Conservation {
    /// Counts the units of the `open` sales one after the other, a bounded number of items with each sample: a large
    /// sale, or one of many, is not counted with every sample.
    pub(super) fn check(&mut self, open: &[Arc<Sale>]) {
        self.uneven
            .retain(|id, _| open.iter().any(|sale| sale.id() == *id));
        let largest = open.iter().map(|sale| sale.item_count()).max();
        let credit_max = u64::from(largest.unwrap_or(0)).max(COUNTED_ITEMS_PER_SAMPLE);
        self.credit = (self.credit + COUNTED_ITEMS_PER_SAMPLE).min(credit_max);
        for _ in open {
            let sale = &open[self.next % open.len()];
            let Some(rest) = self.credit.checked_sub(sale.item_count().into()) else {
                break;
            };
            self.credit = rest;
            self.next = (self.next + 1) % open.len();
            self.note(sale.id(), sale.balance());
        }
    }

    fn note(&mut self, sale: SaleId, balance: Balance) {
        match balance {
            Balance::Even => {
                self.uneven.remove(&sale);
            }
            Balance::Moving => {}
            Balance::Uneven(gap) => {
                let (known, times) = self.uneven.entry(sale).or_insert((gap, 0));
                // A real gap stays as it is; one seen while units move does not.
                *times = if *known == gap { *times + 1 } else { 1 };
                *known = gap;
                if *times == UNEVEN_SAMPLES {
                    tracing::error!(%sale, "the units of a sale do not add up: {gap}");
                }
            }
        }
    }

    /// Returns whether the units of this sale add up, as far as is known.
    pub(super) fn holds_for(&self, sale: SaleId) -> bool {
        self.uneven
            .get(&sale)
            .is_none_or(|&(_, times)| times < UNEVEN_SAMPLES)
    }

    /// Returns whether the units of all sales add up, as far as is known.
    pub(super) fn holds(&self) -> bool {
        let mut all = self.uneven.values();
        all.all(|&(_, times)| times < UNEVEN_SAMPLES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_must_be_uneven_for_a_while() {
        let mut conservation = Conservation::default();
        let sale = SaleId(1);
        let uneven = |held| {
            let gap = Gap {
                held,
                ..Gap::default()
            };
            Balance::Uneven(gap)
        };
        // Units on their way are seen now here, now there.
        (0..10).for_each(|sample| conservation.note(sale, uneven(sample % 2)));
        for _ in 1..UNEVEN_SAMPLES {
            assert!(conservation.holds_for(sale) && conservation.holds());
            conservation.note(sale, uneven(2));
            conservation.note(sale, Balance::Moving);
        }
        assert!(conservation.holds_for(sale) && conservation.holds());
        conservation.note(sale, uneven(2));
        assert!(!conservation.holds_for(sale) && !conservation.holds());
        assert!(conservation.holds_for(SaleId(2)));
        conservation.note(sale, Balance::Even);
        assert!(conservation.holds_for(sale) && conservation.holds());
    }
}
