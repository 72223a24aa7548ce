//! Figures of the sales: stock, and conservation of units.

use super::exposition::{Exposition, FamilyKind};
use crate::operations::View;
use crate::sale::SaleStatus;
use crate::types::Timestamp;

pub(super) fn write(view: &View, out: &mut Exposition) {
    write_listed(view, out);
    let (open, now) = (view.engine().open_sales(), view.now());
    let active = open
        .iter()
        .filter(|sale| sale.status(now) == SaleStatus::Active);
    out.gauge(
        "sales_open",
        "Sales that are not over, also those that have not begun.",
        open.len() as u64,
    );
    out.gauge(
        "sales_active",
        "Sales that sell now.",
        active.count() as u64,
    );
    out.gauge(
        "sale_rotation_due_timestamp_seconds",
        "When the next sale of the rotation has to begin to sell.",
        seconds(view.rotation_due()),
    );
    out.gauge(
        "sale_units_conserved",
        "1 while sold, held and free units of every open sale are its stock, else 0.",
        view.are_all_conserved(),
    );
    out.gauge(
        "sale_hold_overdue_seconds",
        "How long ago the earliest hold that is still there should have run out.",
        view.hold_overdue_us() as f64 / 1e6,
    );
    out.gauge(
        "sale_holds_unaccounted_units",
        "Units of open sales that have been held for half a minute, and by no open checkout.",
        view.all_unaccounted(),
    );
    let paying = open.iter().map(|sale| sale.payments_under_way());
    out.gauge(
        "sale_payments_under_way",
        "Payments of open sales that were begun, and are neither confirmed nor over.",
        paying.sum::<u64>(),
    );
    out.gauge(
        "sale_viewers",
        "Those who watch a sale over a stream.",
        view.viewers(),
    );
}

/// Adds the families with a sample for each sale: the active ones and the next ones, a bounded number.
fn write_listed(view: &View, out: &mut Exposition) {
    let sales = view.listed_sales();
    let mut stock = out.family(
        "sale_stock_units",
        FamilyKind::Gauge,
        "Units of a sale that is not over, by what became of them.",
    );
    for sale in &sales {
        let (id, figures) = (sale.id().to_string(), sale.figures());
        for (state, units) in [
            ("sold", figures.sold),
            ("held", figures.held),
            ("free", figures.free()),
        ] {
            stock.sample(&[("sale", &id), ("state", state)], units);
        }
    }
    let mut cancelled = out.family(
        "sale_cancelled_units",
        FamilyKind::Gauge,
        "Units of a sale that is not over that were sold, and cancelled since.",
    );
    for sale in &sales {
        let id = sale.id().to_string();
        cancelled.sample(&[("sale", &id)], sale.units_cancelled());
    }
    let mut ends = out.family(
        "sale_ends_timestamp_seconds",
        FamilyKind::Gauge,
        "When a sale that is not over ends.",
    );
    for sale in &sales {
        let id = sale.id().to_string();
        ends.sample(&[("sale", &id)], seconds(sale.ended_at()));
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1e6
}
