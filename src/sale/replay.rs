//! Applies the records of one sale to it, and checks that they do not contradict what came before.

use std::sync::Arc;

use super::baskets::{CheckoutEnd, ClosedCheckout, OpenCheckout, PurchaseToken};
use super::buyers::{BuyerRef, BuyerShard};
use super::cancelled::{Cancellation, cancelled_units};
use super::keys::KeyedCheckout;
use super::outcome::PurchaseResult;
use super::sale::Sale;
use crate::planted::{Slip, is_planted};
use crate::record::{CheckoutKey, Lines, ReleasedLine, SaleChange};
use crate::types::{ItemIndex, Lsn, PurchasedLine, Timestamp};

/// The units of a purchase that were cancelled before it came: those that are free again, and those that left the stock.
struct CancelledUnits(Vec<(ReleasedLine, bool)>);

impl CancelledUnits {
    fn of(cancellations: &[Cancellation], secret: u128) -> Self {
        let own = cancellations.iter().filter(|it| it.secret == secret);
        let lines = own.flat_map(|it| it.lines.iter().map(|line| (*line, it.restock)));
        Self(lines.collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of_item(&self, item: ItemIndex) -> [u32; 2] {
        let own = self.0.iter().filter(|(line, _)| line.item == item);
        own.fold([0, 0], |[restocked, gone], (line, restock)| match restock {
            true => [restocked + line.quantity, gone],
            false => [restocked, gone + line.quantity],
        })
    }
}

fn too_much(item: ItemIndex) -> String {
    format!("more of item {} is cancelled than was sold", item.0)
}

/// Units of an item that were sold by a purchase.
fn sold_of(result: &PurchaseResult, item: ItemIndex) -> u32 {
    let own = result.lines.iter();
    let own = own.filter(|line| line.sold && line.item == item);
    own.map(|line| line.quantity).sum()
}

/// The parts of a checkout record.
pub(super) struct Chosen<'a> {
    pub(super) secret: u128,
    pub(super) user: &'a str,
    pub(super) line: (ItemIndex, u32),
    pub(super) hold_until: Option<Timestamp>,
    pub(super) opens: bool,
    pub(super) key: Option<CheckoutKey<'a>>,
}

/// The parts of a purchase record.
pub(super) struct Purchased<'a> {
    pub(super) secret: u128,
    pub(super) user: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) payment_ref: Option<&'a str>,
    pub(super) lines: Lines<'a>,
}

impl Sale {
    fn check_item(&self, item: ItemIndex) -> Result<(), String> {
        if item.0 < self.item_count() {
            Ok(())
        } else {
            Err(format!("sale {} has no item {}", self.id, item.0))
        }
    }

    /// A change comes before the closing, and changes something.
    pub(super) fn apply_change(&self, change: SaleChange) -> Result<(), String> {
        let changes = match change {
            _ if self.is_closed() => false,
            SaleChange::Opened if is_planted(Slip::ForgetsOpening) => true,
            SaleChange::Opened => self.phase.note_opening(),
            SaleChange::Paused if is_planted(Slip::ForgetsPause) => true,
            SaleChange::Paused => self.pause(|| ()),
            SaleChange::Resumed => self.resume() || is_planted(Slip::ForgetsPause),
            SaleChange::Extended(ends_at) => {
                let is_later = ends_at > self.ends_at();
                self.extend(ends_at.max(self.ends_at()));
                is_later
            }
        };
        match changes {
            true => Ok(()),
            false => Err(format!(
                "sale {} cannot be {} as it is",
                self.id,
                change.name()
            )),
        }
    }

