//! A running server's memory, held against the journal that it writes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::ledger::{Ledger, LedgerError};
use super::report::Report;
use super::server::{InspectedServer, ServerError, ShownItem, ShownSale, ShownStock};
use crate::reconcile::Mismatches;
use crate::sale::{Sale, State};
use crate::types::{ItemIndex, SaleId, Timestamp, counted};

/// Attempts to read a sale's memory while it moves, or seems to be different.
const LOOKS_MAX: usize = 5;
const PAUSE: Duration = Duration::from_millis(300);
/// Sales that are compared item by item: those that are open, and the newest.
const SALES_BY_ITEM_MAX: usize = 24;

/// Answers of the server, to one request after the other.
struct Shown {
    sales: Vec<ShownSale>,
    stock: BTreeMap<String, ShownStock>,
    items: BTreeMap<SaleId, Vec<ShownItem>>,
    /// Sales whose stock has changed meanwhile.
    restocked: BTreeSet<SaleId>,
}

/// Units sold when the looking began. While no stock changes, nothing that is sold is ever given back, so that no figure that
/// is shown later may be lower.
struct Before {
    sales: BTreeMap<SaleId, (u64, Vec<u64>)>,
    /// How often the stock of each sale in memory had changed.
    stock_changes: BTreeMap<SaleId, u64>,
}

/// Compares, and says what came of it.
///
/// # Errors
/// The output is gone; all else is part of the report.
pub(super) fn compare(
    server: &InspectedServer,
    ledger: &mut Ledger,
    report: &mut Report<'_>,
) -> io::Result<()> {
    let mut last = None;
    for look in 0..LOOKS_MAX {
        if look > 0 {
            thread::sleep(PAUSE);
        }
        match compare_once(server, ledger) {
            Ok((true, findings)) if findings.count == 0 => {
                return print_agreement(ledger, report, "nothing moved meanwhile");
            }
            // What was taken and not yet recorded looks different for a moment.
            Ok(found) => last = Some(found),
            Err(error) if error.is_difference() => return report.different(&error.to_string()),
            Err(error) => return report.unchecked(&format!("memory: {error}")),
        }
    }
    match last {
        Some((_, findings)) if findings.count > 0 => report.findings("memory", &findings),
        _ => print_agreement(
            ledger,
            report,
            "it kept moving, so every figure was held between the journal's before and after",
        ),
    }
}

fn print_agreement(ledger: &Ledger, report: &mut Report<'_>, how: &str) -> io::Result<()> {
    let sales = ledger.state.sales().len() + ledger.state.ended().count();
    let by_item = sales.min(SALES_BY_ITEM_MAX);
    report.note(&format!(
        "memory: {}, {by_item} item by item, as in the journal up to record {} ({how})",
        counted(sales as u64, "sale", "sales"),
        ledger.at
    ))
}

/// Looks once: whether nothing moved, and what was different.
fn compare_once(
    server: &InspectedServer,
    ledger: &mut Ledger,
) -> Result<(bool, Mismatches), LedgerError> {
    let before = server.health()?;
    ledger.advance(before.durable())?;
    let chosen = chosen(ledger)?;
    let sold_before = Before::of(&ledger.state, &chosen);
    let mut shown = Shown::read(server, &chosen)?;
    let after = server.settled()?;
    ledger.advance(after.durable())?;
    let still = after.is_still_as(&before);
    if !still {
        shown.note_restocked(&ledger.state, &sold_before);
    }
    let mut findings = Mismatches::default();
    compare_sales(&ledger.state, &sold_before, &shown, still, &mut findings);
    compare_chosen(
        &ledger.state,
        &chosen,
        &sold_before,
        &shown,
        still,
        &mut findings,
    );
    Ok((still, findings))
}

/// The sales to be compared item by item. Archived ones come from their files; where those were removed,
/// the server has nothing of its own to compare either.
fn chosen(ledger: &Ledger) -> Result<BTreeMap<SaleId, Arc<Sale>>, LedgerError> {
    let sales = ledger.state.sales();
    let open = sales.iter().filter(|sale| !sale.is_closed());
    let closed = sales.iter().filter(|sale| sale.is_closed());
    let newest_first = open.rev().chain(closed.rev()).take(SALES_BY_ITEM_MAX);
    let mut chosen: BTreeMap<_, _> = newest_first
        .map(|sale| (sale.id(), Arc::clone(sale)))
        .collect();
    for ended in ledger.state.ended().newest_first() {
        if chosen.len() >= SALES_BY_ITEM_MAX {
            break;
        }
        chosen.extend(ledger.load(ended)?.map(|sale| (ended.id, sale)));
    }
    Ok(chosen)
}

impl Shown {
    fn read(
        server: &InspectedServer,
        chosen: &BTreeMap<SaleId, Arc<Sale>>,
    ) -> Result<Self, ServerError> {
        let items = chosen.keys().map(|&sale| Ok((sale, server.items(sale)?)));
        Ok(Self {
            items: items.collect::<Result<_, _>>()?,
            sales: server.sales()?,
            stock: server.health()?.stock,
            restocked: BTreeSet::new(),
        })
    }

    /// Notes the sales whose stock has changed since `before`: what was shown of them is of a moment that is not known.
    fn note_restocked(&mut self, state: &State, before: &Before) {
        let now = Before::stock_changes_of(state);
        let changed = now
            .into_iter()
            .filter(|(id, count)| before.stock_changes.get(id).is_some_and(|it| it != count));
        self.restocked = changed.map(|(id, _)| id).collect();
    }
}

