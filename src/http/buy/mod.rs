//! Buying: checkouts and purchases.

pub(super) mod checkout;
pub(super) mod purchase;
pub(super) mod purchase_result;

mod idempotency;

use hyper::http::request::Parts;

use super::common_headers::CommonHeaders;
use crate::sale::{CheckoutOutcome, Decision, PurchaseDecision};

/// A request to sell, with all of its body.
pub(super) struct SellRequest<'r> {
    pub(super) head: &'r Parts,
    /// Those of the head.
    pub(super) headers: CommonHeaders<'r>,
    pub(super) body: &'r [u8],
}

/// A request to sell after its handler.
pub(super) enum Decided {
    /// The engine has decided on a checkout.
    Checkout(Decision<CheckoutOutcome>),
    /// The engine has decided on a purchase.
    Purchase(PurchaseDecision),
    /// The sale has left memory, and must be loaded before the engine can decide.
    Archived(Box<ArchivedRequest>),
}

/// A request to sell in a sale that has left memory, where it may have been answered before.
pub(super) enum ArchivedRequest {
    /// A checkout.
    Checkout(checkout::ArchivedCheckout),
    /// A purchase.
    Purchase(purchase::ArchivedPurchase),
}
