//! Checkout: puts an item into a user's open checkout.

use std::sync::Arc;

use smallvec::SmallVec;

use super::baskets::OpenCheckout;
use super::buyers::{BuyerRef, BuyerShard, LockedUser};
use super::engine::Engine;
use super::keys::KeyedCheckout;
use super::outcome::{CheckoutOutcome, Decision, Unavailable};
use super::proven_users::{NoLimit, OwnLimit, UnitLimit, refusal_of_own_limit};
use super::registry::ItemMatch;
use super::sale::Sale;
use super::stock::Availability;
use crate::planted::{Slip, is_planted};
use crate::record::{CheckoutKey, Record};
use crate::types::{IdempotencyKey, ItemId, ItemIndex, Lsn, SaleId, Timestamp, UserId};

/// A request to put an item into a checkout.
#[derive(Clone, Copy, Debug)]
pub struct CheckoutRequest<'a> {
    /// The user.
    pub user: UserId<'a>,
    /// For which item.
    pub item: ItemId<'a>,
    /// For how many units of it.
    pub quantity: u32,
    /// In which sale, where several have such an item.
    pub sale: Option<SaleId>,
    /// Under which the same request gets the same answer again: a key of the user's in the sale.
    pub key: Option<IdempotencyKey<'a>>,
}

/// A request whose item was found.
pub(super) struct ItemRequest<'a> {
    pub(super) user: &'a str,
    pub(super) item: ItemIndex,
    pub(super) quantity: u32,
    pub(super) key: Option<IdempotencyKey<'a>>,
    pub(super) now: Timestamp,
}

impl Engine {
    /// Puts an item into the user's open checkout, which is opened when there is none.
    pub fn checkout(&self, request: &CheckoutRequest<'_>) -> Decision<CheckoutOutcome> {
        self.checkout_limited(request, NoLimit)
    }

    /// Puts an item into the user's open checkout as [`Self::checkout`] does, where the user has no more than `limit` units in the sale
    /// then.
    pub fn checkout_within(
        &self,
        request: &CheckoutRequest<'_>,
        limit: u32,
    ) -> Decision<CheckoutOutcome> {
        self.checkout_limited(request, UnitLimit(limit))
    }

    #[inline]
    fn checkout_limited(
        &self,
        request: &CheckoutRequest<'_>,
        limit: impl OwnLimit,
    ) -> Decision<CheckoutOutcome> {
        let now = self.now();
        let registry = self.registry.load();
        let (sale, decision) = match registry.find_item(request.item, request.sale, now) {
            ItemMatch::Nothing => match self.ended().find_item(request.item.as_str(), request.sale)
            {
                None => (None, Decision::immediate(CheckoutOutcome::ItemNotFound)),
                Some(sale) if request.key.is_some() => {
                    return Decision::immediate(CheckoutOutcome::SaleArchived(sale));
                }
                sale => (sale, Decision::immediate(CheckoutOutcome::SaleNotActive)),
            },
            ItemMatch::NotActive(id) => {
                let repeated = registry.get(id).and_then(|sale| sale.repeated(request));
                let not_active = || Decision::immediate(CheckoutOutcome::SaleNotActive);
                (Some(id), repeated.unwrap_or_else(not_active))
            }
            ItemMatch::Item(sale, item) => {
                let user = request.user.as_str();
                let wanted = ItemRequest {
                    user,
                    item,
                    quantity: request.quantity,
                    key: request.key,
                    now,
                };
                (Some(sale.id()), self.checkout_found(sale, &wanted, limit))
            }
        };
        if self.options.record_refused {
            self.record_refused(request, sale, &decision.outcome, now);
        }
        decision
    }

    /// The answer to a request with a key in a sale that has left memory and been loaded again.
    pub fn checkout_of(
        &self,
        sale: &Sale,
        request: &CheckoutRequest<'_>,
    ) -> Decision<CheckoutOutcome> {
        let repeated = sale.repeated(request);
        let not_active = || Decision::immediate(CheckoutOutcome::SaleNotActive);
        let decision = repeated.unwrap_or_else(not_active);
        if self.options.record_refused {
            self.record_refused(request, Some(sale.id()), &decision.outcome, self.now());
        }
        decision
    }

    fn checkout_found(
        &self,
        sale: &Arc<Sale>,
        wanted: &ItemRequest<'_>,
        limit: impl OwnLimit,
    ) -> Decision<CheckoutOutcome> {
        // Who wants more is held against each limit.
        let max = if sale.inventory.is_single(wanted.item) {
            1
        } else {
            sale.lowest_limit
        };
        if !(1..=max).contains(&wanted.quantity)
            && let Some(refusal) = self.refusal_of_quantity(sale, wanted)
        {
            return refusal;
        }
        let mut locked = sale.buyers.lock_user(wanted.user);
        if let Some(refusal) = self.refusal_of_user(sale, &mut locked, wanted) {
            return refusal;
        }
        if let Some(refusal) = refusal_of_own_limit(&mut locked, wanted, limit) {
            return refusal;
        }
        if let Some(gone) = unavailability(sale, wanted) {
            drop(locked);
            return self.refusal_of_stock(sale, wanted, gone);
        }
        if let Err(unavailable) = self.admit() {
            return Decision::immediate(CheckoutOutcome::Unavailable(unavailable));
        }
        self.accept(sale, locked, wanted)
    }

