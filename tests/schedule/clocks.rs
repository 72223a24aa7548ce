//! Clocks that jump, and machines that sleep.

use std::sync::Arc;

use flashsale::sale::{CheckoutOutcome, PurchaseOutcome};
use flashsale::schedule::ClockWatch;
use flashsale::types::SaleId;

use crate::schedule::world::{World, at, rotation};

#[test]
fn a_clock_that_is_put_right_at_once_closes_nothing() {
    let mut world = World::start(10, rotation(3600, 0));
    let code = world.code("ada", "ITM-1-0");
    world.jump_to(at(10 + 86_400));
    // By that clock the sale is over, and its followers are there. That can be taken back.
    assert!(matches!(
        world.checkout("bob", "ITM-1-1"),
        CheckoutOutcome::SaleNotActive
    ));
    world.pass(9);
    assert!(!world.sale(1).is_closed());
    world.jump_to(at(19));
    assert!(matches!(
        world.purchase(code),
        PurchaseOutcome::Processed { .. }
    ));
    world.code("bob", "ITM-1-1");
    world.pass(3_600);
    assert!(world.sale(1).is_closed(), "its time has come");
    assert_eq!(world.active(), Some(SaleId(3)));
    // On the next day there is a sale for this hour already.
    world.pass(86_400 - 3_600);
    assert_eq!(world.active(), Some(SaleId(2)));
    world.check();
}

#[test]
fn the_clock_of_a_standby_is_believed_once_it_goes_on_evenly() {
    let world = World::start(10, rotation(3600, 0));
    let mut watch = ClockWatch::new(Arc::clone(&world.engine));
    let mut is_believed_after = |seconds: i64| {
        world.clock.advance_us(seconds * 1_000_000);
        watch.read();
        world.engine.is_clock_believed()
    };
    assert!(!is_believed_after(0) && !is_believed_after(9));
    // A time server puts it right.
    world.clock.jump_to(at(86_400));
    assert!(!is_believed_after(0) && !is_believed_after(9));
    assert!(is_believed_after(1));
    world.clock.jump_to(at(0));
    assert!(!world.engine.is_clock_believed());
    assert!(!is_believed_after(0) && !is_believed_after(9));
    assert!(is_believed_after(1));
}

#[test]
fn a_start_with_the_clock_two_hours_ahead_ends_no_sale() {
    let world = World::start(10, rotation(3600, 0));
    let code = world.code("ada", "ITM-1-0");
    let mut world = world.restart_at(at(20 + 7_200), false);
    // By that clock the sale is over, and another one is on. That can be taken back.
    assert!(matches!(
        world.checkout("bob", "ITM-1-1"),
        CheckoutOutcome::SaleNotActive
    ));
    assert!(
        !world.engine.is_clock_believed(),
        "nothing is removed by it"
    );
    world.pass(10);
    assert!(!world.sale(1).is_closed(), "as careful as a running server");
    world.jump_to(at(30));
    assert!(matches!(
        world.purchase(code),
        PurchaseOutcome::Processed { .. }
    ));
    for _ in 0..30 {
        world.pass(1);
    }
    assert!(!world.sale(1).is_closed());
    assert!(world.engine.is_clock_believed());
    world.code("bob", "ITM-1-1");
    world.pass(3_600);
    assert!(world.sale(1).is_closed(), "its time has come");
    world.check();
}

#[test]
fn a_sale_that_ended_without_a_server_is_closed_when_the_clock_has_proved_steady() {
    let world = World::start(10, rotation(3600, 0));
    let mut world = world.restart_after(5_000, true);
    assert_eq!(
        world.active(),
        Some(SaleId(2)),
        "the next one sells at once"
    );
    for _ in 0..19 {
        world.pass(1);
        assert!(!world.sale(1).is_closed());
    }
    world.pass(1);
    assert!(world.sale(1).is_closed());
    assert_eq!(world.records(), ["created 1", "created 2", "closed 1"]);
    world.check();
}

#[test]
fn a_running_server_removes_nothing_by_a_clock_that_has_jumped() {
    let mut world = World::start(10, rotation(3600, 0));
    world.pass(20);
    assert!(world.engine.is_clock_believed());
    // Even before the scheduler has looked.
    world.clock.jump_to(at(86_400 * 365));
    assert!(!world.engine.is_clock_believed());
    world.agenda.run_due();
    assert!(!world.engine.is_clock_believed());
    world.pass(10);
    assert!(world.engine.is_clock_believed(), "it goes on evenly");
}

#[test]
fn a_clock_that_goes_on_after_its_jump_is_believed() {
    let mut world = World::start(10, rotation(3600, 0));
    world.jump_to(at(86_400));
    assert_eq!(
        world.active(),
        Some(SaleId(2)),
        "the first request finds it open"
    );
    for _ in 0..9 {
        world.pass(1);
        assert!(!world.sale(1).is_closed());
    }
    world.pass(1);
    assert!(world.sale(1).is_closed());
    assert_eq!(world.records(), ["created 1", "created 2", "closed 1"]);
}

#[test]
fn a_clock_that_is_set_back_sells_on() {
    let mut world = World::start(3600 + 10, rotation(3600, 0));
    world.jump_to(at(10));
    // The sale of that hour never was; it is opened now, and the other one waits.
    assert_eq!(world.active(), Some(SaleId(2)));
    assert!(matches!(
        world.checkout("ada", "ITM-1-0"),
        CheckoutOutcome::SaleNotActive
    ));
    world.pass(3590);
    assert_eq!(world.active(), Some(SaleId(1)));
    world.pass(3600);
    let expected = [
        "created 1",
        "created 2",
        "closed 2",
        "closed 1",
        "created 3",
    ];
    assert_eq!(world.records(), expected);
    world.check();
}

#[test]
fn a_machine_that_slept_works_off_what_it_missed_in_order() {
    let mut world = World::start(10, rotation(3600, 120));
    let added = world.add_sale(20, 7_000, 600);
    world.pass(20);
    let early = world.code("early", "ITM-1-0");
    world.pass(3_000);
    world.code("late", "ITM-2-0");
    world.pass(400);
    let open = world.code("open", "ITM-1-1");
    // One look after a day: early and late have run out long ago, and so has the other one, before the
    // end of its sale.
    world.pass(86_400);
    let expected = [
        "created 1",
        "created 2",
        "expired 1 early",
        "expired 1 open",
        "closed 1",
        "expired 2 late",
        "closed 2",
        "created 3",
    ];
    assert_eq!(world.records(), expected);
    assert_eq!(added, SaleId(2));
    for code in [early, open] {
        assert!(matches!(
            world.purchase(code),
            PurchaseOutcome::CheckoutExpired
        ));
    }
    world.check();
}
