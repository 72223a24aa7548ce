//! Purchase: sells what a checkout contains, once.

use std::sync::Arc;

use super::baskets::{CheckoutEnd, ClosedCheckout, OpenCheckout, PurchaseToken};
use super::buyers::{Buyer, BuyerRef};
use super::engine::Engine;
use super::outcome::{Decision, PurchaseOutcome, PurchaseResult, SaleDecision};
use super::sale::Sale;
use crate::planted::{Slip, is_planted};
use crate::record::{Lines, Record};
use crate::types::{CheckoutCode, IdempotencyKey, Lsn, PurchaseBy, PurchasedLine, Timestamp};

impl Engine {
    /// Sells the items of a checkout, each that is still to be had in its whole quantity, and closes
    /// it. The outcome of all items is one record.
    pub fn purchase(
        &self,
        code: CheckoutCode,
        key: Option<IdempotencyKey<'_>>,
    ) -> SaleDecision<PurchaseOutcome> {
        self.in_sale_of(code, |sale| self.purchase_of(sale, code, key))
    }

    /// Sells the items of a checkout of `sale`, which may have left memory and been loaded again.
    pub fn purchase_of(
        &self,
        sale: &Sale,
        code: CheckoutCode,
        key: Option<IdempotencyKey<'_>>,
    ) -> Decision<PurchaseOutcome> {
        let now = self.now();
        let Some(reference) = sale.buyers.by_code(code.secret) else {
            return sale.unknown_code(PurchaseOutcome::CheckoutNotFound);
        };
        let mut shard = sale.buyers.lock_buyer(reference);
        let buyer = shard.buyer(reference);
        // First, so that a client that lost its answer learns it even after the sale.
        if let Some(closed) = buyer.closed_checkout(code.secret) {
            return repeated(closed, key);
        }
        let Some(open) = buyer.open_checkout(code.secret) else {
            // It was given back just now, or the code has only its one half in common with one of this buyer's.
            return sale.unknown_code(PurchaseOutcome::CheckoutNotFound);
        };
        // Under the lock, as in a checkout.
        let ended_at = sale.ends_at();
        let is_over = match is_planted(Slip::SellsAtTheEnd) {
            true => now > ended_at,
            false => now >= ended_at,
        };
        let is_early = is_planted(Slip::EndsSalesEarly) && now.plus_seconds(2) >= ended_at;
        // A payment that began before may be finished.
        let is_over = (is_over || is_early) && open.payment().is_none();
        if sale.is_closed() || is_over {
            return Decision::immediate(PurchaseOutcome::SaleNotActive);
        }
        if sale.terms.payment.purchase_by == PurchaseBy::Shop {
            return Decision::immediate(PurchaseOutcome::ShopConfirms);
        }
        if let Err(unavailable) = self.admit() {
            return Decision::immediate(PurchaseOutcome::Unavailable(unavailable));
        }
        let expired = open.is_expired(&*self.clock);
        let open = shard.take_open(reference).expect("it was there");
        if expired {
            let lsn = self.expire(sale, &mut shard, reference, open);
            return Decision::after(lsn, PurchaseOutcome::CheckoutExpired);
        }
        let token = key.map_or(PurchaseToken::None, |key| {
            PurchaseToken::Key(key.as_str().into())
        });
        let Sold { lsn, result } =
            self.sell(sale, reference, shard.buyer(reference), &open, token, now);
        let replayed = false;
        Decision::after(lsn, PurchaseOutcome::Processed { result, replayed })
    }

    /// Sells what is in a checkout, which was taken from its buyer: what it holds, and of the rest what can be had.
    pub(super) fn sell(
        &self,
        sale: &Sale,
        reference: BuyerRef,
        buyer: &mut Buyer,
        open: &OpenCheckout,
        token: PurchaseToken,
        now: Timestamp,
    ) -> Sold {
        let taker = sale.taker(reference);
        let take = |&(item, quantity): &_| {
            let sold = if open.hold.is_some() {
                // What a payment could not reserve is lost.
                let is_held = open.holds(item);
                if is_held {
                    sale.inventory.sell_held(item, quantity, taker);
                }
                is_held
            } else {
                sale.inventory.sell(item, quantity, taker)
            };
            PurchasedLine {
                item,
                quantity,
                sold,
            }
        };
        let lines = open.lines.iter().map(take).collect();
        self.close_processed(sale, buyer, (open.secret, lines), token, now)
    }

    /// Ends a checkout of these lines as processed. What is sold of them was taken before.
    pub(super) fn close_processed(
        &self,
        sale: &Sale,
        buyer: &mut Buyer,
        (secret, lines): (u128, Box<[PurchasedLine]>),
        token: PurchaseToken,
        now: Timestamp,
    ) -> Sold {
        let result = PurchaseResult { lines };
        let sold = result
            .lines
            .iter()
            .filter(|line| line.sold)
            .map(|line| line.quantity);
        buyer.bought += sold.sum::<u32>();
        assert!(
            buyer.bought <= sale.terms.max_items_per_user,
            "a user is over the limit"
        );
        let lsn = self.journal.append(
            now,
            &Record::Purchase {
                sale: sale.id,
                secret,
                user: &buyer.user,
                key: token.key(),
                payment_ref: token.payment_ref(),
                lines: Lines::Slice(&result.lines),
            },
        );
        if result.lines.iter().any(|line| line.sold) {
            sale.inventory.note_sold(lsn, super::lane());
        }
        let result = Arc::new(result);
        let end = CheckoutEnd::Processed {
            token,
            result: Arc::clone(&result),
        };
        buyer.closed.push(ClosedCheckout {
            secret,
            at: now,
            lsn,
            end,
        });
        Sold { lsn, result }
    }
}

/// A checkout that was processed just now.
pub(super) struct Sold {
    /// The record that says so.
    pub(super) lsn: Lsn,
    /// The result of its lines.
    pub(super) result: Arc<PurchaseResult>,
}

/// The answer to a code that was used before. It rests on the record of that use.
fn repeated(closed: &ClosedCheckout, key: Option<IdempotencyKey<'_>>) -> Decision<PurchaseOutcome> {
    let outcome = match &closed.end {
        CheckoutEnd::Expired { .. } => PurchaseOutcome::CheckoutExpired,
        CheckoutEnd::Processed { token, result } => {
            let result = Arc::clone(result);
            match (token, key) {
                (PurchaseToken::Key(first), Some(key))
                    if **first == *key.as_str() || is_planted(Slip::ForgivesAnotherKey) =>
                {
                    PurchaseOutcome::Processed {
                        result,
                        replayed: true,
                    }
                }
                _ => PurchaseOutcome::AlreadyProcessed { result },
            }
        }
    };
    Decision::after(closed.lsn, outcome)
}
