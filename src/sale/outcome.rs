//! Outcomes of the engine's operations, as enums that know nothing of HTTP.

use std::sync::Arc;

use super::sale::Sale;
use crate::record::{RefusedReason, ReleasedLine};
pub use crate::types::PurchasedLine;
use crate::types::{CheckoutCode, ItemIndex, Lsn, SaleId, Timestamp};

/// An outcome together with the record that must be durable before anybody hears of it.
#[derive(Clone, Debug)]
#[must_use = "an outcome may be told only when its record is durable"]
pub struct Decision<T> {
    /// The outcome.
    pub outcome: T,
    /// The last record that the outcome rests on; `None` when it rests on nothing new.
    pub lsn: Option<Lsn>,
}

impl<T> Decision<T> {
    /// An outcome that rests on no record.
    pub fn immediate(outcome: T) -> Self {
        Self { outcome, lsn: None }
    }

    /// An outcome that may be told once `lsn` is durable.
    pub fn after(lsn: Lsn, outcome: T) -> Self {
        Self {
            outcome,
            lsn: Some(lsn),
        }
    }
}

/// A [`Decision`] on a checkout that exists, with its sale where the outcome names items of it. The sale may leave memory before
/// the record is durable.
#[derive(Clone)]
#[must_use = "an outcome may be told only when its record is durable"]
pub struct SaleDecision<T> {
    /// The outcome.
    pub outcome: T,
    /// The record that the outcome rests on; `None` when it rests on nothing new.
    pub lsn: Option<Lsn>,
    /// The sale; `None` where the outcome names no items.
    pub sale: Option<Arc<Sale>>,
}

impl<T: CodeOutcome> SaleDecision<T> {
    pub(super) fn new(decision: Decision<T>, sale: &Arc<Sale>) -> Self {
        let Decision { outcome, lsn } = decision;
        let sale = outcome.names_items().then(|| Arc::clone(sale));
        Self { outcome, lsn, sale }
    }

    pub(super) fn immediate(outcome: T) -> Self {
        Self {
            outcome,
            lsn: None,
            sale: None,
        }
    }
}

/// The outcome of a request that names the code of a checkout.
pub trait CodeOutcome: PartialEq {
    /// No checkout has this code.
    const CHECKOUT_NOT_FOUND: Self;
    /// The sale has left memory: load it, and decide in it.
    const SALE_ARCHIVED: Self;

    /// Returns whether it names items of its sale.
    fn names_items(&self) -> bool;
}

/// Why the engine takes no work at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// More records wait for the disk than [`crate::limits::PENDING_BYTES_MAX`] allows.
    Overloaded,
    /// The server is shutting down.
    Draining,
    /// The journal has no room on its disk, or has failed.
    Journal,
}

/// The answer to a checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckoutOutcome {
    /// The item is in the user's open checkout.
    Accepted {
        /// The code of the open checkout.
        code: CheckoutCode,
        /// Units in it.
        items_count: u32,
        /// When the sale ends.
        sale_ends_at: Timestamp,
        /// Until when its units are held, by the wall clock; `None` where they are not.
        held_until: Option<Timestamp>,
        /// This answer repeats an earlier one.
        replayed: bool,
    },
    /// No sale has such an item.
    ItemNotFound,
    /// Zero, over the limit, or more than one of a stock-1 item.
    QuantityNotAllowed {
        /// The highest quantity that is allowed for this item.
        max: u32,
    },
    /// The item's sale has not begun or is over.
    SaleNotActive,
    /// The item's sale takes no checkouts for now.
    SalePaused,
    /// Bought and chosen units would exceed the limit.
    UserLimitExceeded {
        /// The limit per user.
        limit: u32,
    },
    /// Bought and wanted units would exceed the limit that the item has of its own.
    ItemLimitExceeded {
        /// Units of the item that one user may buy.
        limit: u32,
    },
    /// In the user's open checkout already, or (stock-1 items) bought by them.
    ItemAlreadyInCheckout {
        /// The code of the open checkout, where the item is in it.
        code: Option<CheckoutCode>,
    },
    /// The user pays for their open checkout, which takes no more items.
    PaymentUnderWay,
    /// The user's idempotency key came with another item or quantity before.
    IdempotencyKeyReused,
    /// The sale has left memory, and what it knows of the idempotency key with it: load it, and ask
    /// [`super::Engine::checkout_of`].
    SaleArchived(SaleId),
    /// Fewer units than asked for are left, now and for ever.
    ItemSoldOut,
    /// Enough units are unsold, but others hold them.
    ItemHeld {
        /// Seconds until the next hold can expire, at least 1.
        retry_after_seconds: u64,
    },
    /// No work is taken.
    Unavailable(Unavailable),
}

