//! What decides where users prove who they are: the refusals that need no user, whose a checkout is, and the limit that a
//! user brings along.

use super::checkout::{ItemRequest, unavailability};
use super::engine::Engine;
use super::outcome::{CheckoutOutcome, Decision};
use super::registry::ItemMatch;
use super::sale::Sale;
use super::{CheckoutRequest, buyers::LockedUser};
use crate::planted::{Slip, is_planted};
use crate::types::{CheckoutCode, ItemId, SaleId, UserId};

/// The limit per user that a request brings along, besides that of its sale.
pub(super) trait OwnLimit: Copy {
    /// Returns the limit, if there is one.
    fn limit(self) -> Option<u32>;
}

/// There is none. It is a type, so that a request without a limit pays for no comparison.
#[derive(Clone, Copy)]
pub(super) struct NoLimit;

impl OwnLimit for NoLimit {
    fn limit(self) -> Option<u32> {
        None
    }
}

/// So many units.
#[derive(Clone, Copy)]
pub(super) struct UnitLimit(pub(super) u32);

impl OwnLimit for UnitLimit {
    fn limit(self) -> Option<u32> {
        (!is_planted(Slip::IgnoresOwnLimit)).then_some(self.0)
    }
}

/// Returns the refusal of a user who would have more units in the sale than the request's own limit allows.
pub(super) fn refusal_of_own_limit(
    locked: &mut LockedUser<'_>,
    wanted: &ItemRequest<'_>,
    limit: impl OwnLimit,
) -> Option<Decision<CheckoutOutcome>> {
    let limit = limit.limit()?;
    let exceeded = CheckoutOutcome::UserLimitExceeded { limit };
    let Some(reference) = locked.find(wanted.user) else {
        return (wanted.quantity > limit).then(|| Decision::immediate(exceeded));
    };
    let buyer = locked.shard.buyer(reference);
    let is_over = buyer.bought + buyer.chosen_units() + wanted.quantity > limit;
    is_over.then(|| Decision::after(buyer.last_lsn(), exceeded))
}

impl Engine {
    /// Returns the refusal of a checkout that is the same for everybody: the item is unknown or sold out, its sale is
    /// not active or paused. It is recorded as an attempt of `user`, if that is given, where such are recorded.
    pub fn refusal_of_everybody(
        &self,
        item: ItemId<'_>,
        quantity: u32,
        sale: Option<SaleId>,
        user: Option<UserId<'_>>,
    ) -> Option<Decision<CheckoutOutcome>> {
        let now = self.now();
        let registry = self.registry.load();
        let (found, refusal) = match registry.find_item(item, sale, now) {
            ItemMatch::Nothing => match self.ended().find_item(item.as_str(), sale) {
                None => (None, Decision::immediate(CheckoutOutcome::ItemNotFound)),
                sale => (sale, Decision::immediate(CheckoutOutcome::SaleNotActive)),
            },
            ItemMatch::NotActive(id) => {
                let refusal = Decision::immediate(CheckoutOutcome::SaleNotActive);
                (Some(id), refusal)
            }
            ItemMatch::Item(sale, item) => {
                let wanted = ItemRequest {
                    user: "",
                    item,
                    quantity,
                    key: None,
                    now,
                };
                (Some(sale.id()), self.refusal_in_sale(sale, &wanted)?)
            }
        };
        if let Some(user) = user.filter(|_| self.options.record_refused) {
            let request = CheckoutRequest {
                user,
                item,
                quantity,
                sale,
                key: None,
            };
            self.record_refused(&request, found, &refusal.outcome, now);
        }
        Some(refusal)
    }

    fn refusal_in_sale(
        &self,
        sale: &Sale,
        wanted: &ItemRequest<'_>,
    ) -> Option<Decision<CheckoutOutcome>> {
        // Whether the opening is recorded is not asked: nothing is sold by this.
        if let Some(refusal) = sale.refusal_of_checkouts(|| Ok(())) {
            return Some(Decision::immediate(refusal));
        }
        // More than anybody may have is wrong before it is sold out.
        if wanted.quantity > sale.max_quantity(wanted.item) {
            return None;
        }
        let gone = unavailability(sale, wanted)?;
        let refusal = self.refusal_of_stock(sale, wanted, gone);
        // What is held may be held by whoever asks.
        (refusal.outcome == CheckoutOutcome::ItemSoldOut).then_some(refusal)
    }

    /// Returns the sale in which a checkout of `item` is decided; `None` where none has it.
    #[must_use]
    pub fn sale_of_item(&self, item: ItemId<'_>, sale: Option<SaleId>) -> Option<SaleId> {
        match self.registry.load().find_item(item, sale, self.now()) {
            ItemMatch::Nothing => self.ended().find_item(item.as_str(), sale),
            ItemMatch::NotActive(id) => Some(id),
            ItemMatch::Item(sale, _) => Some(sale.id()),
        }
    }

    /// Returns whether the checkout `code` is of another user than `user`. Of a sale that has left memory, and of a code
    /// that no checkout has, that is not known, and not said.
    #[must_use]
    pub fn is_of_another(&self, code: CheckoutCode, user: &str) -> bool {
        let registry = self.registry.load();
        let sale = registry.get(code.sale);
        sale.is_some_and(|sale| sale.is_of_another(code, user))
    }
}

