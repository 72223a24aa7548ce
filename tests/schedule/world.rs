//! An engine with its agenda, on a disk and a clock that are simulated.

use std::path::Path;
use std::sync::Arc;

use flashsale::env::{Disk, ManualClock, SeededEntropy, SimulatedDisk};
use flashsale::journal;
use flashsale::record::{Entry, Record};
use flashsale::sale::{
    CatalogueKind, CheckoutOutcome, CheckoutRequest, Engine, NewCatalogue, NewSale,
    PurchaseOutcome, Sale, SaleTerms, State, write_snapshot,
};
use flashsale::schedule::{ADDED_SEED, Agenda, Rotation};
use flashsale::types::{CheckoutCode, ItemId, Lsn, PaymentTerms, SaleId, Timestamp, UserId};

use crate::common::open_engine;

/// 08:00 of some day.
pub const EIGHT: i64 = 1_700_000_000 / 86_400 * 86_400 + 8 * 3600;

/// The seed of sales that somebody adds.
const ADDED: u64 = ADDED_SEED | 99;

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(EIGHT + seconds)
}

pub struct World {
    pub disk: SimulatedDisk,
    pub clock: Arc<ManualClock>,
    pub engine: Arc<Engine>,
    pub agenda: Agenda,
    pub rotation: Rotation,
    opened: u64,
}

pub fn rotation(interval_seconds: u32, hold_seconds: u32) -> Rotation {
    Rotation {
        interval_seconds,
        item_count: 20,
        max_items_per_user: 5,
        hold_seconds,
        payment: PaymentTerms::NONE,
        seed: 7,
    }
}

fn dir() -> &'static Path {
    Path::new("/journal")
}

impl World {
    /// A server that starts at 08:00 and some seconds.
    pub fn start(seconds: i64, rotation: Rotation) -> Self {
        let clock = Arc::new(ManualClock::at(at(seconds)));
        Self::open(SimulatedDisk::new(), clock, rotation, 0)
    }

    fn open(disk: SimulatedDisk, clock: Arc<ManualClock>, rotation: Rotation, seed: u64) -> Self {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let engine = open_engine(&shared, dir(), &clock, seed).expect("the journal is intact");
        let engine = Arc::new(engine);
        let mut agenda = Agenda::new(Arc::clone(&engine), rotation);
        agenda.catch_up().expect("the disk works");
        Self {
            disk,
            clock,
            engine,
            agenda,
            rotation,
            opened: seed,
        }
    }

    /// Stops the server, gently or by a power cut, and starts another when `seconds` have passed.
    pub fn restart_after(self, seconds: i64, gently: bool) -> Self {
        let wall = Timestamp(self.engine.clock().now().0 + seconds * 1_000_000);
        self.restart_at(wall, gently)
    }

    /// Restarts when the wall clock says `wall`.
    pub fn restart_at(self, wall: Timestamp, gently: bool) -> Self {
        let Self {
            disk,
            engine,
            rotation,
            opened,
            ..
        } = self;
        let disk = if gently {
            engine.journal().close();
            disk
        } else {
            engine.journal().flush().expect("the disk works");
            let survived = disk.crash(opened);
            engine.journal().close();
            survived
        };
        Self::open(disk, Arc::new(ManualClock::at(wall)), rotation, opened + 1)
    }

    /// Writes a snapshot, in which sales that were closed are only mentioned.
    pub fn snapshot(&self) {
        let journal = self.engine.journal();
        journal.flush().expect("the disk works");
        let entropy = SeededEntropy::new(self.opened);
        write_snapshot(&self.disk, dir(), journal.durable(), &*self.clock, &entropy)
            .expect("the disk works");
    }

    /// Lets time pass, with a look at the end of it only.
    pub fn pass(&mut self, seconds: i64) {
        self.clock.advance_us(seconds * 1_000_000);
        self.agenda.run_due();
    }

    /// The wall clock jumps, and is looked at.
    pub fn jump_to(&mut self, wall: Timestamp) {
        self.clock.jump_to(wall);
        self.agenda.run_due();
    }

    pub fn active(&self) -> Option<SaleId> {
        self.engine.active_sale().map(|sale| sale.id())
    }

    pub fn sale(&self, id: u32) -> Arc<Sale> {
        self.engine.sale(SaleId(id)).expect("it is there")
    }

    pub fn checkout(&self, user: &str, item: &str) -> CheckoutOutcome {
        let decision = self.engine.checkout(&CheckoutRequest {
            user: UserId::new(user).expect("an id"),
            item: ItemId::new(item).expect("an id"),
            quantity: 1,
            sale: None,
            key: None,
        });
        decision.outcome
    }

    pub fn code(&self, user: &str, item: &str) -> CheckoutCode {
        match self.checkout(user, item) {
            CheckoutOutcome::Accepted { code, .. } => code,
            refused => panic!("{refused:?}"),
        }
    }

    pub fn purchase(&self, code: CheckoutCode) -> PurchaseOutcome {
        self.engine.purchase(code, None).outcome
    }

    /// A sale that somebody adds.
    pub fn add_sale(&self, from: i64, until: i64, hold_seconds: u32) -> SaleId {
        let new = NewSale {
            started_at: at(from),
            ended_at: at(until),
            max_items_per_user: 5,
            hold_seconds,
            payment: PaymentTerms::NONE,
            catalogue: NewCatalogue::Generated {
                item_count: 20,
                seed: ADDED,
            },
        };
        let created = self.engine.create_sale(&new).expect("it is allowed");
        created.outcome.id()
    }

    /// Returns the journal's records as words: kind and sale.
    pub fn records(&self) -> Vec<String> {
        self.engine.journal().flush().expect("the disk works");
        let mut words = Vec::new();
        let visit = &mut |entry: Entry<'_>| {
            words.extend(match entry.record()? {
                Record::SaleCreated { sale, .. } => Some(format!("created {sale}")),
                Record::SaleClosed { sale } => Some(format!("closed {sale}")),
                Record::Expired { sale, user, .. } => Some(format!("expired {sale} {user}")),
                _ => None,
            });
            Ok(())
        };
        let until = Some(self.engine.journal().durable());
        journal::replay(&self.disk, dir(), Lsn::ZERO, until, visit).expect("it is intact");
        words
    }

    /// Every unit is somewhere, nothing is held beyond its time, and sales of the rotation do not overlap.
    pub fn check(&self) {
        State::of_engine(&self.engine)
            .check(Lsn::ZERO)
            .expect("every unit is somewhere");
        let is_added = |terms: &SaleTerms| {
            matches!(
                terms.catalogue,
                CatalogueKind::Generated { seed: ADDED, .. }
            )
        };
        let sales = self.engine.sales();
        let mut sales: Vec<_> = sales.iter().map(|sale| sale.terms()).collect();
        sales.retain(|terms| !is_added(terms));
        sales.sort_by_key(|terms| terms.started_at);
        for pair in sales.windows(2) {
            assert!(pair[0].ended_at <= pair[1].started_at, "{pair:?}");
        }
        let steady = self.engine.clock().steady();
        let next = self.engine.next_expiry();
        assert!(next.is_none_or(|next| next > steady), "{next:?} has passed");
    }
}
