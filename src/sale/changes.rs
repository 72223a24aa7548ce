//! Changes of a sale that goes on: an administrator pauses it, lets it go on, or has it end later.

use super::engine::Engine;
use super::outcome::Unavailable;
use super::sale::Sale;
use crate::limits::SALE_SECONDS_MAX;
use crate::record::{Record, SaleChange};
use crate::types::{Lsn, SaleId, Timestamp};

/// Why a sale was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// There is no such sale.
    NotFound,
    /// It is over.
    Over,
    /// Its end may only become later.
    NotLater {
        /// When it ends.
        ends_at: Timestamp,
    },
    /// It would last longer than a sale may.
    TooLong,
    /// Nothing is recorded at the moment.
    Unavailable(Unavailable),
}

impl Engine {
    /// Changes a sale that is not over, and returns the record that says so; `None` where it is as wanted already. Blocks for as long as
    /// checkouts are decided.
    ///
    /// # Errors
    /// The sale cannot be changed so, and is as before.
    pub fn change_sale(&self, id: SaleId, change: SaleChange) -> Result<Option<Lsn>, ChangeError> {
        let _one_at_a_time = self.administration.lock();
        let Some(sale) = self.sale(id) else {
            let is_known = self.ended().get(id).is_some();
            return Err(match is_known {
                true => ChangeError::Over,
                false => ChangeError::NotFound,
            });
        };
        let now = self.now();
        if sale.is_closed() || now >= sale.ends_at() {
            return Err(ChangeError::Over);
        }
        check(&sale, change)?;
        self.admit().map_err(ChangeError::Unavailable)?;
        let append = || {
            let record = Record::SaleChanged { sale: id, change };
            self.journal.append(now, &record)
        };
        Ok(match change {
            SaleChange::Paused => {
                let mut lsn = None;
                sale.pause(|| lsn = Some(append()));
                lsn
            }
            SaleChange::Resumed if sale.is_paused() => {
                let lsn = append();
                sale.resume();
                Some(lsn)
            }
            SaleChange::Extended(ends_at) if ends_at != sale.ends_at() => {
                let lsn = append();
                sale.extend(ends_at);
                // Whoever has a calendar makes a new one.
                self.set_registry(self.registry.load().refreshed());
                Some(lsn)
            }
            SaleChange::Resumed | SaleChange::Extended(_) => None,
        })
    }
}

/// Checks that the end becomes later, and not later than it may.
fn check(sale: &Sale, change: SaleChange) -> Result<(), ChangeError> {
    let Some(wanted) = change.ended_at() else {
        return Ok(());
    };
    let ends_at = sale.ends_at();
    if wanted < ends_at {
        return Err(ChangeError::NotLater { ends_at });
    }
    match wanted > sale.started_at().plus_seconds(SALE_SECONDS_MAX) {
        true => Err(ChangeError::TooLong),
        false => Ok(()),
    }
}
