//! Paying: its terms in a sale, and the reference of a payment.

use super::Malformed;
use crate::limits::PAYMENT_REF_BYTES_MAX;

/// The terms of paying in a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentTerms {
    /// How long a payment reserves its units; 0 means that nothing is reserved for payments.
    pub seconds: u32,
    /// Who purchases what is in a checkout.
    pub purchase_by: PurchaseBy,
}

impl PaymentTerms {
    /// The terms of a sale whose buyers purchase at once.
    pub const NONE: Self = Self {
        seconds: 0,
        purchase_by: PurchaseBy::Buyer,
    };
}

/// Who purchases what is in a checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurchaseBy {
    /// The buyer, and the shop where it confirms a payment.
    Buyer,
    /// The shop alone.
    Shop,
}

impl PurchaseBy {
    /// Each one with its name, as the interfaces spell it; the first is the default.
    pub const NAMES: [(&'static str, Self); 2] = [("buyer", Self::Buyer), ("shop", Self::Shop)];

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Buyer => "buyer",
            Self::Shop => "shop",
        }
    }

    /// Returns the one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut names = Self::NAMES.into_iter();
        names.find_map(|(known, by)| (known == name).then_some(by))
    }
}

/// The shop's reference of a payment: 1 to 255 visible ASCII characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentRef<'a>(&'a str);

impl<'a> PaymentRef<'a> {
    /// Checks `text`.
    ///
    /// # Errors
    /// Says what is allowed when `text` is empty, too long or has another character.
    pub fn new(text: &'a str) -> Result<Self, Malformed> {
        let fits = (1..=PAYMENT_REF_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err(Malformed("must be 1 to 255 visible ASCII characters"))
        }
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}
