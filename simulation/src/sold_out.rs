//! Holds what was told to buyers who were told "sold out" against what is written, and against who was told otherwise.

use std::collections::{BTreeMap, BTreeSet};

use flashsale::types::SaleId;

use crate::answers::text;
use crate::cancelled;
use crate::history::{Ask, Event};
use crate::ledger::Ledger;

/// An item, by its sale and its place there.
type Place = (SaleId, usize);

/// Checks that what was called sold out was, and that nobody gets an item who asks after somebody was told that it is sold out, unless
/// units were added since.
pub(crate) fn check(events: &[Event], ledger: &Ledger) -> Result<(), String> {
    let mut told_sold_out: BTreeMap<Place, Vec<&Event>> = BTreeMap::new();
    for event in events {
        if let (Ask::Checkout { item, quantity, .. }, Some(told)) = (&event.ask, &event.told)
            && told.error() == Some("item_sold_out")
            && let Some((sale, place)) = ledger.item(item)
        {
            let unsold = ledger.sales[&sale].least_unsold[place];
            if u64::from(*quantity) <= unsold {
                return Err(format!(
                    "{:?} was told that it is sold out, and {unsold} units were left at any time",
                    event.ask
                ));
            }
            if *quantity == 1 {
                told_sold_out.entry((sale, place)).or_default().push(event);
            }
        }
    }
    let mut before = BTreeSet::new();
    for event in events {
        // Answered under its key before, perhaps without anybody hearing of it.
        let is_again = event.ask.has_key() && !before.insert(event.ask.identity());
        let Some(told) = event.told.as_ref().filter(|told| told.status == 200) else {
            continue;
        };
        if let Ask::Checkout { item, .. } = &event.ask
            && !is_again
            && let Some(place) = ledger.item(item)
            && let Some(sold_out) = told_sold_out.get(&place)
            && let Some(refused) = last_before(sold_out, event)
            && !is_restocked_behind(events, refused, place, ledger)
        {
            return Err(format!(
                "{:?} was told {} behind a final \"sold out\"",
                event.ask,
                text(told)
            ));
        }
    }
    Ok(())
}

/// Returns the one who was told last of those who were told before `event` began.
fn last_before<'e>(told: &[&'e Event], event: &Event) -> Option<&'e Event> {
    let at = |event: &Event| event.told.as_ref().map_or(u64::MAX, |told| told.at);
    let before = told.iter().filter(|told| at(told) < event.begun);
    before.max_by_key(|told| told.begun).copied()
}

/// Returns whether units of an item may have come back since `refused` was decided: somebody asked for that, and was not told before.
fn is_restocked_behind(events: &[Event], refused: &Event, place: Place, ledger: &Ledger) -> bool {
    events.iter().any(|event| {
        let frees = match &event.ask {
            Ask::Stock(ask) => ask.units > 0 && ledger.item(&ask.item) == Some(place),
            Ask::Cancel(ask) => ask.restock && cancelled::frees(ask, place, ledger),
            _ => false,
        };
        let is_open = |event: &Event| {
            let told = event.told.as_ref();
            told.is_none_or(|told| told.at > refused.begun)
        };
        frees && is_open(event)
    })
}
