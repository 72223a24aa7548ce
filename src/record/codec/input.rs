//! Fields of a record, read from its bytes.

use std::num::NonZeroU16;

use super::{CANCELLED_LINE_BYTES, LINE_BYTES, NO_SALE, NO_TIME, decode_cancelled_lines};
use crate::record::{
    CancelledLines, CatalogueKind, CheckoutKey, Items, Lines, NewItem, RefusedReason, SaleTerms,
};
use crate::types::{PaymentTerms, PurchaseBy, SaleId, Timestamp};

/// The bytes that are left to decode.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }

    pub(super) fn sale(&mut self) -> Option<SaleId> {
        self.u32().filter(|&sale| sale != NO_SALE).map(SaleId)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = u16::from_le_bytes(self.array()?);
        std::str::from_utf8(self.take(usize::from(length))?).ok()
    }

    pub(super) fn optional_time(&mut self) -> Option<Option<Timestamp>> {
        let time = self.i64()?;
        Some((time != NO_TIME).then_some(Timestamp(time)))
    }

    pub(super) fn checkout_key(&mut self) -> Option<CheckoutKey<'a>> {
        Some(CheckoutKey {
            key: Some(self.text()?).filter(|key| !key.is_empty())?,
            items_count: self.u32()?,
            sale_ends_at: Timestamp(self.i64()?),
            held_until: self.optional_time()?,
        })
    }

    pub(super) fn refused_reason(&mut self) -> Option<RefusedReason> {
        RefusedReason::from_number(self.u8()?)
    }

    pub(super) fn item(&mut self, has_limit: bool) -> Option<NewItem<'a>> {
        Some(NewItem {
            id: self.text()?,
            name: self.text()?,
            image_url: self.text()?,
            stock: self.u64()?,
            max_per_user: match has_limit {
                true => NonZeroU16::new(u16::from_le_bytes(self.array()?)),
                false => None,
            },
        })
    }

    pub(super) fn items(&mut self, has_limits: bool) -> Option<Items<'a>> {
        let encoded = self.0;
        let mut any_limit = false;
        while !self.0.is_empty() {
            any_limit |= self.item(has_limits)?.max_per_user.is_some();
        }
        // Where none has a limit, they are encoded without: each list has one encoding.
        match has_limits {
            true => any_limit.then_some(Items::EncodedWithLimits(encoded)),
            false => Some(Items::Encoded(encoded)),
        }
    }

    pub(super) fn lines(&mut self) -> Option<Lines<'a>> {
        let encoded = std::mem::take(&mut self.0);
        let whole = encoded.len().is_multiple_of(LINE_BYTES) && !encoded.is_empty();
        let flags_fit = encoded.chunks_exact(LINE_BYTES).all(|line| line[8] <= 1);
        (whole && flags_fit).then_some(Lines::Encoded(encoded))
    }

    /// Reads the units that were cancelled: the rest of the record.
    pub(super) fn cancelled_lines(&mut self) -> Option<CancelledLines<'a>> {
        let encoded = std::mem::take(&mut self.0);
        let whole = encoded.len().is_multiple_of(CANCELLED_LINE_BYTES) && !encoded.is_empty();
        let is_some = decode_cancelled_lines(encoded).all(|line| line.quantity > 0);
        (whole && is_some).then_some(CancelledLines::Encoded(encoded))
    }

    /// Reads the terms of a sale, with terms of paying that are not the usual ones where it `has_payment`.
    pub(super) fn terms(&mut self, has_payment: bool) -> Option<SaleTerms> {
        let (started_at, ended_at) = (Timestamp(self.i64()?), Timestamp(self.i64()?));
        let (max_items_per_user, hold_seconds) = (self.u32()?, self.u32()?);
        let item_count = self.u32()?;
        let catalogue = match self.u8()? {
            1 => CatalogueKind::Generated {
                seed: self.u64()?,
                item_count,
            },
            0 => CatalogueKind::Explicit { item_count },
            _ => return None,
        };
        let payment = match has_payment {
            true => Some(self.payment_terms()?).filter(|terms| *terms != PaymentTerms::NONE)?,
            false => PaymentTerms::NONE,
        };
        Some(SaleTerms {
            started_at,
            ended_at,
            max_items_per_user,
            hold_seconds,
            payment,
            catalogue,
        })
    }

    fn payment_terms(&mut self) -> Option<PaymentTerms> {
        Some(PaymentTerms {
            seconds: self.u32()?,
            purchase_by: match self.u8()? {
                0 => PurchaseBy::Buyer,
                1 => PurchaseBy::Shop,
                _ => return None,
            },
        })
    }
}
