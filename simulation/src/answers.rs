//! Holds what clients were told against what is written.

use std::collections::{BTreeMap, BTreeSet};

use flashsale::limits::LEADER_FRESH_MS;
use flashsale::types::{CheckoutCode, SaleId};
use serde_json::Value;

use crate::cancelled;
use crate::given_back;
use crate::history::{Ask, Event, Told};
use crate::ledger::{Checkout, End, Ledger};
use crate::restocked;
use crate::sold_out;

/// The age that an answer may have which another leader may have made untrue, in microseconds.
const STALE_US_MAX: u64 = LEADER_FRESH_MS * 1000;

/// Checks every answer, and that everything in the ledger was asked for. Where the wall clock `runs_evenly` and nobody closes a
/// sale before its time, also that none is called over before that.
///
/// # Errors
/// Names the request and what is wrong with its answer.
pub fn check(events: &[Event], ledger: &Ledger, runs_evenly: bool) -> Result<(), String> {
    let chosen = Chosen::of(events, ledger);
    for event in events {
        let Some(told) = &event.told else { continue };
        let checked = match &event.ask {
            Ask::Checkout { .. } => checkout(&event.ask, told, ledger, &chosen),
            Ask::Purchase { code, .. } => purchase(code, told, ledger),
            Ask::Confirm { code, late, .. } => confirmation(code, *late, told, ledger),
            Ask::Pay { code } => payment(code, told, ledger),
            Ask::Release { .. } => given_back::check(&event.ask, told, ledger),
            Ask::Stock(ask) => restocked::check(ask, told, ledger),
            Ask::Cancel(ask) => cancelled::check(ask, told, ledger),
            Ask::Look { path } => look(path, told),
        };
        checked.map_err(|wrong| format!("{:?} was told {}: {wrong}", event.ask, text(told)))?;
    }
    tellers(events)?;
    same_key_same_answer(events)?;
    one_answer_a_payment(events, ledger)?;
    one_success_a_code(events)?;
    given_back::once(events, ledger)?;
    restocked::once(events, ledger)?;
    cancelled::once(events, ledger)?;
    sold_out::check(events, ledger)?;
    if runs_evenly {
        over_is_over(events, ledger)?;
    }
    nothing_unasked(events, ledger)
}

pub(crate) fn text(told: &Told) -> String {
    format!("{} {}", told.status, String::from_utf8_lossy(&told.body))
}

/// Reads the body of an answer.
pub(crate) fn json(told: &Told) -> Result<Value, String> {
    serde_json::from_slice(&told.body).map_err(|error| format!("no JSON: {error}"))
}

/// Finds a checkout by its code.
pub(crate) fn find<'l>(code: &str, ledger: &'l Ledger) -> Result<&'l Checkout, String> {
    let code: CheckoutCode = code.parse().map_err(|_| format!("{code} is no code"))?;
    let found = ledger.checkouts.get(&(code.sale, code.secret));
    found.ok_or_else(|| format!("no checkout {code} is written"))
}

pub(crate) fn is_refusal(told: &Told) -> bool {
    // What was not there yet, or is no more, may have been refused.
    matches!(told.status, 400 | 404 | 409 | 503)
}

/// The units that anybody has asked for, by user and by item: the most that can have been taken at any time.
struct Chosen {
    by_user_and_item: BTreeMap<(SaleId, u64, usize), u64>,
    by_user: BTreeMap<(SaleId, u64), u64>,
    by_item: BTreeMap<(SaleId, usize), u64>,
}

impl Chosen {
    fn of(events: &[Event], ledger: &Ledger) -> Self {
        let (mut by_user, mut by_item) = (BTreeMap::new(), BTreeMap::new());
        let mut by_user_and_item = BTreeMap::new();
        for event in events {
            // What was refused has taken nothing.
            let is_taken = event.told.as_ref().is_none_or(|told| told.status == 200);
            if let Ask::Checkout {
                user,
                item,
                quantity,
                ..
            } = &event.ask
                && is_taken
                && let Some((sale, place)) = ledger.item(item)
            {
                let units = u64::from(*quantity);
                *by_user.entry((sale, *user)).or_default() += units;
                *by_item.entry((sale, place)).or_default() += units;
                *by_user_and_item.entry((sale, *user, place)).or_default() += units;
            }
        }
        Self {
            by_user_and_item,
            by_user,
            by_item,
        }
    }

