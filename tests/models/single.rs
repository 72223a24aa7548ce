//! The one unit of an item has one owner at a time.

use std::sync::Arc;

use loom::thread;

use crate::check;
use crate::stock::{Single, Units};

#[test]
fn one_of_three_buyers_gets_it() {
    check(3, || {
        let single = Arc::new(Single::default());
        let buy = |owner| {
            let single = Arc::clone(&single);
            thread::spawn(move || single.sell(owner))
        };
        let others = [buy(1), buy(2)];
        let mut got = usize::from(single.sell(0));
        for other in others {
            got += usize::from(other.join().expect("a buyer panicked"));
        }
        assert_eq!(got, 1);
        let owners = (0..3).filter(|&owner| single.is_sold_to(owner)).count();
        assert_eq!(owners, 1);
    });
}

#[test]
fn a_hold_that_is_given_back_can_be_had() {
    check(3, || {
        let single = Arc::new(Single::default());
        let holder = {
            let single = Arc::clone(&single);
            thread::spawn(move || {
                let held = single.hold(1);
                if held {
                    single.release(1);
                }
                held
            })
        };
        let sold = single.sell(2);
        let held = holder.join().expect("the holder panicked");
        assert!(sold || held, "the unit was refused to everybody");
        assert_eq!(single.sell(3), !sold);
        assert_eq!(single.is_sold_to(2), sold);
    });
}

#[test]
fn a_held_unit_is_bought_by_its_holder_only() {
    check(3, || {
        let single = Arc::new(Single::default());
        let hold_and_buy = |owner| {
            let single = Arc::clone(&single);
            thread::spawn(move || {
                let held = single.hold(owner);
                if held {
                    single.sell_held(owner);
                }
                held
            })
        };
        let others = [hold_and_buy(1), hold_and_buy(2)];
        let mut sold = usize::from(single.sell(0));
        for other in others {
            sold += usize::from(other.join().expect("a holder panicked"));
        }
        assert_eq!(sold, 1);
        let units = Units {
            free: 0,
            held: 0,
            sold: 1,
        };
        assert_eq!(single.units(), units);
    });
}
