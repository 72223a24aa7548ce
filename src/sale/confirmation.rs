//! Confirmation: the shop says that a checkout is paid, which purchases what is in it.

use std::sync::Arc;

use super::baskets::{CheckoutEnd, ClosedCheckout, OpenCheckout, PurchaseToken};
use super::buyers::{BuyerRef, BuyerShard};
use super::engine::Engine;
use super::outcome::{ConfirmOutcome, Decision, SaleDecision};
use super::purchase::Sold;
use super::sale::Sale;
use crate::planted::{Slip, is_planted};
use crate::types::{CheckoutCode, ItemIndex, PurchasedLine, Reference, Timestamp};

/// A request to confirm a payment.
#[derive(Clone, Copy, Debug)]
pub struct ConfirmRequest<'a> {
    /// The checkout that is paid.
    pub code: CheckoutCode,
    /// The payment. The same one may be confirmed again, and gets the same answer.
    pub payment_ref: Reference<'a>,
    /// Whether a checkout that has expired gets what is still free.
    pub late: bool,
}

impl Engine {
    /// Purchases what is in a checkout that is paid, and closes it. The outcome of all items is one record.
    pub fn confirm(&self, request: &ConfirmRequest<'_>) -> SaleDecision<ConfirmOutcome> {
        self.in_sale_of(request.code, |sale| self.confirm_of(sale, request))
    }

    /// Purchases what is in a checkout of `sale`, which may have left memory and been loaded again.
    pub fn confirm_of(
        &self,
        sale: &Sale,
        request: &ConfirmRequest<'_>,
    ) -> Decision<ConfirmOutcome> {
        let secret = request.code.secret;
        let Some(reference) = sale.buyers.by_code(secret) else {
            return sale.unknown_code(ConfirmOutcome::CheckoutNotFound);
        };
        let mut shard = sale.buyers.lock_buyer(reference);
        let now = self.now();
        let buyer = shard.buyer(reference);
        // First, so that a shop that lost its answer learns it even after the sale.
        if let Some(closed) = buyer.closed_checkout(secret) {
            return match answer_of_closed(sale, closed, request) {
                Some(answer) => answer,
                None => self.confirm_late(sale, &mut shard, reference, request, now),
            };
        }
        let Some(open) = buyer.open_checkout(secret) else {
            return sale.unknown_code(ConfirmOutcome::CheckoutNotFound);
        };
        if sale.is_over_for(open, now) {
            return Decision::immediate(ConfirmOutcome::SaleNotActive);
        }
        if let Err(unavailable) = self.admit() {
            return Decision::immediate(ConfirmOutcome::Unavailable(unavailable));
        }
        let expired = open.is_expired(&*self.clock);
        let open = shard.take_open(reference).expect("it was there");
        if expired {
            let lsn = self.expire(sale, &mut shard, reference, open);
            return match request.late {
                true => self.confirm_late(sale, &mut shard, reference, request, now),
                false => Decision::after(lsn, ConfirmOutcome::CheckoutExpired),
            };
        }
        let (buyer, token) = (shard.buyer(reference), token_of(request));
        processed(self.sell(sale, reference, buyer, &open, token, now))
    }