    /// Checks that a refusal of `units` has a reason.
    fn check(&self, ask: &Ask, told: &Told, ledger: &Ledger) -> Result<(), String> {
        let Ask::Checkout {
            user,
            item,
            quantity,
            ..
        } = ask
        else {
            return Ok(());
        };
        let Some((id, place)) = ledger.item(item) else {
            return Ok(());
        };
        let (sale, units) = (&ledger.sales[&id], u64::from(*quantity));
        let by_user = self.by_user.get(&(id, *user)).copied().unwrap_or(0);
        let by_item = self.by_item.get(&(id, place)).copied().unwrap_or(0);
        let has_reason = match told.error() {
            Some("user_limit_exceeded") => {
                by_user + units > u64::from(sale.terms.max_items_per_user)
            }
            Some("item_limit_exceeded") => {
                let of_user = self.by_user_and_item.get(&(id, *user, place));
                let of_user = of_user.copied().unwrap_or(0);
                sale.item_limits[place].is_some_and(|limit| of_user + units > limit)
            }
            Some("item_held") => {
                let holds = sale.terms.hold_seconds > 0 || sale.terms.payment.seconds > 0;
                holds && by_item + units > sale.least_stock[place]
            }
            Some("item_already_in_checkout") => by_user > 0,
            _ => true,
        };
        match has_reason {
            true => Ok(()),
            false => Err("there is no reason for that".into()),
        }
    }
}

fn checkout(ask: &Ask, told: &Told, ledger: &Ledger, chosen: &Chosen) -> Result<(), String> {
    let Ask::Checkout {
        user,
        item,
        quantity,
        ..
    } = ask
    else {
        return Ok(());
    };
    if told.status != 200 {
        return match is_refusal(told) {
            true => chosen.check(ask, told, ledger),
            false => Err("no such answer is known".into()),
        };
    }
    let body = json(told)?;
    let code = body["code"].as_str().ok_or("no code")?;
    let checkout = find(code, ledger)?;
    if checkout.user != format!("user-{user}") {
        return Err("it is the checkout of somebody else".into());
    }
    let (_, place) = ledger.item(item).ok_or("the item is not written")?;
    let line = (place as u32, *quantity);
    match checkout.chosen.contains(&line) {
        true => Ok(()),
        false => Err("the line is not written".into()),
    }
}

/// Checks the answer to somebody who begins a payment.
fn payment(code: &str, told: &Told, ledger: &Ledger) -> Result<(), String> {
    if told.status != 200 {
        return purchase(code, told, ledger);
    }
    let checkout = find(code, ledger)?;
    let lost = checkout.paying.as_ref().ok_or("no payment is written")?;
    let body = json(told)?;
    for item in body["items"].as_array().ok_or("no items")? {
        let id = item["id"].as_str().ok_or("an item without its id")?;
        let (_, place) = ledger.item(id).ok_or("an item that is not written")?;
        let is_lost = lost.contains(&(place as u32));
        if item["reserved"] != Value::Bool(!is_lost) {
            return Err(format!("lost are {lost:?}"));
        }
    }
    Ok(())
}

/// Checks that whoever begins a payment again is told the same, byte for byte, as long as nothing is given back.
fn one_answer_a_payment(events: &[Event], ledger: &Ledger) -> Result<(), String> {
    let mut first: BTreeMap<&str, &Told> = BTreeMap::new();
    for event in events {
        let Some(told) = event.told.as_ref().filter(|told| told.status == 200) else {
            continue;
        };
        let Ask::Pay { code } = &event.ask else {
            continue;
        };
        let before = *first.entry(code).or_insert(told);
        if before.body != told.body && find(code, ledger)?.given_back.is_empty() {
            return Err(format!(
                "{:?} was told {} and {}",
                event.ask,
                text(before),
                text(told)
            ));
        }
    }
    Ok(())
}

