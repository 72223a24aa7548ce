//! Cancellation: a shop takes units of a purchase back.

use super::baskets::{CheckoutEnd, ClosedCheckout};
use super::cancelled::{Cancellation, cancelled_units, last_lsn};
use super::engine::Engine;
use super::outcome::{CancelOutcome, Decision, SaleDecision};
use super::sale::Sale;
use crate::planted::{Slip, is_planted};
use crate::record::{CancelledLines, Record, ReleasedLine};
use crate::types::{CheckoutCode, ItemId, Lsn, Reference};

/// A request to cancel units of a purchase.
#[derive(Clone, Copy, Debug)]
pub struct CancelRequest<'a> {
    /// The checkout that was purchased.
    pub code: CheckoutCode,
    /// The item; `None` for all that was sold.
    pub item: Option<ItemId<'a>>,
    /// Units of the item; `None` for as many as are not cancelled yet.
    pub quantity: Option<u32>,
    /// Whether the units are free again; otherwise they leave the stock.
    pub restock: bool,
    /// Names the cancellation: asked for again by the same name, it is answered and not made again.
    pub reference: Reference<'a>,
}

impl Engine {
    /// Cancels units of a purchase, once for each reference: the buyer's limit counts them no longer.
    pub fn cancel(&self, request: &CancelRequest<'_>) -> SaleDecision<CancelOutcome> {
        self.in_sale_of(request.code, |sale| self.cancel_in(sale, request))
    }

    /// Cancels units of a purchase of `sale`, which may have left memory and been loaded again: then nothing is cancelled that was not
    /// before.
    pub fn cancel_in(&self, sale: &Sale, request: &CancelRequest<'_>) -> Decision<CancelOutcome> {
        let secret = request.code.secret;
        let Some(reference) = sale.buyers.by_code(secret) else {
            return sale.unknown_code(CancelOutcome::CheckoutNotFound);
        };
        let mut shard = sale.buyers.lock_buyer(reference);
        let buyer = shard.buyer(reference);
        let Some(closed) = buyer.closed_checkout(secret) else {
            return match buyer.open_checkout(secret) {
                Some(_) => Decision::immediate(CancelOutcome::NotPurchased),
                None => sale.unknown_code(CancelOutcome::CheckoutNotFound),
            };
        };
        let (closed_lsn, sold) = (closed.lsn, sold_lines(closed));
        if sold.is_empty() {
            return Decision::after(closed_lsn, CancelOutcome::NotPurchased);
        }
        let kept = shard.cancellations_of(reference);
        // First, so that a shop that lost its answer learns it even after the sale.
        let place = kept
            .iter()
            .position(|it| it.secret == secret && *it.reference == *request.reference.as_str());
        if let Some(place) = place.filter(|_| !is_planted(Slip::CancelsTwice)) {
            return repeated(sale, request, &sold, kept, place);
        }
        let last_lsn = last_lsn(kept, secret, closed_lsn);
        let now = self.now();
        if sale.is_over_for_shop(now) {
            return Decision::immediate(CancelOutcome::SaleClosed);
        }
        let left = sold.into_iter().map(|line| ReleasedLine {
            quantity: line.quantity - cancelled_units(kept, secret, line.item),
            ..line
        });
        let lines = match wanted_lines(sale, request, left.collect()) {
            Ok(lines) => lines,
            Err(refusal) => return Decision::after(last_lsn, refusal),
        };
        if let Err(unavailable) = self.admit() {
            return Decision::immediate(CancelOutcome::Unavailable(unavailable));
        }
        let cancellation = Cancellation {
            secret,
            reference: request.reference.as_str().into(),
            lines: lines.clone(),
            restock: request.restock,
            at: now,
            lsn: Lsn::ZERO,
        };
        let lsn = sale.cancel(&mut shard, reference, cancellation, |shard| {
            let record = Record::Cancelled {
                sale: sale.id,
                secret,
                user: &shard.buyer(reference).user,
                reference: request.reference.as_str(),
                lines: CancelledLines::Slice(&lines),
                restock: request.restock,
            };
            self.journal.append(now, &record)
        });
        let replayed = false;
        Decision::after(lsn, CancelOutcome::Cancelled { lines, replayed })
    }
}

/// Returns the lines of a checkout that were sold.
fn sold_lines(closed: &ClosedCheckout) -> Vec<ReleasedLine> {
    let CheckoutEnd::Processed { result, .. } = &closed.end else {
        return Vec::new();
    };
    let sold = result.lines.iter().filter(|line| line.sold);
    sold.map(|line| ReleasedLine {
        item: line.item,
        quantity: line.quantity,
    })
    .collect()
}

/// The answer to a reference that came before, at this place of what was cancelled. It rests on the record of that.
fn repeated(
    sale: &Sale,
    request: &CancelRequest<'_>,
    sold: &[ReleasedLine],
    kept: &[Cancellation],
    place: usize,
) -> Decision<CancelOutcome> {
    let (earlier, before) = (&kept[..place], &kept[place]);
    let is_of = |id| match &*before.lines {
        [line] => sale.find_item(id) == Some(line.item),
        _ => false,
    };
    // Who names no item wants all that was left then.
    let took_all = || {
        sold.iter().all(|line| {
            let gone = cancelled_units(earlier, before.secret, line.item);
            gone + before.units_of(line.item) == line.quantity
        })
    };
    let is_same = before.restock == request.restock
        && request.item.map_or_else(took_all, is_of)
        && request.quantity.is_none_or(|units| units == before.units());
    let outcome = match is_same {
        true => CancelOutcome::Cancelled {
            lines: before.lines.clone(),
            replayed: true,
        },
        false => CancelOutcome::ReferenceReused,
    };
    Decision::after(before.lsn, outcome)
}

/// Returns what is to be cancelled of what is `left`.
fn wanted_lines(
    sale: &Sale,
    request: &CancelRequest<'_>,
    left: Vec<ReleasedLine>,
) -> Result<Box<[ReleasedLine]>, CancelOutcome> {
    let mut wanted = left;
    if let Some(id) = request.item {
        let item = sale.find_item(id);
        wanted.retain(|line| Some(line.item) == item);
        if wanted.is_empty() {
            return Err(CancelOutcome::ItemNotPurchased);
        }
    }
    wanted.retain(|line| line.quantity > 0);
    let Some(first) = wanted.first_mut() else {
        return Err(CancelOutcome::AlreadyCancelled);
    };
    if let Some(quantity) = request.quantity {
        let max = first.quantity;
        if !(1..=max).contains(&quantity) {
            return Err(CancelOutcome::QuantityNotAllowed { max });
        }
        first.quantity = quantity;
    }
    Ok(wanted.into())
}