    /// Returns the answer to a quantity that cannot be had, whoever asks for it: more than one of an item that exists once, more than
    /// the sale allows, or more than the item does.
    #[cold]
    fn refusal_of_quantity(
        &self,
        sale: &Sale,
        wanted: &ItemRequest<'_>,
    ) -> Option<Decision<CheckoutOutcome>> {
        let max = sale.max_quantity(wanted.item);
        if !(1..=max).contains(&wanted.quantity) {
            return Some(Decision::immediate(CheckoutOutcome::QuantityNotAllowed {
                max,
            }));
        }
        let limit = sale.catalogue.max_per_user(wanted.item)?;
        if wanted.quantity <= limit {
            return None;
        }
        // What else there is to be refused for comes first.
        let mut locked = sale.buyers.lock_user(wanted.user);
        let refusal = self.refusal_of_user(sale, &mut locked, wanted);
        let exceeded = || Decision::immediate(CheckoutOutcome::ItemLimitExceeded { limit });
        Some(refusal.unwrap_or_else(exceeded))
    }

    /// Returns the answer that rests on what is known of the user: the first one to a key that comes again, or a refusal. Closes their
    /// open checkout if its hold has run out.
    fn refusal_of_user(
        &self,
        sale: &Sale,
        locked: &mut LockedUser<'_>,
        wanted: &ItemRequest<'_>,
    ) -> Option<Decision<CheckoutOutcome>> {
        // First, so that a client that lost its answer learns it whatever has happened since.
        if let Some(repeated) = repeated(sale, locked, wanted) {
            return Some(repeated);
        }
        let open = || match is_planted(Slip::SellsBeforeOpening) {
            true => Ok(()),
            false => self.record_opening(sale),
        };
        if let Some(refusal) = sale.refusal_of_checkouts(open) {
            return Some(Decision::immediate(refusal));
        }
        let reference = locked.find(wanted.user)?;
        if let Err(unavailable) = self.expire_if_due(sale, &mut locked.shard, reference) {
            return Some(Decision::immediate(CheckoutOutcome::Unavailable(
                unavailable,
            )));
        }
        refusal_of_buyer(sale, &mut locked.shard, reference, wanted)
    }

    /// Closes the user's open checkout if its hold has run out, and nobody has noticed yet.
    pub(super) fn expire_if_due(
        &self,
        sale: &Sale,
        shard: &mut BuyerShard,
        reference: BuyerRef,
    ) -> Result<(), Unavailable> {
        let open = shard.buyer(reference).open.as_ref();
        if open.is_some_and(|open| open.is_expired(&*self.clock)) {
            self.expire_open(sale, shard, reference)?;
        }
        Ok(())
    }