impl Before {
    fn of(state: &State, chosen: &BTreeMap<SaleId, Arc<Sale>>) -> Self {
        let sales = state.overviews(Timestamp(0)).map(|sale| {
            let of_items = chosen.get(&sale.id).map(|sale| sold_by_item(sale));
            (sale.id, (sale.sold, of_items.unwrap_or_default()))
        });
        Self {
            sales: sales.collect(),
            stock_changes: Self::stock_changes_of(state),
        }
    }

    fn stock_changes_of(state: &State) -> BTreeMap<SaleId, u64> {
        let sales = state.sales().iter();
        sales
            .map(|sale| (sale.id(), sale.stock_change_count()))
            .collect()
    }
}

fn sold_by_item(sale: &Sale) -> Vec<u64> {
    let views = (0..sale.item_count()).filter_map(|index| sale.item_view(ItemIndex(index)));
    views.map(|item| item.sold).collect()
}

/// With `still`, everything must be equal; otherwise nothing may be less than before or more than now.
fn compare_sales(
    state: &State,
    before: &Before,
    shown: &Shown,
    still: bool,
    findings: &mut Mismatches,
) {
    let mut by_id: BTreeMap<&str, &ShownSale> =
        shown.sales.iter().map(|sale| (&*sale.id, sale)).collect();
    for sale in state.overviews(Timestamp(0)) {
        let id = sale.id.to_string();
        let known = before.sales.get(&sale.id);
        let Some(shown_sale) = by_id.remove(&*id) else {
            if still || known.is_some() {
                findings.add(|| format!("sale {id} is not there"));
            }
            continue;
        };
        if shown.restocked.contains(&sale.id) {
            continue;
        }
        if shown_sale.total_items != sale.total {
            findings.add(|| {
                let (shown, ours) = (shown_sale.total_items, sale.total);
                let shown = counted(shown, "unit", "units");
                format!("sale {id}: {shown}, the journal has {ours}")
            });
        }
        let bounds = (known.map_or(0, |(sold, _)| *sold), sale.sold);
        check_sold(&id, shown_sale.items_sold, bounds, still, findings);
    }
    for id in by_id.keys() {
        findings.add(|| format!("sale {id} is not in the journal"));
    }
}

/// Compares the stock of sales in memory, and the items of the chosen sales.
fn compare_chosen(
    state: &State,
    chosen: &BTreeMap<SaleId, Arc<Sale>>,
    before: &Before,
    shown: &Shown,
    still: bool,
    findings: &mut Mismatches,
) {
    let is_restocked = |id: &SaleId| shown.restocked.contains(id);
    for sale in state.sales().iter().filter(|it| !is_restocked(&it.id())) {
        let id = sale.id().to_string();
        if let Some(stock) = shown.stock.get(&id) {
            let least = before.sales.get(&sale.id()).map_or(0, |(sold, _)| *sold);
            let figures = sale.figures();
            check_sold(&id, stock.sold, (least, figures.sold), still, findings);
            check_stock(&id, stock, figures.held, still, findings);
        }
    }
    for (id, sale) in chosen.iter().filter(|(id, _)| !is_restocked(id)) {
        if let (Some(items), Some((_, least))) = (shown.items.get(id), before.sales.get(id)) {
            compare_items(sale, least, items, still, findings);
        }
    }
}

fn check_sold(id: &str, shown: u64, bounds: (u64, u64), still: bool, findings: &mut Mismatches) {
    let (least, most) = bounds;
    let least = if still { most } else { least };
    if !(least..=most).contains(&shown) {
        findings.add(|| format!("sale {id}: {shown} sold, the journal has {least} to {most}"));
    }
}

fn check_stock(id: &str, stock: &ShownStock, held: u64, still: bool, findings: &mut Mismatches) {
    if still && stock.held != held {
        findings.add(|| format!("sale {id}: {} held, the journal has {held}", stock.held));
    }
    if stock.sold > stock.total {
        findings.add(|| format!("sale {id}: {} sold of {}", stock.sold, stock.total));
    }
}

fn compare_items(
    sale: &Sale,
    sold_before: &[u64],
    shown: &[ShownItem],
    still: bool,
    findings: &mut Mismatches,
) {
    let id = sale.id();
    if shown.len() != sale.item_count() as usize {
        let (shown, ours) = (shown.len(), sale.item_count());
        let shown = counted(shown as u64, "item", "items");
        findings.add(|| format!("sale {id}: {shown}, the journal has {ours}"));
        return;
    }
    for (index, (item, least)) in (0..).zip(shown.iter().zip(sold_before)) {
        let Some(ours) = sale.item_view(ItemIndex(index)) else {
            continue;
        };
        if item.id != ours.id || item.stock != ours.stock {
            findings.add(|| format!("sale {id}: item {index} is another one, or another stock"));
            continue;
        }
        let taken = ours.stock - ours.remaining;
        let shown_taken = item.stock.saturating_sub(item.remaining);
        // What is held may be given back, or have been taken and given back meanwhile.
        let fits = if still {
            shown_taken == taken
        } else if sale.may_hold() {
            shown_taken >= *least
        } else {
            (*least..=ours.sold).contains(&shown_taken)
        };
        if !fits {
            findings.add(|| {
                format!(
                    "sale {id}, item {}: {shown_taken} taken, the journal has {taken}",
                    item.id
                )
            });
        }
    }
}