    /// A change of a stock comes before the closing, once per reference, and takes out what is free at most.
    pub(super) fn apply_stock_change(
        &self,
        item: ItemIndex,
        units: i64,
        reference: &str,
        lsn: Lsn,
    ) -> Result<(), String> {
        self.check_item(item)?;
        let wrong = |what: &str| {
            let (sale, item) = (self.id, item.0);
            Err(format!("the stock of item {item} of sale {sale} {what}"))
        };
        if self.is_closed() {
            return wrong("changes behind the end of the sale");
        }
        if self.inventory.is_single(item) {
            return wrong("changes, and it exists once");
        }
        if self.stock_change(reference).is_some() {
            return wrong("changes twice by one reference");
        }
        if is_planted(Slip::ForgetsStockChanges) {
            return Ok(());
        }
        let more = units.unsigned_abs();
        if units < 0 {
            if self.withdraw(item, more, || lsn).is_none() {
                return wrong("falls below what is sold and held");
            }
        } else if more > self.room_of(item) {
            return wrong("becomes more than is counted");
        } else {
            self.restock(item, more, || lsn);
        }
        self.stock_changes.lock().keep(reference, item, units, lsn);
        Ok(())
    }

    pub(super) fn apply_checkout(
        &self,
        chosen: &Chosen<'_>,
        at: Timestamp,
        lsn: Lsn,
    ) -> Result<(), String> {
        let Chosen {
            secret,
            user,
            line: (item, quantity),
            hold_until,
            opens,
            key,
        } = *chosen;
        self.check_item(item)?;
        if self.is_paused() {
            return Err(format!("user {user:?} chooses while the sale is paused"));
        }
        let mut locked = self.buyers.lock_user(user);
        let reference = locked.find_or_insert(user);
        if hold_until.is_some() {
            if !self.inventory.hold(item, quantity, self.taker(reference)) {
                return Err(format!("item {} is held beyond its stock", item.0));
            }
            locked.shard.hold_more(quantity);
        }
        if let Some(key) = key.filter(|_| !is_planted(Slip::ForgetsKeys)) {
            let keyed = KeyedCheckout::new(secret, (item, quantity), &key, lsn);
            self.keep_key(&mut locked.shard, reference, keyed)?;
        }
        match &mut locked.shard.buyer(reference).open {
            None if !opens => Err(format!("user {user:?} adds to a checkout that is not open")),
            None => {
                self.add_code(secret, reference)?;
                let hold = hold_until.map(|until| {
                    self.expect_expiry(until);
                    locked.shard.arm_hold(reference, until, at)
                });
                locked.shard.buyer(reference).open = Some(OpenCheckout {
                    secret,
                    opened_at: at,
                    lsn,
                    hold,
                    lines: smallvec::smallvec![(item, quantity)],
                });
                Ok(())
            }
            Some(open) if opens || open.secret != secret => {
                Err(format!("user {user:?} opens a second checkout"))
            }
            Some(open) if open.payment().is_some() => {
                Err(format!("user {user:?} adds to a checkout that is paid"))
            }
            Some(open) if open.hold_until() != hold_until => {
                Err(format!("user {user:?} holds one checkout until two times"))
            }
            Some(open) => {
                open.lines.push((item, quantity));
                open.lsn = lsn;
                Ok(())
            }
        }
    }

    /// A key alone, as snapshots have it. Its checkout may have been given back, and its buyer have no other.
    pub(super) fn apply_key(&self, user: &str, keyed: KeyedCheckout) -> Result<(), String> {
        self.check_item(keyed.item)?;
        let mut locked = self.buyers.lock_user(user);
        let reference = locked.find_or_insert(user);
        self.keep_key(&mut locked.shard, reference, keyed)
    }

    fn keep_key(
        &self,
        shard: &mut BuyerShard,
        reference: BuyerRef,
        keyed: KeyedCheckout,
    ) -> Result<(), String> {
        if shard.keyed_checkout(reference, &keyed.key).is_some() {
            let user = &shard.buyer(reference).user;
            return Err(format!("an idempotency key of user {user:?} is used twice"));
        }
        shard.keep_key(reference, keyed, self.terms.max_items_per_user);
        Ok(())
    }

    fn add_code(&self, secret: u128, buyer: BuyerRef) -> Result<(), String> {
        if self.buyers.insert_code(secret, buyer) {
            Ok(())
        } else {
            Err(format!("a code of sale {} is used twice", self.id))
        }
    }

