//! Random histories of an engine, its crashes included, against a reference of plain maps.

mod model;
mod step;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Every outcome that a history can have, but for the rarest.
const OUTCOMES: [&str; 26] = [
    "accepted",
    "accepted before",
    "key reused",
    "not found",
    "quantity",
    "not active",
    "limit",
    "item limit",
    "already",
    "sold out",
    "held",
    "bought",
    "nothing left",
    "repeated",
    "used before",
    "no checkout",
    "sale over",
    "expired",
    "contents",
    "not in it",
    "paused",
    "stock changed",
    "cancelled",
    "paying",
    "no payments",
    "shop confirms",
];
/// Outcomes that a history has now and then.
const RARE: [&str; 8] = [
    "stock changed before",
    "in use",
    "ref reused",
    "cancelled before",
    "all cancelled",
    "not purchased",
    "payment under way",
    "bought late",
];

#[test]
fn the_engine_does_what_the_model_does() {
    let outcomes = RefCell::new(BTreeMap::<&str, u32>::new());
    // The fixed generator makes the run the same every time; a failure prints its shortest history.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config {
        cases: 600,
        failure_persistence: None,
        ..Config::default()
    };
    let history = (any::<u8>(), vec(step::any_step(), 1..150));
    let run = TestRunner::new_with_rng(config, rng).run(&history.boxed(), |(terms, steps)| {
        let mut world = world::World::new(terms);
        for step in &steps {
            if let Some(outcome) = world.take(step) {
                *outcomes.borrow_mut().entry(outcome).or_default() += 1;
            }
        }
        world.crash(true, 0);
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));

    let outcomes = outcomes.into_inner();
    let total: u32 = outcomes.values().sum();
    println!("{total} outcomes: {outcomes:#?}");
    for outcome in OUTCOMES {
        let count = outcomes.get(outcome).copied().unwrap_or(0);
        assert!(count * 400 >= total, "{outcome}: {count} of {total}");
    }
    for outcome in RARE {
        let count = outcomes.get(outcome).copied().unwrap_or(0);
        assert!(count > 0, "{outcome}: {count} of {total}");
    }
}
