//! Payments that take their time: what is paid is reserved until the shop has heard of it.
//!
//! A payment begins once. Until it is over, its checkout takes no more items; it ends as every checkout does: by a
//! purchase, a confirmation, a give-back, an expiry, or the closing of its sale.

use std::sync::Arc;

use super::baskets::{CheckoutEnd, ClosedCheckout, OpenCheckout, Payment, PurchaseToken};
use super::buyers::{BuyerRef, BuyerShard};
use super::engine::Engine;
use super::outcome::{BegunPayment, Decision, PaymentOutcome, SaleDecision};
use super::purchase::Sold;
use super::sale::Sale;
use crate::planted::{Slip, is_planted};
use crate::record::{Lines, Record};
use crate::types::{CheckoutCode, ItemIndex, Lsn, PurchasedLine, Timestamp};

impl Engine {
    /// Begins the payment of a checkout: reserves what can still be had of it until the payment has to be over. Asked
    /// again, it says the same.
    pub fn begin_payment(&self, code: CheckoutCode) -> SaleDecision<PaymentOutcome> {
        self.in_sale_of(code, |sale| self.payment_of(sale, code))
    }

    /// Begins the payment of a checkout of `sale`, which may have left memory and been loaded again.
    pub fn payment_of(&self, sale: &Sale, code: CheckoutCode) -> Decision<PaymentOutcome> {
        let Some(reference) = sale.buyers.by_code(code.secret) else {
            return sale.unknown_code(PaymentOutcome::CheckoutNotFound);
        };
        let mut shard = sale.buyers.lock_buyer(reference);
        let buyer = shard.buyer(reference);
        if let Some(closed) = buyer.closed_checkout(code.secret) {
            return answer_of_closed(closed);
        }
        let Some(open) = buyer.open_checkout(code.secret) else {
            return sale.unknown_code(PaymentOutcome::CheckoutNotFound);
        };
        if !sale.has_payments() {
            return Decision::immediate(PaymentOutcome::NotOffered);
        }
        // Read under the lock: behind the end, whoever counts the payments under each lock has counted all.
        let now = self.now();
        if sale.is_over_for(open, now) {
            return Decision::immediate(PaymentOutcome::SaleNotActive);
        }
        if open.is_expired(&*self.clock) {
            return match self.expire_open(sale, &mut shard, reference) {
                Ok(lsn) => Decision::after(lsn, PaymentOutcome::CheckoutExpired),
                Err(unavailable) => Decision::immediate(PaymentOutcome::Unavailable(unavailable)),
            };
        }
        if open.payment().is_some() && !is_planted(Slip::ReservesAgain) {
            return Decision::after(open.lsn, begun(code, open));
        }
        if let Err(unavailable) = self.admit() {
            return Decision::immediate(PaymentOutcome::Unavailable(unavailable));
        }
        self.reserve(sale, &mut shard, reference, code, now)
    }

    /// Reserves what can be had of a buyer's open checkout; where that is nothing, the checkout is over.
    fn reserve(
        &self,
        sale: &Sale,
        shard: &mut BuyerShard,
        reference: BuyerRef,
        code: CheckoutCode,
        now: Timestamp,
    ) -> Decision<PaymentOutcome> {
        let taker = sale.taker(reference);
        let buyer = shard.buyer(reference);
        let open = buyer.open.as_ref().expect("it is open");
        let (hold_until, mut units) = (open.hold_until(), 0);
        let reserve = |&(item, quantity): &_| {
            let reserved = hold_until.is_some() || {
                let is_free = sale.inventory.hold(item, quantity, taker);
                units += if is_free { quantity } else { 0 };
                is_free
            };
            PurchasedLine {
                item,
                quantity,
                sold: reserved,
            }
        };
        let lines: Box<[PurchasedLine]> = open.lines.iter().map(reserve).collect();
        if lines.iter().all(|line| !line.sold) {
            let open = shard.take_open(reference).expect("it is open");
            let (buyer, lines) = (shard.buyer(reference), (open.secret, lines));
            let Sold { lsn, result } =
                self.close_processed(sale, buyer, lines, PurchaseToken::None, now);
            return Decision::after(lsn, PaymentOutcome::AllItemsSold { result });
        }
        let steady = self.clock.steady();
        let until = payment_end(sale, hold_until, now, steady);
        let held_until = Timestamp(now.0 + (until.0 - steady.0));
        let record = Record::PaymentBegun {
            sale: sale.id,
            secret: open.secret,
            user: &buyer.user,
            hold_until: until,
            held_until,
            lines: Lines::Slice(&lines),
        };
        let lsn = self.journal.append(now, &record);
        let payment = Payment {
            begun_at: now,
            held_until,
            unreserved: unreserved(&lines),
        };
        sale.expect_expiry(until);
        shard.begin_payment(reference, payment, (until, steady), units, lsn);
        let open = shard.buyer(reference).open.as_ref().expect("it is open");
        Decision::after(lsn, begun(code, open))
    }
}

