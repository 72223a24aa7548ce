//! Records of the journal, put together from rows.

use std::fmt;
use std::num::NonZeroU16;

use super::rows::{AnyRow, RowKind};
use crate::generated;
use crate::limits::RECORD_BYTES_MAX;
use crate::record::{
    CancelledLines, CatalogueKind, CheckoutKey, Entry, Items, Lines, NewItem, Record,
    RefusedReason, ReleasedLine, SaleChange, SaleTerms, envelope,
};
use crate::types::{
    GeneratedItemId, ItemIndex, Lsn, PaymentTerms, PurchaseBy, PurchasedLine, SaleId, Timestamp,
};

/// What stands in Postgres at one number.
pub struct Rebuilt {
    /// The number; 0 where the rows have one that no record can have.
    pub lsn: Lsn,
    /// The record, encoded as in the journal; or why the rows make none.
    pub record: Result<Vec<u8>, String>,
}

/// Without the record: whoever knows the code of an open checkout can spend it.
impl fmt::Debug for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lsn = &self.lsn;
        f.debug_struct("Rebuilt")
            .field("lsn", lsn)
            .finish_non_exhaustive()
    }
}

/// Rows of the record that is being put together.
#[derive(Default)]
pub(super) struct RecordParts {
    rows: Vec<AnyRow>,
    /// Items of a generated catalogue that were as they should be.
    generated: i64,
    /// The flaw of one of the rows.
    flaw: Option<&'static str>,
}

impl RecordParts {
    /// Adds the next row; the record before it, if that is complete now.
    pub(super) fn push(&mut self, row: AnyRow) -> Option<Rebuilt> {
        if let Some(first) = self.rows.first() {
            if row.kind == RowKind::GeneratedItem
                && first.kind == RowKind::SaleCreated
                && (row.lsn, row.sale) == (first.lsn, first.sale)
            {
                // There may be a million: they are looked at and not kept.
                let checked = check_generated(first, &row, self.generated);
                self.flaw = self.flaw.or(checked.err());
                self.generated += 1;
                return None;
            }
            if row.continues(first) {
                self.rows.push(row);
                return None;
            }
        }
        let complete = self.finish();
        self.rows.push(row);
        complete
    }

    /// The record, when no more rows come.
    pub(super) fn finish(&mut self) -> Option<Rebuilt> {
        let parts = std::mem::take(self);
        let first = parts.rows.first()?;
        let Some(lsn) = u64::try_from(first.lsn).ok().filter(|&lsn| lsn > 0) else {
            return Some(Rebuilt {
                lsn: Lsn::ZERO,
                record: Err(format!(
                    "their number is {}, and records are numbered from 1 on",
                    first.lsn
                )),
            });
        };
        let is_generated = first.kind == RowKind::SaleCreated && first.numbers[2].is_some();
        let record = match parts.flaw {
            Some(flaw) => Err(flaw),
            None if is_generated && first.part.map(i64::from) != Some(parts.generated) => {
                Err("an item of its generated catalogue is missing")
            }
            None => rebuild(first, &parts.rows),
        };
        Some(Rebuilt {
            lsn: Lsn(lsn),
            record: record.map_err(str::to_owned),
        })
    }
}

/// Checks the item at `index` of a generated catalogue: all of it follows from the sale's seed.
fn check_generated(created: &AnyRow, row: &AnyRow, index: i64) -> Result<(), &'static str> {
    if row.part.map(i64::from) != Some(index) {
        return Err("an item of its generated catalogue is missing");
    }
    let (sale, index) = (
        SaleId(number(Some(row.sale.into()))?),
        ItemIndex(number(Some(index))?),
    );
    let seed = created.numbers[2].ok_or("it has items of a generated catalogue, but no seed")?;
    let (mut name, mut image_url) = (Vec::new(), Vec::new());
    generated::write_name(seed.cast_unsigned(), index, &mut name);
    generated::write_image_url(seed.cast_unsigned(), index, &mut image_url);
    let id = GeneratedItemId { sale, index }.to_string().into_bytes();
    let is_text = |text: &Option<String>, expected: Vec<u8>| {
        text.as_ref()
            .is_some_and(|text| *text.as_bytes() == *expected)
    };
    let [id_2, name_2, image_url_2] = &row.texts;
    let same = is_text(id_2, id) && is_text(name_2, name) && is_text(image_url_2, image_url);
    let plain = row.numbers[0] == Some(1) && row.numbers[1].is_none();
    if same && plain && row.at == created.at {
        Ok(())
    } else {
        Err("another value there of an item of its generated catalogue")
    }
}

