//! Checkout: puts an item into a user's open checkout.

use std::sync::Arc;

use smallvec::SmallVec;

use super::buyers::{Buyer, BuyerRef, BuyerShard, LockedUser, OpenCheckout};
use super::engine::Engine;
use super::outcome::{CheckoutOutcome, Decision, Unavailable};
use super::registry::Found;
use super::sale::Sale;
use super::stock::Availability;
use crate::journal::record::{Record, RefusedReason};
use crate::types::{CheckoutCode, ItemId, ItemIndex, SaleId, Timestamp, UserId};

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub struct CheckoutRequest<'a> {
    /// Who asks.
    pub user: UserId<'a>,
    /// For which item.
    pub item: ItemId<'a>,
    /// For how many units of it.
    pub quantity: u32,
    /// In which sale, where several have such an item.
    pub sale: Option<SaleId>,
}

/// A request whose item was found.
struct Wanted<'a> {
    user: &'a str,
    item: ItemIndex,
    quantity: u32,
    now: Timestamp,
}

impl Engine {
    /// Puts an item into the user's open checkout, which is opened when there is none.
    pub fn checkout(&self, request: &CheckoutRequest<'_>) -> Decision<CheckoutOutcome> {
        let now = self.now();
        let registry = self.registry.load();
        let (sale, decision) = match registry.find_item(request.item.as_str(), request.sale, now) {
            Found::Nothing => match self.ended().find_item(request.item.as_str(), request.sale) {
                None => (None, Decision::immediate(CheckoutOutcome::ItemNotFound)),
                sale => (sale, Decision::immediate(CheckoutOutcome::SaleNotActive)),
            },
            Found::NotActive(sale) => (
                Some(sale),
                Decision::immediate(CheckoutOutcome::SaleNotActive),
            ),
            Found::Item(sale, item) => {
                let user = request.user.as_str();
                let wanted = Wanted {
                    user,
                    item,
                    quantity: request.quantity,
                    now,
                };
                (Some(sale.id()), self.checkout_found(sale, &wanted))
            }
        };
        if self.options.record_refused {
            self.record_refused(request, sale, &decision.outcome, now);
        }
        decision
    }

    fn checkout_found(&self, sale: &Arc<Sale>, wanted: &Wanted<'_>) -> Decision<CheckoutOutcome> {
        let limit = sale.terms.max_items_per_user;
        let max = if sale.inventory.is_single(wanted.item) {
            1
        } else {
            limit
        };
        if !(1..=max).contains(&wanted.quantity) {
            return Decision::immediate(CheckoutOutcome::QuantityNotAllowed { max });
        }
        let mut locked = sale.buyers.lock_user(wanted.user);
        // Under the lock: closing takes each lock once after it has begun, so nobody decides
        // after that.
        if sale.is_closed() {
            return Decision::immediate(CheckoutOutcome::SaleNotActive);
        }
        if let Some(reference) = locked.find(wanted.user) {
            if let Err(unavailable) = self.expire_if_due(sale, &mut locked.shard, reference) {
                return Decision::immediate(CheckoutOutcome::Unavailable(unavailable));
            }
            let buyer = locked.shard.buyer(reference);
            if let Some(refusal) = refusal_of_buyer(sale, reference, buyer, wanted, limit) {
                return Decision::immediate(refusal);
            }
        }
        if let Some(gone) = unavailability(sale, wanted) {
            drop(locked);
            return Decision::immediate(self.refusal_of_stock(sale, wanted.item, gone));
        }
        if let Err(unavailable) = self.admit() {
            return Decision::immediate(CheckoutOutcome::Unavailable(unavailable));
        }
        self.accept(sale, locked, wanted)
    }

    /// Closes the user's open checkout if its hold has run out, and nobody has noticed yet.
    fn expire_if_due(
        &self,
        sale: &Sale,
        shard: &mut BuyerShard,
        reference: BuyerRef,
    ) -> Result<(), Unavailable> {
        let open = shard.buyer(reference).open.as_ref();
        if open.is_some_and(|open| open.is_expired(&*self.clock)) {
            self.admit()?;
            let open = shard.take_open(reference).expect("it was there");
            self.expire(sale, shard, reference, open);
        }
        Ok(())
    }

