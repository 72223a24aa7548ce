//! Values that a parameter may have besides the types of the engine.

use std::str::FromStr;

use super::parameters::CONTROL;
use crate::limits::CODE_BYTES_MAX;
use crate::types::{CheckoutCode, Malformed, has_control};

/// A number of JSON as a parameter has it. One that is whole may have a point or an exponent.
pub(super) fn written(number: &serde_json::Number) -> String {
    let whole = number.as_f64().and_then(whole);
    whole.map_or_else(|| number.to_string(), |whole| whole.to_string())
}

/// `number` when it is whole, and so small that it is exact.
pub(super) fn whole(number: f64) -> Option<u64> {
    let exact = 0.0..=9_007_199_254_740_992.0;
    (exact.contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// A whole number that is written in decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole(pub(super) u32);

impl FromStr for Whole {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        number.map(Self).ok_or(Malformed("must be a whole number"))
    }
}

/// The code of a checkout as a client gave it: `None` where no checkout can have such a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivenCode(pub(super) Option<CheckoutCode>);

impl FromStr for GivenCode {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if !(1..=CODE_BYTES_MAX).contains(&text.len()) {
            return Err(Malformed(
                "must be a code that POST /checkout answered, of 1 to 128 bytes",
            ));
        }
        if has_control(text) {
            return Err(CONTROL);
        }
        Ok(Self(text.parse().ok()))
    }
}
