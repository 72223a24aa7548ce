//! Queries of support about buyers: the state of a checkout, and the purchases in order.

use std::collections::BinaryHeap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::baskets::{CheckoutEnd, ClosedCheckout, OpenCheckout};
use super::buyers::{Buyer, BuyerRef, BuyerShard};
use super::cancelled::{Cancellation, cancelled_units};
use super::outcome::{BasketLine, PurchaseResult};
use super::sale::Sale;
use crate::types::{CheckoutCode, ItemIndex, Malformed, Timestamp};

/// A checkout as support sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutView {
    /// Its code.
    pub code: CheckoutCode,
    /// Whose it is.
    pub user: Box<str>,
    /// Its state.
    pub state: CheckoutState,
}

/// The state of a checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckoutState {
    /// It was not purchased, and did not expire.
    Open {
        /// When it was opened.
        opened_at: Timestamp,
        /// Until when its units are held, by the steady clock; `None` when they are not.
        held_until: Option<Timestamp>,
        /// Whether its payment is under way.
        is_paid: bool,
        /// Its lines.
        lines: Box<[BasketLine]>,
    },
    /// It was purchased.
    Purchased {
        /// The time.
        at: Timestamp,
        /// The reference of the payment that the shop confirmed.
        payment_ref: Option<Box<str>>,
        /// The answer.
        result: Arc<PurchaseResult>,
        /// What was cancelled of it.
        cancelled: Box<[Cancellation]>,
    },
    /// Its hold ran out.
    Expired {
        /// The time.
        at: Timestamp,
        /// What was in it; nothing once the sale is closed.
        lines: Box<[(ItemIndex, u32)]>,
    },
}

/// A purchase as support sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurchaseView {
    /// The code of the checkout that was purchased.
    pub code: CheckoutCode,
    /// The buyer.
    pub user: Box<str>,
    /// The time.
    pub at: Timestamp,
    /// Whether an idempotency key came with it.
    pub has_key: bool,
    /// The reference of the payment that the shop confirmed.
    pub payment_ref: Option<Box<str>>,
    /// The answer.
    pub result: Arc<PurchaseResult>,
    /// What was cancelled of it.
    pub cancelled: Box<[Cancellation]>,
}

impl PurchaseView {
    /// Returns how many units of an item of it are cancelled.
    #[must_use]
    pub fn cancelled_units(&self, item: ItemIndex) -> u32 {
        cancelled_units(&self.cancelled, self.code.secret, item)
    }
}

/// Purchases in the order of their marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurchasePage {
    /// The purchases.
    pub purchases: Vec<PurchaseView>,
    /// The mark of the last one, when there are more behind it.
    pub next: Option<PurchaseMark>,
}

/// The place of a purchase among all of its sale: by time, and then by half of its code. That is the
/// same after a restart, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PurchaseMark {
    at: Timestamp,
    half: u64,
}

impl PurchaseMark {
    fn of(closed: &ClosedCheckout) -> Self {
        Self {
            at: closed.at,
            half: (closed.secret >> 64) as u64,
        }
    }
}

impl fmt::Display for PurchaseMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.at.0, self.half)
    }
}

impl FromStr for PurchaseMark {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mark = text.rsplit_once('-').and_then(|(at, half)| {
            Some(Self {
                at: Timestamp(at.parse().ok()?),
                half: u64::from_str_radix(half, 16).ok()?,
            })
        });
        // Whatever else is understood, only what was once given out is accepted.
        mark.filter(|mark| mark.to_string() == text)
            .ok_or(Malformed("must be one that a page before gave"))
    }
}

/// A purchase that was found: its buyer, and its code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PurchasePlace {
    mark: PurchaseMark,
    buyer: u32,
    secret: u128,
}

/// The first purchases behind a mark, of those that it was shown.
struct First {
    after: Option<PurchaseMark>,
    /// One more than are wanted, to know whether there is one.
    count: usize,
    found: BinaryHeap<PurchasePlace>,
}

impl First {
    fn look_at(&mut self, reference: BuyerRef, buyer: &Buyer) {
        for closed in &buyer.closed {
            let mark = PurchaseMark::of(closed);
            let is_purchase = matches!(closed.end, CheckoutEnd::Processed { .. });
            if !is_purchase || self.after.is_some_and(|after| mark <= after) {
                continue;
            }
            let (buyer, secret) = (reference.0, closed.secret);
            self.found.push(PurchasePlace {
                mark,
                buyer,
                secret,
            });
            if self.found.len() > self.count {
                self.found.pop();
            }
        }
    }
}