/// Returns the items of the lines that were not reserved.
pub(super) fn unreserved(lines: &[PurchasedLine]) -> Box<[ItemIndex]> {
    let lost = lines.iter().filter(|line| !line.sold);
    lost.map(|line| line.item).collect()
}

/// Returns until when a payment that begins now reserves its units, by the steady clock. A hold that lasts longer stays,
/// but no longer than the last payment of the sale.
fn payment_end(
    sale: &Sale,
    hold_until: Option<Timestamp>,
    now: Timestamp,
    steady: Timestamp,
) -> Timestamp {
    let end = steady.plus_seconds(sale.terms.payment.seconds);
    let last = Timestamp(end.0 + (sale.ends_at().0 - now.0).max(0));
    end.max(hold_until.unwrap_or(end).min(last))
}

fn begun(code: CheckoutCode, open: &OpenCheckout) -> PaymentOutcome {
    let payment = open.payment().expect("it was begun");
    PaymentOutcome::Begun(Box::new(BegunPayment {
        code,
        lines: open.basket_lines(),
        held_until: payment.held_until,
    }))
}

fn answer_of_closed(closed: &ClosedCheckout) -> Decision<PaymentOutcome> {
    let outcome = match &closed.end {
        CheckoutEnd::Expired { .. } => PaymentOutcome::CheckoutExpired,
        CheckoutEnd::Processed { result, .. } => {
            let result = Arc::clone(result);
            match result.any_sold() {
                true => PaymentOutcome::AlreadyProcessed { result },
                false => PaymentOutcome::AllItemsSold { result },
            }
        }
    };
    Decision::after(closed.lsn, outcome)
}

/// The parts of the record of a payment that begins.
pub(super) struct PaymentStart<'a> {
    pub(super) secret: u128,
    pub(super) user: &'a str,
    pub(super) hold_until: Timestamp,
    pub(super) held_until: Timestamp,
    pub(super) lines: Lines<'a>,
}

impl Sale {
    /// A payment begins once, and reserves all that its checkout does not hold already, as far as the record says so.
    pub(super) fn apply_payment(
        &self,
        start: &PaymentStart<'_>,
        at: Timestamp,
        lsn: Lsn,
    ) -> Result<(), String> {
        let PaymentStart {
            secret,
            user,
            hold_until,
            held_until,
            lines,
        } = *start;
        let mut locked = self.buyers.lock_user(user);
        let reference = locked.find(user);
        let open = reference.and_then(|reference| locked.shard.buyer(reference).open.as_ref());
        let (Some(reference), Some(open)) = (reference, open.filter(|open| open.secret == secret))
        else {
            return Err(format!(
                "user {user:?} pays for a checkout that is not open"
            ));
        };
        if open.payment().is_some() {
            return Err(format!("user {user:?} pays twice for one checkout"));
        }
        let lines: Box<[PurchasedLine]> = lines.iter().collect();
        let chosen = open.lines.iter().copied();
        if !chosen.eq(lines.iter().map(|line| (line.item, line.quantity))) {
            return Err(format!("user {user:?} pays for what they did not choose"));
        }
        if is_planted(Slip::ForgetsPayments) {
            return Ok(());
        }
        let (is_held, mut units) = (open.hold.is_some(), 0);
        for line in &lines {
            let taken = match (is_held, line.sold) {
                (true, is_reserved) => is_reserved,
                (false, false) => true,
                (false, true) => {
                    units += line.quantity;
                    let taker = self.taker(reference);
                    self.inventory.hold(line.item, line.quantity, taker)
                }
            };
            if !taken {
                let item = line.item.0;
                return Err(format!("item {item} cannot be reserved so"));
            }
        }
        let payment = Payment {
            begun_at: at,
            held_until,
            unreserved: unreserved(&lines),
        };
        self.expect_expiry(hold_until);
        let times = (hold_until, at);
        locked
            .shard
            .begin_payment(reference, payment, times, units, lsn);
        Ok(())
    }
}
