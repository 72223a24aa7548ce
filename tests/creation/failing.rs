//! Creations that come to nothing, and what becomes of their numbers.

use std::sync::Arc;
use std::thread;

use flashsale::env::SimulatedDisk;
use flashsale::limits;
use flashsale::sale::{CreateError, State, Unavailable};
use flashsale::types::{ItemId, Lsn, SaleId};

use crate::common::{dump, recover};
use crate::creation::gate::Gate;
use crate::creation::hall::{Hall, List, generated};

fn open(disk: &SimulatedDisk, gate: Gate) -> Hall {
    Hall::open(Arc::new(disk.clone()), "journal".as_ref(), gate)
}

/// The disk after a crash in the middle of the creation of sale 1, of items `a0` and on.
fn crashed(seed: u64) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let hall = open(&disk, Gate::after(40));
    let list = List::new("a", 4_000, 3);
    thread::scope(|scope| {
        let creation = hall.create_held(scope, list.catalogue());
        hall.gate.wait_until_held();
        // Some of the items are durable, and another sale is.
        let other = hall.create(generated(5)).expect("it is allowed");
        let lsn = other.lsn.expect("a record");
        hall.engine.journal().wait(lsn).expect("the disk works");
        let crashed = disk.crash(seed);
        hall.gate.open();
        let _ = creation
            .join()
            .expect("it does not panic")
            .expect("nothing fails here");
        crashed
    })
}

#[test]
fn the_number_of_a_creation_that_a_crash_cut_off_goes_to_the_next_sale() {
    for (seed, catalogue) in [
        (1, None),
        (2, Some(List::new("b", 100, 1))),
        (3, Some(List::new("a", 50, 9))),
    ] {
        let disk = crashed(seed);
        let hall = open(&disk, Gate::after(0));
        let numbers: Vec<_> = hall.engine.sales().iter().map(|sale| sale.id()).collect();
        assert_eq!(numbers, [SaleId(2)], "the items alone are no sale");
        let next = match &catalogue {
            None => hall.create(generated(7)),
            Some(list) => hall.create(list.catalogue()),
        };
        assert_eq!(next.expect("it is allowed").outcome.id(), SaleId(1));
        let after = hall.create(generated(1)).expect("it is allowed");
        assert_eq!(after.outcome.id(), SaleId(3));
        let sale = hall.engine.sale(SaleId(1)).expect("it was created");
        let a2000 = ItemId::new("a2000").expect("an id");
        assert!(sale.find_item(a2000).is_none(), "what was left is gone");
        let live = dump(&State::of_engine(&hall.engine));
        hall.engine.journal().close();
        let recovered = recover(&hall.disk, &hall.dir).expect("the journal is intact");
        recovered.check(Lsn::ZERO).expect("every unit is somewhere");
        assert!(dump(&recovered) == live, "the journal says otherwise");
    }
}

#[test]
fn a_creation_ends_when_the_server_does() {
    let disk = SimulatedDisk::new();
    let hall = open(&disk, Gate::after(20));
    let list = List::new("a", 4_000, 3);
    thread::scope(|scope| {
        let creation = hall.create_held(scope, list.catalogue());
        hall.gate.wait_until_held();
        hall.engine.start_draining();
        hall.gate.open();
        let refused = creation.join().expect("it does not panic").err();
        assert_eq!(
            refused,
            Some(CreateError::Unavailable(Unavailable::Draining))
        );
    });
    assert!(hall.engine.sales().is_empty());
}

#[test]
fn where_no_room_comes_a_creation_gives_up_and_buyers_go_on() {
    let disk = SimulatedDisk::new();
    let hall = open(&disk, Gate::after(20));
    let _ = hall.create(generated(100)).expect("it is allowed");
    // There is room for this segment and the one that is prepared.
    disk.set_capacity_bytes(Some(2 * limits::SEGMENT_BYTES_MIN + 4096));
    let list = List::new(&"a".repeat(100), 60_000, 3);
    thread::scope(|scope| {
        let creation = hall.create_held(scope, list.catalogue());
        hall.gate.wait_until_held();
        hall.gate.open();
        while !creation.is_finished() {
            // Time passes only when there is no room any more.
            if hall.engine.journal().status().disk_full {
                hall.gate.clock.advance_us(1_000_000);
            }
            thread::yield_now();
        }
        let refused = creation.join().expect("it does not panic").err();
        assert!(
            matches!(refused, Some(CreateError::Unavailable(_))),
            "{refused:?}"
        );
    });
    hall.buy("ada", "ITM-1-1", 1);
    disk.set_capacity_bytes(None);
    let next = List::new("b", 100, 2);
    let next = hall.create(next.catalogue()).expect("there is room again");
    assert_eq!(next.outcome.id(), SaleId(2), "the number was given back");
}
