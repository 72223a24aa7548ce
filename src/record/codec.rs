//! The kinds of records, and how the fields of each are written down: little-endian, texts as a `u16` length and
//! UTF-8. Decoding checks everything.

mod input;
mod kind;

use std::num::NonZeroU16;

use self::input::Input;
use super::{
    CatalogueKind, CheckoutKey, Encode, Lines, NewItem, Record, ReleasedLine, SaleChange, SaleTerms,
};
use crate::types::{ItemIndex, Lsn, PaymentTerms, PurchaseBy, PurchasedLine, SaleId, Timestamp};

/// Bytes of an encoded line of a cancellation: item, quantity.
const CANCELLED_LINE_BYTES: usize = 8;
/// Bytes of an encoded purchase line: item, quantity, sold.
const LINE_BYTES: usize = 9;

/// "No time" and "no sale" in the encoding.
const NO_TIME: i64 = i64::MIN;
const NO_SALE: u32 = 0;
/// "No limit of its own" in the encoding of an item.
const NO_LIMIT: u16 = 0;

impl Encode for Record<'_> {
    fn kind(&self) -> u8 {
        kind_of(self)
    }

    #[inline]
    fn encode_fields(&self, out: &mut Vec<u8>) {
        encode_fields(self, out);
    }
}

fn kind_of(record: &Record<'_>) -> u8 {
    match record {
        Record::SaleItems { items, .. } if items.has_limits() => kind::SALE_ITEMS_WITH_LIMITS,
        Record::SaleItems { .. } => kind::SALE_ITEMS,
        Record::SaleCreated { terms, .. } => match terms.payment {
            PaymentTerms::NONE => kind::SALE_CREATED,
            _ => kind::SALE_CREATED_WITH_PAYMENT,
        },
        Record::SaleClosed { .. } => kind::SALE_CLOSED,
        Record::SaleChanged { change, .. } => match change {
            SaleChange::Opened => kind::SALE_OPENED,
            SaleChange::Paused => kind::SALE_PAUSED,
            SaleChange::Resumed => kind::SALE_RESUMED,
            SaleChange::Extended(_) => kind::SALE_EXTENDED,
        },
        Record::StockChanged { .. } => kind::STOCK_CHANGED,
        Record::SaleArchived { terms, added, .. } => match (terms.payment, added) {
            (PaymentTerms::NONE, 0) => kind::SALE_ARCHIVED,
            (PaymentTerms::NONE, _) => kind::SALE_ARCHIVED_WITH_CHANGES,
            (_, 0) => kind::SALE_ARCHIVED_WITH_PAYMENT,
            (_, _) => kind::SALE_ARCHIVED_WITH_PAYMENT_AND_CHANGES,
        },
        Record::Checkout { key: None, .. } => kind::CHECKOUT,
        Record::Checkout { key: Some(_), .. } => kind::CHECKOUT_WITH_KEY,
        Record::KeptKey { .. } => kind::KEPT_KEY,
        Record::PaymentBegun { .. } => kind::PAYMENT_BEGUN,
        Record::Purchase {
            payment_ref: None, ..
        } => kind::PURCHASE,
        Record::Purchase {
            payment_ref: Some(_),
            ..
        } => kind::PAYMENT_CONFIRMED,
        Record::Cancelled { .. } => kind::CANCELLED,
        Record::Expired { lines, .. } => match lines.is_empty() {
            true => kind::EXPIRED,
            false => kind::EXPIRED_WITH_LINES,
        },
        Record::Released { line: None, .. } => kind::RELEASED,
        Record::Released { line: Some(_), .. } => kind::LINE_RELEASED,
        Record::Refused { .. } => kind::REFUSED,
    }
}

