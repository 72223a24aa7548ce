//! The opening of a sale as a record, for those who are told of events: once, and before the first checkout.
//!
//! A sale is open from its time on, whatever is recorded. Where openings are recorded, the first decision in it does that before its
//! own record, or the schedule does where nobody comes.

use super::engine::Engine;
use super::outcome::Unavailable;
use super::sale::{Sale, SaleStatus};
use crate::record::{Record, SaleChange};

impl Engine {
    /// Has the openings of all sales recorded that are not closed, where openings are recorded.
    pub(super) fn await_openings(&self) {
        if self.options.record_openings {
            self.open_sales()
                .iter()
                .for_each(|sale| sale.phase.await_opening());
        }
    }

    /// Records the opening of a sale that has begun, unless that was done. To be called under a buyer's lock, or that of the
    /// administration: the record of the closing comes behind both.
    #[cold]
    pub(super) fn record_opening(&self, sale: &Sale) -> Result<(), Unavailable> {
        sale.phase.ensure_opening(|| {
            self.admit()?;
            let change = SaleChange::Opened;
            let opened = Record::SaleChanged {
                sale: sale.id,
                change,
            };
            self.journal.append(self.now(), &opened);
            Ok(())
        })
    }

    /// Records the opening of the sales that have begun, in the order in which they have, where openings are recorded; how many. Does
    /// nothing while the journal takes no records.
    pub fn record_openings(&self) -> usize {
        if !self.options.record_openings {
            return 0;
        }
        let _one_at_a_time = self.administration.lock();
        let now = self.now();
        let mut begun = self.open_sales();
        begun.retain(|sale| sale.phase.awaits_opening() && sale.status(now) == SaleStatus::Active);
        begun.sort_by_key(|sale| (sale.started_at(), sale.id));
        let recorded = begun
            .iter()
            .map_while(|sale| self.record_opening(sale).ok());
        recorded.count()
    }
}
