//! A state written down as the fewest records that lead to it.

use super::baskets::{CheckoutEnd, OpenCheckout};
use super::buyers::Buyer;
use super::cancelled::Cancellation;
use super::catalogue::{Catalogue, ExplicitItems};
use super::sale::Sale;
use super::state::State;
use crate::journal::JournalError;
use crate::limits;
use crate::planted::{Slip, is_planted};
use crate::record::{CancelledLines, Items, Lines, NewItem, Record, SaleChange};
use crate::types::{ItemIndex, PurchasedLine, SaleId, Timestamp};

/// Takes a record and, where it is known, its time.
pub type Visit<'a> = &'a mut dyn FnMut(Option<Timestamp>, &Record<'_>) -> Result<(), JournalError>;

fn visit_items(sale: SaleId, items: &ExplicitItems, visit: Visit<'_>) -> Result<(), JournalError> {
    for first in (0..items.count()).step_by(limits::ITEMS_PER_RECORD_MAX) {
        let piece = items.iter_from(first).take(limits::ITEMS_PER_RECORD_MAX);
        let piece: Vec<NewItem<'_>> = piece.collect();
        let items = Items::Slice(&piece);
        let first = ItemIndex(first as u32);
        visit(None, &Record::SaleItems { sale, first, items })?;
    }
    Ok(())
}

/// What was cancelled of a purchase comes before it: its units are never counted as sold then, as others may have bought them since, who
/// perhaps come first.
fn visit_cancelled(
    sale: SaleId,
    user: &str,
    cancellations: &[Cancellation],
    secret: u128,
    visit: Visit<'_>,
) -> Result<(), JournalError> {
    for it in cancellations.iter().filter(|it| it.secret == secret) {
        let cancelled = Record::Cancelled {
            sale,
            secret,
            user,
            reference: &it.reference,
            lines: CancelledLines::Slice(&it.lines),
            restock: it.restock,
        };
        visit(Some(it.at), &cancelled)?;
    }
    Ok(())
}

fn visit_buyer(
    sale: &Sale,
    buyer: &Buyer,
    cancellations: &[Cancellation],
    visit: Visit<'_>,
) -> Result<(), JournalError> {
    let (of_sale, sale, user) = (sale, sale.id, &*buyer.user);
    for closed in &buyer.closed {
        let (secret, at) = (closed.secret, Some(closed.at));
        visit_cancelled(sale, user, cancellations, secret, visit)?;
        match &closed.end {
            CheckoutEnd::Expired { lines } => {
                let lines = lines.iter().map(|&line| basket_line(line, false));
                let lines: Vec<_> = lines
                    .filter(|_| !is_planted(Slip::ForgetsExpiredLines))
                    .collect();
                let lines = Lines::Slice(&lines);
                let expired = Record::Expired {
                    sale,
                    secret,
                    user,
                    lines,
                };
                visit(at, &expired)?;
            }
            CheckoutEnd::Processed { token, result } => {
                let lines = Lines::Slice(&result.lines);
                let (key, payment_ref) = (token.key(), token.payment_ref());
                let purchase = Record::Purchase {
                    sale,
                    secret,
                    user,
                    key,
                    payment_ref,
                    lines,
                };
                visit(at, &purchase)?;
            }
        }
    }
    let Some(open) = &buyer.open else {
        return Ok(());
    };
    for (place, &(item, quantity)) in open.lines.iter().enumerate() {
        let checkout = Record::Checkout {
            sale,
            secret: open.secret,
            user,
            item,
            quantity,
            // Without holds, only a payment has reserved it, whose record follows.
            hold_until: open.hold_until().filter(|_| of_sale.has_holds()),
            opens: place == 0,
            // All keys come behind, those of other checkouts, too.
            key: None,
        };
        visit(Some(open.opened_at), &checkout)?;
    }
    visit_payment(sale, user, open, visit)
}

/// Hands over the payment of an open checkout, behind its lines.
fn visit_payment(
    sale: SaleId,
    user: &str,
    open: &OpenCheckout,
    visit: Visit<'_>,
) -> Result<(), JournalError> {
    let (Some(payment), Some(hold_until)) = (open.payment(), open.hold_until()) else {
        return Ok(());
    };
    let lines = open.lines.iter();
    let lines: Vec<_> = lines
        .map(|&line| basket_line(line, open.holds(line.0)))
        .collect();
    let begun = Record::PaymentBegun {
        sale,
        secret: open.secret,
        user,
        hold_until,
        held_until: payment.held_until,
        lines: Lines::Slice(&lines),
    };
    visit(Some(payment.begun_at), &begun)
}

/// A line of a checkout, as records have it.
fn basket_line((item, quantity): (ItemIndex, u32), sold: bool) -> PurchasedLine {
    PurchasedLine {
        item,
        quantity,
        sold,
    }
}

impl State {
    /// Hands the records that lead to this state to `visit`, in the order of the sales, with their times
    /// where those are known. Exact only while nobody decides.
    ///
    /// # Errors
    /// The visitor's own.
    pub fn visit_records(&self, visit: Visit<'_>) -> Result<(), JournalError> {
        let mut ended = self.ended().oldest_first().peekable();
        for sale in self.sales() {
            while let Some(ended) = ended.next_if(|ended| ended.id < sale.id()) {
                visit(Some(ended.closing.at), &ended.record())?;
            }
            sale.visit_records(visit)?;
        }
        for ended in ended {
            visit(Some(ended.closing.at), &ended.record())?;
        }
        // The record that makes them a sale may follow.
        for (&sale, items) in self.announced() {
            visit_items(sale, items, visit)?;
        }
        Ok(())
    }
}

impl Sale {
    /// Hands the records that lead to this sale to `visit`, as [`State::visit_records`] does.
    ///
    /// # Errors
    /// The visitor's own.
    pub fn visit_records(&self, visit: Visit<'_>) -> Result<(), JournalError> {
        self.visit_records_unlocking(visit, &mut || Ok(()))
    }

    /// Hands the records over as [`Self::visit_records`] does, and calls `unlocked` now and then while no lock of this sale is held: `visit` is
    /// called with locks that a worker may wait for, so that it must not wait for a disk.
    ///
    /// # Errors
    /// The error of `visit` or of `unlocked`.
    pub(super) fn visit_records_unlocking(
        &self,
        visit: Visit<'_>,
        unlocked: &mut dyn FnMut() -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        if let Catalogue::Explicit(items) = &self.catalogue {
            visit_items(self.id, items, &mut |at, record| {
                visit(at, record)?;
                unlocked()
            })?;
        }
        let (sale, terms) = (self.id, self.terms());
        visit(None, &Record::SaleCreated { sale, terms })?;
        if self.phase.is_opening_recorded() {
            let change = SaleChange::Opened;
            visit(None, &Record::SaleChanged { sale, change })?;
        }
        // Before the purchases and holds, in their own order: then no sum of them falls below zero, as none did when less was free; and
        // in the end there is enough for all that is sold and held.
        for (reference, change) in self.stock_changes.lock().in_order() {
            let changed = Record::StockChanged {
                sale,
                item: change.item,
                units: change.units,
                reference,
            };
            visit(None, &changed)?;
        }
        for shard in self.buyers.lock_each() {
            for (buyer, cancellations) in shard.with_cancellations() {
                visit_buyer(self, buyer, cancellations, visit)?;
            }
            for (buyer, keyed) in shard.keyed_checkouts() {
                let (secret, user) = (keyed.secret, &*buyer.user);
                let kept = Record::KeptKey {
                    sale,
                    secret,
                    user,
                    item: keyed.item,
                    quantity: keyed.quantity,
                    key: keyed.key(),
                };
                visit(None, &kept)?;
            }
            drop(shard);
            unlocked()?;
        }
        // Behind the checkouts, which it would refuse.
        if self.is_paused() {
            let change = SaleChange::Paused;
            visit(None, &Record::SaleChanged { sale, change })?;
        }
        match self.closing() {
            Some(closing) => visit(Some(closing.at), &Record::SaleClosed { sale }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::record::{CatalogueKind, SaleTerms};
    use crate::types::PaymentTerms;

    #[test]
    fn nobody_waits_for_a_buyer_while_the_file_of_an_ended_sale_is_written() {
        let (id, seed, item_count) = (SaleId(1), 1, 10);
        let terms = SaleTerms {
            started_at: Timestamp(0),
            ended_at: Timestamp(1),
            max_items_per_user: 1,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            catalogue: CatalogueKind::Generated { seed, item_count },
        };
        let catalogue = Catalogue::Generated {
            sale: id,
            seed,
            item_count,
        };
        let sale = Arc::new(Sale::new(id, terms, catalogue));
        let mut times = 0;
        let mut lock_all = || {
            times += 1;
            let (locked, all_locked) = channel();
            let sale = Arc::clone(&sale);
            thread::spawn(move || locked.send(sale.buyers.lock_each().count()));
            let count = all_locked.recv_timeout(Duration::from_secs(10));
            assert_eq!(count, Ok(limits::BUYER_SHARDS), "a lock is held");
            Ok(())
        };
        sale.visit_records_unlocking(&mut |_, _| Ok(()), &mut lock_all)
            .expect("the visitor never fails");
        assert_eq!(times, limits::BUYER_SHARDS);
    }
}