fn encode_fields(record: &Record<'_>, out: &mut Vec<u8>) {
    match *record {
        Record::SaleItems { sale, first, items } => {
            put_u32(out, sale.0);
            put_u32(out, first.0);
            let has_limits = items.has_limits();
            for item in items.iter() {
                put_text(out, item.id);
                put_text(out, item.name);
                put_text(out, item.image_url);
                out.extend_from_slice(&item.stock.to_le_bytes());
                if has_limits {
                    let limit = item.max_per_user.map_or(NO_LIMIT, NonZeroU16::get);
                    out.extend_from_slice(&limit.to_le_bytes());
                }
            }
        }
        Record::SaleCreated { sale, terms } => {
            put_u32(out, sale.0);
            put_terms(out, &terms);
        }
        Record::SaleClosed { sale } => put_u32(out, sale.0),
        Record::SaleChanged { sale, change } => {
            put_u32(out, sale.0);
            if let Some(ended_at) = change.ended_at() {
                out.extend_from_slice(&ended_at.0.to_le_bytes());
            }
        }
        Record::StockChanged {
            sale,
            item,
            units,
            reference,
        } => {
            put_u32(out, sale.0);
            put_u32(out, item.0);
            out.extend_from_slice(&units.to_le_bytes());
            put_text(out, reference);
        }
        Record::SaleArchived {
            sale,
            terms,
            closed_at,
            closed_lsn,
            total,
            sold,
            added,
        } => {
            put_u32(out, sale.0);
            put_terms(out, &terms);
            out.extend_from_slice(&closed_at.0.to_le_bytes());
            for number in [closed_lsn.0, total, sold] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            if added != 0 {
                out.extend_from_slice(&added.to_le_bytes());
            }
        }
        Record::Checkout {
            sale,
            secret,
            user,
            item,
            quantity,
            hold_until,
            opens,
            key,
        } => {
            put_u32(out, sale.0);
            out.extend_from_slice(&secret.to_le_bytes());
            put_u32(out, item.0);
            put_u32(out, quantity);
            put_optional_time(out, hold_until);
            out.push(u8::from(opens));
            put_text(out, user);
            if let Some(key) = key {
                put_checkout_key(out, &key);
            }
        }
        Record::KeptKey {
            sale,
            secret,
            user,
            item,
            quantity,
            key,
        } => {
            put_u32(out, sale.0);
            out.extend_from_slice(&secret.to_le_bytes());
            put_u32(out, item.0);
            put_u32(out, quantity);
            put_text(out, user);
            put_checkout_key(out, &key);
        }
        Record::PaymentBegun {
            sale,
            secret,
            user,
            hold_until,
            held_until,
            lines,
        } => {
            put_u32(out, sale.0);
            out.extend_from_slice(&secret.to_le_bytes());
            put_text(out, user);
            out.extend_from_slice(&hold_until.0.to_le_bytes());
            out.extend_from_slice(&held_until.0.to_le_bytes());
            put_lines(out, lines);
        }
        Record::Cancelled {
            sale,
            secret,
            user,
            reference,
            lines,
            restock,
        } => {
            put_u32(out, sale.0);
            out.extend_from_slice(&secret.to_le_bytes());
            out.push(u8::from(restock));
            put_text(out, user);
            put_text(out, reference);
            for line in lines.iter() {
                put_u32(out, line.item.0);
                put_u32(out, line.quantity);
            }
        }
        Record::Purchase {
            sale,
            secret,
            user,
            key,
            payment_ref,
            lines,
        } => {
            put_u32(out, sale.0);
            out.extend_from_slice(&secret.to_le_bytes());
            put_text(out, user);
            put_text(out, payment_ref.or(key).unwrap_or(""));
            put_lines(out, lines);
        }
        Record::Expired {
            sale,
            secret,
            user,
            lines,
        } => {
            put_u32(out, sale.0);
            out.extend_from_slice(&secret.to_le_bytes());
            put_text(out, user);
            put_lines(out, lines);
        }
        Record::Released {
            sale,
            secret,
            user,
            line,
        } => {
            put_u32(out, sale.0);
            out.extend_from_slice(&secret.to_le_bytes());
            put_text(out, user);
            if let Some(ReleasedLine { item, quantity }) = line {
                put_u32(out, item.0);
                put_u32(out, quantity);
            }
        }
        Record::Refused {
            sale,
            user,
            item,
            reason,
        } => {
            put_u32(out, sale.map_or(NO_SALE, |sale| sale.0));
            out.push(reason as u8);
            put_text(out, user);
            put_text(out, item);
        }
    }
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).expect("texts are bounded at the edge");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn put_optional_time(out: &mut Vec<u8>, time: Option<Timestamp>) {
    out.extend_from_slice(&time.map_or(NO_TIME, |time| time.0).to_le_bytes());
}

