//! Units are added to a stock and taken out of it while others buy, and whoever is told "sold out" is told by the records that it rests on.
//!
//! The sale, its buyers and its stock are the server's own. The steps of the threads are those of the engine
//! (`src/sale/{changes,checkout,purchase}.rs`); its journal is a list.

use std::sync::Arc;

use flashsale::record::{CatalogueKind, NewItem, SaleTerms};
use loom::thread;

use super::catalogue::{Catalogue, ExplicitItems};
use super::sale::Sale;
use super::stock::Availability;
use crate::check;
use crate::sync::Mutex;
use crate::types::{ItemIndex, Lsn, PaymentTerms, SaleId, Timestamp};

const ITEM: ItemIndex = ItemIndex(0);
/// Units that there are at first: the fewest of an item that does not exist once.
const STOCK: i64 = 2;

/// A record that the journal gets: units sold, or added to the stock.
#[derive(Clone, Copy, Debug)]
enum Said {
    Sold(i64),
    Added(i64),
}

struct Store {
    sale: Sale,
    journal: Mutex<Vec<Said>>,
    /// The records of units that are being added, and perhaps not free yet.
    under_way: Mutex<Vec<usize>>,
}

impl Store {
    /// A sale of one item, of which so many units are sold.
    fn with_sold(units: u32) -> Arc<Self> {
        let mut items = ExplicitItems::default();
        assert!(items.push(&NewItem {
            id: "cup",
            name: "Cup",
            image_url: "",
            stock: STOCK as u64,
            max_per_user: None,
        }));
        let terms = SaleTerms {
            started_at: Timestamp(0),
            ended_at: Timestamp(1),
            max_items_per_user: 9,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            catalogue: CatalogueKind::Explicit { item_count: 1 },
        };
        let store = Self {
            sale: Sale::new(SaleId(1), terms, Catalogue::Explicit(items)),
            journal: Mutex::default(),
            under_way: Mutex::default(),
        };
        for _ in 0..units {
            assert!(store.buy("ada"));
        }
        Arc::new(store)
    }

    fn say(&self, said: Said) -> Lsn {
        let mut journal = self.journal.lock();
        journal.push(said);
        Lsn(journal.len() as u64)
    }

    /// Somebody buys a unit, if one is to be had; whether they got it.
    fn buy(&self, user: &str) -> bool {
        let mut locked = self.sale.buyers.lock_user(user);
        let buyer = locked.find_or_insert(user);
        let taker = self.sale.taker(buyer);
        let sold = self.sale.inventory.sell(ITEM, 1, taker);
        if sold {
            locked.shard.buyer(buyer).bought += 1;
            let lsn = self.say(Said::Sold(1));
            self.sale.inventory.note_sold(lsn, taker.lane);
        }
        sold
    }

    fn restock(&self) {
        let enqueue = || {
            // As one step: a restocking that is in the journal is under way.
            let mut under_way = self.under_way.lock();
            let lsn = self.say(Said::Added(1));
            under_way.push(lsn.0 as usize);
            lsn
        };
        let lsn = self.sale.restock(ITEM, 1, enqueue);
        self.under_way.lock().retain(|it| *it != lsn.0 as usize);
    }

    fn withdraw(&self, units: u64) -> bool {
        let enqueue = || self.say(Said::Added(-units.cast_signed()));
        self.sale.withdraw(ITEM, units, enqueue).is_some()
    }

    /// Returns the units that are unsold when the first `records` of the journal are all there is, but for what is added of those that
    /// `is_left_out`.
    fn unsold(&self, records: usize, is_left_out: impl Fn(usize) -> bool) -> i64 {
        let journal = self.journal.lock();
        let changes = (1..=records).map(|lsn| match journal[lsn - 1] {
            Said::Sold(units) => -units,
            Said::Added(units) if units > 0 && is_left_out(lsn) => 0,
            Said::Added(units) => units,
        });
        STOCK + changes.sum::<i64>()
    }

    fn records(&self) -> usize {
        self.journal.lock().len()
    }

