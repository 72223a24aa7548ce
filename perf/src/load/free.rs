//! Which items a run asks for: such as can be had when it begins.

use super::LoadError;
use super::journey::HOT_ITEMS;
use super::plan::{Mode, Plan, Sale, Workload};
use super::shop::Shop;

/// Chooses the items for a run; none where the workload asks for any or for none. Where the plan names the
/// sale, nobody is asked: all of its items count as free.
pub(super) fn choose(plan: &Plan, sale: Sale, shop: Shop) -> Result<Vec<u32>, LoadError> {
    let Some(wanted) = wanted(plan) else {
        return Ok(Vec::new());
    };
    let mut free = match plan.sale {
        Some(_) => whole_sale(sale, plan.first_item, wanted),
        None => shop.free_items(sale, plan.first_item, wanted)?,
    };
    let needed = needed(plan);
    if (free.len() as u64) < needed {
        let (workload, found) = (plan.workload.name(), free.len());
        return Err(LoadError::Plan(format!(
            "the workload {workload} needs {needed} free items, and sale {} has {found} of {}",
            sale.id, sale.total_items
        )));
    }
    if plan.workload == Workload::Checkout {
        fastrand::Rng::with_seed(plan.seed).shuffle(&mut free);
    }
    Ok(free)
}

/// Most free items that are looked for.
fn wanted(plan: &Plan) -> Option<u64> {
    match plan.workload {
        Workload::Checkout | Workload::Buy => Some(plan.journeys_max()),
        Workload::Purchase => Some(plan.prepare.next_multiple_of(plan.threads as u64)),
        Workload::HotItem => Some(HOT_ITEMS as u64),
        Workload::OneUser | Workload::ManyUsers | Workload::Realistic => Some(1),
        Workload::SoldOut | Workload::Active | Workload::Browse => None,
    }
}

/// Returns how many there must be, so that the plan can be carried out.
fn needed(plan: &Plan) -> u64 {
    let needed = match (plan.workload, plan.mode) {
        (Workload::Buy, Mode::Open { .. }) => plan.planned().unwrap_or(0.0) as u64,
        // Each thread prepares the same number.
        (Workload::Purchase, _) => plan.prepare.next_multiple_of(plan.threads as u64),
        _ => 1,
    };
    needed.max(1)
}

/// Items of a sale that is given, from `first` on and then from the beginning.
fn whole_sale(sale: Sale, first: u32, wanted: u64) -> Vec<u32> {
    let first = first.min(sale.total_items);
    let items = (first..sale.total_items).chain(0..first);
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    items.take(wanted).collect()
}