impl CheckoutOutcome {
    /// Returns the reason of a refusal that may be recorded; `None` for all other outcomes.
    #[must_use]
    pub fn refused_reason(&self) -> Option<RefusedReason> {
        Some(match self {
            Self::Accepted { .. } | Self::SaleArchived(_) | Self::Unavailable(_) => return None,
            Self::ItemNotFound => RefusedReason::ItemNotFound,
            Self::QuantityNotAllowed { .. } => RefusedReason::QuantityNotAllowed,
            Self::SaleNotActive => RefusedReason::SaleNotActive,
            Self::SalePaused => RefusedReason::SalePaused,
            Self::UserLimitExceeded { .. } => RefusedReason::UserLimitExceeded,
            Self::ItemLimitExceeded { .. } => RefusedReason::ItemLimitExceeded,
            Self::ItemAlreadyInCheckout { .. } => RefusedReason::ItemAlreadyInCheckout,
            Self::PaymentUnderWay => RefusedReason::PaymentUnderWay,
            Self::IdempotencyKeyReused => RefusedReason::IdempotencyKeyReused,
            Self::ItemSoldOut => RefusedReason::ItemSoldOut,
            Self::ItemHeld { .. } => RefusedReason::ItemHeld,
        })
    }
}

/// The first and only result of a checkout's purchase. At least one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurchaseResult {
    /// The lines, in the order in which they were put into the checkout.
    pub lines: Box<[PurchasedLine]>,
}

impl PurchaseResult {
    /// Returns whether any line was sold.
    #[must_use]
    pub fn any_sold(&self) -> bool {
        self.lines.iter().any(|line| line.sold)
    }
}

/// The answer to a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurchaseOutcome {
    /// The checkout was processed just now, or earlier under the same idempotency key: a success
    /// when [`PurchaseResult::any_sold`], otherwise every item was gone.
    Processed {
        /// What was sold.
        result: Arc<PurchaseResult>,
        /// This answer repeats an earlier one.
        replayed: bool,
    },
    /// No checkout has this code.
    CheckoutNotFound,
    /// The sale is over.
    SaleNotActive,
    /// The sale has left memory: load it, and ask [`super::Engine::purchase_of`].
    SaleArchived,
    /// Only the shop purchases in this sale.
    ShopConfirms,
    /// The hold ran out before the purchase.
    CheckoutExpired,
    /// The code was used before, with another key or with none.
    AlreadyProcessed {
        /// What was answered then.
        result: Arc<PurchaseResult>,
    },
    /// No work is taken.
    Unavailable(Unavailable),
}

impl CodeOutcome for PurchaseOutcome {
    const CHECKOUT_NOT_FOUND: Self = Self::CheckoutNotFound;
    const SALE_ARCHIVED: Self = Self::SaleArchived;

    fn names_items(&self) -> bool {
        matches!(self, Self::Processed { .. } | Self::AlreadyProcessed { .. })
    }
}

/// The answer to a shop that confirms a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfirmOutcome {
    /// The checkout was processed just now, or earlier with the same reference: a success
    /// when [`PurchaseResult::any_sold`], otherwise every item was gone.
    Processed {
        /// What was sold.
        result: Arc<PurchaseResult>,
        /// This answer repeats an earlier one.
        replayed: bool,
    },
    /// No checkout has this code.
    CheckoutNotFound,
    /// The sale is over.
    SaleNotActive,
    /// The sale has left memory: load it, and ask [`super::Engine::confirm_of`].
    SaleArchived,
    /// The hold ran out before, and a late payment is not to be taken.
    CheckoutExpired,
    /// The code was used before, with another reference or with none.
    AlreadyProcessed {
        /// What was answered then.
        result: Arc<PurchaseResult>,
        /// The reference that came first; `None` where the buyer purchased.
        payment_ref: Option<Box<str>>,
    },
    /// No work is taken.
    Unavailable(Unavailable),
}

impl CodeOutcome for ConfirmOutcome {
    const CHECKOUT_NOT_FOUND: Self = Self::CheckoutNotFound;
    const SALE_ARCHIVED: Self = Self::SaleArchived;

    fn names_items(&self) -> bool {
        matches!(self, Self::Processed { .. } | Self::AlreadyProcessed { .. })
    }
}

/// A line of an open checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasketLine {
    /// The item.
    pub item: ItemIndex,
    /// Units of it.
    pub quantity: u32,
    /// Whether these are held.
    pub is_held: bool,
}

/// The payment of a checkout, as its buyer is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BegunPayment {
    /// The code of the checkout.
    pub code: CheckoutCode,
    /// Its lines, in the order of their coming.
    pub lines: Box<[BasketLine]>,
    /// Until when it has to be over, by the wall clock.
    pub held_until: Timestamp,
}

