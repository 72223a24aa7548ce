//! What a follower does while the sink keeps what it took.

use flashsale::env::{Entropy, SeededEntropy};
use flashsale::limits;
use flashsale::telemetry::SinkStatus;
use flashsale::types::Lsn;

use crate::follower::fake::Fault;
use crate::follower::fixture::{World, wait_until};

#[test]
fn everything_arrives_once_and_in_order() {
    let world = World::new();
    world.append(30_000, 1);
    let follower = world.follow();
    world.append(1_000, 1);
    world.wait_for_equality();
    wait_until("the gauge", || world.figures().applied_lsn == Some(31_000));
    let figures = world.figures();
    assert_eq!(figures.status, SinkStatus::Up);
    assert_eq!((figures.lag_records, figures.failures), (Some(0), 0));
    assert_eq!(follower.applied().get(), Lsn(31_000));
    let largest = world
        .fake
        .content(|content| content.batches.iter().max().copied());
    assert!(largest <= Some(limits::BATCH_RECORDS_MAX));
    follower.stop();
}

#[test]
fn failures_neither_lose_nor_repeat_a_record() {
    let world = World::new();
    let entropy = SeededEntropy::new(11);
    world.fake.content(|content| {
        content.faults = (0..60)
            .map(|_| match entropy.bits_128() % 12 {
                0 => Some(Fault::Away),
                1 => Some(Fault::AnswerLost),
                2 => Some(Fault::NoConnection),
                _ => None,
            })
            .collect();
    });
    let follower = world.follow();
    for round in 0..200 {
        world.append(37, round);
        std::thread::yield_now();
    }
    world.wait_for_equality();
    assert_eq!(world.figures().rebuilds, 0, "nothing was ever lost");
    follower.stop();
}

#[test]
fn a_sink_that_is_away_is_down_and_its_lag_is_shown() {
    let world = World::new();
    world.append(10, 1);
    let follower = world.follow();
    world.wait_for_equality();
    world.fake.content(|content| content.away = true);
    world.append(90, 1);
    wait_until("the sink to be down", || {
        let figures = world.figures();
        figures.status == SinkStatus::Down && figures.lag_seconds > Some(0)
    });
    let figures = world.figures();
    assert_eq!(
        (figures.applied_lsn, figures.lag_records),
        (Some(10), Some(90))
    );
    assert_eq!(figures.reason, "away");
    assert_eq!(
        follower.applied().get(),
        Lsn(10),
        "nothing newer may be trimmed"
    );
    world.fake.content(|content| content.away = false);
    world.wait_for_equality();
    wait_until("the sink to be up", || {
        world.figures().status == SinkStatus::Up
    });
    assert_eq!(world.figures().lag_seconds, Some(0));
    follower.stop();
}

#[test]
fn the_end_of_the_server_takes_the_sink_along() {
    let world = World::new();
    let follower = world.follow();
    world.append(5_000, 1);
    world.journal.close();
    follower.stop();
    world.wait_for_equality();
}

#[test]
fn the_end_of_the_server_does_not_wait_for_a_dead_sink() {
    let world = World::new();
    world.fake.content(|content| content.away = true);
    world.append(10, 1);
    let follower = world.follow();
    wait_until("the first failure", || world.figures().failures > 0);
    follower.stop();
    assert_eq!(world.fake.content(|content| content.records.len()), 0);
}