    /// A purchase closes its open checkout, or a late payment one that has expired; in a snapshot it stands alone.
    pub(super) fn apply_purchase(
        &self,
        purchased: &Purchased<'_>,
        at: Timestamp,
        lsn: Lsn,
    ) -> Result<(), String> {
        let Purchased {
            secret,
            user,
            key,
            payment_ref,
            lines,
        } = *purchased;
        let mut locked = self.buyers.lock_user(user);
        let reference = locked.find_or_insert(user);
        let open = locked.shard.take_open_if(reference, secret);
        // In a snapshot what was cancelled of it stands before it.
        let cancelled = CancelledUnits::of(locked.shard.cancellations_of(reference), secret);
        if open.is_some() && !cancelled.is_empty() {
            return Err(format!(
                "a purchase of user {user:?} is cancelled before it is made"
            ));
        }
        let buyer = locked.shard.buyer(reference);
        let is_same = |chosen: &[(ItemIndex, u32)]| {
            let chosen = chosen.iter().copied();
            chosen.eq(lines.iter().map(|line| (line.item, line.quantity)))
        };
        let late = payment_ref.and_then(|_| buyer.take_expired(secret));
        let as_chosen = match (&open, &late) {
            (Some(open), _) => is_same(&open.lines),
            // A snapshot of an earlier version has none.
            (None, Some(lines)) => lines.is_empty() || is_same(lines),
            (None, None) => {
                self.add_code(secret, reference)?;
                true
            }
        };
        if !as_chosen {
            return Err(format!("user {user:?} purchases what they did not choose"));
        }
        let mut sold_lines = Vec::new();
        for line in lines.iter() {
            self.check_item(line.item)?;
            let left = match line.sold {
                true => self.apply_cancelled_before(line, &cancelled)?,
                false => line.quantity,
            };
            let quantity = left;
            let held = open.as_ref().is_some_and(|open| open.holds(line.item));
            self.apply_line(PurchasedLine { quantity, ..line }, reference, held)?;
            buyer.bought += if line.sold { left } else { 0 };
            sold_lines.push(line);
        }
        if buyer.bought > self.terms.max_items_per_user {
            return Err(format!("user {user:?} bought {} units", buyer.bought));
        }
        let result = Arc::new(PurchaseResult {
            lines: sold_lines.into(),
        });
        let token = match (key, payment_ref) {
            (_, Some(reference)) => PurchaseToken::Payment(reference.into()),
            (Some(key), None) => PurchaseToken::Key(key.into()),
            (None, None) => PurchaseToken::None,
        };
        let end = CheckoutEnd::Processed { token, result };
        buyer.closed.push(ClosedCheckout {
            secret,
            at,
            lsn,
            end,
        });
        let (buyer, cancellations) = locked.shard.buyer_and_cancellations(reference);
        self.check_item_limits_of(buyer, cancellations)
    }

    fn apply_line(
        &self,
        PurchasedLine {
            item,
            quantity,
            sold,
        }: PurchasedLine,
        reference: BuyerRef,
        held: bool,
    ) -> Result<(), String> {
        let taker = self.taker(reference);
        match (held, sold) {
            (false, true) if quantity == 0 => {}
            (true, true) => self.inventory.sell_held(item, quantity, taker),
            (true, false) => return Err(format!("item {} was held and not sold", item.0)),
            (false, false) => {}
            (false, true) if self.inventory.sell(item, quantity, taker) => {}
            (false, true) => return Err(format!("item {} is sold beyond its stock", item.0)),
        }
        Ok(())
    }

    /// Counts what was cancelled of a line of a purchase before that comes: it is never sold. Returns the rest.
    fn apply_cancelled_before(
        &self,
        line: PurchasedLine,
        cancelled: &CancelledUnits,
    ) -> Result<u32, String> {
        let [restocked, gone] = cancelled.of_item(line.item);
        let left = line.quantity.checked_sub(restocked + gone);
        let left = left.ok_or_else(|| too_much(line.item))?;
        let units = u64::from(gone);
        if gone > 0 && !self.inventory.write_off(line.item, units, super::lane()) {
            return Err(too_much(line.item));
        }
        self.inventory.note_taken_back(u64::from(restocked) + units);
        Ok(left)
    }