#[inline]
fn put_lines(out: &mut Vec<u8>, lines: Lines<'_>) {
    for line in lines.iter() {
        put_u32(out, line.item.0);
        put_u32(out, line.quantity);
        out.push(u8::from(line.sold));
    }
}

#[cold]
fn put_checkout_key(out: &mut Vec<u8>, key: &CheckoutKey<'_>) {
    put_text(out, key.key);
    put_u32(out, key.items_count);
    out.extend_from_slice(&key.sale_ends_at.0.to_le_bytes());
    put_optional_time(out, key.held_until);
}

fn put_terms(out: &mut Vec<u8>, terms: &SaleTerms) {
    out.extend_from_slice(&terms.started_at.0.to_le_bytes());
    out.extend_from_slice(&terms.ended_at.0.to_le_bytes());
    put_u32(out, terms.max_items_per_user);
    put_u32(out, terms.hold_seconds);
    put_u32(out, terms.catalogue.item_count());
    match terms.catalogue {
        CatalogueKind::Generated { seed, .. } => {
            out.push(1);
            out.extend_from_slice(&seed.to_le_bytes());
        }
        CatalogueKind::Explicit { .. } => out.push(0),
    }
    // The kind of the record says whether they are there.
    if terms.payment != PaymentTerms::NONE {
        put_u32(out, terms.payment.seconds);
        out.push(u8::from(terms.payment.purchase_by == PurchaseBy::Shop));
    }
}

/// Decodes a record of `kind`; `None` when the bytes are none.
pub(super) fn decode_fields(kind: u8, bytes: &[u8]) -> Option<Record<'_>> {
    let mut input = Input(bytes);
    let record = decode_kind(kind, &mut input)?;
    input.0.is_empty().then_some(record)
}