const NO_CHECKOUT: &str = "its checkout is missing";
const OUT_OF_RANGE: &str = "a number is out of range";
const MISSING: &str = "a value is missing";

fn released(sale: SaleId, row: &AnyRow) -> Result<Record<'_>, &'static str> {
    let line = match (row.part, row.numbers[0]) {
        (None, None) => None,
        (Some(item), quantity) => Some(ReleasedLine {
            item: ItemIndex(number(Some(item.into()))?),
            quantity: number(quantity)?,
        }),
        (None, Some(_)) => return Err(MISSING),
    };
    Ok(Record::Released {
        sale,
        secret: row.secret.ok_or(MISSING)?,
        user: text(&row.user, NO_CHECKOUT)?,
        line,
    })
}

/// The record that the rows make; or why they make none.
fn rebuild<'a>(first: &'a AnyRow, parts: &[AnyRow]) -> Result<Vec<u8>, &'static str> {
    let sale = SaleId(u32::try_from(first.sale).map_err(|_| OUT_OF_RANGE)?);
    match first.kind {
        RowKind::Item => {
            let items = parts.iter().map(item).collect::<Result<Vec<_>, _>>()?;
            let start = first.part.ok_or(MISSING)?;
            in_order(parts, start, "its items are not one after the other")?;
            let first_item = ItemIndex(u32::try_from(start).map_err(|_| OUT_OF_RANGE)?);
            let items = Items::Slice(&items);
            encode(
                first,
                &Record::SaleItems {
                    sale,
                    first: first_item,
                    items,
                },
            )
        }
        RowKind::SaleCreated => {
            let terms = terms(first)?;
            encode(first, &Record::SaleCreated { sale, terms })
        }
        RowKind::GeneratedItem => {
            Err("it is no record, but an item of a generated sale has its number")
        }
        RowKind::SaleClosed => encode(first, &Record::SaleClosed { sale }),
        RowKind::CheckoutItem => encode(first, &checkout(sale, first)?),
        RowKind::PurchaseLine => {
            let lines = parts.iter().map(line).collect::<Result<Vec<_>, _>>()?;
            in_order(parts, 0, "a result of it is missing")?;
            let optional = |place: &'a Option<String>| {
                let there = place.is_some();
                there.then(|| text(place, MISSING)).transpose()
            };
            let (key, payment_ref) = (optional(&first.texts[0])?, optional(&first.texts[1])?);
            if key == Some("") {
                return Err("its idempotency key is empty");
            }
            if payment_ref == Some("") {
                return Err("its payment reference is empty");
            }
            let purchase = Record::Purchase {
                sale,
                secret: first.secret.ok_or(MISSING)?,
                user: text(&first.user, NO_CHECKOUT)?,
                key,
                payment_ref,
                lines: Lines::Slice(&lines),
            };
            encode(first, &purchase)
        }
        RowKind::PaymentLine => {
            let lines = parts.iter().map(line).collect::<Result<Vec<_>, _>>()?;
            in_order(parts, 0, "a line of it is missing")?;
            let begun = Record::PaymentBegun {
                sale,
                secret: first.secret.ok_or(MISSING)?,
                user: text(&first.user, NO_CHECKOUT)?,
                hold_until: first.times[0].ok_or(MISSING)?,
                held_until: first.times[1].ok_or(MISSING)?,
                lines: Lines::Slice(&lines),
            };
            encode(first, &begun)
        }
        RowKind::Expired => {
            let expired = Record::Expired {
                sale,
                secret: first.secret.ok_or(MISSING)?,
                user: text(&first.user, NO_CHECKOUT)?,
                lines: Lines::NONE,
            };
            encode(first, &expired)
        }
        RowKind::SaleChanged => {
            let change = match (text(&first.texts[0], MISSING)?, first.times[0]) {
                ("opened", None) => SaleChange::Opened,
                ("paused", None) => SaleChange::Paused,
                ("resumed", None) => SaleChange::Resumed,
                ("extended", Some(ended_at)) => SaleChange::Extended(ended_at),
                _ => return Err("its change is unknown"),
            };
            encode(first, &Record::SaleChanged { sale, change })
        }
        RowKind::CancelledLine => {
            let lines = parts.iter().map(cancelled_line);
            let lines = lines.collect::<Result<Vec<_>, _>>()?;
            in_order(parts, 0, "a line of it is missing")?;
            let cancelled = Record::Cancelled {
                sale,
                secret: first.secret.ok_or(MISSING)?,
                user: text(&first.user, NO_CHECKOUT)?,
                reference: text(&first.texts[0], MISSING)?,
                lines: CancelledLines::Slice(&lines),
                restock: first.flag.ok_or(MISSING)?,
            };
            encode(first, &cancelled)
        }
        RowKind::StockChanged => {
            let changed = Record::StockChanged {
                sale,
                item: ItemIndex(number(first.part.map(i64::from))?),
                units: first.numbers[0].ok_or(MISSING)?,
                reference: text(&first.texts[0], MISSING)?,
            };
            encode(first, &changed)
        }
        RowKind::Released => encode(first, &released(sale, first)?),
        RowKind::Refused => {
            let refused = Record::Refused {
                sale: Some(sale).filter(|sale| sale.0 > 0),
                user: text(&first.user, MISSING)?,
                item: text(&first.texts[0], MISSING)?,
                reason: RefusedReason::from_name(text(&first.texts[1], MISSING)?)
                    .ok_or("its reason is unknown")?,
            };
            encode(first, &refused)
        }
    }
}

