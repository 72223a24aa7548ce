//! The reasons of refused checkouts: one table of their numbers and names.

/// Passes the table to the macro that is named: each reason with its meaning, its number in records and its name.
///
/// A new reason is a row. The compiler and the tests then name the places that must know it: its outcome in `sale`, its
/// answer in `http/buy`, the page's words, `openapi.json` and the constraint in `migrations`.
macro_rules! refused_reasons {
    ($with:ident) => {
        $with! {
            // Reasons whose name is also the label of their answer.
            labelled_alike {
                /// No sale has such an item.
                ItemNotFound = 1, "item_not_found";
                /// The sale has not begun or is over.
                SaleNotActive = 3, "sale_not_active";
                /// The user would get more units than the sale allows.
                UserLimitExceeded = 4, "user_limit_exceeded";
                /// The item is in the user's checkout, or the user bought it.
                ItemAlreadyInCheckout = 5, "item_already_in_checkout";
                /// Too few units are left, for good.
                ItemSoldOut = 6, "item_sold_out";
                /// Too few units are free, for now.
                ItemHeld = 7, "item_held";
                /// The idempotency key came with another item or quantity before.
                IdempotencyKeyReused = 8, "idempotency_key_reused";
                /// The sale takes no checkouts for now.
                SalePaused = 9, "sale_paused";
                /// The user would get more units of the item than it allows.
                ItemLimitExceeded = 10, "item_limit_exceeded";
                /// The user pays for their checkout, which takes no more items.
                PaymentUnderWay = 11, "payment_under_way";
            }
            // Reasons whose answer has the label in the last column.
            labelled_otherwise {
                /// The quantity is zero, over the limit, or more than one of a stock-1 item.
                QuantityNotAllowed = 2, "quantity_not_allowed", ValidationFailed;
            }
        }
    };
}

/// Defines [`RefusedReason`] from the table.
macro_rules! define {
    (
        labelled_alike { $($(#[$meaning:meta])* $variant:ident = $number:literal, $name:literal;)* }
        labelled_otherwise { $($(#[$other_meaning:meta])* $other:ident = $other_number:literal, $other_name:literal, $label:ident;)* }
    ) => {
        /// The reason of a refused checkout.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum RefusedReason {
            $($(#[$meaning])* $variant = $number,)*
            $(
                $(#[$other_meaning])*
                #[doc = concat!("The outcome of its answer is `", stringify!($label), "`.")]
                $other = $other_number,
            )*
        }

        impl RefusedReason {
            /// Every reason, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)* $(Self::$other,)*];

            /// Returns the public name: the `error` of the answer, the label in metrics, and the text in SQL.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    $(Self::$other => $other_name,)*
                }
            }
        }
    };
}

refused_reasons!(define);

pub(crate) use refused_reasons;

impl RefusedReason {
    /// Returns the reason with this public name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|reason| reason.as_str() == name)
    }

    /// Returns the reason with this number in a record.
    pub(super) fn from_number(number: u8) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|&reason| reason as u8 == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_distinct() {
        for &reason in RefusedReason::ALL {
            assert_eq!(RefusedReason::from_name(reason.as_str()), Some(reason));
            assert_eq!(RefusedReason::from_number(reason as u8), Some(reason));
        }
        assert_eq!(RefusedReason::from_name("sold"), None);
        assert_eq!(RefusedReason::from_number(0), None);
    }
}
