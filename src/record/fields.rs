//! The fields of a record by name, for comparing two records field by field.

use super::{CancelledLines, CheckoutKey, Items, Lines, Record, RefusedReason, SaleTerms};
use crate::types::Timestamp;

/// The value of one field.
#[derive(Clone, Copy, PartialEq)]
pub enum FieldValue<'a> {
    /// A number or an id.
    Number(u128),
    /// A number that may be below zero.
    Signed(i64),
    /// A number that may be missing.
    OptionalNumber(Option<u32>),
    /// A text.
    Text(&'a str),
    /// A text that may be missing.
    OptionalText(Option<&'a str>),
    /// A time that may be missing.
    Time(Option<Timestamp>),
    /// A yes or no.
    Flag(bool),
    /// The idempotency key of a checkout, with its answer.
    Key(Option<CheckoutKey<'a>>),
    /// The lines of a purchase.
    Lines(Lines<'a>),
    /// The lines of a cancellation.
    CancelledLines(CancelledLines<'a>),
    /// The items of a sale.
    Items(Items<'a>),
    /// The terms of a sale.
    Terms(SaleTerms),
    /// The reason of a refusal.
    Reason(RefusedReason),
}

impl<'a> Record<'a> {
    /// Returns every field with its name for people. Records of one kind have the same names in the same order.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, FieldValue<'a>)> {
        use FieldValue::{
            Flag, Key, Number, OptionalNumber, OptionalText, Reason, Signed, Terms, Text, Time,
        };
        let number = |number: u32| Number(number.into());
        match *self {
            Record::SaleItems { sale, first, items } => vec![
                ("sale", number(sale.0)),
                ("the first item's place", number(first.0)),
                ("items", FieldValue::Items(items)),
            ],
            Record::SaleCreated { sale, terms } => {
                vec![("sale", number(sale.0)), ("terms", Terms(terms))]
            }
            Record::SaleClosed { sale } => vec![("sale", number(sale.0))],
            Record::SaleChanged { sale, change } => vec![
                ("sale", number(sale.0)),
                ("what is changed", Text(change.name())),
                ("its new end", Time(change.ended_at())),
            ],
            Record::StockChanged {
                sale,
                item,
                units,
                reference,
            } => vec![
                ("sale", number(sale.0)),
                ("item", number(item.0)),
                ("units added", Signed(units)),
                ("reference", Text(reference)),
            ],
            Record::SaleArchived {
                sale,
                terms,
                closed_at,
                closed_lsn,
                total,
                sold,
                added,
            } => vec![
                ("sale", number(sale.0)),
                ("terms", Terms(terms)),
                ("the time of its closing", Time(Some(closed_at))),
                ("the record that closed it", Number(closed_lsn.0.into())),
                ("its stock", Number(total.into())),
                ("units sold", Number(sold.into())),
                ("units added", Signed(added)),
            ],
            Record::Checkout {
                sale,
                secret,
                user,
                item,
                quantity,
                hold_until,
                opens,
                key,
            } => vec![
                ("sale", number(sale.0)),
                ("code", Number(secret)),
                ("user", Text(user)),
                ("item", number(item.0)),
                ("quantity", number(quantity)),
                ("the end of its hold", Time(hold_until)),
                ("whether it opens the checkout", Flag(opens)),
                ("idempotency key", Key(key)),
            ],
            Record::KeptKey {
                sale,
                secret,
                user,
                item,
                quantity,
                key,
            } => vec![
                ("sale", number(sale.0)),
                ("code", Number(secret)),
                ("user", Text(user)),
                ("item", number(item.0)),
                ("quantity", number(quantity)),
                ("idempotency key", Key(Some(key))),
            ],
            Record::PaymentBegun {
                sale,
                secret,
                user,
                hold_until,
                held_until,
                lines,
            } => vec![
                ("sale", number(sale.0)),
                ("code", Number(secret)),
                ("user", Text(user)),
                ("the end of its hold", Time(Some(hold_until))),
                ("the end that was told", Time(Some(held_until))),
                ("lines", FieldValue::Lines(lines)),
            ],
            Record::Purchase {
                sale,
                secret,
                user,
                key,
                payment_ref,
                lines,
            } => vec![
                ("sale", number(sale.0)),
                ("code", Number(secret)),
                ("user", Text(user)),
                ("idempotency key", OptionalText(key)),
                ("payment reference", OptionalText(payment_ref)),
                ("results", FieldValue::Lines(lines)),
            ],
            Record::Cancelled {
                sale,
                secret,
                user,
                reference,
                lines,
                restock,
            } => vec![
                ("sale", number(sale.0)),
                ("code", Number(secret)),
                ("user", Text(user)),
                ("reference", Text(reference)),
                ("units", FieldValue::CancelledLines(lines)),
                ("whether they are free again", Flag(restock)),
            ],
            Record::Expired {
                sale,
                secret,
                user,
                lines,
            } => vec![
                ("sale", number(sale.0)),
                ("code", Number(secret)),
                ("user", Text(user)),
                ("lines", FieldValue::Lines(lines)),
            ],
            Record::Released {
                sale,
                secret,
                user,
                line,
            } => vec![
                ("sale", number(sale.0)),
                ("code", Number(secret)),
                ("user", Text(user)),
                ("item", OptionalNumber(line.map(|line| line.item.0))),
                ("quantity", OptionalNumber(line.map(|line| line.quantity))),
            ],
            Record::Refused {
                sale,
                user,
                item,
                reason,
            } => vec![
                ("sale", OptionalNumber(sale.map(|sale| sale.0))),
                ("user", Text(user)),
                ("item", Text(item)),
                ("reason", Reason(reason)),
            ],
        }
    }
}
