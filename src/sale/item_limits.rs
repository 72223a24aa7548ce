//! Limits of items: how many units of one item one user may buy, besides what the sale allows of all.

use super::baskets::CheckoutEnd;
use super::buyers::{Buyer, BuyerRef, BuyerShard};
use super::cancelled::Cancellation;
use super::outcome::CheckoutOutcome;
use super::sale::Sale;
use crate::planted::{Slip, is_planted};
use crate::types::{ItemIndex, PurchasedLine};

impl Buyer {
    /// Returns the lines that were sold to the buyer, in their order.
    fn sold_lines(&self) -> impl Iterator<Item = &PurchasedLine> {
        let processed = self.closed.iter().filter_map(|closed| match &closed.end {
            CheckoutEnd::Processed { result, .. } => Some(&result.lines),
            CheckoutEnd::Expired { .. } => None,
        });
        let lines = processed.flat_map(|lines| lines.iter());
        lines.filter(|line| line.sold)
    }

    /// Returns the units of an item that the buyer has bought, without those that were cancelled. Reads all that they have bought.
    fn bought_of(&self, item: ItemIndex, cancellations: &[Cancellation]) -> u32 {
        let lines = self.sold_lines().filter(|line| line.item == item);
        let bought: u32 = lines.map(|line| line.quantity).sum();
        let cancelled: u32 = cancellations.iter().map(|it| it.units_of(item)).sum();
        // A start may know of a cancellation before it knows of the purchase.
        bought.saturating_sub(cancelled)
    }
}

impl Sale {
    /// Returns which limit a buyer would exceed who had `units` in the sale with `line`, whose item is not in their open checkout; `None`
    /// where they would exceed none.
    #[cold]
    pub(super) fn exceeded_limit(
        &self,
        shard: &mut BuyerShard,
        reference: BuyerRef,
        (item, quantity): (ItemIndex, u32),
        units: u32,
    ) -> Option<CheckoutOutcome> {
        let slack = u32::from(is_planted(Slip::ForgetsOneOfLimit));
        let limit = self.terms.max_items_per_user;
        if units > limit + slack {
            return Some(CheckoutOutcome::UserLimitExceeded { limit });
        }
        let limit = self.catalogue.max_per_user(item)?;
        let (buyer, cancellations) = shard.buyer_and_cancellations(reference);
        let bought = match is_planted(Slip::ForgetsBoughtOfItem) {
            true => 0,
            false => buyer.bought_of(item, cancellations),
        };
        let is_over = bought + quantity > limit;
        is_over.then_some(CheckoutOutcome::ItemLimitExceeded { limit })
    }

    /// Returns how many units of an item a buyer may still get by its own limit, those of their open checkout counted.
    pub(super) fn item_room(
        &self,
        buyer: &Buyer,
        cancellations: &[Cancellation],
        item: ItemIndex,
    ) -> u32 {
        let Some(limit) = self.catalogue.max_per_user(item) else {
            return u32::MAX;
        };
        let chosen = buyer.open.as_ref().map_or(0, |open| open.units_of(item));
        limit.saturating_sub(buyer.bought_of(item, cancellations) + chosen)
    }

    /// Checks that nobody in `shard` has more units of an item than its own limit allows.
    ///
    /// # Errors
    /// Names the user and the item.
    pub(super) fn check_item_limits(&self, shard: &BuyerShard) -> Result<(), String> {
        if self.lowest_limit == self.terms.max_items_per_user {
            return Ok(());
        }
        let mut all = shard.with_cancellations();
        all.try_for_each(|(buyer, cancelled)| self.check_item_limits_of(buyer, cancelled))
    }

    /// Checks that a buyer has no more units of an item than its own limit allows.
    ///
    /// # Errors
    /// Names the item.
    pub(super) fn check_item_limits_of(
        &self,
        buyer: &Buyer,
        cancellations: &[Cancellation],
    ) -> Result<(), String> {
        if buyer.bought <= self.lowest_limit {
            return Ok(());
        }
        for item in buyer.sold_lines().map(|line| line.item) {
            let bought = buyer.bought_of(item, cancellations);
            let limit = self.catalogue.max_per_user(item);
            if let Some(limit) = limit.filter(|&limit| limit < bought) {
                let (user, item) = (&buyer.user, item.0);
                return Err(format!(
                    "user {user:?} bought {bought} units of item {item}, of which one user may buy {limit}"
                ));
            }
        }
        Ok(())
    }
}
