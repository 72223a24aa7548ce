//! What a checkout holds comes back once, whoever ends it: its purchase, its buyer, its expiry, the end of the sale.
//!
//! The sale, its buyers and its stock are the server's own. The steps of the threads are those of the engine
//! (`src/sale/{checkout,purchase,payment,confirmation,contents,lifecycle}.rs`); its journal is a list.

use std::sync::Arc;

use flashsale::record::{CatalogueKind, SaleTerms};
use loom::thread;
use smallvec::smallvec;

use super::baskets::{OpenCheckout, Payment};
use super::catalogue::Catalogue;
use super::inventory::Taker;
use super::sale::Sale;
use crate::check;
use crate::sync::Mutex;
use crate::types::{ItemIndex, Lsn, PaymentTerms, SaleId, Timestamp};

const ITEM: ItemIndex = ItemIndex(0);
const START: Timestamp = Timestamp(0);
/// When the hold has run out.
const LATER: Timestamp = Timestamp(1_000_000);
const SECRET: u128 = 7;

/// A record that the journal gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// By ada, or by somebody under another lock.
    Held {
        by_ada: bool,
    },
    /// By ada, who did not hold it before.
    Reserved,
    Bought,
    /// By ada, whose checkout has expired.
    BoughtLate,
    GivenBack,
    /// By bob, who holds nothing.
    Chosen,
    Paused,
    Resumed,
    Expired,
    Closed,
}

struct Hall {
    sale: Sale,
    journal: Mutex<Vec<Said>>,
}

impl Hall {
    /// A sale of one item, which ada holds.
    fn new() -> Arc<Self> {
        Self::of(true)
    }

    /// A sale without holds, of one item that ada has chosen.
    fn chosen() -> Arc<Self> {
        Self::of(false)
    }

    /// A sale in which ada's hold has run out.
    fn expired() -> Arc<Self> {
        let hall = Self::new();
        hall.expire();
        hall
    }

    fn of(holds: bool) -> Arc<Self> {
        let terms = SaleTerms {
            started_at: START,
            ended_at: LATER,
            max_items_per_user: 1,
            hold_seconds: u32::from(holds),
            payment: PaymentTerms {
                seconds: 1,
                ..PaymentTerms::NONE
            },
            catalogue: CatalogueKind::Generated {
                seed: 0,
                item_count: 1,
            },
        };
        let catalogue = Catalogue::Generated {
            sale: SaleId(1),
            seed: 0,
            item_count: 1,
        };
        let hall = Self {
            sale: Sale::new(SaleId(1), terms, catalogue),
            journal: Mutex::default(),
        };
        hall.check_out(holds);
        Arc::new(hall)
    }

    fn say(&self, said: Said) -> Lsn {
        let mut journal = self.journal.lock();
        journal.push(said);
        Lsn(journal.len() as u64)
    }

    fn check_out(&self, holds: bool) {
        let mut locked = self.sale.buyers.lock_user("ada");
        let ada = locked.find_or_insert("ada");
        assert!(self.sale.buyers.insert_code(SECRET, ada));
        let hold = holds.then(|| {
            assert!(self.sale.inventory.hold(ITEM, 1, self.sale.taker(ada)));
            self.sale.expect_expiry(LATER);
            locked.shard.hold_more(1);
            self.say(Said::Held { by_ada: true });
            locked.shard.arm_hold(ada, LATER, START)
        });
        locked.shard.buyer(ada).open = Some(OpenCheckout {
            secret: SECRET,
            opened_at: START,
            lsn: Lsn(1),
            hold,
            lines: smallvec![(ITEM, 1)],
        });
    }

    /// Ada begins to pay, once.
    fn pay(&self) {
        let Some(ada) = self.sale.buyers.by_code(SECRET) else {
            return;
        };
        let mut shard = self.sale.buyers.lock_buyer(ada);
        let open = shard.buyer(ada).open.as_ref();
        let Some(open) = open.filter(|open| open.payment().is_none()) else {
            return;
        };
        let is_held = open.hold.is_some();
        let taker = self.sale.taker(ada);
        if self.sale.is_closed() || !is_held && !self.sale.inventory.hold(ITEM, 1, taker) {
            return;
        }
        if !is_held {
            self.say(Said::Reserved);
        }
        let payment = Payment {
            begun_at: START,
            held_until: LATER,
            unreserved: Box::default(),
        };
        self.sale.expect_expiry(LATER);
        let units = u32::from(!is_held);
        shard.begin_payment(ada, payment, (LATER, START), units, Lsn(2));
    }

