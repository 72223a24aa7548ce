//! What shops have cancelled of purchases.

use hashbrown::HashMap;

use super::buyers::{Buyer, BuyerRef, BuyerShard};
use super::sale::Sale;
use crate::limits::BUYER_SHARDS;
use crate::planted::{Slip, is_planted};
use crate::record::ReleasedLine;
use crate::types::{ItemIndex, Lsn, Timestamp};

/// Units of a purchase that a shop cancelled, once for its reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// The secret half of the code of the checkout that was purchased.
    pub secret: u128,
    /// The shop's reference, of which a purchase has one.
    pub reference: Box<str>,
    /// The units.
    pub lines: Box<[ReleasedLine]>,
    /// Whether they were free again; otherwise they left the stock.
    pub restock: bool,
    /// When that was decided.
    pub at: Timestamp,
    /// The record that says so.
    pub lsn: Lsn,
}

impl Cancellation {
    /// Returns the number of units.
    #[must_use]
    pub fn units(&self) -> u32 {
        self.lines.iter().map(|line| line.quantity).sum()
    }

    pub(super) fn units_of(&self, item: ItemIndex) -> u32 {
        let own = self.lines.iter().filter(|line| line.item == item);
        own.map(|line| line.quantity).sum()
    }
}

/// The cancellations of some buyers. Beside the buyers, so that one of whom nothing is cancelled takes no room for it.
#[derive(Default)]
pub struct Cancellations {
    by_buyer: HashMap<u32, Vec<Cancellation>, foldhash::fast::RandomState>,
}

impl Cancellations {
    /// Memory that they take, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        let kept = self.by_buyer.values().map(|kept| {
            let texts: usize = kept.iter().map(|it| it.reference.len()).sum();
            let lines: usize = kept.iter().map(|it| size_of_val(&*it.lines)).sum();
            kept.capacity() * size_of::<Cancellation>() + texts + lines
        });
        self.by_buyer.allocation_size() + kept.sum::<usize>()
    }

    /// All of a buyer, in the order of their coming.
    #[must_use]
    pub fn of(&self, buyer: u32) -> &[Cancellation] {
        self.by_buyer.get(&buyer).map_or(&[], Vec::as_slice)
    }

    /// Keeps one more.
    pub fn keep(&mut self, buyer: u32, cancellation: Cancellation) {
        let kept = self.by_buyer.entry(buyer);
        let kept = kept.or_insert_with(|| Vec::with_capacity(1));
        kept.push(cancellation);
    }
}

/// Returns the units of an item that `cancellations` have taken back of a purchase.
#[must_use]
pub fn cancelled_units(cancellations: &[Cancellation], secret: u128, item: ItemIndex) -> u32 {
    let own = cancellations.iter().filter(|it| it.secret == secret);
    own.map(|it| it.units_of(item)).sum()
}

/// Returns the last record that what is left of a purchase rests on: that of its closing, or of its last cancellation.
#[must_use]
pub fn last_lsn(cancellations: &[Cancellation], secret: u128, closed_lsn: Lsn) -> Lsn {
    let own = cancellations.iter().filter(|it| it.secret == secret);
    own.map(|it| it.lsn).fold(closed_lsn, Lsn::max)
}

impl BuyerShard {
    /// Returns what was cancelled of this buyer's purchases, in the order of its coming.
    #[must_use]
    pub fn cancellations_of(&self, reference: BuyerRef) -> &[Cancellation] {
        self.cancellations.of(reference.0 / BUYER_SHARDS as u32)
    }

    /// Returns a buyer, with what was cancelled of their purchases.
    pub fn buyer_and_cancellations(&self, reference: BuyerRef) -> (&Buyer, &[Cancellation]) {
        let number = reference.0 / BUYER_SHARDS as u32;
        (self.at(number), self.cancellations.of(number))
    }

    /// Keeps what was cancelled of a purchase of this buyer.
    pub fn keep_cancellation(&mut self, reference: BuyerRef, cancellation: Cancellation) {
        let buyer = reference.0 / BUYER_SHARDS as u32;
        self.cancellations.keep(buyer, cancellation);
    }

    /// The buyers of the shard, each with what was cancelled of their purchases.
    pub fn with_cancellations(&self) -> impl Iterator<Item = (&Buyer, &[Cancellation])> {
        let buyers = (0..).zip(self.pieces.iter().flatten());
        buyers.map(|(number, buyer)| (buyer, self.cancellations.of(number)))
    }

    /// Checks that what was cancelled was purchased.
    ///
    /// # Errors
    /// Names the user of whom that is not so.
    pub fn check_cancelled(&self) -> Result<(), String> {
        for (buyer, cancellations) in self.with_cancellations() {
            let is_closed = |secret| buyer.closed.iter().any(|it| it.secret == secret);
            if !cancellations.iter().all(|it| is_closed(it.secret)) {
                let user = &buyer.user;
                return Err(format!(
                    "user {user:?} did not make a purchase that was cancelled"
                ));
            }
        }
        Ok(())
    }
}

impl Sale {
    /// Takes units of a purchase back from its buyer, who may buy as many again; they are free again, or leave the stock. `enqueue` is called
    /// before that, and returns the record that says so.
    pub(super) fn cancel(
        &self,
        shard: &mut BuyerShard,
        reference: BuyerRef,
        mut cancellation: Cancellation,
        enqueue: impl FnOnce(&mut BuyerShard) -> Lsn,
    ) -> Lsn {
        let take_back = || {
            for &ReleasedLine { item, quantity } in &cancellation.lines {
                self.take_back(reference, item, quantity, cancellation.restock);
            }
        };
        let lsn = if is_planted(Slip::FreesBeforeRecord) {
            take_back();
            enqueue(shard)
        } else {
            let lsn = enqueue(shard);
            take_back();
            lsn
        };
        let buyer = shard.buyer(reference);
        let units = cancellation.units();
        buyer.bought = match is_planted(Slip::ReturnsQuotaTwice) {
            true => buyer.bought.saturating_sub(2 * units),
            false => buyer.bought - units,
        };
        cancellation.lsn = lsn;
        shard.keep_cancellation(reference, cancellation);
        lsn
    }

    fn take_back(&self, reference: BuyerRef, item: ItemIndex, quantity: u32, restock: bool) {
        let taker = self.taker(reference);
        if restock || is_planted(Slip::FreesWithoutRestock) {
            self.sold_out.give_back(item, || {
                self.inventory.take_back(item, quantity, taker, true);
            });
        } else {
            self.inventory.take_back(item, quantity, taker, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancellations_add_up_by_purchase_and_item() {
        let mut kept = Cancellations::default();
        let line = |item, quantity| ReleasedLine {
            item: ItemIndex(item),
            quantity,
        };
        for (secret, lines) in [
            (1, vec![line(0, 2), line(1, 1)]),
            (2, vec![line(0, 5)]),
            (1, vec![line(0, 1)]),
        ] {
            let cancellation = Cancellation {
                secret,
                reference: "r".into(),
                lines: lines.into(),
                restock: true,
                at: Timestamp(0),
                lsn: Lsn(1),
            };
            kept.keep(7, cancellation);
        }
        let units = |secret, item| cancelled_units(kept.of(7), secret, ItemIndex(item));
        assert_eq!(
            [units(1, 0), units(1, 1), units(2, 0), units(2, 1)],
            [3, 1, 5, 0]
        );
        assert_eq!(kept.of(8), []);
    }
}
