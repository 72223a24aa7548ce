//! A pool sells exactly its stock, and strands nothing.

use std::sync::Arc;

use loom::thread;

use crate::check;
use crate::stock::{Availability, Pool, Units};

/// Sells `quantities` one after the other; which of them were to be had.
fn buy(pool: &Pool, lane: usize, quantities: &[u64]) -> Vec<(u64, bool)> {
    let sell = |&quantity: &u64| (quantity, pool.sell(lane, quantity));
    quantities.iter().map(sell).collect()
}

/// Threads that buy at the same time, each in its own lane; what each of them got.
fn buy_at_once(pool: &Arc<Pool>, wishes: &[&'static [u64]]) -> Vec<(u64, bool)> {
    let start = |(lane, &quantities): (usize, &&'static [u64])| {
        let pool = Arc::clone(pool);
        thread::spawn(move || buy(&pool, lane, quantities))
    };
    let threads: Vec<_> = wishes.iter().enumerate().skip(1).map(start).collect();
    let mut bought = buy(pool, 0, wishes[0]);
    for thread in threads {
        bought.extend(thread.join().expect("a buyer panicked"));
    }
    bought
}

fn sold(bought: &[(u64, bool)]) -> u64 {
    let got = bought.iter().filter(|(_, got)| *got);
    got.map(|(quantity, _)| quantity).sum()
}

/// Sells what is left, unit by unit and in one lane. Afterwards the pool says that it is empty.
fn drain(pool: &Pool) -> u64 {
    let mut drained = 0;
    while pool.sell(0, 1) {
        drained += 1;
    }
    assert_eq!(pool.units().free, 0, "units are stranded");
    assert_eq!(pool.availability(1), Availability::SoldOut);
    drained
}

/// One unit free in each of two shards, and none in the reserve.
fn pool_with_a_unit_in_each_shard() -> Pool {
    let pool = Pool::new(8, 2);
    assert!(pool.sell(0, 1) && pool.sell(1, 1) && pool.sell(0, 4));
    assert_eq!(pool.units().free, 2);
    pool
}

/// While nothing is given back, a refusal stays true.
fn check_refusals(pool: &Pool, bought: &[(u64, bool)]) {
    let free = pool.units().free;
    for (quantity, got) in bought {
        assert!(*got || free < *quantity, "{quantity} refused, {free} free");
    }
}

#[test]
fn demand_over_the_stock_sells_all_of_it() {
    check(3, || {
        let pool = Arc::new(Pool::new(3, 2));
        let bought = buy_at_once(&pool, &[&[1, 1], &[1, 1]]);
        assert_eq!(sold(&bought), 3);
        assert_eq!(drain(&pool), 0);
    });
}

#[test]
fn units_in_other_shards_are_found() {
    check(3, || {
        let pool = Arc::new(pool_with_a_unit_in_each_shard());
        let bought = buy_at_once(&pool, &[&[1, 1], &[1]]);
        check_refusals(&pool, &bought);
        assert_eq!(sold(&bought), 2);
        assert_eq!(drain(&pool), 0);
    });
}

#[test]
fn three_threads_share_two_shards() {
    check(2, || {
        let pool = Arc::new(pool_with_a_unit_in_each_shard());
        let bought = buy_at_once(&pool, &[&[1], &[1], &[1]]);
        assert_eq!(sold(&bought), 2);
        assert_eq!(drain(&pool), 0);
    });
}

#[test]
fn large_and_small_quantities_strand_nothing() {
    check(3, || {
        let pool = Arc::new(pool_with_a_unit_in_each_shard());
        let bought = buy_at_once(&pool, &[&[2], &[1]]);
        check_refusals(&pool, &bought);
        assert_eq!(sold(&bought) + drain(&pool), 2);
        assert_eq!(pool.units().sold, 8);
    });
}

#[test]
fn a_share_is_left_for_the_next_take() {
    check(3, || {
        let pool = Arc::new(Pool::new(6, 2));
        let bought = buy_at_once(&pool, &[&[1, 3], &[2]]);
        check_refusals(&pool, &bought);
        assert_eq!(sold(&bought) + drain(&pool), 6);
    });
}

#[test]
fn released_units_are_free_again() {
    check(3, || {
        let pool = Arc::new(Pool::new(3, 2));
        assert!(pool.hold(0, 2));
        let releasing = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.release(2))
        };
        // The second of these may find the pool empty and close it, while units come back.
        let bought = buy(&pool, 1, &[1, 1]);
        releasing.join().expect("the releasing panicked");
        assert_eq!(sold(&bought) + drain(&pool), 3);
    });
}