impl Sale {
    /// Returns whether the checkout `code` of this sale is of another user than `user`. A code is of one user for good.
    #[must_use]
    pub fn is_of_another(&self, code: CheckoutCode, user: &str) -> bool {
        let Some(reference) = self.buyers.by_code(code.secret) else {
            return false;
        };
        let mut shard = self.buyers.lock_buyer(reference);
        let buyer = shard.buyer(reference);
        let has_code = buyer.open_checkout(code.secret).is_some()
            || buyer.closed_checkout(code.secret).is_some();
        has_code && *buyer.user != *user && !is_planted(Slip::ForgetsOwners)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "planted")]
    use crate::planted::plant;
    use crate::sale::test_engine::engine_with_a_sale;
    use crate::sale::{ContentsOutcome, PurchaseOutcome};

    fn request<'a>(user: &'a str, item: &'a str) -> CheckoutRequest<'a> {
        CheckoutRequest {
            user: UserId::new(user).expect("an id"),
            item: ItemId::new(item).expect("an id"),
            quantity: 1,
            sale: None,
            key: None,
        }
    }

    fn item(id: &str) -> ItemId<'_> {
        ItemId::new(id).expect("an id")
    }

    fn code_of(engine: &Engine, user: &str, item: &str) -> CheckoutCode {
        match engine.checkout(&request(user, item)).outcome {
            CheckoutOutcome::Accepted { code, .. } => code,
            other => panic!("{item} is free: {other:?}"),
        }
    }

    #[test]
    fn a_checkout_is_of_one_user_also_when_it_is_over() {
        let (engine, _, sale) = engine_with_a_sale();
        let code = code_of(&engine, "ada", "ITM-1-0");
        assert!(engine.is_of_another(code, "eve") && !engine.is_of_another(code, "ada"));
        let sold = engine.purchase(code, None).outcome;
        assert!(matches!(sold, PurchaseOutcome::Processed { .. }));
        assert!(sale.is_of_another(code, "eve") && !sale.is_of_another(code, "ada"));
        // A code of nobody is not known rather than another's.
        let other = CheckoutCode { secret: 7, ..code };
        assert!(!engine.is_of_another(other, "eve"));
        assert_eq!(
            engine.contents(other).outcome,
            ContentsOutcome::CheckoutNotFound
        );
        #[cfg(feature = "planted")]
        {
            plant(Some(Slip::ForgetsOwners));
            let is_known = engine.is_of_another(code, "eve");
            plant(None);
            assert!(!is_known, "which the above notices");
        }
    }

    #[test]
    fn an_own_limit_counts_what_is_bought_and_what_is_chosen() {
        let (engine, _, _) = engine_with_a_sale();
        let within = |item: &str, limit: u32| {
            let decision = engine.checkout_within(&request("ada", item), limit);
            decision.outcome
        };
        let exceeded = |limit| CheckoutOutcome::UserLimitExceeded { limit };
        assert_eq!(within("ITM-1-0", 0), exceeded(0));
        let CheckoutOutcome::Accepted { code, .. } = within("ITM-1-0", 2) else {
            panic!("it is free");
        };
        let sold = engine.purchase(code, None).outcome;
        assert!(matches!(sold, PurchaseOutcome::Processed { .. }));
        let second = within("ITM-1-1", 2);
        assert!(matches!(second, CheckoutOutcome::Accepted { .. }));
        assert_eq!(within("ITM-1-2", 2), exceeded(2));
        #[cfg(feature = "planted")]
        {
            plant(Some(Slip::IgnoresOwnLimit));
            let third = within("ITM-1-2", 2);
            plant(None);
            let is_found = matches!(third, CheckoutOutcome::Accepted { .. });
            assert!(is_found, "which the above notices");
        }
    }

    #[test]
    fn what_is_the_same_for_everybody_is_refused_without_a_user() {
        let (engine, clock, sale) = engine_with_a_sale();
        let refusal = |id: &str| {
            let decision = engine.refusal_of_everybody(item(id), 1, None, None);
            decision.map(|decision| decision.outcome)
        };
        assert_eq!(refusal("ITM-1-0"), None);
        assert_eq!(refusal("nothing"), Some(CheckoutOutcome::ItemNotFound));
        let code = code_of(&engine, "ada", "ITM-1-0");
        assert_eq!(refusal("ITM-1-0"), None, "nobody has bought it");
        let sold = engine.purchase(code, None).outcome;
        assert!(matches!(sold, PurchaseOutcome::Processed { .. }));
        let decision = engine.refusal_of_everybody(item("ITM-1-0"), 1, None, None);
        let decision = decision.expect("it is sold out");
        assert_eq!(decision.outcome, CheckoutOutcome::ItemSoldOut);
        assert!(decision.lsn.is_some(), "by a record");
        assert_eq!(engine.sale_of_item(item("ITM-1-1"), None), Some(sale.id()));
        clock.set(sale.ends_at());
        assert_eq!(refusal("ITM-1-1"), Some(CheckoutOutcome::SaleNotActive));
    }
}
