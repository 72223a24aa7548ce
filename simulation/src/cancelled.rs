//! Shops that cancel purchases: what they ask for, and whether what they were told is what is written.

use std::collections::BTreeMap;

use flashsale::types::{CheckoutCode, SaleId};

use crate::answers;
use crate::buyers::code_of;
use crate::dice::Dice;
use crate::history::{Ask, Event, History, Told};
use crate::ledger::{Ledger, LedgerCancellation};
use crate::plan::Plan;

/// A cancellation that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedCancellation {
    /// The code.
    pub code: String,
    /// The item's id; `None` for all.
    pub item: Option<String>,
    /// Units; `None` for as many as are left.
    pub quantity: Option<u32>,
    /// The reference.
    pub reference: String,
    /// Whether the units can be had again.
    pub restock: bool,
}

/// Codes among which one is chosen.
const RECENT: usize = 12;

/// Draws a cancellation of a code that somebody was told; none where the plan says that nobody cancels, or not now.
pub fn next_cancellation(dice: &mut Dice, plan: &Plan, history: &History) -> Option<Ask> {
    if !dice.chance(plan.cancelled) {
        return None;
    }
    history.with(|events| {
        let is_purchase = |event: &&Event| {
            matches!(event.ask, Ask::Purchase { .. })
                && event.told.as_ref().is_some_and(|told| told.status == 200)
        };
        let bought = events.iter().rev().filter(is_purchase);
        let codes: Vec<_> = bought
            .filter_map(|event| match &event.ask {
                Ask::Purchase { code, .. } => Some(code),
                _ => None,
            })
            .take(RECENT)
            .collect();
        if codes.is_empty() {
            return None;
        }
        let code = (*dice.pick(&codes)).clone();
        let chosen = events.iter().filter(|event| code_of(event) == Some(&*code));
        let items: Vec<_> = chosen
            .filter_map(|event| match &event.ask {
                Ask::Checkout { item, .. } => Some(item.clone()),
                _ => None,
            })
            .collect();
        let names = dice.chance(500) && !items.is_empty();
        let item = names.then(|| dice.pick(&items).clone());
        let some = item.is_some() && dice.chance(500);
        Some(Ask::Cancel(AskedCancellation {
            code,
            quantity: some.then(|| dice.between(1, 2) as u32),
            item,
            reference: format!("ref-{}", dice.below(3)),
            restock: dice.chance(700),
        }))
    })
}

fn code(ask: &AskedCancellation) -> Option<(SaleId, u128)> {
    let code: CheckoutCode = ask.code.parse().ok()?;
    Some((code.sale, code.secret))
}

/// Checks the answer to a shop that cancels.
pub(crate) fn check(ask: &AskedCancellation, told: &Told, ledger: &Ledger) -> Result<(), String> {
    if told.status != 200 {
        return match answers::is_refusal(told) {
            true => Ok(()),
            false => Err("no such answer is known".into()),
        };
    }
    let body = answers::json(told)?;
    let shown = body["cancelled"].as_array().ok_or("no units")?;
    let shown: Option<Vec<(usize, u64)>> = shown
        .iter()
        .map(|line| {
            let (_, place) = ledger.item(line["id"].as_str()?)?;
            Some((place, line["quantity"].as_u64()?))
        })
        .collect();
    let checkout = answers::find(&ask.code, ledger)?;
    let written = checkout.cancelled.get(&ask.reference);
    let written = written.ok_or("no such cancellation is written")?;
    let lines = written.lines.iter();
    let lines: Vec<_> = lines
        .map(|&(item, units)| (item as usize, u64::from(units)))
        .collect();
    match shown.as_ref() == Some(&lines) && written.restock == ask.restock {
        true => Ok(()),
        false => Err(format!("written is {written:?}")),
    }
}

/// Checks that somebody has asked for each cancellation that is written. That a reference has one is a rule of the ledger.
pub(crate) fn once(events: &[Event], ledger: &Ledger) -> Result<(), String> {
    let mut asked: BTreeMap<((SaleId, u128), &str), Vec<&AskedCancellation>> = BTreeMap::new();
    for event in events {
        if let Ask::Cancel(ask) = &event.ask
            && let Some(code) = code(ask)
        {
            asked.entry((code, &ask.reference)).or_default().push(ask);
        }
    }
    for (code, checkout) in &ledger.checkouts {
        for (reference, written) in &checkout.cancelled {
            let asked = asked.get(&(*code, &**reference));
            let is_asked = |asked: &Vec<&AskedCancellation>| {
                asked.iter().any(|ask| is_record_of(ask, written, ledger))
            };
            if !asked.is_some_and(is_asked) {
                return Err(format!("nobody has asked for {written:?} by {reference}"));
            }
        }
    }
    Ok(())
}

/// Returns whether a record can be what was asked for.
fn is_record_of(ask: &AskedCancellation, written: &LedgerCancellation, ledger: &Ledger) -> bool {
    let place = ask.item.as_ref().map(|item| ledger.item(item));
    let is_item = place.is_none_or(|place| {
        let place = place.map(|(_, place)| place);
        written.lines.len() == 1 && place == Some(written.lines[0].0 as usize)
    });
    let units: u32 = written.lines.iter().map(|(_, units)| units).sum();
    is_item
        && written.restock == ask.restock
        && ask.quantity.is_none_or(|quantity| quantity == units)
}

/// Returns whether an item can be had again by what is asked for.
pub(crate) fn frees(ask: &AskedCancellation, place: (SaleId, usize), ledger: &Ledger) -> bool {
    let checkout = code(ask).filter(|(sale, _)| *sale == place.0);
    let checkout = checkout.and_then(|code| ledger.checkouts.get(&code));
    checkout.is_some_and(|checkout| {
        let mut lines = checkout.cancelled.values().flat_map(|it| &it.lines);
        lines.any(|(item, _)| *item as usize == place.1)
    })
}
