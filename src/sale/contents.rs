//! The contents of an open checkout: to look at, and to give back.

use std::sync::Arc;

use super::baskets::{CheckoutEnd, ClosedCheckout, OpenCheckout};
use super::buyers::{BuyerRef, BuyerShard};
use super::cancelled::{Cancellation, cancelled_units, last_lsn};
use super::engine::Engine;
use super::outcome::{CheckoutContents, ContentsOutcome, Decision, SaleDecision};
use super::sale::Sale;
use crate::record::{Record, ReleasedLine};
use crate::types::{CheckoutCode, ItemId, ItemIndex, Timestamp};

/// A request to give units of an open checkout back.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseRequest<'a> {
    /// The checkout.
    pub code: CheckoutCode,
    /// The item; `None` for all that is in it.
    pub item: Option<ItemId<'a>>,
    /// Units of the item; `None` for as many as are in it.
    pub quantity: Option<u32>,
}

impl Engine {
    /// Returns what is in an open checkout.
    pub fn contents(&self, code: CheckoutCode) -> SaleDecision<ContentsOutcome> {
        self.in_sale_of(code, |sale| self.contents_of(sale, code))
    }

    /// Gives units of an open checkout back, which the user may put into one again, and others at once.
    pub fn release(&self, request: &ReleaseRequest<'_>) -> SaleDecision<ContentsOutcome> {
        self.in_sale_of(request.code, |sale| self.release_of(sale, request))
    }

    /// Returns what is in an open checkout of `sale`, which may have left memory and been loaded again.
    pub fn contents_of(&self, sale: &Sale, code: CheckoutCode) -> Decision<ContentsOutcome> {
        let Some(reference) = sale.buyers.by_code(code.secret) else {
            return sale.unknown_code(ContentsOutcome::CheckoutNotFound);
        };
        let mut shard = sale.buyers.lock_buyer(reference);
        match self.open_checkout_of(sale, &shard, reference, code) {
            // That it is over is told once it is recorded, as to who purchases.
            Ok(open) if open.is_expired(&*self.clock) => self.expired(sale, &mut shard, reference),
            Ok(open) => Decision::after(open.lsn, self.contents_now(sale, code, Some(open))),
            Err(refusal) => refusal,
        }
    }

    /// Ends the open checkout of a buyer, whose hold has run out.
    fn expired(
        &self,
        sale: &Sale,
        shard: &mut BuyerShard,
        reference: BuyerRef,
    ) -> Decision<ContentsOutcome> {
        match self.expire_open(sale, shard, reference) {
            Ok(lsn) => Decision::after(lsn, ContentsOutcome::CheckoutExpired),
            Err(unavailable) => Decision::immediate(ContentsOutcome::Unavailable(unavailable)),
        }
    }

    fn release_of(&self, sale: &Sale, request: &ReleaseRequest<'_>) -> Decision<ContentsOutcome> {
        let code = request.code;
        let Some(reference) = sale.buyers.by_code(code.secret) else {
            return sale.unknown_code(ContentsOutcome::CheckoutNotFound);
        };
        let mut shard = sale.buyers.lock_buyer(reference);
        let open = match self.open_checkout_of(sale, &shard, reference, code) {
            Ok(open) => open,
            Err(refusal) => return refusal,
        };
        if let Err(unavailable) = self.admit() {
            return Decision::immediate(ContentsOutcome::Unavailable(unavailable));
        }
        if open.is_expired(&*self.clock) {
            return self.expired(sale, &mut shard, reference);
        }
        let line = match wanted_line(sale, open, request) {
            // Nothing is left of it then, which is one thing to say, however it was asked for.
            Ok(line) => line.filter(|line| line.quantity < open.units()),
            Err(refusal) => return Decision::after(open.lsn, refusal),
        };
        let record = Record::Released {
            sale: sale.id,
            secret: code.secret,
            user: &shard.buyer(reference).user,
            line,
        };
        let lsn = self.journal.append(self.now(), &record);
        let rest = sale.give_back(&mut shard, reference, line, lsn);
        Decision::after(lsn, self.contents_now(sale, code, rest))
    }