    /// The shop confirms a payment that comes late.
    fn confirm_late(&self) {
        let Some(ada) = self.sale.buyers.by_code(SECRET) else {
            return;
        };
        let mut shard = self.sale.buyers.lock_buyer(ada);
        if self.sale.is_closed() || shard.buyer(ada).take_expired(SECRET).is_none() {
            return;
        }
        if self.sale.inventory.sell(ITEM, 1, self.sale.taker(ada)) {
            shard.buyer(ada).bought += 1;
            self.say(Said::BoughtLate);
        }
    }

    /// Ada purchases, if she still can.
    fn purchase(&self) {
        let Some(ada) = self.sale.buyers.by_code(SECRET) else {
            return;
        };
        let mut shard = self.sale.buyers.lock_buyer(ada);
        if self.sale.is_closed() {
            return;
        }
        let open = shard.take_open(ada);
        if open.is_some_and(|open| open.holds(ITEM)) {
            self.sale.inventory.sell_held(ITEM, 1, self.sale.taker(ada));
            shard.buyer(ada).bought += 1;
            self.say(Said::Bought);
        }
    }

    /// Ada gives back what she holds, if she still does.
    fn give_back(&self) {
        let Some(ada) = self.sale.buyers.by_code(SECRET) else {
            return;
        };
        let mut shard = self.sale.buyers.lock_buyer(ada);
        let open = shard.buyer(ada).open.as_ref();
        if self.sale.is_closed() || !open.is_some_and(|open| open.holds(ITEM)) {
            return;
        }
        let lsn = self.say(Said::GivenBack);
        self.sale.give_back(&mut shard, ada, None, lsn);
    }

    /// The hold has run out, if there still is one.
    fn expire(&self) {
        if self.sale.next_expiry().is_none_or(|next| next > LATER) {
            return;
        }
        self.sale.expect_no_expiry();
        let mut shard = self.sale.buyers.lock_shard(0);
        if self.sale.is_closed() {
            return;
        }
        if let Some((ada, open)) = shard.take_expired(LATER) {
            let lsn = self.say(Said::Expired);
            let buyer = shard.buyer(ada);
            self.sale.end_expired(ada, buyer, open, LATER, lsn);
        }
    }

    /// Bob chooses something, if the sale takes checkouts.
    fn choose(&self) {
        let locked = self.sale.buyers.lock_user("bob");
        if self.sale.refusal_of_checkouts(|| Ok(())).is_none() {
            self.say(Said::Chosen);
        }
        drop(locked);
    }

    /// An administrator pauses the sale, and lets it go on at once. One of them is at work at a time.
    fn pause_and_resume(&self) {
        if self.pause() {
            self.say(Said::Resumed);
            self.sale.resume();
        }
    }

    fn pause(&self) -> bool {
        self.sale.pause(|| {
            self.say(Said::Paused);
        })
    }

    fn close(&self) {
        self.sale.close(LATER, || self.say(Said::Closed));
    }

    /// Somebody else takes the item for a moment, under another lock; whether they got it.
    fn take(&self) -> bool {
        let taker = Taker { buyer: 9, lane: 0 };
        let held = self.sale.inventory.hold(ITEM, 1, taker);
        if held {
            self.say(Said::Held { by_ada: false });
        }
        held
    }

    /// The journal tells of nothing that cannot be, and memory is what it leads to.
    fn check(&self) {
        let (mut held_by, mut sold, mut paused) = (None, false, false);
        for &said in self.journal.lock().iter() {
            match said {
                Said::Held { by_ada } => {
                    assert!(held_by.is_none() && !sold, "held twice");
                    held_by = Some(by_ada);
                }
                Said::Reserved => {
                    assert!(held_by.is_none() && !sold, "reserved twice");
                    held_by = Some(true);
                }
                Said::BoughtLate => {
                    assert!(held_by.is_none() && !sold, "bought late what is not free");
                    sold = true;
                }
                Said::Bought => {
                    assert_eq!(held_by.take(), Some(true), "bought what she did not hold");
                    sold = true;
                }
                Said::Chosen => assert!(!paused, "chosen in a paused sale"),
                Said::Paused => paused = true,
                Said::Resumed => paused = false,
                Said::GivenBack => assert_eq!(held_by.take(), Some(true), "given back twice"),
                Said::Expired => assert_eq!(held_by.take(), Some(true), "expired twice"),
                // What others hold is not a checkout of this sale in the model, and stays.
                Said::Closed => held_by = held_by.filter(|by_ada| !by_ada),
            }
        }
        let units = self.sale.inventory.units(ITEM);
        let expected = (u64::from(held_by.is_some()), u64::from(sold));
        assert_eq!((units.held, units.sold), expected);
        assert_eq!(units.free + units.held + units.sold, 1);
        let totals = self.sale.inventory.totals_now();
        assert_eq!((totals.held, totals.sold), expected);
    }
}

