//! Batches in which the items of a new sale get into the journal, each of them durable before the next,
//! so that buyers of other sales hardly notice a million of them.

use std::time::Duration;

use super::engine::Engine;
use super::outcome::Unavailable;
use crate::limits;
use crate::record::{NewItem, Record};
use crate::types::{Lsn, SaleId};

impl Engine {
    /// Records the items of a sale that is to come. Waits where the journal has no room at the moment,
    /// and so blocks the thread, which must not be a worker's.
    ///
    /// # Errors
    /// The server is shutting down, or the journal has taken nothing for
    /// [`limits::ANNOUNCE_SECONDS`].
    pub(super) fn announce(&self, sale: SaleId, items: &[NewItem<'_>]) -> Result<(), Unavailable> {
        let (mut settled, mut on_the_way) = (Lsn::ZERO, 0);
        for (record, piece) in
            Record::item_batches(sale, items).zip(items.chunks(limits::ITEMS_PER_RECORD_MAX))
        {
            self.wait_for_turn(settled)?;
            let lsn = self.journal.append(self.now(), &record);
            on_the_way += piece.iter().map(text_bytes).sum::<usize>();
            if on_the_way >= limits::ANNOUNCED_BYTES {
                (settled, on_the_way) = (lsn, 0);
            }
        }
        self.wait_for_turn(settled)
    }

    /// Waits until `settled` is durable, and the journal takes a record.
    fn wait_for_turn(&self, settled: Lsn) -> Result<(), Unavailable> {
        let patience_us = limits::ANNOUNCE_SECONDS * 1_000_000;
        let give_up_us = self.clock.monotonic_us() + patience_us;
        loop {
            let refused = match self.admit() {
                Ok(()) if self.journal.durable() >= settled && self.journal.has_headroom() => {
                    return Ok(());
                }
                Ok(()) => Unavailable::Overloaded,
                Err(Unavailable::Draining) => return Err(Unavailable::Draining),
                Err(refused) => refused,
            };
            if self.journal.is_over() || self.clock.monotonic_us() >= give_up_us {
                return Err(refused);
            }
            if !self
                .journal
                .pause(Duration::from_millis(limits::ANNOUNCE_PAUSE_MS))
            {
                return Err(refused);
            }
        }
    }
}

fn text_bytes(item: &NewItem<'_>) -> usize {
    item.id.len() + item.name.len() + item.image_url.len()
}