fn decode_kind<'a>(kind: u8, input: &mut Input<'a>) -> Option<Record<'a>> {
    Some(match kind {
        kind::SALE_ITEMS | kind::SALE_ITEMS_WITH_LIMITS => Record::SaleItems {
            sale: input.sale()?,
            first: ItemIndex(input.u32()?),
            items: input.items(kind == kind::SALE_ITEMS_WITH_LIMITS)?,
        },
        kind::SALE_CREATED | kind::SALE_CREATED_WITH_PAYMENT => Record::SaleCreated {
            sale: input.sale()?,
            terms: input.terms(kind == kind::SALE_CREATED_WITH_PAYMENT)?,
        },
        kind::SALE_CLOSED => Record::SaleClosed {
            sale: input.sale()?,
        },
        kind::SALE_OPENED | kind::SALE_PAUSED | kind::SALE_RESUMED | kind::SALE_EXTENDED => {
            Record::SaleChanged {
                sale: input.sale()?,
                change: match kind {
                    kind::SALE_OPENED => SaleChange::Opened,
                    kind::SALE_PAUSED => SaleChange::Paused,
                    kind::SALE_RESUMED => SaleChange::Resumed,
                    _ => SaleChange::Extended(Timestamp(input.i64()?)),
                },
            }
        }
        kind::STOCK_CHANGED => Record::StockChanged {
            sale: input.sale()?,
            item: ItemIndex(input.u32()?),
            units: Some(input.i64()?).filter(|&units| units != 0)?,
            reference: Some(input.text()?).filter(|text| !text.is_empty())?,
        },
        kind::SALE_ARCHIVED
        | kind::SALE_ARCHIVED_WITH_CHANGES
        | kind::SALE_ARCHIVED_WITH_PAYMENT
        | kind::SALE_ARCHIVED_WITH_PAYMENT_AND_CHANGES => Record::SaleArchived {
            sale: input.sale()?,
            terms: input.terms(matches!(
                kind,
                kind::SALE_ARCHIVED_WITH_PAYMENT | kind::SALE_ARCHIVED_WITH_PAYMENT_AND_CHANGES
            ))?,
            closed_at: Timestamp(input.i64()?),
            closed_lsn: Lsn(input.u64()?),
            total: input.u64()?,
            sold: input.u64()?,
            added: match kind {
                kind::SALE_ARCHIVED | kind::SALE_ARCHIVED_WITH_PAYMENT => 0,
                _ => Some(input.i64()?).filter(|&added| added != 0)?,
            },
        },
        kind::CHECKOUT | kind::CHECKOUT_WITH_KEY => Record::Checkout {
            sale: input.sale()?,
            secret: input.u128()?,
            item: ItemIndex(input.u32()?),
            quantity: input.u32()?,
            hold_until: input.optional_time()?,
            opens: input.flag()?,
            user: input.text()?,
            key: match kind {
                kind::CHECKOUT => None,
                _ => Some(input.checkout_key()?),
            },
        },
        kind::KEPT_KEY => Record::KeptKey {
            sale: input.sale()?,
            secret: input.u128()?,
            item: ItemIndex(input.u32()?),
            quantity: input.u32()?,
            user: input.text()?,
            key: input.checkout_key()?,
        },
        kind::PURCHASE => Record::Purchase {
            sale: input.sale()?,
            secret: input.u128()?,
            user: input.text()?,
            key: Some(input.text()?).filter(|key| !key.is_empty()),
            payment_ref: None,
            lines: input.lines()?,
        },
        kind::CANCELLED => Record::Cancelled {
            sale: input.sale()?,
            secret: input.u128()?,
            restock: input.flag()?,
            user: input.text()?,
            reference: Some(input.text()?).filter(|text| !text.is_empty())?,
            lines: input.cancelled_lines()?,
        },
        kind::PAYMENT_CONFIRMED => Record::Purchase {
            sale: input.sale()?,
            secret: input.u128()?,
            user: input.text()?,
            key: None,
            payment_ref: Some(Some(input.text()?).filter(|reference| !reference.is_empty())?),
            lines: input.lines()?,
        },
        kind::PAYMENT_BEGUN => Record::PaymentBegun {
            sale: input.sale()?,
            secret: input.u128()?,
            user: input.text()?,
            hold_until: Timestamp(input.i64()?),
            held_until: Timestamp(input.i64()?),
            lines: input.lines()?,
        },
        kind::EXPIRED | kind::EXPIRED_WITH_LINES => Record::Expired {
            sale: input.sale()?,
            secret: input.u128()?,
            user: input.text()?,
            lines: match kind {
                kind::EXPIRED => Lines::NONE,
                _ => input.lines()?,
            },
        },
        kind::RELEASED | kind::LINE_RELEASED => Record::Released {
            sale: input.sale()?,
            secret: input.u128()?,
            user: input.text()?,
            line: match kind {
                kind::RELEASED => None,
                _ => Some(ReleasedLine {
                    item: ItemIndex(input.u32()?),
                    quantity: Some(input.u32()?).filter(|&quantity| quantity > 0)?,
                }),
            },
        },
        kind::REFUSED => Record::Refused {
            sale: Some(input.u32()?)
                .filter(|&sale| sale != NO_SALE)
                .map(SaleId),
            reason: input.refused_reason()?,
            user: input.text()?,
            item: input.text()?,
        },
        _ => return None,
    })
}

/// Returns the lines that were checked as part of their record.
pub(super) fn decode_lines(encoded: &[u8]) -> impl Iterator<Item = PurchasedLine> {
    encoded.chunks_exact(LINE_BYTES).map(decode_line)
}

/// Returns the lines of a cancellation that were checked as part of their record.
pub(super) fn decode_cancelled_lines(encoded: &[u8]) -> impl Iterator<Item = ReleasedLine> {
    let mut input = Input(encoded);
    std::iter::from_fn(move || {
        Some(ReleasedLine {
            item: ItemIndex(input.u32()?),
            quantity: input.u32()?,
        })
    })
}

/// Returns the items that were checked as part of their record.
pub(super) fn decode_items(encoded: &[u8], has_limits: bool) -> impl Iterator<Item = NewItem<'_>> {
    let mut input = Input(encoded);
    std::iter::from_fn(move || input.item(has_limits))
}

fn decode_line(bytes: &[u8]) -> PurchasedLine {
    let word =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    PurchasedLine {
        item: ItemIndex(word(0)),
        quantity: word(4),
        sold: bytes[8] == 1,
    }
}

#[cfg(test)]
mod tests;
