//! Whether all that is held is held by an open checkout, looked at while the sales go on.

use std::collections::HashMap;
use std::sync::Arc;

use crate::limits::UNACCOUNTED_LOOKS;
use crate::sale::{Sale, SaleStatus};
use crate::types::{SaleId, Timestamp};

/// What the looks at the holds of all open sales have shown.
#[derive(Debug, Default)]
pub(super) struct Holds(HashMap<SaleId, Seen>);

/// A sale whose stock says that more, or less, is held than checkouts hold.
#[derive(Debug, Default)]
struct Seen {
    /// The smallest such number since it was last believed: what moves is seen only now and then.
    least: i64,
    /// Looks since then.
    looks: u32,
    /// What is believed.
    believed: u64,
}

impl Holds {
    /// Compares the holds of those of the `open` sales that sell `now`.
    pub(super) fn look(&mut self, open: &[Arc<Sale>], now: Timestamp) {
        self.0
            .retain(|id, _| open.iter().any(|sale| sale.id() == *id));
        let selling = |sale: &&Arc<Sale>| sale.status(now) == SaleStatus::Active;
        for sale in open.iter().filter(selling).filter(|sale| sale.has_holds()) {
            self.note(sale.id(), sale.unaccounted());
        }
    }

    fn note(&mut self, sale: SaleId, gap: i64) {
        if gap == 0 {
            self.0.remove(&sale);
            return;
        }
        let seen = self.0.entry(sale).or_default();
        if seen.least.signum() == -gap.signum() {
            *seen = Seen::default();
        }
        let is_less = seen.looks == 0 || gap.abs() < seen.least.abs();
        seen.least = if is_less { gap } else { seen.least };
        seen.looks += 1;
        if seen.looks == UNACCOUNTED_LOOKS {
            seen.looks = 0;
            let units = seen.least.unsigned_abs();
            if seen.believed != units {
                seen.believed = units;
                tracing::error!(%sale, units, "what is held is not what open checkouts hold");
            }
        }
    }

    /// Units of this sale that are held by nobody, or held and not taken, as far as is known.
    pub(super) fn unaccounted(&self, sale: SaleId) -> u64 {
        self.0.get(&sale).map_or(0, |seen| seen.believed)
    }

    /// Those of all sales.
    pub(super) fn all_unaccounted(&self) -> u64 {
        self.0.values().map(|seen| seen.believed).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALE: SaleId = SaleId(1);

    #[test]
    fn units_must_be_missed_for_a_while_and_the_fewest_count() {
        let mut holds = Holds::default();
        for look in 1..UNACCOUNTED_LOOKS {
            holds.note(SALE, 3 + i64::from(look));
            assert_eq!(holds.all_unaccounted(), 0);
        }
        holds.note(SALE, 3);
        assert_eq!((holds.unaccounted(SALE), holds.all_unaccounted()), (3, 3));
        assert_eq!(holds.unaccounted(SaleId(2)), 0);
        (0..UNACCOUNTED_LOOKS).for_each(|_| holds.note(SALE, 5));
        assert_eq!(holds.unaccounted(SALE), 5, "it has become more");
        holds.note(SALE, 0);
        assert_eq!(holds.unaccounted(SALE), 0);
    }

    #[test]
    fn what_is_seen_now_here_now_there_is_on_its_way() {
        let mut holds = Holds::default();
        for look in 0..4 * UNACCOUNTED_LOOKS {
            holds.note(SALE, if look % 2 == 0 { 1 } else { -1 });
        }
        assert_eq!(holds.all_unaccounted(), 0);
    }
}
