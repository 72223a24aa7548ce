//! The sale engine: decides in memory, with atomics, what the journal then makes durable.
//!
//! [`Engine::checkout`] and [`Engine::purchase`] are plain synchronous functions: they take stock,
//! enqueue the record and return a [`Decision`], which may be told once its record is durable. A
//! caller that vanishes in between can neither leak stock nor lose a record.
//!
//! **Invariants.** Stock and quota are taken *before* their record is enqueued, and given back only
//! *after* it is, so every prefix of the journal is a state in which nothing is oversold.
//! `free + held + sold == stock` for every item. Nothing here waits, and nothing here knows HTTP.
//!
//! A checkout's hold ends in one place: under the lock of its buyer's shard, where its timer is, too. So a
//! purchase, an expiry and the sale's closing cannot meet, and what it held comes back once.
//!
//! Locks are taken in this order: a buyer's shard; then the codes, a pool's reserve or the journal's
//! queue, one at a time.

pub mod outcome;
pub mod stock;

mod archive;
mod baskets;
mod buyers;
mod cancellation;
mod cancelled;
mod catalogue;
mod changes;
mod checkout;
mod codes;
mod confirmation;
mod conservation;
mod contents;
mod creation;
mod durability;
mod ended_sale;
mod engine;
mod file;
mod following;
mod give_back;
mod housekeeping;
mod id_allocator;
mod inventory;
mod item_batches;
mod item_limits;
mod keys;
mod lifecycle;
mod opening;
mod overview;
mod payment;
mod phase;
mod proven_users;
mod public;
mod purchase;
mod registry;
mod replay;
#[allow(
    clippy::module_inception,
    reason = "the noun of the part is also one of its files"
)]
mod sale;
mod single;
mod snapshotting;
mod sold_out;
mod state;
mod state_writer;
mod stock_changes;
mod support_queries;
#[cfg(test)]
pub(crate) mod test_engine;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use crate::record::{CatalogueKind, NewItem, SaleChange, SaleTerms};
pub use archive::{Archive, Loader, NotLoaded, SaleSource, VisitEntry};
pub use cancellation::CancelRequest;
pub use cancelled::Cancellation;
pub use changes::{ChangeError, StockChangeError, StockChangeRequest};
pub use checkout::CheckoutRequest;
pub use confirmation::ConfirmRequest;
pub use contents::ReleaseRequest;
pub use creation::{
    CreateError, NewCatalogue, NewSale, REPEATED_ITEM_ID, check_image_url, check_item_id,
    check_item_name,
};
pub use durability::WorkerCommits;
pub use ended_sale::{EndedSale, EndedSales};
pub use engine::{Engine, EngineOptions};
pub use file::{
    CheckedFiles, Folding, check_files, load as load_ended, missing_files, rewrite_files,
};
pub use following::FollowingState;
pub use housekeeping::{Housekeeper, Housekeeping, Keeper, Retention};
pub use inventory::{Balance, Gap};
pub use outcome::{
    BasketLine, BegunPayment, CancelOutcome, CheckoutContents, CheckoutOutcome, ConfirmOutcome,
    ContentsOutcome, Decision, PaymentOutcome, PurchaseOutcome, SaleDecision, StockFigures,
    Unavailable,
};
pub use overview::Overview;
pub use sale::{Closing, ItemView, Sale, SaleStatus};
pub use snapshotting::write_snapshot;
pub use state::{Recovered, State};
pub use state_writer::Visit;
pub use stock_changes::{StockChange, stock_max};
pub use support_queries::{CheckoutState, CheckoutView, PurchaseMark, PurchasePage, PurchaseView};

/// The calling thread's lane: threads with different lanes use different shards of a counter.
fn lane() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static LANE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed)));
    LANE.get()
}