/// Encodes the record, if it is one that the journal could hold.
fn encode(row: &AnyRow, record: &Record<'_>) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::with_capacity(128);
    envelope::encode(row.at, record, &mut bytes);
    let decoded = Entry::whole(Lsn::ZERO, &bytes).and_then(|entry| entry.record());
    if decoded == Ok(*record) && bytes.len() <= RECORD_BYTES_MAX {
        Ok(bytes)
    } else {
        Err("its rows make no record")
    }
}

/// The text, if it is there and the journal could hold it.
fn text<'a>(text: &'a Option<String>, otherwise: &'static str) -> Result<&'a str, &'static str> {
    let text = text.as_deref().ok_or(otherwise)?;
    if text.len() <= usize::from(u16::MAX) {
        Ok(text)
    } else {
        Err("a text is too long")
    }
}

fn number<T: TryFrom<i64>>(number: Option<i64>) -> Result<T, &'static str> {
    T::try_from(number.ok_or(MISSING)?).map_err(|_| OUT_OF_RANGE)
}

fn in_order(parts: &[AnyRow], start: i32, otherwise: &'static str) -> Result<(), &'static str> {
    let expected = (i64::from(start)..).map(Some);
    let found = parts.iter().map(|row| row.part.map(i64::from));
    if found
        .zip(expected)
        .all(|(found, expected)| found == expected)
    {
        Ok(())
    } else {
        Err(otherwise)
    }
}

fn item(row: &AnyRow) -> Result<NewItem<'_>, &'static str> {
    let [id, name, image_url] = &row.texts;
    Ok(NewItem {
        id: text(id, MISSING)?,
        name: text(name, MISSING)?,
        image_url: text(image_url, MISSING)?,
        stock: number(row.numbers[0])?,
        max_per_user: match row.numbers[1] {
            Some(limit) => {
                let limit: u16 = number(Some(limit))?;
                Some(NonZeroU16::new(limit).ok_or(OUT_OF_RANGE)?)
            }
            None => None,
        },
    })
}

fn line(row: &AnyRow) -> Result<PurchasedLine, &'static str> {
    if row.part.is_none() {
        return Err("its results are missing");
    }
    Ok(PurchasedLine {
        item: ItemIndex(number(row.numbers[1])?),
        quantity: number(row.numbers[0])?,
        sold: row.flag.ok_or(MISSING)?,
    })
}

