//! The check that open checkouts hold all units that the stock calls held, made while the sales go on.

use std::collections::HashMap;
use std::sync::Arc;

use crate::limits::UNACCOUNTED_SAMPLES;
use crate::sale::{Sale, SaleStatus};
use crate::types::{SaleId, Timestamp};

/// The results of comparing the holds of all open sales with their stock.
#[derive(Debug, Default)]
pub(super) struct HoldAudit(HashMap<SaleId, Discrepancy>);

/// The difference between the units that a sale's stock calls held and the units that its checkouts hold.
#[derive(Debug, Default)]
struct Discrepancy {
    /// The smallest difference since one was last reported: units that move differ only now and then.
    least: i64,
    /// Samples since then.
    samples: u32,
    /// The units reported.
    reported: u64,
}

impl HoldAudit {
    /// Compares the holds of each of the `open` sales that is active `now` with its stock.
    pub(super) fn check(&mut self, open: &[Arc<Sale>], now: Timestamp) {
        self.0
            .retain(|id, _| open.iter().any(|sale| sale.id() == *id));
        let selling = |sale: &&Arc<Sale>| sale.status(now) == SaleStatus::Active;
        for sale in open.iter().filter(selling).filter(|sale| sale.may_hold()) {
            self.note(sale.id(), sale.unaccounted());
        }
    }

    fn note(&mut self, sale: SaleId, gap: i64) {
        if gap == 0 {
            self.0.remove(&sale);
            return;
        }
        let discrepancy = self.0.entry(sale).or_default();
        if discrepancy.least.signum() == -gap.signum() {
            *discrepancy = Discrepancy::default();
        }
        let is_less = discrepancy.samples == 0 || gap.abs() < discrepancy.least.abs();
        discrepancy.least = if is_less { gap } else { discrepancy.least };
        discrepancy.samples += 1;
        if discrepancy.samples == UNACCOUNTED_SAMPLES {
            discrepancy.samples = 0;
            let units = discrepancy.least.unsigned_abs();
            if discrepancy.reported != units {
                discrepancy.reported = units;
                tracing::error!(%sale, units, "the units that the stock calls held differ from those that open checkouts hold");
            }
        }
    }

    /// Returns the units of this sale by which stock and checkouts differ, as far as is known.
    pub(super) fn unaccounted(&self, sale: SaleId) -> u64 {
        self.0
            .get(&sale)
            .map_or(0, |discrepancy| discrepancy.reported)
    }

    /// Returns the units of all sales by which stock and checkouts differ, as far as is known.
    pub(super) fn all_unaccounted(&self) -> u64 {
        self.0
            .values()
            .map(|discrepancy| discrepancy.reported)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALE: SaleId = SaleId(1);

    #[test]
    fn a_difference_must_last_and_the_smallest_one_counts() {
        let mut holds = HoldAudit::default();
        for sample in 1..UNACCOUNTED_SAMPLES {
            holds.note(SALE, 3 + i64::from(sample));
            assert_eq!(holds.all_unaccounted(), 0);
        }
        holds.note(SALE, 3);
        assert_eq!((holds.unaccounted(SALE), holds.all_unaccounted()), (3, 3));
        assert_eq!(holds.unaccounted(SaleId(2)), 0);
        (0..UNACCOUNTED_SAMPLES).for_each(|_| holds.note(SALE, 5));
        assert_eq!(holds.unaccounted(SALE), 5, "it has grown");
        holds.note(SALE, 0);
        assert_eq!(holds.unaccounted(SALE), 0);
    }

    #[test]
    fn a_difference_that_changes_its_sign_is_units_on_their_way() {
        let mut holds = HoldAudit::default();
        for sample in 0..4 * UNACCOUNTED_SAMPLES {
            holds.note(SALE, if sample % 2 == 0 { 1 } else { -1 });
        }
        assert_eq!(holds.all_unaccounted(), 0);
    }
}