    fn accept(
        &self,
        sale: &Arc<Sale>,
        mut locked: LockedUser<'_>,
        wanted: &ItemRequest<'_>,
    ) -> Decision<CheckoutOutcome> {
        let reference = locked.find_or_insert(wanted.user);
        if sale.has_holds() {
            let taker = sale.taker(reference);
            if !sale.inventory.hold(wanted.item, wanted.quantity, taker) {
                drop(locked);
                // Somebody took it since the look at the stock, and may have given it back.
                let gone = unavailability(sale, wanted).unwrap_or(Availability::Held);
                return self.refusal_of_stock(sale, wanted, gone);
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
        let (secret, items_count) = (open.secret, open.units() + wanted.quantity);
        let sale_ends_at = sale.ends_at();
        let held_until = open.hold_until().map(|until| {
            let steady = self.clock.steady();
            Timestamp(wanted.now.0 + (until.0 - steady.0))
        });
        let key = wanted.key.map(|key| CheckoutKey {
            key: key.as_str(),
            items_count,
            sale_ends_at,
            held_until,
        });
        let lsn = self.journal.append(
            wanted.now,
            &Record::Checkout {
                sale: sale.id,
                secret,
                user: wanted.user,
                item: wanted.item,
                quantity: wanted.quantity,
                hold_until: open.hold_until(),
                opens,
                key,
            },
        );
        open.lines.push((wanted.item, wanted.quantity));
        open.lsn = lsn;
        if let Some(key) = key {
            let line = (wanted.item, wanted.quantity);
            let keyed = KeyedCheckout::new(secret, line, &key, lsn);
            let limit = sale.terms.max_items_per_user;
            locked.shard.keep_key(reference, keyed, limit);
        }
        Decision::after(
            lsn,
            CheckoutOutcome::Accepted {
                code: sale.code(secret),
                items_count,
                sale_ends_at,
                held_until,
                replayed: false,
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
            lsn: Lsn::ZERO,
            hold,
            lines: SmallVec::new(),
        }
    }

    /// Returns the refusal where too few units are free. Nobody's lock may be held: it looks at another
    /// buyer's.
    pub(super) fn refusal_of_stock(
        &self,
        sale: &Sale,
        wanted: &ItemRequest<'_>,
        gone: Availability,
    ) -> Decision<CheckoutOutcome> {
        // Without holds, what is neither free nor sold is just being sold.
        let is_sold_out = gone == Availability::SoldOut || is_planted(Slip::CallsHeldSoldOut);
        if is_sold_out || !sale.may_hold() {
            let lsn = match is_planted(Slip::SoldOutBeforeDurable) {
                true => Lsn::ZERO,
                false => sale.sold_out_lsn(wanted.item, wanted.quantity),
            };
            return Decision::after(lsn, CheckoutOutcome::ItemSoldOut);
        }
        let until = sale.held_until(wanted.item).unwrap_or_default();
        Decision::immediate(CheckoutOutcome::ItemHeld {
            retry_after_seconds: self.clock.steady().seconds_until(until).max(1),
        })
    }

    /// Records a refusal, without anybody waiting for it.
    pub(super) fn record_refused(
        &self,
        request: &CheckoutRequest<'_>,
        sale: Option<SaleId>,
        outcome: &CheckoutOutcome,
        now: Timestamp,
    ) {
        let Some(reason) = outcome.refused_reason() else {
            return;
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

impl Sale {
    /// The answer to a request whose key its user has used in this sale before.
    fn repeated(&self, request: &CheckoutRequest<'_>) -> Option<Decision<CheckoutOutcome>> {
        let (user, key) = (request.user.as_str(), Some(request.key?));
        let item = self.find_item(request.item)?;
        let wanted = ItemRequest {
            user,
            item,
            quantity: request.quantity,
            key,
            now: Timestamp::default(),
        };
        repeated(self, &self.buyers.lock_user(user), &wanted)
    }
}

/// The answer to a key that the user has used before. It rests on the record of that use.
fn repeated(
    sale: &Sale,
    locked: &LockedUser<'_>,
    wanted: &ItemRequest<'_>,
) -> Option<Decision<CheckoutOutcome>> {
    let key = wanted.key?;
    let reference = locked.find(wanted.user)?;
    let keyed = locked.shard.keyed_checkout(reference, key.as_str())?;
    if (keyed.item, keyed.quantity) != (wanted.item, wanted.quantity) {
        return Some(Decision::immediate(CheckoutOutcome::IdempotencyKeyReused));
    }
    let repeated = CheckoutOutcome::Accepted {
        code: sale.code(keyed.secret),
        items_count: keyed.items_count,
        sale_ends_at: keyed.sale_ends_at,
        held_until: keyed.held_until,
        replayed: true,
    };
    let lsn = match is_planted(Slip::RepeatsBeforeDurable) {
        true => Lsn::ZERO,
        false => keyed.lsn,
    };
    Some(Decision::after(lsn, repeated))
}

fn refusal_of_buyer(
    sale: &Sale,
    shard: &mut BuyerShard,
    reference: BuyerRef,
    wanted: &ItemRequest<'_>,
) -> Option<Decision<CheckoutOutcome>> {
    let buyer = shard.buyer(reference);
    let open = buyer.open.as_ref();
    if let Some(open) = open.filter(|open| open.contains(wanted.item)) {
        let code = Some(sale.code(open.secret));
        let already = CheckoutOutcome::ItemAlreadyInCheckout { code };
        // Whoever put it there may not have been told yet: the code is not before it is durable.
        return Some(Decision::after(open.lsn, already));
    }
    if sale.inventory.is_sold_to(wanted.item, reference.0) {
        let already = CheckoutOutcome::ItemAlreadyInCheckout { code: None };
        return Some(Decision::after(buyer.last_lsn(), already));
    }
    if let Some(open) = open.filter(|open| open.payment().is_some()) {
        // Without its code: whoever asks need not be this user, and could give it back.
        let paid = CheckoutOutcome::PaymentUnderWay;
        return Some(Decision::after(open.lsn, paid));
    }
    let chosen = open.map_or(0, OpenCheckout::units);
    let kept = u32::from(is_planted(Slip::KeepsOneOfLimit));
    let units = buyer.bought + chosen + wanted.quantity + kept;
    if units <= sale.lowest_limit {
        return None;
    }
    let line = (wanted.item, wanted.quantity);
    let last_lsn = buyer.last_lsn();
    let exceeded = sale.exceeded_limit(shard, reference, line, units)?;
    Some(Decision::after(last_lsn, exceeded))
}

/// Why the wanted units cannot be had; `None` where they can.
pub(super) fn unavailability(sale: &Sale, wanted: &ItemRequest<'_>) -> Option<Availability> {
    let availability = sale.inventory.availability(wanted.item, wanted.quantity);
    (availability != Availability::Free).then_some(availability)
}
