//! Changes of a sale that goes on: an administrator pauses it, lets it go on, has it end later, or changes the stock of an item.

use std::num::NonZeroI64;
use std::sync::Arc;

use super::engine::Engine;
use super::outcome::Unavailable;
use super::sale::Sale;
use crate::limits::SALE_SECONDS_MAX;
use crate::planted::{Slip, is_planted};
use crate::record::{Record, SaleChange};
use crate::types::{ItemId, ItemIndex, Lsn, Reference, SaleId, Timestamp};

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

/// A request to change the stock of an item.
#[derive(Clone, Copy, Debug)]
pub struct StockChangeRequest<'a> {
    /// The sale.
    pub sale: SaleId,
    /// The item.
    pub item: ItemId<'a>,
    /// Units to add, or to take out where it is negative.
    pub units: NonZeroI64,
    /// Names the change: asked for again by the same name, it is answered and not made again.
    pub reference: Reference<'a>,
}

/// Why the stock of an item was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockChangeError {
    /// There is no such sale.
    SaleNotFound,
    /// The sale has left memory: load it, and ask [`Sale::repeated_stock_change`].
    SaleArchived,
    /// The sale is over.
    Over,
    /// The sale has no such item.
    ItemNotFound,
    /// The item exists once.
    Single,
    /// The reference came with another item or number before.
    ReferenceReused,
    /// The stock of the sale's items has changed as often as it may.
    TooMany,
    /// Fewer units are free than are to be taken out.
    InUse {
        /// How many are free.
        free: u64,
    },
    /// More units of the item would be there than may be.
    TooMuch {
        /// How many may be added.
        room: u64,
    },
    /// Nothing is recorded at the moment.
    Unavailable(Unavailable),
}

impl Engine {
    /// Changes the stock of an item of a sale that is not over, once for each reference. Returns the sale, the item, and the record that
    /// says so; `None` where it was changed before. Blocks for as long as another administrator is at work.
    ///
    /// # Errors
    /// The stock cannot be changed so, and is as before.
    pub fn change_stock(
        &self,
        request: &StockChangeRequest<'_>,
    ) -> Result<(Arc<Sale>, ItemIndex, Option<Lsn>), StockChangeError> {
        let _one_at_a_time = self.administration.lock();
        let Some(sale) = self.sale(request.sale) else {
            let is_known = self.ended().get(request.sale).is_some();
            return Err(match is_known {
                true => StockChangeError::SaleArchived,
                false => StockChangeError::SaleNotFound,
            });
        };
        match sale.repeated_stock_change(request) {
            Ok(item) if !is_planted(Slip::RestocksTwice) => return Ok((sale, item, None)),
            Ok(_) | Err(StockChangeError::Over) => {}
            Err(error) => return Err(error),
        }
        let now = self.now();
        if sale.is_closed() || now >= sale.ends_at() {
            return Err(StockChangeError::Over);
        }
        let item = sale.find_item(request.item);
        let item = item.ok_or(StockChangeError::ItemNotFound)?;
        if sale.inventory.is_single(item) {
            return Err(StockChangeError::Single);
        }
        if sale.stock_changes.lock().is_full() {
            return Err(StockChangeError::TooMany);
        }
        self.admit().map_err(StockChangeError::Unavailable)?;
        let (units, reference) = (request.units.get(), request.reference.as_str());
        let enqueue = || {
            let record = Record::StockChanged {
                sale: sale.id,
                item,
                units,
                reference,
            };
            self.journal.append(now, &record)
        };
        let more = units.unsigned_abs();
        let lsn = if units < 0 {
            let withdrawn = sale.withdraw(item, more, enqueue);
            withdrawn.ok_or_else(|| StockChangeError::InUse {
                free: sale.inventory.units(item).free,
            })?
        } else {
            let room = sale.room_of(item);
            if more > room {
                return Err(StockChangeError::TooMuch { room });
            }
            sale.restock(item, more, enqueue)
        };
        let mut kept = sale.stock_changes.lock();
        kept.keep(reference, item, units, lsn);
        drop(kept);
        Ok((sale, item, Some(lsn)))
    }

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
            // An opening is a matter of time, and nobody's wish.
            SaleChange::Resumed | SaleChange::Extended(_) | SaleChange::Opened => None,
        })
    }
}

impl Sale {
    /// Returns the item whose stock was changed by the same request before.
    ///
    /// # Errors
    /// [`StockChangeError::Over`] where no request has come with this reference; another one where a different request has.
    pub fn repeated_stock_change(
        &self,
        request: &StockChangeRequest<'_>,
    ) -> Result<ItemIndex, StockChangeError> {
        let change = self.stock_change(request.reference.as_str());
        let change = change.ok_or(StockChangeError::Over)?;
        let is_same = self.find_item(request.item) == Some(change.item)
            && change.units == request.units.get();
        match is_same {
            true => Ok(change.item),
            false => Err(StockChangeError::ReferenceReused),
        }
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
