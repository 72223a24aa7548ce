//! The tables that rows are copied into.

use super::copy::Rows;

/// A table, in the order in which rows may refer to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Sales,
    Items,
    /// The table `items`, for rows with a limit per user: other rows leave this column out.
    LimitedItems,
    Pools,
    Checkouts,
    CheckoutItems,
    /// The table `checkout_items`, for rows with an idempotency key: other rows leave these columns out.
    KeyedCheckoutItems,
    ExpiredCheckouts,
    Purchases,
    /// The table `purchases`, for rows with the reference of a payment: other rows leave this column out.
    ConfirmedPurchases,
    PurchaseResults,
    Releases,
    Payments,
    SaleChanges,
    StockChanges,
    Cancellations,
    RefusedAttempts,
}

impl Table {
    pub(super) const ALL: [Table; 17] = [
        Self::Sales,
        Self::Items,
        Self::LimitedItems,
        Self::Pools,
        Self::Checkouts,
        Self::CheckoutItems,
        Self::KeyedCheckoutItems,
        Self::ExpiredCheckouts,
        Self::Purchases,
        Self::ConfirmedPurchases,
        Self::PurchaseResults,
        Self::Releases,
        Self::Payments,
        Self::SaleChanges,
        Self::StockChanges,
        Self::Cancellations,
        Self::RefusedAttempts,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sales => "sales",
            Self::Items | Self::LimitedItems => "items",
            Self::Pools => "pools",
            Self::Checkouts => "checkouts",
            Self::CheckoutItems | Self::KeyedCheckoutItems => "checkout_items",
            Self::ExpiredCheckouts => "expired_checkouts",
            Self::Purchases | Self::ConfirmedPurchases => "purchases",
            Self::PurchaseResults => "purchase_results",
            Self::Releases => "releases",
            Self::Payments => "payments",
            Self::SaleChanges => "sale_changes",
            Self::StockChanges => "stock_changes",
            Self::Cancellations => "cancellations",
            Self::RefusedAttempts => "refused_attempts",
        }
    }

    /// The columns that are filled, in the order of a row's fields.
    fn columns(self) -> &'static str {
        match self {
            Self::Sales => {
                "id, started_at, ended_at, max_items_per_user, hold_seconds, payment_seconds, purchase_by, \
                 item_count, generated_seed, created_at, lsn"
            }
            Self::Items => "sale_id, item_index, id, name, image_url, stock, lsn, added_at",
            Self::LimitedItems => {
                "sale_id, item_index, id, name, image_url, stock, lsn, added_at, max_per_user"
            }
            Self::Pools => "sale_id, item_index, stock",
            Self::Checkouts => "sale_id, secret, user_id, opened_at, hold_until, lsn",
            Self::CheckoutItems => "sale_id, secret, item_index, quantity, added_at, lsn",
            Self::KeyedCheckoutItems => {
                "sale_id, secret, item_index, quantity, added_at, lsn, idempotency_key, items_count, \
                 sale_ends_at, held_until"
            }
            Self::ExpiredCheckouts => "sale_id, secret, expired_at, lsn",
            Self::Purchases => "sale_id, secret, purchased_at, idempotency_key, lsn",
            Self::ConfirmedPurchases => "sale_id, secret, purchased_at, payment_ref, lsn",
            Self::Payments => {
                "sale_id, secret, line, item_index, quantity, reserved, hold_until, held_until, \
                 begun_at, lsn"
            }
            Self::PurchaseResults => "sale_id, secret, line, item_index, quantity, sold, is_single",
            Self::Releases => "sale_id, secret, item_index, quantity, released_at, lsn",
            Self::SaleChanges => "lsn, sale_id, change, ended_at, changed_at",
            Self::StockChanges => "lsn, sale_id, item_index, units, reference, changed_at",
            Self::Cancellations => {
                "lsn, line, sale_id, secret, reference, item_index, quantity, restock, cancelled_at"
            }
            Self::RefusedAttempts => "sale_id, user_id, item_id, reason, attempted_at, lsn",
        }
    }

    /// No rows of it yet.
    pub(super) fn no_rows(self) -> Rows {
        let separators = self.columns().matches(',').count();
        let fields = i16::try_from(separators + 1).expect("a handful");
        match self.columns().starts_with("sale_id, secret,") {
            true => Rows::by_secret(fields),
            false => Rows::new(fields),
        }
    }

    /// The statement that takes rows.
    pub(super) fn copy_statement(self) -> String {
        let (name, columns) = (self.name(), self.columns());
        format!("COPY {name} ({columns}) FROM STDIN (FORMAT binary)")
    }
}