fn cancelled_line(row: &AnyRow) -> Result<ReleasedLine, &'static str> {
    Ok(ReleasedLine {
        item: ItemIndex(number(row.numbers[1])?),
        quantity: number(row.numbers[0])?,
    })
}

fn terms(row: &AnyRow) -> Result<SaleTerms, &'static str> {
    let item_count = number(row.part.map(i64::from))?;
    let catalogue = match row.numbers[2] {
        // 64 bits, which Postgres knows only as signed.
        Some(seed) => CatalogueKind::Generated {
            seed: seed.cast_unsigned(),
            item_count,
        },
        None => CatalogueKind::Explicit { item_count },
    };
    let time = |time: Option<Timestamp>| time.ok_or(MISSING);
    Ok(SaleTerms {
        started_at: time(row.times[0])?,
        ended_at: time(row.times[1])?,
        max_items_per_user: number(row.numbers[0])?,
        hold_seconds: number(row.numbers[1])?,
        payment: payment_terms(row)?,
        catalogue,
    })
}

fn payment_terms(row: &AnyRow) -> Result<PaymentTerms, &'static str> {
    let [by, seconds, _] = &row.texts;
    Ok(PaymentTerms {
        seconds: text(seconds, MISSING)?.parse().map_err(|_| OUT_OF_RANGE)?,
        purchase_by: PurchaseBy::from_name(text(by, MISSING)?).ok_or("who purchases is unknown")?,
    })
}

fn checkout(sale: SaleId, row: &AnyRow) -> Result<Record<'_>, &'static str> {
    if row.flag == Some(true) && row.times[1] != Some(row.at) {
        return Err("its checkout was opened at another time");
    }
    Ok(Record::Checkout {
        sale,
        secret: row.secret.ok_or(MISSING)?,
        user: text(&row.user, NO_CHECKOUT)?,
        item: ItemIndex(number(row.part.map(i64::from))?),
        quantity: number(row.numbers[0])?,
        hold_until: row.times[0],
        opens: row.flag.ok_or(NO_CHECKOUT)?,
        key: checkout_key(row)?,
    })
}

fn checkout_key(row: &AnyRow) -> Result<Option<CheckoutKey<'_>>, &'static str> {
    if row.texts[0].is_none() {
        return Ok(None);
    }
    let key = text(&row.texts[0], MISSING)?;
    if key.is_empty() {
        return Err("its idempotency key is empty");
    }
    Ok(Some(CheckoutKey {
        key,
        items_count: number(row.numbers[1])?,
        sale_ends_at: row.times[2].ok_or(MISSING)?,
        held_until: row.times[3],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_shown() {
        let record = Record::Expired {
            sale: SaleId(1),
            secret: 0xabab_abab,
            user: "ada",
            lines: Lines::NONE,
        };
        let mut bytes = Vec::new();
        envelope::encode(Timestamp(0), &record, &mut bytes);
        let rebuilt = Rebuilt {
            lsn: Lsn(7),
            record: Ok(bytes),
        };
        assert_eq!(format!("{rebuilt:?}"), "Rebuilt { lsn: Lsn(7), .. }");
    }
}
