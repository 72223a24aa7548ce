//! The buyers: what they ask for, drawn from what they were told so far.

use flashsale::sale::Engine;
use flashsale::types::ItemIndex;

use crate::dice::Dice;
use crate::history::{Ask, Event, History};
use crate::plan::Plan;

/// Different keys that one user sends: fewer than are kept.
const KEYS: u64 = 12;
/// Earlier requests among which one is repeated.
const RECENT: usize = 40;

/// Draws the next request.
pub fn next_ask(dice: &mut Dice, plan: &Plan, engine: &Engine, history: &History) -> Ask {
    match dice.weighted(&[50, 30, 8, 8]) {
        0 => check_out(dice, plan, engine),
        1 => purchase(dice, plan, history).unwrap_or_else(|| check_out(dice, plan, engine)),
        2 => again(dice, history).unwrap_or_else(|| check_out(dice, plan, engine)),
        _ => look(dice, engine),
    }
}

/// Draws a checkout: mostly of a sale that is on, sometimes of one that is not.
fn check_out(dice: &mut Dice, plan: &Plan, engine: &Engine) -> Ask {
    let mut sales = engine.active_sales();
    if sales.is_empty() || dice.chance(50) {
        sales = engine.sales();
    }
    let user = dice.below(plan.users);
    let key = dice.chance(plan.keyed).then(|| dice.below(KEYS));
    if sales.is_empty() || dice.chance(20) {
        return Ask::Checkout {
            user,
            item: "nothing".into(),
            quantity: 1,
            sale: None,
            key,
        };
    }
    let sale = dice.pick(&sales);
    let count = sale.terms().catalogue.item_count();
    let count = match plan.has_hot_items && dice.chance(500) {
        true => count.min(2),
        false => count,
    };
    let mut item = Vec::new();
    sale.write_item_id(ItemIndex(dice.below(u64::from(count)) as u32), &mut item);
    let item = String::from_utf8(item).expect("ids are texts");
    let limit = u64::from(sale.terms().max_items_per_user);
    let quantity = match dice.chance(600) {
        true => 1,
        false => dice.between(1, limit + 1),
    };
    Ask::Checkout {
        user,
        item,
        quantity: quantity as u32,
        sale: dice.chance(100).then(|| sale.id().0),
        key,
    }
}

/// Draws a purchase of a code that somebody was told.
fn purchase(dice: &mut Dice, plan: &Plan, history: &History) -> Option<Ask> {
    let code = history.with(|events| {
        let codes = events.iter().rev().filter_map(code_of);
        let codes: Vec<_> = codes.take(RECENT).collect();
        if codes.is_empty() {
            return None;
        }
        // Mostly one of the last, so that many are bought in time.
        let recent = &codes[..codes.len().min(4 + dice.below(RECENT as u64) as usize)];
        Some((*dice.pick(recent)).to_owned())
    })?;
    let key = dice.chance(plan.keyed).then(|| dice.below(3));
    Some(Ask::Purchase { code, key })
}

/// Draws a buyer who looks at a checkout that somebody was told, or gives of it back; none where the plan says that nobody does, or
/// not now.
pub fn give_back(dice: &mut Dice, plan: &Plan, history: &History) -> Option<Ask> {
    if !dice.chance(plan.given_back) {
        return None;
    }
    history.with(|events| {
        let told = events
            .iter()
            .rev()
            .filter_map(|event| Some((code_of(event)?, event)));
        let told: Vec<_> = told.take(RECENT / 2).collect();
        if told.is_empty() {
            return None;
        }
        let (code, event) = *dice.pick(&told);
        let code = code.to_owned();
        if dice.chance(200) {
            let path = format!("/checkout?code={code}");
            return Some(Ask::Look { path });
        }
        let Ask::Checkout { item, .. } = &event.ask else {
            return None;
        };
        let item = dice.chance(700).then(|| item.clone());
        let some = item.is_some() && dice.chance(500);
        let quantity = some.then(|| dice.between(1, 2) as u32);
        Some(Ask::Release {
            code,
            item,
            quantity,
        })
    })
}

/// Draws a buyer who begins to pay for a checkout that somebody was told, or a shop that confirms a payment; none where the plan says
/// that nobody pays, or not now.
pub fn pay(dice: &mut Dice, plan: &Plan, history: &History) -> Option<Ask> {
    if plan.payment_seconds == 0 || !dice.chance(350) {
        return None;
    }
    history.with(|events| {
        let codes = events.iter().rev().filter_map(code_of);
        let codes: Vec<_> = codes.take(RECENT).collect();
        if codes.is_empty() {
            return None;
        }
        // Mostly one of the last; late payments are for the others.
        let recent = &codes[..codes.len().min(4 + dice.below(RECENT as u64) as usize)];
        let code = (*dice.pick(recent)).to_owned();
        Some(match dice.chance(500) {
            true => Ask::Pay { code },
            false => Ask::Confirm {
                code,
                payment: dice.below(2),
                late: dice.chance(400),
            },
        })
    })
}

/// Draws an earlier request, to ask it again: most often one whose answer was lost.
fn again(dice: &mut Dice, history: &History) -> Option<Ask> {
    history
        .with(|events| {
            let lost: Vec<_> = events
                .iter()
                .rev()
                .filter(|event| event.told.is_none() && is_of_buyer(&event.ask))
                .take(RECENT)
                .collect();
            if !lost.is_empty() && dice.chance(600) {
                return Some(dice.pick(&lost).ask.clone());
            }
            let recent = &events[events.len().saturating_sub(RECENT)..];
            (!recent.is_empty()).then(|| dice.pick(recent).ask.clone())
        })
        .filter(|ask| !matches!(ask, Ask::Stock(_) | Ask::Cancel(_)))
}

fn is_of_buyer(ask: &Ask) -> bool {
    !matches!(ask, Ask::Stock(_) | Ask::Cancel(_) | Ask::Look { .. })
}

fn look(dice: &mut Dice, engine: &Engine) -> Ask {
    let last = engine.sales().first().map_or(1, |sale| sale.id().0);
    let sale = dice.between(1, u64::from(last));
    let path = match dice.below(4) {
        0 => "/sales/active".to_owned(),
        1 => "/sales?limit=3".to_owned(),
        2 => format!("/sales/{sale}"),
        _ => format!("/sales/{sale}/items?available=true"),
    };
    Ask::Look { path }
}

/// Returns the code in the answer to a checkout.
#[must_use]
pub fn code_of(event: &Event) -> Option<&str> {
    let told = event.told.as_ref()?;
    if !matches!(event.ask, Ask::Checkout { .. }) || told.status != 200 {
        return None;
    }
    told.code.as_deref()
}
