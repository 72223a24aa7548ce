//! Paying: its terms in a sale.

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
