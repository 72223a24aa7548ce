//! The parts of a sale, without the engine around them, and a model that sees them from within.

#[path = "../../src/sale/baskets.rs"]
pub mod baskets;
#[path = "../../src/sale/buyers.rs"]
pub mod buyers;
#[path = "../../src/sale/cancelled.rs"]
mod cancelled;
#[path = "../../src/sale/catalogue.rs"]
pub mod catalogue;
#[path = "../../src/sale/codes.rs"]
mod codes;
#[path = "../../src/sale/conservation.rs"]
mod conservation;
#[path = "../../src/sale/give_back.rs"]
mod give_back;
#[path = "../../src/sale/inventory.rs"]
mod inventory;
#[path = "../../src/sale/item_limits.rs"]
mod item_limits;
#[path = "../../src/sale/keys.rs"]
mod keys;
#[path = "../../src/sale/outcome.rs"]
mod outcome;
#[path = "../../src/sale/phase.rs"]
mod phase;
#[allow(clippy::module_inception, reason = "named as in the server")]
#[path = "../../src/sale/sale.rs"]
mod sale;
#[path = "../../src/sale/single.rs"]
mod single;
#[path = "../../src/sale/sold_out.rs"]
mod sold_out;
#[path = "../../src/sale/stock.rs"]
pub mod stock;
#[path = "../../src/sale/stock_changes.rs"]
mod stock_changes;

#[path = "cancel.rs"]
mod cancel;
#[path = "hold.rs"]
mod hold;
#[path = "opening.rs"]
mod opening;
#[path = "restock.rs"]
mod restock;

fn lane() -> usize {
    0
}
