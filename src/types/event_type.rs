//! The types of events that shops are told.

/// Defines the types of events, each with its name.
macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident = $name:literal,)*) => {
        /// The type of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EventType {
            $($(#[$about])* $kind,)*
        }

        impl EventType {
            /// Every type, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Returns the name that shops know it by.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// A sale was created.
    SaleCreated = "sale.created",
    /// A sale has begun.
    SaleOpened = "sale.opened",
    /// A sale takes no checkouts for now.
    SalePaused = "sale.paused",
    /// A sale takes checkouts again.
    SaleResumed = "sale.resumed",
    /// A sale ends later than it was to.
    SaleExtended = "sale.extended",
    /// The stock of an item is another one.
    StockChanged = "stock.changed",
    /// A sale has ended for good.
    SaleClosed = "sale.closed",
    /// The hold of a checkout ran out.
    CheckoutExpired = "checkout.expired",
    /// All that was in a checkout was given back.
    CheckoutReleased = "checkout.released",
    /// The payment of a checkout has begun.
    PaymentBegun = "payment.begun",
    /// At least one line of a checkout was sold.
    PurchaseCompleted = "purchase.completed",
    /// Units of a purchase were cancelled.
    PurchaseCancelled = "purchase.cancelled",
}

impl EventType {
    /// Returns the type with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}
