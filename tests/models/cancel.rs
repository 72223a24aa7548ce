//! A purchase is cancelled while others buy, ask and cancel: its unit comes back once, and behind its record.
//!
//! The sale, its buyers and its stock are the server's own. The steps of the threads are those of the engine
//! (`src/sale/{cancellation,checkout,purchase}.rs`); its journal is a list.

use std::sync::Arc;

use flashsale::record::{CatalogueKind, ReleasedLine, SaleTerms};
use loom::thread;

use super::buyers::BuyerShard;
use super::cancelled::Cancellation;
use super::catalogue::Catalogue;
use super::inventory::Taker;
use super::sale::Sale;
use super::stock::Availability;
use crate::check;
use crate::sync::Mutex;
use crate::types::{ItemIndex, Lsn, PaymentTerms, SaleId, Timestamp};

const ITEM: ItemIndex = ItemIndex(0);

/// A record that the journal gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Sold(&'static str),
    /// And whether the unit is free again.
    Cancelled(&'static str, bool),
    Closed,
}

struct Counter {
    sale: Sale,
    journal: Mutex<Vec<Said>>,
    /// The record of a cancellation that is under way: its unit is perhaps not free yet.
    under_way: Mutex<Option<usize>>,
}

impl Counter {
    /// A sale of one item that exists once, which ada has bought.
    fn new() -> Arc<Self> {
        let catalogue = CatalogueKind::Generated {
            seed: 0,
            item_count: 1,
        };
        let terms = SaleTerms {
            started_at: Timestamp(0),
            ended_at: Timestamp(1),
            max_items_per_user: 1,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            catalogue,
        };
        let catalogue = Catalogue::Generated {
            sale: SaleId(1),
            seed: 0,
            item_count: 1,
        };
        let counter = Self {
            sale: Sale::new(SaleId(1), terms, catalogue),
            journal: Mutex::default(),
            under_way: Mutex::default(),
        };
        assert!(counter.buy("ada"));
        Arc::new(counter)
    }

    fn say(&self, said: Said) -> Lsn {
        let mut journal = self.journal.lock();
        journal.push(said);
        Lsn(journal.len() as u64)
    }

    fn buy(&self, user: &'static str) -> bool {
        let mut locked = self.sale.buyers.lock_user(user);
        let buyer = locked.find_or_insert(user);
        let taker = self.sale.taker(buyer);
        let sold = !self.sale.is_closed() && self.sale.inventory.sell(ITEM, 1, taker);
        if sold {
            locked.shard.buyer(buyer).bought += 1;
            let lsn = self.say(Said::Sold(user));
            self.sale.inventory.note_sold(lsn, taker.lane);
        }
        sold
    }

    /// Somebody takes the unit under another lock, of which a model has none.
    fn take(&self) {
        let taker = Taker { buyer: 9, lane: 0 };
        if self.sale.inventory.sell(ITEM, 1, taker) {
            let lsn = self.say(Said::Sold("eve"));
            self.sale.inventory.note_sold(lsn, taker.lane);
        }
    }

    /// The shop cancels ada's purchase, unless it has.
    fn cancel(&self, restock: bool) {
        let mut locked = self.sale.buyers.lock_user("ada");
        let ada = locked.find("ada").expect("she bought");
        if self.sale.is_closed() || !locked.shard.cancellations_of(ada).is_empty() {
            return;
        }
        let line = ReleasedLine {
            item: ITEM,
            quantity: 1,
        };
        let cancellation = Cancellation {
            secret: 7,
            reference: "refund".into(),
            lines: [line].into(),
            restock,
            at: Timestamp(0),
            lsn: Lsn(0),
        };
        let enqueue = |_: &mut BuyerShard| {
            // As one step: a cancellation that is in the journal is under way.
            let mut under_way = self.under_way.lock();
            let lsn = self.say(Said::Cancelled("ada", restock));
            *under_way = Some(lsn.0 as usize);
            lsn
        };
        self.sale
            .cancel(&mut locked.shard, ada, cancellation, enqueue);
        *self.under_way.lock() = None;
    }

    fn close(&self) {
        self.sale.close(Timestamp(1), || self.say(Said::Closed));
    }

