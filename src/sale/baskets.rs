//! The checkouts of a buyer: the open one, and those that are over.

use std::sync::Arc;

use smallvec::SmallVec;

use super::outcome::{BasketLine, PurchaseResult};
use crate::env::Clock;
use crate::types::{ItemIndex, Lsn, Timestamp};
use crate::wheel::TimerKey;

/// A checkout that takes more items, until it is paid, purchased or expires.
pub struct OpenCheckout {
    /// The secret half of its code.
    pub secret: u128,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The record of its newest item, or of its payment.
    pub lsn: Lsn,
    /// `None` when its units are not held.
    pub hold: Option<Hold>,
    /// Its items, in the order of their coming, with their quantities; each of them once. As many as take no more room
    /// than the pointer to a list are kept in place.
    pub lines: SmallVec<[(ItemIndex, u32); 2]>,
}

impl OpenCheckout {
    /// Units in it.
    #[must_use]
    pub fn units(&self) -> u32 {
        self.lines.iter().map(|(_, quantity)| quantity).sum()
    }

    /// Units of this item in it.
    #[must_use]
    pub fn units_of(&self, item: ItemIndex) -> u32 {
        let line = self.lines.iter().find(|(chosen, _)| *chosen == item);
        line.map_or(0, |(_, quantity)| *quantity)
    }

    /// Returns whether this item is in it.
    #[must_use]
    pub fn contains(&self, item: ItemIndex) -> bool {
        self.lines.iter().any(|(chosen, _)| *chosen == item)
    }

    /// Returns until when its units are held.
    #[must_use]
    pub fn hold_until(&self) -> Option<Timestamp> {
        self.hold.as_ref().map(|hold| hold.until)
    }

    /// Returns whether its hold has run out. The steady clock is looked at only where something is held.
    #[must_use]
    pub fn is_expired(&self, clock: &dyn Clock) -> bool {
        self.hold_until()
            .is_some_and(|until| until <= clock.steady())
    }

    /// Returns its payment, while that is under way.
    #[must_use]
    pub fn payment(&self) -> Option<&Payment> {
        let hold = self.hold.as_ref().filter(|hold| hold.is_for_payment)?;
        hold.payment.as_deref()
    }

    /// Returns whether its units of this item are held.
    #[must_use]
    pub fn holds(&self, item: ItemIndex) -> bool {
        let lacks = |payment: &Payment| payment.unreserved.contains(&item);
        self.hold.is_some() && !self.payment().is_some_and(lacks)
    }

    /// Returns the lines whose units are held.
    pub fn held_lines(&self) -> impl Iterator<Item = (ItemIndex, u32)> {
        let lines = self.lines.iter().copied();
        lines.filter(|&(item, _)| self.holds(item))
    }

    /// Returns its lines, as its buyer is shown them.
    #[must_use]
    pub fn basket_lines(&self) -> Box<[BasketLine]> {
        let line = |&(item, quantity): &_| BasketLine {
            item,
            quantity,
            is_held: self.holds(item),
        };
        self.lines.iter().map(line).collect()
    }

    /// Returns how many of its units are held.
    #[must_use]
    pub fn held_units(&self) -> u32 {
        self.held_lines().map(|(_, quantity)| quantity).sum()
    }
}

/// That the units of a checkout are held.
pub struct Hold {
    /// By the steady clock.
    pub until: Timestamp,
    /// Fires then, unless the checkout is over before.
    pub(super) timer: TimerKey,
    /// Whether they are held for a payment. Its spare values tell apart the options around it: without them a buyer would take 16 bytes
    /// more.
    is_for_payment: bool,
    /// That payment. In a box, because most checkouts have none.
    payment: Option<Box<Payment>>,
}

impl Hold {
    pub(super) fn new(until: Timestamp, timer: TimerKey) -> Self {
        Self {
            until,
            timer,
            is_for_payment: false,
            payment: None,
        }
    }

    pub(super) fn with_payment(self, payment: Payment) -> Self {
        Self {
            is_for_payment: true,
            payment: Some(Box::new(payment)),
            ..self
        }
    }
}

/// The payment of a checkout, which takes its time.
pub struct Payment {
    /// When it began.
    pub begun_at: Timestamp,
    /// Until when it has to be over, by the wall clock, as the buyer was told.
    pub held_until: Timestamp,
    /// The items of the checkout that could not be had.
    pub unreserved: Box<[ItemIndex]>,
}

/// A checkout that is over.
pub struct ClosedCheckout {
    /// The secret half of its code.
    pub secret: u128,
    /// When it ended.
    pub at: Timestamp,
    /// The record that closed it.
    pub lsn: Lsn,
    /// How it ended.
    pub end: CheckoutEnd,
}

impl ClosedCheckout {
    pub(super) fn heap_bytes(&self) -> usize {
        match &self.end {
            CheckoutEnd::Processed { token, result } => {
                // The two counts of references come first.
                let result_bytes = 2 * size_of::<usize>() + size_of::<PurchaseResult>();
                token.as_str().map_or(0, str::len) + result_bytes + size_of_val(&*result.lines)
            }
            CheckoutEnd::Expired { lines } => size_of_val(&**lines),
        }
    }
}

/// The end of a checkout.
pub enum CheckoutEnd {
    /// It was purchased, whatever was sold of it.
    Processed {
        /// What came with the purchase.
        token: PurchaseToken,
        /// The answer.
        result: Arc<PurchaseResult>,
    },
    /// Its hold ran out.
    Expired {
        /// What was in it, for a payment that comes late; nothing once the sale is closed.
        lines: Box<[(ItemIndex, u32)]>,
    },
}

/// The token that came with a purchase, by which the same one is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurchaseToken {
    /// Nothing.
    None,
    /// The buyer's idempotency key.
    Key(Box<str>),
    /// The reference of a payment that the shop confirmed.
    Payment(Box<str>),
}

impl PurchaseToken {
    /// The text of either.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Key(text) | Self::Payment(text) => Some(text),
        }
    }

    /// The idempotency key.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key),
            Self::None | Self::Payment(_) => None,
        }
    }

    /// The reference of the payment.
    #[must_use]
    pub fn payment_ref(&self) -> Option<&str> {
        match self {
            Self::Payment(reference) => Some(reference),
            Self::None | Self::Key(_) => None,
        }
    }
}
