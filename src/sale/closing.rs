//! What ends: holds that run out, and sales.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::buyers::{Buyer, BuyerRef, CheckoutEnd, ClosedCheckout};
use super::engine::Engine;
use super::sale::Sale;
use crate::journal::Record;
use crate::types::{Lsn, SaleId, Timestamp};

impl Engine {
    /// Closes a checkout whose hold has run out. The record is enqueued before the units are free.
    pub(super) fn expire(
        &self,
        sale: &Sale,
        reference: BuyerRef,
        buyer: &mut Buyer,
        now: Timestamp,
    ) -> Lsn {
        let secret = buyer.open.as_ref().expect("the caller has found it").secret;
        let record = Record::Expired {
            sale: sale.id,
            secret,
            user: &buyer.user,
        };
        let lsn = self.journal.append(now, &record);
        sale.close_expired(reference, buyer, lsn);
        lsn
    }

    /// Gives the units of run-out holds back, in all open sales; how many checkouts that closed.
    /// Does nothing while the journal takes no records.
    pub fn release_expired(&self) -> usize {
        let now = self.now();
        let sales = self.open_sales();
        sales
            .iter()
            .map(|sale| self.release_expired_of(sale, now))
            .sum()
    }

    fn release_expired_of(&self, sale: &Sale, now: Timestamp) -> usize {
        let mut released = 0;
        while self.journal.admit().is_ok() {
            let due = {
                let mut holds = sale.holds.lock();
                let is_due = holds.front().is_some_and(|hold| hold.until <= now);
                is_due.then(|| holds.pop_front()).flatten()
            };
            let Some(hold) = due else { break };
            let mut shard = sale.buyers.lock_buyer(hold.buyer);
            let buyer = shard.buyer(hold.buyer);
            // The checkout may be over already, and another may be open.
            let is_open = |open: &super::buyers::OpenCheckout| {
                open.secret == hold.secret && open.is_expired(now)
            };
            if buyer.open.as_ref().is_some_and(is_open) {
                self.expire(sale, hold.buyer, buyer, now);
                released += 1;
            }
        }
        released
    }

    /// When the next hold can run out, in any open sale.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.open_sales()
            .iter()
            .filter_map(|sale| sale.next_expiry())
            .min()
    }

    /// Ends a sale, at once and for good. `None` when there is no such sale; otherwise the record
    /// that says so, or `Ok(None)` when it was closed before.
    pub fn close_sale(&self, id: SaleId) -> Option<Option<Lsn>> {
        let _one_at_a_time = self.administration.lock();
        let sale: Arc<Sale> = self.sale(id)?;
        let mut lsn = None;
        let record = Record::SaleClosed { sale: id };
        if sale.close(|| lsn = Some(self.journal.append(self.now(), &record))) {
            let registry = self.registry.load().refreshed();
            self.registry.store(Arc::new(registry));
        }
        Some(lsn)
    }

    /// Closes the sales whose end has come; how many those are.
    pub fn close_ended(&self) -> usize {
        let now = self.now();
        let ended = self
            .open_sales()
            .into_iter()
            .filter(|sale| sale.ended_at() <= now);
        ended
            .filter(|sale| matches!(self.close_sale(sale.id()), Some(Some(_))))
            .count()
    }
}

impl Sale {
    /// Ends an open checkout as expired and gives its units back.
    pub(super) fn close_expired(&self, reference: BuyerRef, buyer: &mut Buyer, lsn: Lsn) {
        let open = buyer.open.take().expect("the caller has found it");
        if open.hold_until.is_some() {
            for (item, quantity) in open.lines {
                self.inventory
                    .release(item, quantity, self.taker(reference));
            }
        }
        let secret = open.secret;
        buyer.closed.push(ClosedCheckout {
            secret,
            lsn,
            end: CheckoutEnd::Expired,
        });
    }

    /// Decides nothing from here on, and holds nothing; `false` when it was closed before. `enqueue`
    /// is called in between: behind the records of all who were deciding, and before what they hold is
    /// free.
    pub(super) fn close(&self, enqueue: impl FnOnce()) -> bool {
        if self.closed.swap(true, Ordering::AcqRel) {
            return false;
        }
        // Whoever was deciding under one of these locks has enqueued their record; whoever takes one
        // later sees that the sale is closed.
        self.buyers.lock_each().for_each(drop);
        enqueue();
        for mut shard in self.buyers.lock_each() {
            for (reference, buyer) in shard.iter_mut() {
                let Some(open) = buyer.open.as_mut() else {
                    continue;
                };
                if open.hold_until.take().is_some() {
                    for &(item, quantity) in &open.lines {
                        self.inventory
                            .release(item, quantity, self.taker(reference));
                    }
                }
            }
        }
        self.holds.lock().clear();
        true
    }
}