    /// Returns the buyer's open checkout with this code, or the answer where it is open no longer.
    fn open_checkout_of<'b>(
        &self,
        sale: &Sale,
        shard: &'b BuyerShard,
        reference: BuyerRef,
        code: CheckoutCode,
    ) -> Result<&'b OpenCheckout, Decision<ContentsOutcome>> {
        let (buyer, cancellations) = shard.buyer_and_cancellations(reference);
        if let Some(closed) = buyer.closed_checkout(code.secret) {
            return Err(what_became_of(closed, cancellations));
        }
        let Some(open) = buyer.open_checkout(code.secret) else {
            // It was given back just now, or the code has only its one half in common with one of this buyer's.
            return Err(sale.unknown_code(ContentsOutcome::CheckoutNotFound));
        };
        if sale.is_over_for(open, self.now()) {
            return Err(Decision::immediate(ContentsOutcome::SaleNotActive));
        }
        Ok(open)
    }

    fn contents_now(
        &self,
        sale: &Sale,
        code: CheckoutCode,
        open: Option<&OpenCheckout>,
    ) -> ContentsOutcome {
        let lines = open.map(OpenCheckout::basket_lines);
        // Of a payment, what its buyer was told.
        let paid_until = open.and_then(OpenCheckout::payment);
        let paid_until = paid_until.map(|payment| payment.held_until);
        let hold_until = open.and_then(OpenCheckout::hold_until);
        let held_until = paid_until.or_else(|| hold_until.map(|until| self.by_wall_clock(until)));
        ContentsOutcome::Contents(Box::new(CheckoutContents {
            code,
            lines: lines.unwrap_or_default(),
            held_until,
            sale_ends_at: sale.ends_at(),
        }))
    }

    /// Returns the time that the wall clock will show when the steady one shows `steady`.
    pub(super) fn by_wall_clock(&self, steady: Timestamp) -> Timestamp {
        Timestamp(self.now().0 + (steady.0 - self.clock.steady().0))
    }
}

/// Returns the answer of a checkout that is over, behind the last of its records: what was cancelled of it rests on one of its own.
fn what_became_of(
    closed: &ClosedCheckout,
    cancellations: &[Cancellation],
) -> Decision<ContentsOutcome> {
    let result = match &closed.end {
        CheckoutEnd::Expired { .. } => {
            return Decision::after(closed.lsn, ContentsOutcome::CheckoutExpired);
        }
        CheckoutEnd::Processed { result, .. } => Arc::clone(result),
    };
    let lsn = last_lsn(cancellations, closed.secret, closed.lsn);
    let sold = result.lines.iter().filter(|line| line.sold);
    let lines = sold.map(|line| ReleasedLine {
        item: line.item,
        quantity: cancelled_units(cancellations, closed.secret, line.item),
    });
    let cancelled = lines.filter(|line| line.quantity > 0).collect();
    Decision::after(lsn, ContentsOutcome::AlreadyProcessed { result, cancelled })
}