/// Runs both beside a third, in every order.
fn race(one: fn(&Hall), other: fn(&Hall), third: fn(&Hall)) {
    race_in(Hall::new, one, other, third);
}

fn race_in(hall: fn() -> Arc<Hall>, one: fn(&Hall), other: fn(&Hall), third: fn(&Hall)) {
    check(3, move || {
        let hall = hall();
        let run = |step: fn(&Hall)| {
            let hall = Arc::clone(&hall);
            thread::spawn(move || step(&hall))
        };
        let threads = [run(one), run(other)];
        third(&hall);
        for thread in threads {
            thread.join().expect("a thread panicked");
        }
        hall.check();
    });
}

fn pause(hall: &Hall) {
    hall.pause();
}

fn take_if_free(hall: &Hall) {
    hall.take();
}

#[test]
fn a_purchase_and_an_expiry_race_and_somebody_waits_for_the_unit() {
    race(Hall::purchase, Hall::expire, take_if_free);
}

#[test]
fn a_purchase_and_the_end_of_the_sale_race() {
    race(Hall::purchase, Hall::close, take_if_free);
}

#[test]
fn an_expiry_and_the_end_of_the_sale_race() {
    race(Hall::expire, Hall::close, take_if_free);
}

#[test]
fn two_give_the_same_back_and_somebody_waits_for_the_unit() {
    race(Hall::give_back, Hall::give_back, take_if_free);
}

#[test]
fn giving_back_and_an_expiry_race_and_somebody_waits_for_the_unit() {
    race(Hall::give_back, Hall::expire, take_if_free);
}

#[test]
fn giving_back_a_purchase_and_the_end_of_the_sale_race() {
    race(Hall::give_back, Hall::purchase, Hall::close);
}

#[test]
fn nobody_chooses_in_a_paused_sale() {
    race(Hall::choose, Hall::choose, pause);
}

#[test]
fn who_chooses_while_a_sale_is_paused_and_resumed_does_so_before_or_after() {
    race(Hall::choose, Hall::choose, Hall::pause_and_resume);
}

#[test]
fn two_begin_the_same_payment_and_somebody_waits_for_the_unit() {
    race_in(Hall::chosen, Hall::pay, Hall::pay, take_if_free);
}

#[test]
fn a_payment_its_purchase_and_its_expiry_race() {
    race_in(Hall::chosen, Hall::pay, Hall::purchase, Hall::expire);
}

#[test]
fn a_payment_giving_back_and_the_end_of_the_sale_race() {
    race_in(Hall::chosen, Hall::pay, Hall::give_back, Hall::close);
}

#[test]
fn a_payment_and_the_end_of_the_hold_before_it_race() {
    race(Hall::pay, Hall::expire, Hall::purchase);
}

#[test]
fn two_payments_come_late_and_somebody_waits_for_the_unit() {
    race_in(
        Hall::expired,
        Hall::confirm_late,
        Hall::confirm_late,
        take_if_free,
    );
}

#[test]
fn a_payment_that_comes_late_and_the_end_of_the_sale_race() {
    race(Hall::expire, Hall::confirm_late, Hall::close);
}

#[test]
fn all_three_race() {
    race(Hall::purchase, Hall::expire, Hall::close);
}

#[test]
fn units_given_back_can_be_had_at_once() {
    check(3, || {
        let hall = Hall::new();
        let expiring = {
            let hall = Arc::clone(&hall);
            thread::spawn(move || hall.expire())
        };
        let early = hall.take();
        expiring.join().expect("a thread panicked");
        assert!(early || hall.take(), "it was given back");
        hall.check();
    });
}
