//! Bounds of payments.

use super::{IDEMPOTENCY_KEY_BYTES_MAX, REFERENCE_BYTES_MAX};

/// Longest payment, in seconds (a day).
pub const PAYMENT_SECONDS_MAX: u32 = 86_400;

const _: () = {
    // The reference of a payment stands where the key of a purchase does.
    assert!(REFERENCE_BYTES_MAX <= IDEMPOTENCY_KEY_BYTES_MAX);
};