/// The answer to who begins a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// The payment is under way, since just now or before.
    Begun(Box<BegunPayment>),
    /// Nothing of the checkout could be had: it is over.
    AllItemsSold {
        /// Its lines.
        result: Arc<PurchaseResult>,
    },
    /// Payments of this sale do not take their time.
    NotOffered,
    /// No checkout has this code.
    CheckoutNotFound,
    /// The sale is over.
    SaleNotActive,
    /// The sale has left memory: load it, and ask [`super::Engine::payment_of`].
    SaleArchived,
    /// Its hold ran out.
    CheckoutExpired,
    /// It was purchased.
    AlreadyProcessed {
        /// What was answered then.
        result: Arc<PurchaseResult>,
    },
    /// No work is taken.
    Unavailable(Unavailable),
}

impl CodeOutcome for PaymentOutcome {
    const CHECKOUT_NOT_FOUND: Self = Self::CheckoutNotFound;
    const SALE_ARCHIVED: Self = Self::SaleArchived;

    fn names_items(&self) -> bool {
        matches!(
            self,
            Self::Begun(_) | Self::AllItemsSold { .. } | Self::AlreadyProcessed { .. }
        )
    }
}

/// The contents of an open checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutContents {
    /// Its code.
    pub code: CheckoutCode,
    /// Its lines, in the order of their coming. None where all was given back: the checkout is over.
    pub lines: Box<[BasketLine]>,
    /// Until when its units are held, by the wall clock; `None` where they are not.
    pub held_until: Option<Timestamp>,
    /// When the sale ends.
    pub sale_ends_at: Timestamp,
}

/// The answer to who looks at an open checkout, or gives units of it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentsOutcome {
    /// All that it holds now. In a box, so that requests which wait for checkouts and purchases need no room for it.
    Contents(Box<CheckoutContents>),
    /// No checkout has this code.
    CheckoutNotFound,
    /// The item that was to be given back is not in it.
    ItemNotInCheckout,
    /// More units were to be given back than are in it, or none.
    QuantityNotAllowed {
        /// Units of the item in it.
        max: u32,
    },
    /// The sale is over.
    SaleNotActive,
    /// The sale has left memory: load it, and ask [`super::Engine::contents_of`].
    SaleArchived,
    /// Its hold ran out.
    CheckoutExpired,
    /// It was purchased.
    AlreadyProcessed {
        /// What was answered then.
        result: Arc<PurchaseResult>,
        /// Units that were sold by it, and cancelled since. In the order of the items of the answer.
        cancelled: Box<[ReleasedLine]>,
    },
    /// No work is taken.
    Unavailable(Unavailable),
}

impl CodeOutcome for ContentsOutcome {
    const CHECKOUT_NOT_FOUND: Self = Self::CheckoutNotFound;
    const SALE_ARCHIVED: Self = Self::SaleArchived;

    fn names_items(&self) -> bool {
        matches!(self, Self::Contents(_) | Self::AlreadyProcessed { .. })
    }
}

/// The answer to a shop that cancels units of a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// They are cancelled, now or before.
    Cancelled {
        /// The units.
        lines: Box<[ReleasedLine]>,
        /// This answer repeats an earlier one.
        replayed: bool,
    },
    /// No checkout has this code.
    CheckoutNotFound,
    /// Nothing of the checkout was sold: it is open, ran out, or found all of its items gone.
    NotPurchased,
    /// The item was not sold by this purchase.
    ItemNotPurchased,
    /// All that was to be cancelled is cancelled already, by another reference.
    AlreadyCancelled,
    /// More units were to be cancelled than are left, or none.
    QuantityNotAllowed {
        /// Units that were sold, and not cancelled yet.
        max: u32,
    },
    /// The reference came with another request before.
    ReferenceReused,
    /// The sale is over.
    SaleClosed,
    /// The sale has left memory: load it, and ask [`super::Engine::cancel_in`].
    SaleArchived,
    /// No work is taken.
    Unavailable(Unavailable),
}

impl CodeOutcome for CancelOutcome {
    const CHECKOUT_NOT_FOUND: Self = Self::CheckoutNotFound;
    const SALE_ARCHIVED: Self = Self::SaleArchived;

    fn names_items(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }
}

/// The figures of a sale at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockFigures {
    /// Units of all items of the sale.
    pub total: u64,
    /// Units sold.
    pub sold: u64,
    /// Units held by open checkouts.
    pub held: u64,
}

impl StockFigures {
    /// Units that can be bought.
    #[must_use]
    pub fn free(&self) -> u64 {
        // The parts are read one after the other while buyers go on.
        self.total.saturating_sub(self.sold + self.held)
    }
}
