//! Buying: checkouts and purchases.

pub(super) mod checkout;
pub(super) mod purchase;

mod idempotency;
