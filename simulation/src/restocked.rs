//! Administrators who change the stock of items: what they ask for, how a server answers, and whether that is what is written.

use std::collections::BTreeMap;
use std::num::NonZeroI64;

use flashsale::sale::{Engine, Sale, StockChangeError, StockChangeRequest};
use flashsale::types::{ItemId, ItemIndex, Lsn, Reference, SaleId};
use serde_json::json;

use crate::answers;
use crate::dice::Dice;
use crate::history::{Ask, Event, History, Told};
use crate::ledger::Ledger;
use crate::plan::Plan;

/// A change of the stock of an item that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedChange {
    /// The sale.
    pub sale: SaleId,
    /// The item's id.
    pub item: String,
    /// Units.
    pub units: i64,
    /// The reference.
    pub reference: String,
}

/// Draws a change of the stock of an item, or one that was asked for before; none where the plan says that nobody does that, or not now.
pub fn next_change(
    dice: &mut Dice,
    plan: &Plan,
    engine: &Engine,
    history: &History,
) -> Option<Ask> {
    if !dice.chance(plan.restocked) {
        return None;
    }
    let before = history.with(|events| {
        let asked = events.iter().rev();
        let asked = asked.filter_map(|event| match &event.ask {
            Ask::Stock(ask) => Some(ask.clone()),
            _ => None,
        });
        asked.take(10).collect::<Vec<_>>()
    });
    if !before.is_empty() && dice.chance(400) {
        let mut again = dice.pick(&before).clone();
        if dice.chance(100) {
            again.units += 1;
        }
        return (again.units != 0).then_some(Ask::Stock(again));
    }
    let sales = engine.active_sales();
    // Mostly one that was listed, and where the most is sold: all others refuse it.
    let listed: Vec<_> = sales.iter().filter(|sale| is_listed(sale)).collect();
    let sale = match listed.is_empty() {
        false => *dice.pick(&listed),
        true if !sales.is_empty() && dice.chance(50) => dice.pick(&sales),
        true => return None,
    };
    let places = u64::from(sale.item_count());
    let drawn: Vec<_> = (0..3).map(|_| dice.below(places) as u32).collect();
    let views = drawn
        .iter()
        .filter_map(|&place| sale.item_view(ItemIndex(place)));
    let view = views.min_by_key(|view| view.remaining)?;
    let units = dice.between(1, 3) as i64;
    let units = match dice.chance(600) {
        true => units,
        false => -units,
    };
    Some(Ask::Stock(AskedChange {
        sale: sale.id(),
        item: view.id,
        units,
        reference: format!("ref-{}", dice.below(1 << 40)),
    }))
}

fn is_listed(sale: &Sale) -> bool {
    sale.item_view(ItemIndex(0))
        .is_some_and(|view| !view.id.starts_with("ITM-"))
}

/// Has `engine` do what is asked for. Returns the answer, and the record that it waits for.
pub fn answer(engine: &Engine, ask: &AskedChange) -> ((u16, String), Option<Lsn>) {
    let refused =
        |status: u16, error: &str| ((status, json!({ "error": error }).to_string()), None);
    let (Ok(item), Ok(reference)) = (ItemId::new(&ask.item), Reference::new(&ask.reference)) else {
        return refused(400, "validation_failed");
    };
    let Some(units) = NonZeroI64::new(ask.units) else {
        return refused(400, "validation_failed");
    };
    let request = StockChangeRequest {
        sale: ask.sale,
        item,
        units,
        reference,
    };
    match engine.change_stock(&request) {
        Ok((sale, item, _)) => {
            let stock = sale.item_view(item).map_or(0, |view| view.stock);
            // Whoever asks again waits for what was recorded the first time.
            let lsn = engine.newest_lsn();
            ((200, json!({ "stock": stock }).to_string()), Some(lsn))
        }
        Err(StockChangeError::SaleNotFound) => refused(404, "sale_not_found"),
        Err(StockChangeError::ItemNotFound) => refused(404, "item_not_found"),
        Err(StockChangeError::SaleArchived | StockChangeError::Over) => refused(409, "sale_closed"),
        Err(StockChangeError::ReferenceReused) => refused(409, "ref_reused"),
        Err(StockChangeError::InUse { .. }) => refused(409, "stock_in_use"),
        Err(StockChangeError::TooMany) => refused(409, "too_many_stock_changes"),
        Err(StockChangeError::Single | StockChangeError::TooMuch { .. }) => {
            refused(400, "validation_failed")
        }
        Err(StockChangeError::Unavailable(_)) => refused(503, "unavailable"),
    }
}

/// Checks the answer to somebody who changes a stock.
pub(crate) fn check(ask: &AskedChange, told: &Told, ledger: &Ledger) -> Result<(), String> {
    if told.status != 200 {
        return match answers::is_refusal(told) {
            true => Ok(()),
            false => Err("no such answer is known".into()),
        };
    }
    let written = written(ask, ledger);
    match written == Some((ledger.item(&ask.item).map(|(_, place)| place), ask.units)) {
        true => Ok(()),
        false => Err(format!("written is {written:?}")),
    }
}

fn written(ask: &AskedChange, ledger: &Ledger) -> Option<(Option<usize>, i64)> {
    let sale = ledger.sales.get(&ask.sale)?;
    let &(place, units) = sale.stock_changes.get(&ask.reference)?;
    Some((Some(place), units))
}

/// Checks that somebody has asked for each change that is written. That a reference has one is a rule of the ledger.
pub(crate) fn once(events: &[Event], ledger: &Ledger) -> Result<(), String> {
    let mut asked: BTreeMap<(SaleId, &str), Vec<i64>> = BTreeMap::new();
    for event in events {
        if let Ask::Stock(ask) = &event.ask {
            let units = asked.entry((ask.sale, &*ask.reference)).or_default();
            units.push(ask.units);
        }
    }
    for (id, sale) in &ledger.sales {
        for (reference, (_, units)) in &sale.stock_changes {
            let asked = asked.get(&(*id, &**reference));
            if !asked.is_some_and(|asked| asked.contains(units)) {
                return Err(format!("nobody has asked to add {units} by {reference}"));
            }
        }
    }
    Ok(())
}
