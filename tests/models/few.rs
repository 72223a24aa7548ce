//! Few units are sold to the last one and never twice, whoever holds or gives back meanwhile.

use std::sync::Arc;

use loom::thread;

use crate::check;
use crate::stock::{Availability, Few, Units};

#[test]
fn exactly_the_stock_is_sold() {
    check(3, || {
        let few = Arc::new(Few::new(3));
        let buy = |quantity| {
            let few = Arc::clone(&few);
            thread::spawn(move || if few.sell(quantity) { quantity } else { 0 })
        };
        let others = [buy(2), buy(1)];
        let mut sold = if few.sell(1) { 1 } else { 0 };
        for other in others {
            sold += other.join().expect("a buyer panicked");
        }
        let units = few.units();
        assert_eq!((units.sold, units.held), (sold, 0));
        // One may be left, for which the one who wanted two came too late.
        assert!(sold == 3 || (sold == 2 && few.availability(1) == Availability::Free));
        assert_eq!(few.stock(), 3);
    });
}

#[test]
fn units_given_back_can_be_had() {
    check(3, || {
        let few = Arc::new(Few::new(2));
        assert!(few.hold(2));
        let holder = {
            let few = Arc::clone(&few);
            thread::spawn(move || {
                few.release(1);
                few.sell_held(1);
            })
        };
        assert_ne!(
            few.availability(1),
            Availability::SoldOut,
            "one is not sold"
        );
        let early = few.sell(1);
        holder.join().expect("the holder panicked");
        assert_ne!(early, few.sell(1), "once");
        let units = Units {
            free: 0,
            held: 0,
            sold: 2,
        };
        assert_eq!(few.units(), units);
        assert_eq!(few.availability(1), Availability::SoldOut);
    });
}

#[test]
fn units_are_added_and_taken_out_while_others_buy() {
    check(3, || {
        let few = Arc::new(Few::new(2));
        let others = {
            let few = Arc::clone(&few);
            thread::spawn(move || {
                few.restock(1);
                if few.withdraw(2) { 2 } else { 0 }
            })
        };
        let sold = if few.sell(2) { 2 } else { 0 };
        let withdrawn = others.join().expect("the others panicked");
        assert_ne!(sold, withdrawn, "there is enough for one of them");
        assert_eq!(few.stock(), 3 - withdrawn);
        assert_eq!(few.units().sold, sold);
    });
}
