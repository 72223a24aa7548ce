//! Whether `sold + held + free == stock` in every open sale, looked at while they sell.

use std::collections::HashMap;
use std::sync::Arc;

use crate::limits::{BALANCED_ITEMS_PER_LOOK, UNEVEN_LOOKS};
use crate::sale::{Balance, Gap, Sale};
use crate::types::SaleId;

/// What the looks at the units of all open sales have shown.
#[derive(Debug, Default)]
pub(super) struct Conservation {
    /// Items that may be counted by now.
    credit: u64,
    /// Whose turn it is among the open sales.
    turn: usize,
    /// By how much the units of a sale did not add up, and how often in a row by just that.
    uneven: HashMap<SaleId, (Gap, u32)>,
}

impl Conservation {
    /// Counts the units of `open` sales in turns, so many items a look as are allowed: a large sale, and one
    /// of many, has its turn only every now and then.
    pub(super) fn look(&mut self, open: &[Arc<Sale>]) {
        self.uneven
            .retain(|id, _| open.iter().any(|sale| sale.id() == *id));
        let largest = open.iter().map(|sale| sale.item_count()).max();
        let credit_max = u64::from(largest.unwrap_or(0)).max(BALANCED_ITEMS_PER_LOOK);
        self.credit = (self.credit + BALANCED_ITEMS_PER_LOOK).min(credit_max);
        for _ in open {
            let sale = &open[self.turn % open.len()];
            let Some(rest) = self.credit.checked_sub(sale.item_count().into()) else {
                break;
            };
            self.credit = rest;
            self.turn = (self.turn + 1) % open.len();
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
                // What is wrong stays as it is; what is seen while units move does not.
                *times = if *known == gap { *times + 1 } else { 1 };
                *known = gap;
                if *times == UNEVEN_LOOKS {
                    tracing::error!(%sale, "the units of a sale do not add up: {gap}");
                }
            }
        }
    }

    /// Whether the units of this sale add up, as far as is known.
    pub(super) fn holds_for(&self, sale: SaleId) -> bool {
        self.uneven
            .get(&sale)
            .is_none_or(|&(_, times)| times < UNEVEN_LOOKS)
    }

    /// Whether those of all sales do.
    pub(super) fn holds(&self) -> bool {
        let mut all = self.uneven.values();
        all.all(|&(_, times)| times < UNEVEN_LOOKS)
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
        (0..10).for_each(|look| conservation.note(sale, uneven(look % 2)));
        for _ in 1..UNEVEN_LOOKS {
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