/// Checks the answer to a purchase, or to whoever comes after one.
pub(crate) fn purchase(code: &str, told: &Told, ledger: &Ledger) -> Result<(), String> {
    let error = told.error();
    let has_result =
        told.status == 200 || matches!(error, Some("already_processed" | "all_items_sold"));
    if !has_result {
        return refused_code(code, told, ledger);
    }
    let body = json(told)?;
    let result = match error {
        Some("already_processed") => &body["result"],
        _ => &body,
    };
    let Some(End::Processed(lines)) = &find(code, ledger)?.end else {
        return Err("no purchase is written".into());
    };
    let shown = result["purchased_items"].as_array();
    let shown: Vec<bool> = shown
        .ok_or("no items")?
        .iter()
        .map(|item| item["sold"] == Value::Bool(true))
        .collect();
    let written: Vec<bool> = lines.iter().map(|line| line.sold).collect();
    match shown == written {
        true => Ok(()),
        false => Err(format!("sold are {written:?}")),
    }
}

/// Checks the answer to a shop that confirms a payment. One that may come late is not refused for that before the sale is closed.
fn confirmation(code: &str, late: bool, told: &Told, ledger: &Ledger) -> Result<(), String> {
    let is_over = |code: CheckoutCode| {
        let closing = ledger.sales[&code.sale].closing;
        closing.is_some_and(|closing| closing <= told.newest)
    };
    if late && told.error() == Some("checkout_expired") && !code.parse().is_ok_and(is_over) {
        return Err("the sale goes on, and it may come late".into());
    }
    purchase(code, told, ledger)
}

/// Checks the refusal of a code that somebody was told.
pub(crate) fn refused_code(code: &str, told: &Told, ledger: &Ledger) -> Result<(), String> {
    let written = || find(code, ledger);
    match told.error() {
        Some("checkout_expired") => match written()? {
            expired if expired.has_expired => Ok(()),
            other => Err(format!("written is {:?}", other.end)),
        },
        Some("checkout_not_found") => match &written()?.end {
            Some(End::GivenBack) => Ok(()),
            // Another leader has given it in the meantime: what is not acknowledged may be two seconds old.
            _ if told.teller.is_some_and(|teller| teller.stale_us.is_some()) => Ok(()),
            other => Err(format!("written is {other:?}")),
        },
        _ if is_refusal(told) => Ok(()),
        _ => Err("no such answer is known".into()),
    }
}

fn look(path: &str, told: &Told) -> Result<(), String> {
    match told.status {
        200 => json(told).map(drop),
        400 | 409 if path.starts_with("/checkout") => Ok(()),
        404 | 503 => Ok(()),
        _ => Err("no such answer is known".into()),
    }
}

/// Checks that one process alone sells in each time of a leader, and that nobody is told what was true before the last two seconds.
fn tellers(events: &[Event]) -> Result<(), String> {
    let mut leaders = BTreeMap::new();
    for event in events {
        let Some(told) = &event.told else { continue };
        let Some(teller) = told.teller else { continue };
        if told.status == 503 || matches!(event.ask, Ask::Look { .. }) {
            continue;
        }
        let leader = *leaders.entry(teller.epoch).or_insert(teller.process);
        if leader != teller.process {
            return Err(format!(
                "processes {leader} and {} both answer as leaders in epoch {}",
                teller.process, teller.epoch
            ));
        }
        if let Some(stale_us) = teller.stale_us.filter(|us| *us > STALE_US_MAX) {
            return Err(format!(
                "{:?} was told {} by one in whose place another one had led for {stale_us} us",
                event.ask,
                text(told)
            ));
        }
    }
    Ok(())
}

