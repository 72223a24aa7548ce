//! The life of holds and sales up to their end: expires holds and closes sales.

use std::cmp::Reverse;
use std::sync::Arc;

use super::baskets::OpenCheckout;
use super::buyers::{BuyerRef, BuyerShard};
use super::engine::Engine;
use super::outcome::{StockFigures, Unavailable};
use super::sale::Sale;
use crate::record::{Lines, Record};
use crate::types::{Lsn, SaleId, Timestamp};

impl Engine {
    /// Ends a checkout whose hold has run out. The record is enqueued before the units are free.
    pub(super) fn expire(
        &self,
        sale: &Sale,
        shard: &mut BuyerShard,
        reference: BuyerRef,
        open: OpenCheckout,
    ) -> Lsn {
        let (now, buyer) = (self.now(), shard.buyer(reference));
        let record = Record::Expired {
            sale: sale.id,
            secret: open.secret,
            user: &buyer.user,
            // Whoever reads the journal has them.
            lines: Lines::NONE,
        };
        let lsn = self.journal.append(now, &record);
        sale.end_expired(reference, buyer, open, now, lsn);
        lsn
    }

    /// Ends the open checkout of a buyer, whose hold has run out.
    ///
    /// # Errors
    /// Nothing can be recorded at the moment.
    pub(super) fn expire_open(
        &self,
        sale: &Sale,
        shard: &mut BuyerShard,
        reference: BuyerRef,
    ) -> Result<Lsn, Unavailable> {
        self.admit()?;
        let open = shard.take_open(reference).expect("it is open");
        Ok(self.expire(sale, shard, reference, open))
    }

    /// Gives the units back whose holds have run out, in all sales that have not ended or wait for payments; how many
    /// checkouts that ended. Does nothing while the journal takes no records. In a sale that has ended nobody can buy
    /// what is given back: that is left to its closing.
    pub fn release_expired(&self) -> usize {
        let steady = self.clock.steady();
        let released = |sale: &Arc<Sale>| self.release_expired_of(sale, steady);
        self.selling().iter().map(released).sum()
    }

    /// The open sales that have not ended by the wall clock, and those that may wait for payments.
    fn selling(&self) -> Vec<Arc<Sale>> {
        let now = self.now();
        let mut sales = self.open_sales();
        sales.retain(|sale| sale.ends_at() > now || sale.has_payments());
        sales
    }

    /// Gives the units back whose holds had run out at `steady` of the steady clock, in all open sales.
    pub fn release_expired_until(&self, steady: Timestamp) -> usize {
        let sales = self.open_sales();
        sales
            .iter()
            .map(|sale| self.release_expired_of(sale, steady))
            .sum()
    }

    /// In the order in which they ran out, whichever locks they are under.
    fn release_expired_of(&self, sale: &Sale, steady: Timestamp) -> usize {
        if sale.next_expiry().is_none_or(|next| next > steady) {
            return 0;
        }
        sale.expect_no_expiry();
        let mut released = 0;
        let mut queue = sale.buyers.expiries();
        while let Some(Reverse((next, index))) = queue.pop() {
            if next > steady || self.journal.admit().is_err() {
                queue.push(Reverse((next, index)));
                break;
            }
            let mut shard = sale.buyers.lock_shard(index);
            // Under the lock, as in a checkout.
            if sale.is_closed() {
                break;
            }
            if let Some((reference, open)) = shard.take_expired(steady) {
                self.expire(sale, &mut shard, reference, open);
                released += 1;
            }
            queue.extend(shard.next_expiry().map(|next| Reverse((next, index))));
        }
        for Reverse((next, _)) in queue {
            sale.expect_expiry(next);
        }
        released
    }

