//! The numbers of the kinds of records. Journals have them: none is ever given to another kind.

pub(super) const SALE_ITEMS: u8 = 1;
pub(super) const SALE_CREATED: u8 = 2;
pub(super) const SALE_CLOSED: u8 = 3;
pub(super) const CHECKOUT: u8 = 4;
pub(super) const PURCHASE: u8 = 5;
pub(super) const EXPIRED: u8 = 6;
pub(super) const REFUSED: u8 = 7;
pub(super) const SALE_ARCHIVED: u8 = 8;
/// A checkout, followed by its key.
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
/// The two kinds of archived sales, without and with terms of paying, each followed by how many units their stock was changed by.
pub(super) const SALE_ARCHIVED_WITH_CHANGES: u8 = 18;
pub(super) const SALE_ARCHIVED_WITH_PAYMENT_AND_CHANGES: u8 = 19;
/// A created sale, and an archived one, whose terms are followed by those of paying.
pub(super) const SALE_CREATED_WITH_PAYMENT: u8 = 20;
pub(super) const SALE_ARCHIVED_WITH_PAYMENT: u8 = 21;
pub(super) const PAYMENT_BEGUN: u8 = 22;
/// A purchase that has the reference of a payment in place of the key.
pub(super) const PAYMENT_CONFIRMED: u8 = 23;
/// An expiry, followed by what was in the checkout.
pub(super) const EXPIRED_WITH_LINES: u8 = 24;
/// Items, each followed by its limit per user; at least one of them has one.
pub(super) const SALE_ITEMS_WITH_LIMITS: u8 = 26;
pub(super) const SALE_OPENED: u8 = 27;
