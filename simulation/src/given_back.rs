//! Holds what was told to buyers who give units back against what is written.

use std::collections::BTreeMap;

use flashsale::types::{CheckoutCode, SaleId};

use crate::answers;
use crate::history::{Ask, Event, Told};
use crate::ledger::{GivenBack, Ledger};

/// Checks the answer to somebody who gives units back.
pub(crate) fn check(ask: &Ask, told: &Told, ledger: &Ledger) -> Result<(), String> {
    let Ask::Release { code, .. } = ask else {
        return Ok(());
    };
    if told.error() == Some("already_processed") {
        return answers::purchase(code, told, ledger);
    }
    if told.status != 200 {
        return answers::refused_code(code, told, ledger);
    }
    let body = answers::json(told)?;
    let shown = body["items"].as_array().ok_or("no items")?;
    let shown: Option<Vec<(&str, u64)>> = shown
        .iter()
        .map(|item| Some((item["id"].as_str()?, item["quantity"].as_u64()?)))
        .collect();
    let shown = shown.ok_or("an item without its id or its quantity")?;
    let checkout = answers::find(code, ledger)?;
    let is_shown = |given: &&GivenBack| {
        let left = given.left.iter().map(|(item, units)| {
            let place = *item as usize;
            (place, u64::from(*units))
        });
        let shown = shown.iter().map(|(id, units)| {
            let place = ledger.item(id).map_or(usize::MAX, |(_, place)| place);
            (place, *units)
        });
        left.eq(shown) && is_record_of(ask, given, ledger)
    };
    match checkout.given_back.iter().any(|given| is_shown(&given)) {
        true => Ok(()),
        false => Err(format!("written is {:?}", checkout.given_back)),
    }
}

/// Returns whether a record can be what was asked for.
fn is_record_of(ask: &Ask, given: &GivenBack, ledger: &Ledger) -> bool {
    let Ask::Release { item, quantity, .. } = ask else {
        return false;
    };
    let place = item.as_ref().and_then(|item| ledger.item(item));
    match (given.line, place) {
        // Where it is the last item, all is given back.
        (None, _) => true,
        (Some((item, units)), Some((_, place))) => {
            item as usize == place && quantity.is_none_or(|quantity| quantity == units)
        }
        _ => false,
    }
}

/// Checks that each give-back that was told is a record of its own, and that somebody has asked for each that is written.
pub(crate) fn once(events: &[Event], ledger: &Ledger) -> Result<(), String> {
    let mut asked: BTreeMap<(SaleId, u128), Vec<(&Ask, bool)>> = BTreeMap::new();
    for event in events {
        if let Ask::Release { code, .. } = &event.ask
            && let Ok(code) = code.parse::<CheckoutCode>()
        {
            let is_told = event.told.as_ref().is_some_and(|told| told.status == 200);
            let asked = asked.entry((code.sale, code.secret)).or_default();
            asked.push((&event.ask, is_told));
        }
    }
    for (code, checkout) in &ledger.checkouts {
        let asked = asked.get(code).map_or(&[][..], Vec::as_slice);
        let told = asked.iter().filter(|(_, is_told)| *is_told).count();
        let written = checkout.given_back.len();
        if told > written {
            return Err(format!(
                "{told} times {} was told that units are given back, and {written} are written",
                checkout.user
            ));
        }
        let is_asked = |given: &GivenBack| {
            asked
                .iter()
                .any(|(ask, _)| is_record_of(ask, given, ledger))
        };
        if written > asked.len() || !checkout.given_back.iter().all(is_asked) {
            return Err(format!(
                "nobody has asked for all of {:?} of {}",
                checkout.given_back, checkout.user
            ));
        }
    }
    Ok(())
}