    /// Somebody asks for a unit. If there is none they are told so by a record, and must not be told by one that is too early: a crash
    /// may cut the journal anywhere behind it, and then the item would have been sold out at no moment of the request. Units that are
    /// added meanwhile may come before or behind that.
    fn ask(&self) {
        let (begun, without) = {
            let under_way = self.under_way.lock();
            (self.records(), under_way.clone())
        };
        if self.sale.inventory.availability(ITEM, 1) != Availability::SoldOut {
            return;
        }
        let told_by = self.sale.sold_out_lsn(ITEM, 1).0 as usize;
        let ended = self.records();
        let is_meanwhile = |lsn| lsn > begun || without.contains(&lsn);
        let is_out = |records| self.unsold(records, is_meanwhile) < 1;
        let is_right = |moment| is_out(moment) && (told_by..=moment).all(is_out);
        assert!(
            (begun..=ended).any(is_right),
            "told by record {told_by} of {:?}, asked at {begun} without {without:?}",
            *self.journal.lock()
        );
    }

    /// Every prefix of the journal is a state that can be, and memory is what all of it leads to.
    fn check(&self) {
        let records = self.records();
        for prefix in 0..=records {
            assert!(
                self.unsold(prefix, |_| false) >= 0,
                "more is sold than there is"
            );
        }
        self.sale
            .check_conserved()
            .expect("every unit is somewhere");
        let units = self.sale.inventory.units(ITEM);
        assert_eq!(units.free, self.unsold(records, |_| false).cast_unsigned());
    }
}

/// Runs two threads while a third asks, in every order.
fn race(sold: u32, preemptions: usize, one: fn(&Store), other: fn(&Store), asking: fn(&Store)) {
    check(preemptions, move || {
        let store = Store::with_sold(sold);
        // What was sold out is noted.
        store.ask();
        let run = |step: fn(&Store)| {
            let store = Arc::clone(&store);
            thread::spawn(move || step(&store))
        };
        let threads = [run(one), run(other)];
        asking(&store);
        for thread in threads {
            thread.join().expect("a thread panicked");
        }
        store.ask();
        store.check();
    });
}

fn bob_buys(store: &Store) {
    store.buy("bob");
}

fn withdraw_two(store: &Store) {
    store.withdraw(2);
}

fn withdraw_one(store: &Store) {
    store.withdraw(1);
}

#[test]
fn what_comes_back_and_is_sold_again_is_told_by_the_record_of_that() {
    race(2, 3, Store::restock, bob_buys, Store::ask);
}

#[test]
fn whoever_asks_while_units_are_taken_out_is_told_by_the_record_of_that() {
    race(0, 3, withdraw_two, bob_buys, Store::ask);
}

#[test]
fn units_come_and_go_while_others_buy() {
    race(1, 2, Store::restock, withdraw_one, bob_buys);
}

#[test]
fn two_come_back_at_the_same_time() {
    race(
        2,
        2,
        Store::restock,
        |store| {
            store.restock();
            store.buy("bob");
        },
        Store::ask,
    );
}

#[test]
fn units_that_were_added_can_be_had_at_once() {
    check(3, || {
        let store = Store::with_sold(2);
        let restocking = {
            let store = Arc::clone(&store);
            thread::spawn(move || store.restock())
        };
        let early = store.buy("bob");
        restocking.join().expect("a thread panicked");
        assert!(early != store.buy("bob"), "one was added");
        store.check();
    });
}

#[cfg(feature = "planted")]
mod slips {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use flashsale::planted::{Slip, plant};

    use super::*;

    /// Whether a race goes wrong with `slip`.
    fn is_found(slip: Slip) -> bool {
        plant(Some(slip));
        let raced = catch_unwind(AssertUnwindSafe(|| {
            race(2, 3, Store::restock, bob_buys, Store::ask);
        }));
        plant(None);
        raced.is_err()
    }

    #[test]
    fn a_note_that_outlives_what_it_says_is_found() {
        assert!(is_found(Slip::KeepsSoldOut));
    }

    #[test]
    fn units_that_are_free_before_their_record_are_found() {
        assert!(is_found(Slip::RestocksBeforeRecord));
    }
}
