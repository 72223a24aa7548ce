//! The engine: the sales, the journal, and what the outside world lends them.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};

use super::ended_sale::{EndedSale, EndedSales};
use super::id_allocator::IdAllocator;
use super::outcome::{CodeOutcome, Decision, SaleDecision, Unavailable};
use super::registry::SaleRegistry;
use super::sale::Sale;
use super::state::State;
use crate::env::{Clock, Entropy};
use crate::journal::{Journal, NotAdmitted};
use crate::types::{CheckoutCode, SaleId, Timestamp};

/// Options of an engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineOptions {
    /// Refused checkout attempts are recorded too.
    pub record_refused: bool,
    /// The opening of each sale is recorded, for those who are told of events.
    pub record_openings: bool,
}

/// Sells. Shared by all threads.
pub struct Engine {
    pub(super) journal: Arc<Journal>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) options: EngineOptions,
    pub(super) registry: ArcSwap<SaleRegistry>,
    /// The sales that have left memory. A sale comes in here before it leaves the registry, so that
    /// whoever looks there first and then here finds it.
    pub(super) ended: RwLock<EndedSales>,
    /// Held while a sale comes into the registry, is closed or leaves: one at a time, and never for long.
    pub(super) administration: Mutex<IdAllocator>,
    changes: AtomicU64,
    draining: AtomicBool,
    /// By how much the wall clock that is believed is ahead of the steady one, in microseconds.
    believed_ahead_us: AtomicI64,
}

/// In the place of that while the wall clock is in doubt.
const IN_DOUBT: i64 = i64::MIN;
/// By how much the wall clock may differ from the one that is believed, in microseconds.
const CLOCK_ERROR_US_MAX: i64 = 1_000_000;

impl Engine {
    /// An engine that goes on from `state`, which the journal's records have led to.
    #[must_use]
    pub fn new(
        state: State,
        journal: Arc<Journal>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        options: EngineOptions,
    ) -> Self {
        let administration = Mutex::new(IdAllocator::with_free(state.announced_sales()));
        let clock_ahead_us = clock.now().0 - clock.steady().0;
        let (registry, ended) = state.into_parts();
        for sale in registry.open() {
            sale.hasten_holds(clock.steady());
        }
        let engine = Self {
            journal,
            clock,
            entropy,
            options,
            registry: ArcSwap::from_pointee(registry),
            ended: RwLock::new(ended),
            administration,
            changes: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            believed_ahead_us: AtomicI64::new(clock_ahead_us),
        };
        engine.await_openings();
        engine
    }

    /// A sale by its number.
    #[must_use]
    pub fn sale(&self, id: SaleId) -> Option<Arc<Sale>> {
        self.registry.load().get(id).cloned()
    }

    /// Returns the units that a sale began with, whether it is in memory or has left it; `None` where there is no such sale.
    #[must_use]
    pub fn units_of(&self, id: SaleId) -> Option<u64> {
        let known = || {
            let sale = self.sale(id).map(|sale| sale.catalogue.units());
            sale.or_else(|| self.ended().get(id).map(EndedSale::first_total))
        };
        known().or_else(|| {
            // One whose record was just appended is shown before this lock is given back.
            drop(self.administration.lock());
            known()
        })
    }

    /// The running sale that started last.
    #[must_use]
    pub fn active_sale(&self) -> Option<Arc<Sale>> {
        self.registry.load().active(self.clock.now()).cloned()
    }

    /// All running sales, the one that started last first.
    #[must_use]
    pub fn active_sales(&self) -> Vec<Arc<Sale>> {
        let (registry, now) = (self.registry.load(), self.clock.now());
        registry.all_active(now).cloned().collect()
    }

    /// All sales in memory, the newest first.
    #[must_use]
    pub fn sales(&self) -> Vec<Arc<Sale>> {
        self.registry.load().all().iter().rev().cloned().collect()
    }

    /// The sales that are not closed, the one that starts last first.
    #[must_use]
    pub fn open_sales(&self) -> Vec<Arc<Sale>> {
        self.registry.load().open().to_vec()
    }

    /// Returns the summaries of the sales that have left memory. While the result is alive, no sale leaves memory;
    /// to find a sale, call [`Self::sale`] first.
    #[must_use]
    pub fn ended(&self) -> impl Deref<Target = EndedSales> + '_ {
        self.ended.read()
    }

    /// Decides in the sale that `code` belongs to. Where that has left memory, or is not known, the outcome says so.
    pub(super) fn in_sale_of<T: CodeOutcome>(
        &self,
        code: CheckoutCode,
        decide: impl FnOnce(&Sale) -> Decision<T>,
    ) -> SaleDecision<T> {
        let registry = self.registry.load();
        match registry.get(code.sale) {
            Some(sale) => SaleDecision::new(decide(sale), sale),
            None if self.ended().get(code.sale).is_some() => {
                SaleDecision::immediate(T::SALE_ARCHIVED)
            }
            None => SaleDecision::immediate(T::CHECKOUT_NOT_FOUND),
        }
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// From now on no new work is taken. What was decided is still answered.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Returns whether the engine is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Replaces the sales, under the lock of the administration.
    pub(super) fn set_registry(&self, registry: SaleRegistry) {
        self.registry.store(Arc::new(registry));
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes by how much the wall clock is ahead of the steady one, in microseconds, as whoever watches both
    /// believes; `None` while it is in doubt.
    pub fn believe_clock(&self, ahead_us: Option<i64>) {
        let ahead_us = ahead_us.unwrap_or(IN_DOUBT);
        self.believed_ahead_us.store(ahead_us, Ordering::Relaxed);
    }

    /// Returns whether the wall clock is believed. Otherwise nothing is done by it that cannot be undone.
    #[must_use]
    pub fn is_clock_believed(&self) -> bool {
        let believed_us = self.believed_ahead_us.load(Ordering::Relaxed);
        let ahead_us = self.clock.now().0 - self.clock.steady().0;
        believed_us != IN_DOUBT && (ahead_us - believed_us).abs() < CLOCK_ERROR_US_MAX
    }

    /// Returns how often sales have come or gone.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Admits a decision that must be recorded, or refuses it.
    pub(super) fn admit(&self) -> Result<(), Unavailable> {
        if self.is_draining() {
            return Err(Unavailable::Draining);
        }
        self.journal.admit().map_err(|reason| match reason {
            NotAdmitted::Overloaded => Unavailable::Overloaded,
            NotAdmitted::NotWritable => Unavailable::Journal,
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