    /// Who has the unit when the first `records` of the journal are all there is: nobody and it is free, nobody and it is gone, or somebody.
    fn owner(&self, records: usize) -> Owner {
        let (mut owner, mut is_closed) = (Owner::Free, false);
        for &said in &self.journal.lock()[..records] {
            assert!(!is_closed, "{said:?} behind the end");
            owner = match (owner, said) {
                (owner, Said::Closed) => {
                    is_closed = true;
                    owner
                }
                (Owner::Free, Said::Sold(user)) => Owner::User(user),
                (Owner::User(has), Said::Cancelled(user, restock)) if has == user => {
                    match restock {
                        true => Owner::Free,
                        false => Owner::Nobody,
                    }
                }
                (owner, said) => panic!("{said:?} while it is {owner:?}"),
            };
        }
        owner
    }

    /// Somebody asks for the unit, as in the model of restocking: what is cancelled meanwhile may come before or behind that.
    fn ask(&self) {
        let begun = {
            let under_way = self.under_way.lock();
            under_way.map_or_else(|| self.journal.lock().len(), |lsn| lsn - 1)
        };
        if self.sale.inventory.availability(ITEM, 1) != Availability::SoldOut {
            return;
        }
        let told_by = self.sale.sold_out_lsn(ITEM, 1).0 as usize;
        let ended = self.journal.lock().len();
        let is_out = |records| self.owner(records) != Owner::Free;
        let is_right = |moment| is_out(moment) && (told_by..=moment).all(is_out);
        assert!((begun..=ended).any(is_right), "told by record {told_by}");
    }

    fn check(&self) {
        let records = self.journal.lock().len();
        let owner = self.owner(records);
        let units = self.sale.inventory.units(ITEM);
        let expected = match owner {
            Owner::Free => (1, 0),
            Owner::Nobody => (0, 0),
            Owner::User(_) => (0, 1),
        };
        assert_eq!((units.free, units.sold), expected);
        let totals = self.sale.inventory.totals_now();
        assert_eq!((totals.free, totals.sold), expected);
        for user in ["ada", "bob"] {
            let mut locked = self.sale.buyers.lock_user(user);
            let buyer = locked.find(user);
            let bought = buyer.map_or(0, |buyer| locked.shard.buyer(buyer).bought);
            assert_eq!(bought, u32::from(owner == Owner::User(user)), "{user}");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Free,
    Nobody,
    User(&'static str),
}

/// Runs two threads beside a third, in every order.
fn race(one: fn(&Counter), other: fn(&Counter), third: fn(&Counter)) {
    check(3, move || {
        let counter = Counter::new();
        // What was sold out is noted.
        counter.ask();
        let run = |step: fn(&Counter)| {
            let counter = Arc::clone(&counter);
            thread::spawn(move || step(&counter))
        };
        let threads = [run(one), run(other)];
        third(&counter);
        for thread in threads {
            thread.join().expect("a thread panicked");
        }
        counter.ask();
        counter.check();
    });
}

fn restocked(counter: &Counter) {
    counter.cancel(true);
}

fn withdrawn(counter: &Counter) {
    counter.cancel(false);
}

fn bob_buys(counter: &Counter) {
    counter.buy("bob");
}

#[test]
fn what_is_cancelled_and_sold_again_is_told_by_the_record_of_that() {
    race(restocked, bob_buys, Counter::ask);
}

#[test]
fn somebody_under_another_lock_gets_it_behind_the_record() {
    race(restocked, Counter::take, Counter::take);
    race(withdrawn, Counter::take, restocked);
}

#[test]
fn two_cancel_the_same_and_somebody_waits_for_the_unit() {
    race(restocked, restocked, bob_buys);
}

#[test]
fn nothing_is_cancelled_or_sold_again_behind_the_end_of_the_sale() {
    race(restocked, bob_buys, Counter::close);
    race(restocked, withdrawn, Counter::close);
}

#[test]
fn what_is_not_restocked_is_nobodys() {
    race(withdrawn, bob_buys, Counter::ask);
    race(withdrawn, restocked, bob_buys);
}

#[cfg(feature = "planted")]
mod slips {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use flashsale::planted::{Slip, plant};

    use super::*;

    fn is_found(slip: Slip, one: fn(&Counter)) -> bool {
        plant(Some(slip));
        let raced = catch_unwind(AssertUnwindSafe(|| {
            race(one, Counter::take, |_| ());
            race(one, bob_buys, Counter::ask);
        }));
        plant(None);
        raced.is_err()
    }

    #[test]
    fn slips_of_cancelling_are_found() {
        assert!(is_found(Slip::FreesBeforeRecord, restocked));
        assert!(is_found(Slip::KeepsSoldOut, restocked));
        assert!(is_found(Slip::FreesWithoutRestock, withdrawn));
    }
}