    fn accept(
        &self,
        sale: &Arc<Sale>,
        mut locked: LockedUser<'_>,
        wanted: &Wanted<'_>,
    ) -> Decision<CheckoutOutcome> {
        let reference = locked.find_or_insert(wanted.user);
        if sale.has_holds() {
            let taker = sale.taker(reference);
            if !sale.inventory.hold(wanted.item, wanted.quantity, taker) {
                drop(locked);
                // Somebody took it since the look at the stock, and may have given it back.
                let gone = unavailability(sale, wanted).unwrap_or(Availability::Held);
                return Decision::immediate(self.refusal_of_stock(sale, wanted.item, gone));
            }
            locked.shard.hold_more(wanted.quantity);
        }
        let opens = locked.shard.buyer(reference).open.is_none();
        if opens {
            let open = self.open_checkout(sale, &mut locked.shard, reference, wanted.now);
            locked.shard.buyer(reference).open = Some(open);
        }
        let buyer = locked.shard.buyer(reference);
        let open = buyer.open.as_mut().expect("it is open, or was opened");
        let lsn = self.journal.append(
            wanted.now,
            &Record::Checkout {
                sale: sale.id,
                secret: open.secret,
                user: wanted.user,
                item: wanted.item,
                quantity: wanted.quantity,
                hold_until: open.hold_until(),
                opens,
            },
        );
        open.lines.push((wanted.item, wanted.quantity));
        Decision::after(
            lsn,
            CheckoutOutcome::Accepted {
                code: CheckoutCode {
                    sale: sale.id,
                    secret: open.secret,
                },
                items_count: open.units(),
                sale_ends_at: sale.terms.ended_at,
            },
        )
    }

    fn open_checkout(
        &self,
        sale: &Sale,
        shard: &mut BuyerShard,
        reference: BuyerRef,
        now: Timestamp,
    ) -> OpenCheckout {
        let secret = loop {
            let secret = self.entropy.bits_128();
            if sale.buyers.insert_code(secret, reference) {
                break secret;
            }
        };
        let hold = sale.has_holds().then(|| {
            let steady = self.clock.steady();
            let until = steady.plus_seconds(sale.terms.hold_seconds);
            sale.expect_expiry(until);
            shard.arm_hold(reference, until, steady)
        });
        OpenCheckout {
            secret,
            opened_at: now,
            hold,
            lines: SmallVec::new(),
        }
    }

    /// What to answer where too few units are free. Nobody's lock may be held: it looks at another
    /// buyer's.
    fn refusal_of_stock(
        &self,
        sale: &Sale,
        item: ItemIndex,
        gone: Availability,
    ) -> CheckoutOutcome {
        // Without holds, what is neither free nor sold is just being sold.
        if gone == Availability::SoldOut || !sale.has_holds() {
            return CheckoutOutcome::ItemSoldOut;
        }
        let until = sale.held_until(item).unwrap_or_default();
        CheckoutOutcome::ItemHeld {
            retry_after_seconds: self.clock.steady().seconds_until(until).max(1),
        }
    }

    /// Records a refusal, without anybody waiting for it.
    fn record_refused(
        &self,
        request: &CheckoutRequest<'_>,
        sale: Option<SaleId>,
        outcome: &CheckoutOutcome,
        now: Timestamp,
    ) {
        let reason = match outcome {
            CheckoutOutcome::Accepted { .. } | CheckoutOutcome::Unavailable(_) => return,
            CheckoutOutcome::ItemNotFound => RefusedReason::ItemNotFound,
            CheckoutOutcome::QuantityNotAllowed { .. } => RefusedReason::QuantityNotAllowed,
            CheckoutOutcome::SaleNotActive => RefusedReason::SaleNotActive,
            CheckoutOutcome::UserLimitExceeded { .. } => RefusedReason::UserLimitExceeded,
            CheckoutOutcome::ItemAlreadyInCheckout => RefusedReason::ItemAlreadyInCheckout,
            CheckoutOutcome::ItemSoldOut => RefusedReason::ItemSoldOut,
            CheckoutOutcome::ItemHeld { .. } => RefusedReason::ItemHeld,
        };
        if self.admit().is_ok() {
            let (user, item) = (request.user.as_str(), request.item.as_str());
            self.journal.append(
                now,
                &Record::Refused {
                    sale,
                    user,
                    item,
                    reason,
                },
            );
        }
    }
}

fn refusal_of_buyer(
    sale: &Sale,
    reference: BuyerRef,
    buyer: &Buyer,
    wanted: &Wanted<'_>,
    limit: u32,
) -> Option<CheckoutOutcome> {
    let chosen = buyer.open.as_ref().map_or(0, OpenCheckout::units);
    if buyer.bought + chosen + wanted.quantity > limit {
        return Some(CheckoutOutcome::UserLimitExceeded { limit });
    }
    let is_chosen = buyer
        .open
        .as_ref()
        .is_some_and(|open| open.lines.iter().any(|(item, _)| *item == wanted.item));
    let is_bought = sale.inventory.is_sold_to(wanted.item, reference.0);
    (is_chosen || is_bought).then_some(CheckoutOutcome::ItemAlreadyInCheckout)
}

/// Why the wanted units cannot be had; `None` where they can.
fn unavailability(sale: &Sale, wanted: &Wanted<'_>) -> Option<Availability> {
    let availability = sale.inventory.availability(wanted.item, wanted.quantity);
    (availability != Availability::Free).then_some(availability)
}
