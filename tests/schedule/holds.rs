//! Holds that run out, whatever the clocks do.

use flashsale::sale::{CheckoutOutcome, PurchaseOutcome};

use crate::schedule::world::{World, at, rotation};

fn retry_after(outcome: &CheckoutOutcome) -> u64 {
    match outcome {
        CheckoutOutcome::ItemHeld {
            retry_after_seconds,
        } => *retry_after_seconds,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hold_lasts_by_what_has_passed_and_not_by_what_the_clock_says() {
    let mut world = World::start(10, rotation(3600, 120));
    let code = world.code("ada", "ITM-1-0");
    world.jump_to(at(1_810));
    world.pass(119);
    assert_eq!(world.sale(1).figures().held, 1);
    assert_eq!(retry_after(&world.checkout("bob", "ITM-1-0")), 1);
    world.jump_to(at(20));
    world.pass(1);
    assert_eq!(world.sale(1).figures().held, 0);
    assert!(matches!(
        world.purchase(code),
        PurchaseOutcome::CheckoutExpired
    ));
    world.code("bob", "ITM-1-0");
    world.check();
}

#[test]
fn retry_after_is_when_the_item_itself_can_come_back() {
    let mut world = World::start(10, rotation(3600, 120));
    let first = world.code("ada", "ITM-1-0");
    world.pass(30);
    world.code("bob", "ITM-1-1");
    assert_eq!(retry_after(&world.checkout("eve", "ITM-1-0")), 90);
    assert_eq!(
        retry_after(&world.checkout("eve", "ITM-1-1")),
        120,
        "not ada's 90"
    );
    assert!(matches!(
        world.purchase(first),
        PurchaseOutcome::Processed { .. }
    ));
    assert!(matches!(
        world.checkout("eve", "ITM-1-0"),
        CheckoutOutcome::ItemSoldOut
    ));
    assert_eq!(retry_after(&world.checkout("eve", "ITM-1-1")), 120);
}

#[test]
fn a_hold_that_ran_out_before_the_end_of_its_sale_expired_though_nobody_was_there() {
    let mut world = World::start(3_000, rotation(3600, 300));
    let expired = world.code("ada", "ITM-1-0");
    world.pass(500);
    let closed = world.code("bob", "ITM-1-1");
    let mut world = world.restart_after(3_600, false);
    assert_eq!(world.records(), ["created 1", "expired 1 ada", "created 2"]);
    // Once the clock has proved steady. What would have run out behind the end ends with the sale.
    world.pass(20);
    let expected = ["created 1", "expired 1 ada", "created 2", "closed 1"];
    assert_eq!(world.records(), expected);
    assert!(matches!(
        world.purchase(expired),
        PurchaseOutcome::CheckoutExpired
    ));
    assert!(matches!(
        world.purchase(closed),
        PurchaseOutcome::SaleNotActive
    ));
    let world = world.restart_after(1, true);
    assert_eq!(world.records(), expected, "never twice");
    world.check();
}

#[test]
fn a_hold_survives_a_restart() {
    let world = World::start(10, rotation(3600, 300));
    let (kept, lost) = (world.code("ada", "ITM-1-0"), world.code("bob", "ITM-1-1"));
    let mut world = world.restart_after(200, false);
    assert!(matches!(
        world.purchase(kept),
        PurchaseOutcome::Processed { .. }
    ));
    assert_eq!(retry_after(&world.checkout("eve", "ITM-1-1")), 100);
    world.pass(100);
    assert!(matches!(
        world.purchase(lost),
        PurchaseOutcome::CheckoutExpired
    ));
    world.code("eve", "ITM-1-1");
    world.check();
}

#[test]
fn a_clock_that_was_set_back_while_the_server_was_down_makes_no_hold_longer() {
    let world = World::start(3_000, rotation(3600, 300));
    let code = world.code("ada", "ITM-1-0");
    // By this clock it would be held for fifty minutes.
    let mut world = world.restart_at(at(10), true);
    world.pass(299);
    assert_eq!(world.sale(1).figures().held, 1);
    world.pass(1);
    assert_eq!(world.sale(1).figures().held, 0);
    assert!(matches!(
        world.purchase(code),
        PurchaseOutcome::CheckoutExpired
    ));
    world.check();
}
