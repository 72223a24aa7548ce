//! A journal with short sales, and what is done to it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use flashsale::env::{Clock, Disk, ManualClock, SeededEntropy};
use flashsale::journal::backup::{Copied, DirOnDisk, copy};
use flashsale::journal::{Durability, Opening, Options, snapshot};
use flashsale::record::Record;
use flashsale::sale::{
    CheckoutOutcome, CheckoutRequest, Engine, EngineOptions, NewCatalogue, NewSale, Recovered,
    State, check_files, load_ended, write_snapshot,
};
use flashsale::types::{CheckoutCode, ItemId, Lsn, PaymentTerms, SaleId, Timestamp, UserId};

use crate::common::tools;

pub const SALE_SECONDS: u32 = 100;
pub const ITEMS: u32 = 40;

pub struct Shop {
    pub engine: Engine,
    pub clock: Arc<ManualClock>,
    pub disk: Arc<dyn Disk>,
    pub entropy: SeededEntropy,
}

impl Shop {
    /// A shop with a new journal in `dir`.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1000)));
        let opening = Opening::lock(Arc::clone(&disk), dir).expect("free");
        let recovered = Recovered::from_journal(&opening).expect("intact");
        let options = Options {
            durability: Durability::Fsync,
            segment_bytes: 64 * 1024,
        };
        let journal = opening
            .start(&recovered.replayed, &options, tools(&clock, 5))
            .expect("room");
        let entropy = Arc::new(SeededEntropy::new(6));
        let engine = Engine::new(
            recovered.state,
            Arc::new(journal),
            Arc::clone(&clock) as _,
            entropy,
            EngineOptions::default(),
        );
        let entropy = SeededEntropy::new(7);
        Self {
            engine,
            clock,
            disk,
            entropy,
        }
    }

    pub fn dir(&self) -> &Path {
        self.engine.journal().dir()
    }

    /// Waits until the journal takes records: the next segment may not be ready yet.
    fn wait_for_room(&self) {
        while self.engine.journal().admit().is_err() {
            std::thread::yield_now();
        }
    }

    /// Creates a sale that begins now.
    pub fn create(&self) -> SaleId {
        self.wait_for_room();
        let now = self.clock.now();
        let new = NewSale {
            started_at: now,
            ended_at: now.plus_seconds(SALE_SECONDS),
            max_items_per_user: 10,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            catalogue: NewCatalogue::Generated {
                item_count: ITEMS,
                seed: 1,
            },
        };
        let created = self.engine.create_sale(&new).expect("it is allowed");
        self.flush();
        created.outcome.id()
    }

    /// One durable checkout, if the item is to be had.
    pub fn choose(&self, sale: SaleId, user: &str, item: u32) -> Option<CheckoutCode> {
        self.wait_for_room();
        let item = format!("ITM-{sale}-{item}");
        let request = CheckoutRequest {
            user: UserId::new(user).expect("an id"),
            item: ItemId::new(&item).expect("an id"),
            quantity: 1,
            sale: Some(sale),
            key: None,
        };
        let decision = self.engine.checkout(&request);
        if let Some(lsn) = decision.lsn {
            self.engine.journal().wait(lsn).expect("the disk works");
        }
        match decision.outcome {
            CheckoutOutcome::Accepted { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Purchases, durably.
    pub fn purchase(&self, code: CheckoutCode) {
        self.wait_for_room();
        if let Some(lsn) = self.engine.purchase(code, None).lsn {
            self.engine.journal().wait(lsn).expect("the disk works");
        }
    }

    pub fn flush(&self) {
        self.engine.journal().flush().expect("the disk works");
    }

    /// Ends the sales that run, and lets them into their files.
    pub fn end_sales(&self) {
        self.wait_for_room();
        self.clock.advance_us(i64::from(SALE_SECONDS) * 1_000_000);
        self.engine.close_ended();
        self.flush();
        self.engine.put_ended_away(0).expect("the disk works");
    }

    pub fn snapshot(&self) {
        let until = self.engine.journal().durable();
        let disk = &*self.disk;
        write_snapshot(disk, self.dir(), until, &*self.clock, &self.entropy).expect("room");
    }

    /// Removes the segments that the snapshot stands for.
    pub fn trim(&self) {
        let covered = snapshot::newest(&*self.disk, self.dir()).expect("readable");
        let later = self.clock.now().plus_seconds(1);
        let covered = covered.unwrap_or(Lsn::ZERO);
        let trimmed = self.engine.journal().trim(covered, later);
        trimmed.expect("writable");
    }

    /// Removes the files of all sales that have ended.
    pub fn remove_sale_files(&self) {
        let followed = self.engine.journal().durable();
        let later = self.clock.now().plus_seconds(1);
        let removed = self.engine.remove_sale_files(followed, later);
        removed.expect("writable");
    }

    /// The copy of this journal on another disk.
    pub fn copy_to(&self, from: &dyn Disk, to: &dyn Disk, dir: &Path) -> Copied {
        let from = DirOnDisk {
            disk: from,
            dir: self.dir(),
        };
        let to = DirOnDisk { disk: to, dir };
        copy(from, to, &mut || std::thread::yield_now()).expect("it can be copied")
    }
}

/// What a start finds in the copy, which must be as the copier says, whole and without a torn end.
pub fn recover_copy(disk: &Arc<dyn Disk>, dir: &Path, copied: &Copied) -> State {
    let opening = Opening::lock(Arc::clone(disk), dir).expect("nobody has it");
    let recovered = Recovered::from_journal(&opening).expect("it is intact");
    assert_eq!(recovered.replayed.last_lsn, copied.last_lsn);
    assert!(!recovered.replayed.torn, "it was cut in the copy");
    check_files(&**disk, dir, &recovered.state).expect("all files are there");
    recovered.state
}

/// The secrets of all checkouts in the state, and in the files of its ended sales.
pub fn secrets(disk: &dyn Disk, dir: &Path, state: &State) -> HashSet<u128> {
    let mut secrets = HashSet::new();
    let mut visit = |_, record: &Record<'_>| {
        match *record {
            Record::Checkout { secret, .. }
            | Record::Purchase { secret, .. }
            | Record::Expired { secret, .. } => drop(secrets.insert(secret)),
            _ => {}
        }
        Ok(())
    };
    for ended in state.ended().oldest_first() {
        let sale = load_ended(disk, dir, ended).expect("its file is there");
        sale.visit_records(&mut visit).expect("readable");
    }
    for sale in state.sales() {
        sale.visit_records(&mut visit).expect("readable");
    }
    secrets
}