impl Sale {
    /// The checkout whose code has this secret half.
    #[must_use]
    pub fn checkout_view(&self, secret: u128) -> Option<CheckoutView> {
        let reference = self.buyers.by_code(secret)?;
        let mut shard = self.buyers.lock_buyer(reference);
        let cancelled = cancelled_of(&shard, reference, secret);
        let buyer = shard.buyer(reference);
        let closed = buyer.closed.iter().find(|closed| closed.secret == secret);
        let open = || buyer.open.as_ref().filter(|open| open.secret == secret);
        let state = match closed {
            Some(closed) => state_of_closed(closed, cancelled),
            None => state_of_open(open()?),
        };
        Some(CheckoutView {
            code: self.code(secret),
            user: buyer.user.clone(),
            state,
        })
    }

    /// At most `count` purchases of this sale, or of `user` in it, behind `after`. Looks at all buyers,
    /// some of them locked at a time, which takes a while when there are many.
    #[must_use]
    pub fn purchases(
        &self,
        user: Option<&str>,
        after: Option<PurchaseMark>,
        count: usize,
    ) -> PurchasePage {
        let mut first = First {
            after,
            count: count + 1,
            found: BinaryHeap::new(),
        };
        match user {
            Some(user) => {
                let mut locked = self.buyers.lock_user(user);
                if let Some(reference) = locked.find(user) {
                    first.look_at(reference, locked.shard.buyer(reference));
                }
            }
            None => {
                for mut shard in self.buyers.lock_each() {
                    for (reference, buyer) in shard.iter_mut() {
                        first.look_at(reference, buyer);
                    }
                }
            }
        }
        let found = first.found.into_sorted_vec();
        let shown = &found[..count.min(found.len())];
        let more = found.len() > shown.len();
        PurchasePage {
            purchases: shown.iter().map(|found| self.purchase(found)).collect(),
            next: shown.last().filter(|_| more).map(|last| last.mark),
        }
    }

    fn purchase(&self, found: &PurchasePlace) -> PurchaseView {
        let reference = BuyerRef(found.buyer);
        let mut shard = self.buyers.lock_buyer(reference);
        let secret = found.secret;
        let cancelled = cancelled_of(&shard, reference, secret);
        let buyer = shard.buyer(reference);
        // A purchase stays one.
        let purchase = buyer.closed.iter().find_map(|closed| match &closed.end {
            CheckoutEnd::Processed { token, result } if closed.secret == found.secret => {
                Some((closed, token, result))
            }
            _ => None,
        });
        let (closed, token, result) = purchase.expect("only purchases are found");
        PurchaseView {
            code: self.code(closed.secret),
            user: buyer.user.clone(),
            at: closed.at,
            has_key: token.key().is_some(),
            payment_ref: token.payment_ref().map(Into::into),
            result: Arc::clone(result),
            cancelled,
        }
    }

    pub(super) fn code(&self, secret: u128) -> CheckoutCode {
        CheckoutCode {
            sale: self.id,
            secret,
        }
    }
}

fn state_of_open(open: &OpenCheckout) -> CheckoutState {
    CheckoutState::Open {
        opened_at: open.opened_at,
        held_until: open.hold_until(),
        is_paid: open.payment().is_some(),
        lines: open.basket_lines(),
    }
}

/// Returns what was cancelled of a purchase, in the order of its coming.
fn cancelled_of(shard: &BuyerShard, reference: BuyerRef, secret: u128) -> Box<[Cancellation]> {
    let kept = shard.cancellations_of(reference).iter();
    kept.filter(|it| it.secret == secret).cloned().collect()
}

fn state_of_closed(closed: &ClosedCheckout, cancelled: Box<[Cancellation]>) -> CheckoutState {
    let at = closed.at;
    match &closed.end {
        CheckoutEnd::Expired { lines } => CheckoutState::Expired {
            at,
            lines: lines.clone(),
        },
        CheckoutEnd::Processed { token, result } => CheckoutState::Purchased {
            at,
            payment_ref: token.payment_ref().map(Into::into),
            result: Arc::clone(result),
            cancelled,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_has_one_spelling() {
        let mark = PurchaseMark {
            at: Timestamp(1_795_428_000_500_000),
            half: 0xabc,
        };
        let text = mark.to_string();
        assert_eq!(text, "1795428000500000-0000000000000abc");
        assert_eq!(text.parse(), Ok(mark));
        for wrong in [
            "",
            "-",
            "1",
            "1-abc",
            "1-0000000000000ABC",
            "01-0000000000000abc",
            "+1-0000000000000abc",
            "x-0000000000000abc",
        ] {
            assert!(wrong.parse::<PurchaseMark>().is_err(), "{wrong}");
        }
    }
}