    /// Sells what is still free of a checkout that has expired, in whole lines, as far as the buyer's limit goes.
    fn confirm_late(
        &self,
        sale: &Sale,
        shard: &mut BuyerShard,
        reference: BuyerRef,
        request: &ConfirmRequest<'_>,
        now: Timestamp,
    ) -> Decision<ConfirmOutcome> {
        // What was in it is gone with the sale.
        if sale.is_over_for_shop(now) {
            return Decision::immediate(ConfirmOutcome::SaleNotActive);
        }
        if let Err(unavailable) = self.admit() {
            return Decision::immediate(ConfirmOutcome::Unavailable(unavailable));
        }
        // One that is over, and that nobody has looked at yet, takes nothing of the limit.
        if let Err(unavailable) = self.expire_if_due(sale, shard, reference) {
            return Decision::immediate(ConfirmOutcome::Unavailable(unavailable));
        }
        let secret = request.code.secret;
        let lines = shard.buyer(reference).take_expired(secret);
        let lines = lines.expect("it has expired");
        let (buyer, cancellations) = shard.buyer_and_cancellations(reference);
        let room_of = |&(item, _): &(ItemIndex, u32)| sale.item_room(buyer, cancellations, item);
        let rooms_of_items: Vec<u32> = lines.iter().map(room_of).collect();
        let buyer = shard.buyer(reference);
        // Those of the open checkout are the buyer's as well.
        let limit = sale.terms.max_items_per_user;
        let mut room = limit.saturating_sub(buyer.bought + buyer.chosen_units());
        let taker = sale.taker(reference);
        let take = |(&(item, quantity), room_of_item): (&_, u32)| {
            let fits = quantity <= room.min(room_of_item) || is_planted(Slip::LateBeyondLimit);
            let sold = fits && sale.inventory.sell(item, quantity, taker);
            if sold {
                room = room.saturating_sub(quantity);
            }
            PurchasedLine {
                item,
                quantity,
                sold,
            }
        };
        let lines = lines.iter().zip(rooms_of_items).map(take).collect();
        processed(self.close_processed(sale, buyer, (secret, lines), token_of(request), now))
    }
}

impl Sale {
    /// Returns whether a shop confirms and cancels nothing any more: from the end on, and where payments take their time from the closing
    /// on.
    pub(super) fn is_over_for_shop(&self, now: Timestamp) -> bool {
        self.is_closed() || now >= self.ends_at() && !self.has_payments()
    }

    /// Returns whether an open checkout can be used no longer. Behind the end it can, while its payment is under way.
    pub(super) fn is_over_for(&self, open: &OpenCheckout, now: Timestamp) -> bool {
        self.is_closed() || self.has_passed_end(now) && open.payment().is_none()
    }
}

fn token_of(request: &ConfirmRequest<'_>) -> PurchaseToken {
    PurchaseToken::Payment(request.payment_ref.as_str().into())
}

fn processed(Sold { lsn, result }: Sold) -> Decision<ConfirmOutcome> {
    let replayed = false;
    Decision::after(lsn, ConfirmOutcome::Processed { result, replayed })
}

/// The answer to a code whose checkout is over; `None` where it has expired and a late payment is to be taken.
fn answer_of_closed(
    sale: &Sale,
    closed: &ClosedCheckout,
    request: &ConfirmRequest<'_>,
) -> Option<Decision<ConfirmOutcome>> {
    let outcome = match &closed.end {
        // Of one from before its lines were kept, or of a closed sale, nothing is known to be sold.
        CheckoutEnd::Expired { lines } if request.late && !lines.is_empty() => return None,
        CheckoutEnd::Expired { .. } => {
            // That it is too late also rests on the closing: without that the payment would still be taken.
            let closing = sale.closing().map(|closing| closing.lsn);
            let lsn = closing.map_or(closed.lsn, |closing| closing.max(closed.lsn));
            return Some(Decision::after(lsn, ConfirmOutcome::CheckoutExpired));
        }
        CheckoutEnd::Processed { token, result } => {
            let (first, result) = (token.payment_ref(), Arc::clone(result));
            let is_same = first == Some(request.payment_ref.as_str());
            let is_forgiven = first.is_some() && is_planted(Slip::ForgivesAnotherPayment);
            // No other payment has won where nothing was sold: there was nothing left.
            if is_same || is_forgiven || first.is_none() && !result.any_sold() {
                let replayed = true;
                ConfirmOutcome::Processed { result, replayed }
            } else {
                let payment_ref = first.map(Into::into);
                ConfirmOutcome::AlreadyProcessed {
                    result,
                    payment_ref,
                }
            }
        }
    };
    Some(Decision::after(closed.lsn, outcome))
}
