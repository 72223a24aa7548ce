//! Bounds of payments.

use super::IDEMPOTENCY_KEY_BYTES_MAX;

/// Longest payment, in seconds (a day).
pub const PAYMENT_SECONDS_MAX: u32 = 86_400;
/// Longest reference of a payment, in bytes.
pub const PAYMENT_REF_BYTES_MAX: usize = 255;

const _: () = {
    // A reference stands where the key of a purchase does.
    assert!(PAYMENT_REF_BYTES_MAX <= IDEMPOTENCY_KEY_BYTES_MAX);
};
