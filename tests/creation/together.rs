//! A creation among others, and among buyers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use flashsale::env::{Disk, RealDisk, SeededEntropy, SimulatedDisk};
use flashsale::sale::{State, StockFigures, write_snapshot};
use flashsale::types::{ItemIndex, Lsn, SaleId};

use crate::common::{dump, recover};
use crate::creation::gate::Gate;
use crate::creation::hall::{Hall, List, generated};

#[test]
fn two_hundred_thousand_items_come_while_others_sell() {
    others_go_on_while(200_000);
}

/// Creates sales with the most items that a sale may have, which takes several times as long.
#[test]
#[ignore = "takes half a minute"]
fn a_million_items_come_while_others_sell() {
    others_go_on_while(flashsale::limits::SALE_ITEMS_MAX);
}

fn others_go_on_while(item_count: u32) {
    let scratch = tempfile::tempdir().expect("a directory");
    let gate = Gate::after(item_count / 80);
    let hall = Hall::open(Arc::new(RealDisk), scratch.path(), gate);
    let _ = hall.create(generated(1_000_000)).expect("it is allowed");
    let list = List::new("thing ", item_count, 5);
    let over = AtomicBool::new(false);
    let sold = thread::scope(|scope| {
        let buyers = [0, 1].map(|thread| {
            scope.spawn({
                let (hall, over) = (&hall, &over);
                move || buy_until(hall, thread, over)
            })
        });
        let large = hall.create_held(scope, list.catalogue());
        hall.gate.wait_until_held();
        let hourly = hall
            .create(generated(100))
            .expect("nothing waits for the large one");
        assert_eq!(hourly.outcome.id(), SaleId(3));
        hall.buy("early", "ITM-3-1", 1);
        assert!(
            hall.engine.sale(SaleId(2)).is_none(),
            "half of its items are there"
        );
        hall.gate.open();
        let large = large
            .join()
            .expect("it does not panic")
            .expect("it is allowed");
        assert_eq!(large.outcome.id(), SaleId(2));
        assert!(hourly.lsn < large.lsn);
        over.store(true, Ordering::Relaxed);
        let sold = buyers.map(|buyer| buyer.join().expect("no buyer is refused"));
        sold.into_iter().sum()
    });
    hall.buy("late", &format!("thing {}", item_count - 1), 5);
    check(
        hall,
        [(1_000_000, sold), (u64::from(item_count) * 5, 5), (100, 1)],
    );
}

/// Buys one generated item after the other until it is `over`, at least one; how many.
fn buy_until(hall: &Hall, thread: u32, over: &AtomicBool) -> u64 {
    for number in 0.. {
        let item = format!("ITM-1-{}", 2 * number + thread);
        hall.buy(&format!("user {thread} {number}"), &item, 1);
        if over.load(Ordering::Relaxed) {
            return u64::from(number) + 1;
        }
    }
    unreachable!("there are more items than this test lasts");
}

/// Every unit is somewhere, and a start finds it there. `expected` are all units and those sold, of
/// each sale.
fn check(hall: Hall, expected: [(u64, u64); 3]) {
    let Hall {
        engine, disk, dir, ..
    } = hall;
    let figures = |state: &State| -> Vec<StockFigures> {
        state.sales().iter().map(|sale| sale.figures()).collect()
    };
    let live = State::of_engine(&engine);
    live.check(Lsn::ZERO).expect("every unit is somewhere");
    let expected = expected.map(|(total, sold)| StockFigures {
        total,
        sold,
        held: 0,
    });
    assert_eq!(figures(&live), expected);
    let last = ItemIndex(live.sales()[1].item_count() - 1);
    let view = |state: &State| state.sales()[1].item_view(last);
    let seen = view(&live);
    engine.journal().close();
    let recovered = recover(&disk, &dir).expect("the journal is intact");
    assert_eq!(figures(&recovered), expected);
    assert_eq!(view(&recovered), seen);
}

#[test]
fn the_later_of_two_creations_may_be_done_first() {
    let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
    let hall = Hall::open(Arc::clone(&disk), "journal".as_ref(), Gate::after(30));
    let (first, second) = (List::new("a", 2_000, 3), List::new("b", 3_000, 1_500));
    thread::scope(|scope| {
        let one = hall.create_held(scope, first.catalogue());
        hall.gate.wait_until_held();
        let other = hall.create(second.catalogue()).expect("it is allowed");
        assert_eq!(other.outcome.id(), SaleId(2));
        // What is seen of the first one is no sale yet, and yet part of a snapshot.
        let until = other.lsn.expect("a record");
        hall.engine.journal().wait(until).expect("the disk works");
        let (clock, entropy) = (&hall.gate.clock, SeededEntropy::new(3));
        write_snapshot(&*disk, &hall.dir, until, clock, &entropy).expect("the journal is intact");
        hall.gate.open();
        let one = one
            .join()
            .expect("it does not panic")
            .expect("it is allowed");
        assert_eq!(one.outcome.id(), SaleId(1));
        assert!(one.lsn > other.lsn);
    });
    hall.buy("ada", "a1999", 3);
    hall.buy("ada", "b2999", 7);
    assert_eq!(
        hall.create(generated(1))
            .expect("it is allowed")
            .outcome
            .id(),
        SaleId(3)
    );
    let live = dump(&State::of_engine(&hall.engine));
    hall.engine.journal().close();
    let recovered = recover(&disk, &hall.dir).expect("the journal is intact");
    assert!(dump(&recovered) == live, "the journal says otherwise");
}

#[test]
fn many_at_once_all_come_to_be() {
    let hall = Hall::open(
        Arc::new(SimulatedDisk::new()),
        "journal".as_ref(),
        Gate::after(0),
    );
    let lists = ["a", "b", "c", "d"].map(|prefix| List::new(prefix, 4_000, 2));
    thread::scope(|scope| {
        for list in &lists {
            scope.spawn(|| hall.create(list.catalogue()).expect("it is allowed").lsn);
        }
    });
    let numbers: Vec<_> = hall.engine.sales().iter().map(|sale| sale.id().0).collect();
    assert_eq!(numbers, [4, 3, 2, 1]);
    for prefix in ["a", "b", "c", "d"] {
        hall.buy(prefix, &format!("{prefix}3999"), 2);
    }
    State::of_engine(&hall.engine)
        .check(Lsn::ZERO)
        .expect("every unit is somewhere");
}
