//! Sales that follow each other.

use flashsale::sale::{CheckoutOutcome, SaleStatus};
use flashsale::types::{SaleId, Timestamp};

use crate::schedule::world::{World, at, rotation};

#[test]
fn sales_are_aligned_to_the_wall_clock() {
    let world = World::start(1_017, rotation(3600, 0));
    let sale = world.sale(1);
    assert_eq!((sale.started_at(), sale.ended_at()), (at(0), at(3600)));
    assert_eq!(world.records(), ["created 1"]);
}

#[test]
fn the_next_sale_is_there_before_its_first_second() {
    let mut world = World::start(10, rotation(3600, 0));
    world.pass(3584);
    assert_eq!(world.records(), ["created 1"], "not yet");
    world.pass(1);
    assert_eq!(world.records(), ["created 1", "created 2"]);
    assert_eq!(world.active(), Some(SaleId(1)));
    assert!(matches!(
        world.checkout("ada", "ITM-2-0"),
        CheckoutOutcome::SaleNotActive
    ));
    // Nobody looks at the agenda on the hour, and still the new one sells and the old one does not.
    world.clock.advance_us(4_999_999);
    let last = world.code("ada", "ITM-1-0");
    world.clock.advance_us(1);
    assert_eq!(world.active(), Some(SaleId(2)));
    assert!(matches!(
        world.checkout("ada", "ITM-1-1"),
        CheckoutOutcome::SaleNotActive
    ));
    assert!(matches!(
        world.purchase(last),
        flashsale::sale::PurchaseOutcome::SaleNotActive
    ));
    world.code("ada", "ITM-2-0");
    world.agenda.run_due();
    assert_eq!(world.records(), ["created 1", "created 2", "closed 1"]);
    world.check();
}

#[test]
fn running_due_actions_again_does_nothing_twice() {
    let mut world = World::start(10, rotation(10, 0));
    for _ in 0..40 {
        world.clock.advance_us(250_000);
        world.agenda.run_due();
        world.agenda.run_due();
        assert_eq!(world.engine.close_ended(), 0);
    }
    assert_eq!(world.records(), ["created 1", "created 2", "closed 1"]);
    world.check();
}

#[test]
fn rest_ends_when_something_is_due() {
    let mut world = World::start(10, rotation(10, 3));
    world.agenda.run_due();
    let rest_us = |world: &World| world.agenda.idle_time().as_micros();
    assert_eq!(rest_us(&world), 200_000, "the clock may jump");
    world.clock.advance_us(4_900_000);
    world.agenda.run_due();
    assert_eq!(rest_us(&world), 100_000, "to the turn of the rotation");
    world.code("ada", "ITM-1-0");
    world.clock.advance_us(2_950_000);
    world.agenda.run_due();
    assert_eq!(rest_us(&world), 50_000, "to the end of the hold");
    world.clock.advance_us(2_140_000);
    world.agenda.run_due();
    assert_eq!(rest_us(&world), 10_000, "to the end of the sale");
}

#[test]
fn a_server_that_was_down_over_boundaries_opens_one_sale() {
    let world = World::start(10, rotation(3600, 0));
    let mut world = world.restart_after(5 * 3600, true);
    assert_eq!(world.records(), ["created 1", "created 2"]);
    world.pass(20);
    assert_eq!(world.records(), ["created 1", "created 2", "closed 1"]);
    let sale = world.sale(2);
    assert_eq!(
        (sale.started_at(), sale.ended_at()),
        (at(5 * 3600), at(6 * 3600))
    );
    let world = world.restart_after(1, false);
    assert_eq!(
        world.records(),
        ["created 1", "created 2", "closed 1"],
        "never twice"
    );
    world.check();
}

#[test]
fn a_changed_interval_waits_for_the_end_of_the_running_sale() {
    let mut world = World::start(10, rotation(3600, 0));
    world.rotation = rotation(600, 0);
    let mut world = world.restart_after(600, true);
    assert_eq!(world.active(), Some(SaleId(1)));
    world.pass(3000);
    assert_eq!(world.active(), Some(SaleId(2)));
    let sale = world.sale(2);
    assert_eq!((sale.started_at(), sale.ended_at()), (at(3600), at(4200)));
    world.rotation = rotation(3600, 0);
    let mut world = world.restart_after(60, true);
    world.pass(530);
    world.pass(60);
    let sale = world.sale(3);
    assert_eq!(
        (sale.started_at(), sale.ended_at()),
        (at(4200), at(7200)),
        "the rest of the hour"
    );
    world.check();
}

#[test]
fn a_sale_that_was_closed_early_is_not_opened_again() {
    let mut world = World::start(10, rotation(3600, 0));
    assert!(world.engine.close_sale(SaleId(1)).flatten().is_some());
    assert_eq!(world.sale(1).ended_at(), at(10), "that is when it ended");
    world.pass(60);
    let mut world = world.restart_after(60, false);
    world.pass(60);
    assert_eq!(world.records(), ["created 1", "closed 1"]);
    assert_eq!(world.sale(1).ended_at(), at(10));
    assert_eq!(
        world.sale(1).status(Timestamp::default()),
        SaleStatus::Ended
    );
    world.pass(3600);
    assert_eq!(world.active(), Some(SaleId(2)));
}

#[test]
fn a_sale_closed_early_that_only_a_snapshot_knows_is_not_opened_again() {
    let world = World::start(10, rotation(3600, 0));
    assert!(world.engine.close_sale(SaleId(1)).flatten().is_some());
    world.snapshot();
    let mut world = world.restart_after(60, true);
    assert!(
        world.engine.sale(SaleId(1)).is_none(),
        "it is not in memory"
    );
    world.pass(60);
    assert_eq!(world.active(), None);
    world.pass(3600);
    assert_eq!(world.active(), Some(SaleId(2)));
}

#[test]
fn a_sale_closed_early_that_has_left_memory_is_not_opened_again() {
    let mut world = World::start(10, rotation(3600, 0));
    let closed = world.engine.close_sale(SaleId(1)).flatten();
    let journal = world.engine.journal();
    journal
        .wait(closed.expect("it was open"))
        .expect("the disk works");
    let left = world.engine.put_ended_away(0).expect("the disk works");
    assert_eq!(left.len(), 1);
    assert!(world.engine.sales().is_empty(), "it is not in memory");
    world.pass(60);
    assert_eq!(world.active(), None);
    assert_eq!(world.agenda.next_opening(), at(3600));
    world.pass(3525);
    assert_eq!(world.records(), ["created 1", "closed 1", "created 2"]);
    world.pass(5);
    assert_eq!(world.active(), Some(SaleId(2)));
    assert_eq!(world.sale(2).started_at(), at(3600));
}

#[test]
fn an_added_sale_lives_beside_the_rotation() {
    let mut world = World::start(10, rotation(3600, 0));
    let added = world.add_sale(60, 120, 0);
    assert!(matches!(
        world.checkout("ada", "ITM-2-0"),
        CheckoutOutcome::SaleNotActive
    ));
    world.pass(50);
    assert_eq!(world.active(), Some(added), "the one that started last");
    world.code("ada", "ITM-2-0");
    world.code("ada", "ITM-1-0");
    world.pass(60);
    assert_eq!(world.active(), Some(SaleId(1)));
    assert_eq!(world.records(), ["created 1", "created 2", "closed 2"]);
}