#[test]
fn holds_come_and_go_while_others_buy() {
    check(2, || {
        let pool = Arc::new(Pool::new(2, 2));
        let hold = |lane, buys: bool| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                let held = pool.hold(lane, 1);
                match (held, buys) {
                    (false, _) => 0,
                    (true, false) => {
                        pool.release(1);
                        0
                    }
                    (true, true) => {
                        pool.sell_held(lane, 1);
                        1
                    }
                }
            })
        };
        let holders = [hold(1, false), hold(2, true)];
        let bought = sold(&buy(&pool, 0, &[1]));
        let by_hold: u64 = holders
            .into_iter()
            .map(|holder| holder.join().expect("a holder panicked"))
            .sum();
        let units = Units {
            free: 0,
            held: 0,
            sold: 2,
        };
        assert_eq!(bought + by_hold + drain(&pool), 2);
        assert_eq!(pool.units(), units);
    });
}

#[test]
fn unsold_units_are_never_reported_as_sold_out() {
    check(3, || {
        let pool = Arc::new(Pool::new(2, 2));
        let holder = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                assert!(pool.hold(1, 2));
                pool.release(2);
            })
        };
        assert_ne!(pool.availability(2), Availability::SoldOut);
        holder.join().expect("the holder panicked");
        assert_eq!(pool.availability(2), Availability::Free);
    });
}

#[test]
fn units_are_added_and_taken_out_while_others_buy() {
    check(2, || {
        let pool = Arc::new(pool_with_a_unit_in_each_shard());
        let restocking = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.restock(1))
        };
        let withdrawing = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || if pool.withdraw(1, 2) { 2 } else { 0 })
        };
        let bought = sold(&buy(&pool, 0, &[1]));
        restocking.join().expect("the restocking panicked");
        let withdrawn = withdrawing.join().expect("the withdrawing panicked");
        assert_eq!(pool.stock(), 9 - withdrawn);
        assert_eq!(bought + withdrawn + drain(&pool), 3);
        assert_eq!(pool.units().sold, pool.stock());
    });
}

#[test]
fn what_others_hold_is_not_called_sold_out_because_units_were_added_and_sold() {
    check(2, || {
        let pool = Arc::new(Pool::new(2, 2));
        assert!(pool.hold(0, 2));
        let others = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                pool.restock(2);
                assert!(pool.sell(1, 2));
            })
        };
        assert_ne!(pool.availability(1), Availability::SoldOut);
        others.join().expect("the others panicked");
        assert_eq!(pool.availability(1), Availability::Held);
    });
}

#[test]
fn units_that_are_taken_back_can_be_sold_again() {
    check(2, || {
        let pool = Arc::new(Pool::new(3, 2));
        assert!(pool.sell(0, 3));
        let taking_back = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                pool.take_back(1, true);
                pool.take_back(1, false);
            })
        };
        let early = sold(&buy(&pool, 1, &[1]));
        taking_back.join().expect("the taking back panicked");
        assert_eq!(early + drain(&pool), 1);
        assert_eq!((pool.stock(), pool.units().sold), (2, 2));
    });
}

#[test]
fn what_others_hold_is_not_called_sold_out_because_units_were_taken_back_and_sold() {
    check(2, || {
        let pool = Arc::new(Pool::new(2, 2));
        assert!(pool.sell(0, 1) && pool.hold(0, 1));
        let others = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                pool.take_back(1, true);
                assert!(pool.sell(1, 1));
            })
        };
        assert_ne!(pool.availability(1), Availability::SoldOut);
        others.join().expect("the others panicked");
        assert_eq!(pool.availability(1), Availability::Held);
    });
}