    /// Takes units of a purchase back. In a snapshot it stands before the purchase, and waits for it.
    pub(super) fn apply_cancelled(
        &self,
        user: &str,
        cancellation: Cancellation,
    ) -> Result<(), String> {
        if self.is_closed() {
            return Err(format!(
                "a purchase of user {user:?} is cancelled behind the end"
            ));
        }
        let mut locked = self.buyers.lock_user(user);
        let reference = locked.find_or_insert(user);
        let kept = locked.shard.cancellations_of(reference);
        let secret = cancellation.secret;
        let is_same =
            |it: &Cancellation| it.secret == secret && it.reference == cancellation.reference;
        if kept.iter().any(is_same) {
            return Err(format!(
                "a purchase of user {user:?} is cancelled twice by one reference"
            ));
        }
        if is_planted(Slip::ForgetsCancelled) {
            return Ok(());
        }
        let kept = kept.to_vec();
        let mut closed = locked.shard.buyer(reference).closed.iter();
        let Some(closed) = closed.find(|closed| closed.secret == secret) else {
            locked.shard.keep_cancellation(reference, cancellation);
            return Ok(());
        };
        for line in &cancellation.lines {
            let sold = match &closed.end {
                CheckoutEnd::Expired { .. } => 0,
                CheckoutEnd::Processed { result, .. } => sold_of(result, line.item),
            };
            let before = cancelled_units(&kept, secret, line.item);
            if line.quantity == 0 || before + line.quantity > sold {
                return Err(too_much(line.item));
            }
        }
        let lsn = cancellation.lsn;
        self.cancel(&mut locked.shard, reference, cancellation, |_| lsn);
        Ok(())
    }

    /// Takes units out of the open checkout that they were in.
    pub(super) fn apply_released(
        &self,
        secret: u128,
        user: &str,
        line: Option<ReleasedLine>,
        lsn: Lsn,
    ) -> Result<(), String> {
        let mut locked = self.buyers.lock_user(user);
        let reference = locked.find(user);
        let open = reference.and_then(|reference| locked.shard.buyer(reference).open.as_ref());
        let (Some(reference), Some(open)) = (reference, open.filter(|open| open.secret == secret))
        else {
            return Err(format!(
                "user {user:?} gives units of a checkout back that is not open"
            ));
        };
        if let Some(ReleasedLine { item, quantity }) = line
            && open.units_of(item) < quantity
        {
            let item = item.0;
            return Err(format!(
                "user {user:?} gives more of item {item} back than they chose"
            ));
        }
        if !is_planted(Slip::ForgetsReleased) {
            self.give_back(&mut locked.shard, reference, line, lsn);
        }
        Ok(())
    }

    /// An expiry closes its open checkout; in a snapshot it stands alone.
    pub(super) fn apply_expired(
        &self,
        secret: u128,
        user: &str,
        lines: Lines<'_>,
        at: Timestamp,
        lsn: Lsn,
    ) -> Result<(), String> {
        let mut locked = self.buyers.lock_user(user);
        let reference = locked.find_or_insert(user);
        if is_planted(Slip::ForgetsExpired) {
            return Ok(());
        }
        if let Some(open) = locked.shard.take_open_if(reference, secret) {
            self.end_expired(reference, locked.shard.buyer(reference), open, at, lsn);
            return Ok(());
        }
        self.add_code(secret, reference)?;
        locked.shard.buyer(reference).closed.push(ClosedCheckout {
            secret,
            at,
            lsn,
            end: CheckoutEnd::Expired {
                lines: lines
                    .iter()
                    .map(|line| (line.item, line.quantity))
                    .collect(),
            },
        });
        Ok(())
    }
}
