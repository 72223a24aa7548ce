//! What a follower does when the sink no longer holds what it did, or something else.

use std::time::Duration;

use flashsale::env::SimulatedDisk;
use flashsale::journal::trim;
use flashsale::reconcile::SinkError;
use flashsale::telemetry::SinkStatus;
use flashsale::types::{Lsn, Timestamp};

use crate::follower::fake::Fault;
use crate::follower::fixture::{World, dir, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn keys_lost_while_busy_are_filled_again() {
    let world = World::new();
    world.append(100, 1);
    let follower = world.follow();
    world.wait_for_equality();
    world
        .fake
        .content(|content| content.faults.push_back(Some(Fault::Loses)));
    world.append(100, 1);
    world.wait_for_equality();
    wait_until("the gauge", || world.figures().rebuilds == 1);
    follower.stop();
}

#[test]
fn keys_lost_while_idle_are_noticed() {
    let world = World::new();
    world.append(100, 1);
    let follower = world.follow();
    world.wait_for_equality();
    world.fake.content(|content| {
        content.records.clear();
        content.watermark = Default::default();
    });
    world.wait_for_equality();
    follower.stop();
}

#[test]
fn a_sink_that_fell_back_is_brought_up_from_there() {
    let world = World::new();
    world.append(10, 1);
    let follower = world.follow();
    world.wait_for_equality();
    let then = world
        .fake
        .content(|content| (content.watermark, content.records.clone()));
    world.append(10, 1);
    world.wait_for_equality();
    world
        .fake
        .content(|content| (content.watermark, content.records) = then);
    world.wait_for_equality();
    assert_eq!(
        world.fake.content(|content| content.starts),
        1,
        "not from nothing"
    );
    follower.stop();
}

#[test]
fn a_second_writer_is_fenced() {
    let world = World::new();
    world.append(10, 1);
    let follower = world.follow();
    world.wait_for_equality();
    world
        .fake
        .content(|content| content.faults.push_back(Some(Fault::Usurped)));
    world.append(10, 1);
    wait_until("the fence", || {
        world.figures().reason.contains("another journal")
    });
    assert_eq!(world.figures().status, SinkStatus::Down);
    assert_eq!(world.fake.content(|content| content.records.len()), 10);
    follower.stop();
}

#[test]
fn another_journal_is_refused_at_once() {
    let world = World::new();
    world.append(10, 1);
    let follower = world.follow();
    world.wait_for_equality();
    follower.stop();
    // The same numbers, other records; and fewer of them.
    for (count, why) in [
        (20, "is not the one of this journal"),
        (5, "the journal ends at 5"),
    ] {
        let mut other = World::on(SimulatedDisk::new());
        other.fake = world.fake.clone();
        other.append(count, 1_000);
        let follower = other.follow();
        let word = follower.first_word(PATIENCE).expect("a word");
        let said = match word {
            Err(SinkError::Diverged(said)) => said,
            other => panic!("{other:?}"),
        };
        assert!(said.contains(why), "{said}");
        follower.stop();
    }
    assert_eq!(world.fake.content(|content| content.records.len()), 10);
}

#[test]
fn no_answer_yet_is_not_the_first_word_of_a_sink() {
    let world = World::new();
    world.append(20, 1);
    let follower = world.follow();
    world.wait_for_equality();
    follower.stop();
    let mut other = World::on(SimulatedDisk::new());
    other.fake = world.fake.clone();
    other.append(5, 1_000);
    other.fake.content(|content| content.away = true);
    let follower = other.follow();
    wait_until("the first failure", || other.figures().failures > 0);
    other.fake.content(|content| content.away = false);
    let word = follower.first_word(PATIENCE).expect("a word");
    assert!(matches!(word, Err(SinkError::Diverged(_))), "{word:?}");
    follower.stop();
}

#[test]
fn a_sink_that_needs_what_was_trimmed_starts_over_or_says_why_not() {
    let world = World::new();
    // More than two segments hold, however few batches the records are written in.
    world.append(12_000, 1);
    let later = Timestamp(i64::MAX);
    assert!(trim(&world.disk, dir(), Lsn(12_000), later).expect("writable") > 0);
    let follower = world.follow();
    let word = follower.first_word(PATIENCE).expect("a word");
    assert!(matches!(word, Err(SinkError::Refused(why)) if why.contains("trimmed")));
    follower.stop();
}