/// Returns what is to be given back; `None` for all that is in the checkout.
fn wanted_line(
    sale: &Sale,
    open: &OpenCheckout,
    request: &ReleaseRequest<'_>,
) -> Result<Option<ReleasedLine>, ContentsOutcome> {
    let Some(id) = request.item else {
        return Ok(None);
    };
    let units_of = |item: ItemIndex| (item, open.units_of(item));
    let found = sale
        .find_item(id)
        .map(units_of)
        .filter(|&(_, units)| units > 0);
    let (item, max) = found.ok_or(ContentsOutcome::ItemNotInCheckout)?;
    let quantity = request.quantity.unwrap_or(max);
    match (1..=max).contains(&quantity) {
        true => Ok(Some(ReleasedLine { item, quantity })),
        false => Err(ContentsOutcome::QuantityNotAllowed { max }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Entry, envelope};
    use crate::sale::test_engine::engine_with_a_sale;
    use crate::sale::{CancelRequest, CheckoutOutcome, CheckoutRequest, PurchaseOutcome, State};
    use crate::types::{IdempotencyKey, Lsn, Reference, UserId};

    /// Has ada put an item into a checkout, with a key, and give it back.
    fn chosen_and_given_back(engine: &Engine) -> (CheckoutCode, Decision<CheckoutOutcome>, Lsn) {
        let request = CheckoutRequest {
            user: UserId::new("ada").expect("an id"),
            item: ItemId::new("ITM-1-0").expect("an id"),
            quantity: 1,
            sale: None,
            key: Some(IdempotencyKey::new("key").expect("a key")),
        };
        let CheckoutOutcome::Accepted { code, .. } = engine.checkout(&request).outcome else {
            panic!("ten items are free");
        };
        let released = engine.release(&ReleaseRequest {
            code,
            item: None,
            quantity: None,
        });
        let lsn = released.lsn.expect("a record");
        (code, engine.checkout(&request), lsn)
    }

    #[test]
    fn a_start_keeps_the_key_of_a_checkout_that_was_given_back() {
        let (engine, _, _) = engine_with_a_sale();
        let (code, again, _) = chosen_and_given_back(&engine);
        assert!(
            matches!(again.outcome, CheckoutOutcome::Accepted { code: same, .. } if same == code)
        );
        // What a snapshot would hold.
        let (mut state, mut lsn) = (State::default(), Lsn::ZERO);
        let restored = State::of_engine(&engine).visit_records(&mut |at, record| {
            let mut bytes = Vec::new();
            envelope::encode(at.unwrap_or_default(), record, &mut bytes);
            lsn.0 += 1;
            state.restore(&Entry::whole(lsn, &bytes)?)
        });
        restored.expect("a start");
        let mut shard = state.sales()[0].buyers.lock_user("ada").shard;
        let (buyer, keyed) = shard.keyed_checkouts().next().expect("a key");
        assert_eq!((&*buyer.user, keyed.secret), ("ada", code.secret));
        assert_eq!(shard.iter_mut().count(), 1);
    }

    #[test]
    fn a_code_that_was_given_back_is_unknown_when_that_is_durable() {
        let (engine, _, sale) = engine_with_a_sale();
        let unknown = engine.purchase(sale.code(1), None);
        assert_eq!(unknown.lsn, None);
        let (code, _, released) = chosen_and_given_back(&engine);
        let purchase = engine.purchase(code, None);
        assert_eq!(purchase.outcome, PurchaseOutcome::CheckoutNotFound);
        assert_eq!(purchase.lsn, Some(released));
        let contents = engine.contents(code);
        assert_eq!(contents.outcome, ContentsOutcome::CheckoutNotFound);
        assert_eq!(contents.lsn, Some(released));
    }

    #[test]
    fn what_was_cancelled_is_told_behind_the_record_of_that() {
        let (engine, _, _) = engine_with_a_sale();
        let request = CheckoutRequest {
            user: UserId::new("ada").expect("an id"),
            item: ItemId::new("ITM-1-0").expect("an id"),
            quantity: 1,
            sale: None,
            key: None,
        };
        let CheckoutOutcome::Accepted { code, .. } = engine.checkout(&request).outcome else {
            panic!("ten items are free");
        };
        let sold = engine.purchase(code, None).lsn.expect("a record");
        let told = |lsn: Lsn, expected: &[u32]| {
            let decision = engine.contents(code);
            let ContentsOutcome::AlreadyProcessed { cancelled, .. } = decision.outcome else {
                panic!("it was purchased");
            };
            let units: Vec<_> = cancelled.iter().map(|line| line.quantity).collect();
            assert_eq!((decision.lsn, &*units), (Some(lsn), expected));
        };
        told(sold, &[]);
        let cancelled = engine.cancel(&CancelRequest {
            code,
            item: None,
            quantity: None,
            restock: true,
            reference: Reference::new("refund").expect("a reference"),
        });
        told(cancelled.lsn.expect("a record"), &[1]);
    }
}
