//! The numbers of the kinds of records. Journals have them: none is ever given to another kind.

pub(super) const SALE_ITEMS: u8 = 1;
pub(super) const SALE_CREATED: u8 = 2;
pub(super) const SALE_CLOSED: u8 = 3;
pub(super) const CHECKOUT: u8 = 4;
pub(super) const PURCHASE: u8 = 5;
pub(super) const EXPIRED: u8 = 6;
pub(super) const REFUSED: u8 = 7;
pub(super) const SALE_ARCHIVED: u8 = 8;
/// A checkout as above, and its key behind.
pub(super) const CHECKOUT_WITH_KEY: u8 = 9;
pub(super) const KEPT_KEY: u8 = 10;
pub(super) const RELEASED: u8 = 11;
/// Some units of one item of a checkout.
pub(super) const LINE_RELEASED: u8 = 12;
pub(super) const SALE_PAUSED: u8 = 13;
pub(super) const SALE_RESUMED: u8 = 14;
pub(super) const SALE_EXTENDED: u8 = 15;
pub(super) const STOCK_CHANGED: u8 = 16;
pub(super) const CANCELLED: u8 = 17;
/// Archived sales as above and below, and by how many units their stock was changed behind.
pub(super) const SALE_ARCHIVED_WITH_CHANGES: u8 = 18;
pub(super) const SALE_ARCHIVED_WITH_PAYMENT_AND_CHANGES: u8 = 19;
/// A sale created, and an archived one, with the terms of paying behind the others.
pub(super) const SALE_CREATED_WITH_PAYMENT: u8 = 20;
pub(super) const SALE_ARCHIVED_WITH_PAYMENT: u8 = 21;
pub(super) const PAYMENT_BEGUN: u8 = 22;
/// A purchase as above, with the reference of a payment in the place of the key.
pub(super) const PAYMENT_CONFIRMED: u8 = 23;
/// An expiry as above, and what was in the checkout behind.
pub(super) const EXPIRED_WITH_LINES: u8 = 24;
/// Items as above, each with its limit per user behind it, which at least one of them has.
pub(super) const SALE_ITEMS_WITH_LIMITS: u8 = 26;
pub(super) const SALE_OPENED: u8 = 27;