/// Checks that a key brings the first answer again, byte for byte.
fn same_key_same_answer(events: &[Event]) -> Result<(), String> {
    let mut first: BTreeMap<String, &Told> = BTreeMap::new();
    for event in events {
        let Some(told) = event.told.as_ref().filter(|told| told.status == 200) else {
            continue;
        };
        let (key, name) = match &event.ask {
            Ask::Checkout { key, .. } => (key, event.ask.identity()),
            Ask::Purchase { key, .. } => (key, event.ask.identity()),
            // Its reference is its key.
            Ask::Cancel(_) | Ask::Confirm { .. } => (&Some(0), event.ask.identity()),
            Ask::Release { .. } | Ask::Pay { .. } | Ask::Stock(_) | Ask::Look { .. } => continue,
        };
        if key.is_none() {
            continue;
        }
        let before = *first.entry(name).or_insert(told);
        if before.body != told.body {
            return Err(format!(
                "{:?} was told {} and {}",
                event.ask,
                text(before),
                text(told)
            ));
        }
    }
    Ok(())
}

/// Checks that a code succeeds once; and again, only with the key that came with it.
fn one_success_a_code(events: &[Event]) -> Result<(), String> {
    let mut first: BTreeMap<&str, Option<(bool, u64)>> = BTreeMap::new();
    for event in events {
        let (code, key) = match &event.ask {
            Ask::Purchase { code, key } => (code, key.map(|key| (false, key))),
            Ask::Confirm { code, payment, .. } => (code, Some((true, *payment))),
            _ => continue,
        };
        if event.told.as_ref().is_some_and(|told| told.status == 200)
            && let Some(before) = first.insert(code, key)
            && (before != key || key.is_none())
        {
            return Err(format!(
                "{code} succeeds twice, with {before:?} and {key:?}"
            ));
        }
    }
    Ok(())
}

/// Checks that nobody is told that a sale is not active who asked while it was, and was answered while it still was: a sale
/// that is durable, as others are not active yet.
fn over_is_over(events: &[Event], ledger: &Ledger) -> Result<(), String> {
    for event in events {
        let Some(told) = &event.told else { continue };
        let sale = match &event.ask {
            Ask::Checkout { item, .. } => ledger.item(item).map(|(sale, _)| sale),
            Ask::Purchase { code, .. }
            | Ask::Release { code, .. }
            | Ask::Pay { code }
            | Ask::Confirm { code, .. } => code.parse().ok().map(|code: CheckoutCode| code.sale),
            Ask::Stock(_) | Ask::Cancel(_) | Ask::Look { .. } => None,
        };
        if told.error() == Some("sale_not_active")
            && let Some(sale) = sale.and_then(|sale| ledger.sales.get(&sale))
            && sale.created <= event.durable
            && sale.terms.started_at <= event.time
            && told.time < sale.terms.ended_at
        {
            return Err(format!("{:?} was told {} in time", event.ask, text(told)));
        }
    }
    Ok(())
}

/// Checks that somebody has asked for everything that is written.
fn nothing_unasked(events: &[Event], ledger: &Ledger) -> Result<(), String> {
    let mut checkouts = BTreeSet::new();
    let mut purchases = BTreeSet::new();
    for event in events {
        match &event.ask {
            Ask::Checkout {
                user,
                item,
                quantity,
                ..
            } => {
                if let Some((sale, place)) = ledger.item(item) {
                    checkouts.insert((sale, place as u32, *quantity, *user));
                }
            }
            // One of which nothing could be reserved is over as well.
            Ask::Purchase { code, .. } | Ask::Pay { code } | Ask::Confirm { code, .. } => {
                purchases.extend(
                    code.parse::<CheckoutCode>()
                        .map(|code| (code.sale, code.secret)),
                );
            }
            Ask::Release { .. } | Ask::Stock(_) | Ask::Cancel(_) | Ask::Look { .. } => {}
        }
    }
    for (code, checkout) in &ledger.checkouts {
        let user = checkout.user.strip_prefix("user-");
        let user = user.and_then(|user| user.parse().ok()).unwrap_or(u64::MAX);
        let line = checkout
            .chosen
            .iter()
            .find(|(item, quantity)| !checkouts.contains(&(code.0, *item, *quantity, user)));
        if let Some(line) = line {
            return Err(format!(
                "nobody has asked for {line:?} of {}",
                checkout.user
            ));
        }
        let is_processed = matches!(checkout.end, Some(End::Processed(_)));
        if is_processed && !purchases.contains(code) {
            return Err(format!(
                "nobody has asked to buy what {} has",
                checkout.user
            ));
        }
    }
    Ok(())
}