    /// Returns when the next hold can run out, in any open sale that has not ended, by the steady clock.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Timestamp> {
        let sales = self.selling();
        sales.iter().filter_map(|sale| sale.next_expiry()).min()
    }

    /// Ends a sale, at once and for good. `None` when there is no such sale; otherwise the record that
    /// says so, or `Some(None)` when it was closed before.
    pub fn close_sale(&self, id: SaleId) -> Option<Option<Lsn>> {
        self.close_sale_if(id, |_| true)
    }

    /// Ends a sale as [`Self::close_sale`] does, if `is_over` says so while nobody changes it.
    fn close_sale_if(
        &self,
        id: SaleId,
        is_over: impl FnOnce(&Sale) -> bool,
    ) -> Option<Option<Lsn>> {
        let _one_at_a_time = self.administration.lock();
        let Some(sale) = self.sale(id) else {
            return self.ended().get(id).map(|_| None);
        };
        if !is_over(&sale) {
            return Some(None);
        }
        let (now, record) = (self.now(), Record::SaleClosed { sale: id });
        let mut lsn = None;
        let enqueue = || *lsn.insert(self.journal.append(now, &record));
        if sale.close(now, enqueue) {
            let registry = self.registry.load().refreshed();
            self.set_registry(registry);
        }
        Some(lsn)
    }

    /// Closes the sales whose end has come by the wall clock, and whose payments are over, in the order of their ends; how
    /// many those are. What holds had given back before the end of a sale is given back first; where that
    /// cannot be recorded at the moment, the sale is not closed yet.
    pub fn close_ended(&self) -> usize {
        let (now, steady) = (self.now(), self.clock.steady());
        let mut ended = self.open_sales();
        ended.retain(|sale| sale.ends_at() <= now);
        ended.sort_by_key(|sale| (sale.ends_at(), sale.id));
        let close = |sale: &Arc<Sale>| {
            // When it ended, by the steady clock. Payments go on until they are over themselves.
            let end = match sale.has_payments() {
                true => steady,
                false => Timestamp(steady.0 - (now.0 - sale.ends_at().0)),
            };
            self.release_expired_until(end);
            let all_released = sale.next_expiry().is_none_or(|next| next > end);
            let is_over = |sale: &Sale| {
                let has_ended = sale.ends_at() <= now;
                if has_ended {
                    // First: whoever begins a payment behind the count sees it, whatever their clock says.
                    sale.pass_end();
                }
                has_ended && !sale.waits_for_payments()
            };
            let closed =
                all_released && matches!(self.close_sale_if(sale.id(), is_over), Some(Some(_)));
            if closed {
                let StockFigures { total, sold, .. } = sale.figures();
                tracing::info!(sale = %sale.id(), total, sold, "sale closed at its end");
            }
            closed
        };
        ended.iter().filter(|sale| close(sale)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::Catalogue;
    use super::super::inventory::Taker;
    use super::super::test_engine::engine_with_a_sale;
    use super::*;
    use crate::env::ManualClock;
    use crate::record::{CatalogueKind, SaleTerms};
    use crate::sale::{CheckoutOutcome, CheckoutRequest, NewCatalogue, NewSale, PaymentOutcome};
    use crate::types::{CheckoutCode, ItemId, ItemIndex, PaymentTerms, PurchaseBy, UserId};

    const START: Timestamp = Timestamp(0);
    const SALE: SaleId = SaleId(1);

    fn sale() -> Sale {
        let (seed, item_count) = (0, 2);
        let terms = SaleTerms {
            started_at: START,
            ended_at: START.plus_seconds(60),
            max_items_per_user: 1,
            hold_seconds: 1,
            payment: PaymentTerms::NONE,
            catalogue: CatalogueKind::Generated { seed, item_count },
        };
        let catalogue = Catalogue::Generated {
            sale: SALE,
            seed,
            item_count,
        };
        Sale::new(SALE, terms, catalogue)
    }

    #[test]
    fn what_no_checkout_holds_is_missed() {
        let sale = sale();
        let hold = |item| {
            let taker = Taker { lane: 0, buyer: 0 };
            assert!(sale.inventory.hold(ItemIndex(item), 1, taker));
        };
        hold(0);
        assert_eq!(sale.unaccounted(), 1, "nobody has it");
        sale.buyers.lock_user("ada").shard.hold_more(1);
        assert_eq!(sale.unaccounted(), 0);
        hold(1);
        assert_eq!(sale.unaccounted(), 1);
        sale.close(START, || Lsn(1));
        assert_eq!(sale.unaccounted(), 2, "no checkout gave them back");
    }

    /// Returns an engine with a sale that ends at second 160 and waits for payments, and the codes of two checkouts.
    fn engine_with_payments() -> (Arc<Engine>, Arc<ManualClock>, [CheckoutCode; 2]) {
        let (engine, clock, _) = engine_with_a_sale();
        let created = engine.create_sale(&NewSale {
            started_at: Timestamp::from_seconds(100),
            ended_at: Timestamp::from_seconds(160),
            max_items_per_user: 10,
            hold_seconds: 0,
            payment: PaymentTerms {
                seconds: 30,
                purchase_by: PurchaseBy::Buyer,
            },
            catalogue: NewCatalogue::Generated {
                item_count: 10,
                seed: 0,
            },
        });
        let sale = created.expect("a sale").outcome;
        let codes = ["ada", "bob"].map(|user| {
            let decided = engine.checkout(&CheckoutRequest {
                user: UserId::new(user).expect("an id"),
                item: ItemId::new(&format!("ITM-{}-1", sale.id())).expect("an id"),
                quantity: 1,
                sale: None,
                key: None,
            });
            match decided.outcome {
                CheckoutOutcome::Accepted { code, .. } => code,
                other => panic!("{other:?}"),
            }
        });
        (engine, clock, codes)
    }

    #[test]
    fn behind_the_count_of_payments_none_begins_though_the_clock_is_set_back() {
        let (engine, clock, [first, second]) = engine_with_payments();
        let begin = |code| engine.begin_payment(code).outcome;
        assert!(matches!(begin(first), PaymentOutcome::Begun(_)));
        clock.jump_to(Timestamp::from_seconds(160));
        assert_eq!(engine.close_ended(), 0, "it waits for the payment");
        clock.jump_to(Timestamp::from_seconds(159));
        let late = begin(second);
        assert_eq!(late, PaymentOutcome::SaleNotActive);
        assert!(
            matches!(begin(first), PaymentOutcome::Begun(_)),
            "it goes on"
        );
    }
}
