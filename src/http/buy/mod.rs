//! Buying: checkouts and purchases.

pub(super) mod checkout;
pub(super) mod contents;
pub(super) mod payment;
pub(super) mod proof;
pub(super) mod purchase;
pub(super) mod purchase_result;

mod idempotency;

use hyper::http::request::Parts;

use self::proof::Owner;
use super::answer::Answer;
use super::common_headers::CommonHeaders;
use super::problem::Problem;
use super::rates::RequestLimits;
use crate::auth::Authority;
use crate::sale::{
    CheckoutOutcome, ContentsOutcome, Decision, PaymentOutcome, PurchaseOutcome, SaleDecision,
};
use crate::types::{CheckoutCode, Lsn};

/// A request to sell, with all of its body.
pub(super) struct SellRequest<'r> {
    pub(super) head: &'r Parts,
    /// The headers that handlers look at.
    pub(super) headers: CommonHeaders<'r>,
    pub(super) body: &'r [u8],
    /// Who says who the user is; `None` where that is who the request says.
    pub(super) authority: Option<&'r Authority>,
    /// The limits of rates, where there are any.
    pub(super) limits: Option<RequestLimits<'r>>,
}

impl SellRequest<'_> {
    /// Counts the request towards the limits, if there are any, of its address and of `user` if that is known.
    ///
    /// # Errors
    /// When too many came.
    pub(super) fn admit(&self, user: Option<&str>) -> Result<(), Problem> {
        match &self.limits {
            None => Ok(()),
            Some(limits) => limits.admit(user),
        }
    }

    /// Counts the request towards the limit, if there is one, of `user`. Its address was counted before.
    ///
    /// # Errors
    /// When too many came.
    pub(super) fn admit_proven(&self, user: &str) -> Result<(), Problem> {
        match &self.limits {
            None => Ok(()),
            Some(limits) => limits.admit_user(user),
        }
    }
}

/// A request to sell after its handler.
pub(super) enum Decided {
    /// The engine has decided.
    Now(SellDecision),
    /// The sale has left memory, and must be loaded before the engine can decide.
    Archived(Box<ArchivedRequest>),
}

/// A decision of the engine on a request to sell.
pub(super) enum SellDecision {
    /// A decision on a checkout.
    Checkout(Decision<CheckoutOutcome>),
    /// A decision on a purchase.
    Purchase(SaleDecision<PurchaseOutcome>),
    /// A decision on what a checkout holds.
    Contents(SaleDecision<ContentsOutcome>),
    /// A decision on a payment that is to begin.
    Payment(SaleDecision<PaymentOutcome>),
}

impl SellDecision {
    /// The record that must be durable before the answer may be given.
    pub(super) fn lsn(&self) -> Option<Lsn> {
        match self {
            Self::Checkout(decision) => decision.lsn,
            Self::Purchase(decision) => decision.lsn,
            Self::Contents(decision) => decision.lsn,
            Self::Payment(decision) => decision.lsn,
        }
    }

    /// Returns the answer, which may be given once the record is durable.
    pub(super) fn into_answer(self) -> Result<Answer, Problem> {
        match self {
            Self::Checkout(decision) => decision.outcome.try_into(),
            Self::Purchase(decision) => {
                purchase::answer(decision.outcome, decision.sale.as_deref())
            }
            Self::Contents(decision) => {
                contents::answer(decision.outcome, decision.sale.as_deref())
            }
            Self::Payment(decision) => payment::answer(decision.outcome, decision.sale.as_deref()),
        }
    }
}

/// A request to sell in a sale that has left memory, where it may have been answered before.
pub(super) enum ArchivedRequest {
    /// A checkout.
    Checkout(checkout::ArchivedCheckout),
    /// A purchase.
    Purchase(purchase::ArchivedPurchase),
    /// A look at a checkout, or at what was to be given back.
    Contents(CheckoutCode, Owner),
    /// A payment that was to begin.
    Payment(CheckoutCode, Owner),
}
