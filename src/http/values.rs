//! Types of parameters that are not types of the engine.

use std::str::FromStr;

use crate::limits::CODE_BYTES_MAX;
use crate::types::{CONTROL, CheckoutCode, Lsn, Malformed, Reference, Timestamp, has_control};

/// Returns a JSON number as the text of a parameter. A whole number may be written with a point or an exponent.
pub(super) fn number_text(number: &serde_json::Number) -> String {
    let whole = number.as_f64().and_then(whole);
    whole.map_or_else(|| number.to_string(), |whole| whole.to_string())
}

/// Returns `number` when it is whole, and small enough to be exact.
pub(super) fn whole(number: f64) -> Option<u64> {
    let exact = 0.0..=9_007_199_254_740_992.0;
    (exact.contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// A whole number in decimal digits, without leading zeros, as the numbers of sales and items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole(pub(super) u32);

impl FromStr for Whole {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits || text.len() > 1 && text.starts_with('0') {
            return Err(Malformed(
                "must be a whole number without sign and leading zeros, such as 2",
            ));
        }
        let number = text.parse().map(Self);
        number.map_err(|_| Malformed("is too large a number"))
    }
}

/// A place in the journal: the number of a record, or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) Lsn);

impl FromStr for Place {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        const WRONG: Malformed = Malformed("must be the id of an event, such as 120, or 0");
        let digits = (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if !digits || text.len() > 1 && text.starts_with('0') {
            return Err(WRONG);
        }
        text.parse().map(|lsn| Self(Lsn(lsn))).map_err(|_| WRONG)
    }
}

/// The error of a text that is no time.
pub(super) const NOT_A_TIME: &str =
    "must be a time as RFC 3339 writes it, such as 2026-11-23T10:00:00Z";

/// A time as RFC 3339 writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivenTime(pub(super) Timestamp);

impl FromStr for GivenTime {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let time: jiff::Timestamp = text.parse().map_err(|_| Malformed(NOT_A_TIME))?;
        Ok(Self(Timestamp(time.as_microsecond())))
    }
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flag(pub(super) bool);

impl FromStr for Flag {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text {
            "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            _ => Err(Malformed("must be true or false")),
        }
    }
}

/// Returns the error of a number that is not from 1 to `max`.
pub(super) fn not_up_to(max: u32) -> String {
    match max {
        1 => "must be 1".to_owned(),
        _ => format!("must be 1 to {max}"),
    }
}

/// A shop's reference, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GivenReference(pub(super) String);

impl FromStr for GivenReference {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Reference::new(text).map(|reference| Self(reference.as_str().to_owned()))
    }
}

/// The code of a checkout as a client sent it; `None` where no checkout can have it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_one_way() {
        assert_eq!("0".parse(), Ok(Whole(0)));
        assert_eq!("10".parse(), Ok(Whole(10)));
        assert_eq!("4294967295".parse(), Ok(Whole(u32::MAX)));
        for wrong in ["", "01", "00", "+1", "-1", "1.0", " 1", "\u{661}"] {
            let error = wrong.parse::<Whole>().expect_err(wrong);
            assert!(error.0.contains("leading zeros"), "{wrong}: {error}");
        }
        let too_large = Malformed("is too large a number");
        assert_eq!("4294967296".parse::<Whole>(), Err(too_large));
    }

    #[test]
    fn a_place_is_a_number_of_64_bits() {
        for right in [0, 1, u64::MAX] {
            assert_eq!(right.to_string().parse(), Ok(Place(Lsn(right))));
        }
        for wrong in ["", "01", "-1", "+1", "1.0", "x", "18446744073709551616"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_range_of_one_value_is_that_value() {
        assert_eq!(not_up_to(1), "must be 1");
        assert_eq!(not_up_to(2), "must be 1 to 2");
    }
}
