//! A model of the replicated log, of which stateright visits every state: two servers, a PostgreSQL with one or two synchronous standbys, and whatever may go
//! wrong between them, at any moment. Each guard of the protocol is left out once, and has to be missed.

use stateright::{Checker, HasDiscoveries, Model};

use model::Step::{self, *};
use model::{Hole, NOTHING_LOST, ONE_WRITER, REFUSED_FOR_GOOD, ReplicatedLog};

mod database;
mod model;
mod server;

fn model(standbys: usize, hole: Option<Hole>) -> ReplicatedLog {
    ReplicatedLog {
        standbys,
        hole,
        epochs_max: 3,
        buyers_max: 2,
        late_max: 1,
    }
}

/// Visits every state.
fn check_all(model: ReplicatedLog) {
    let checker = model.checker().threads(2).spawn_dfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
    assert!(checker.is_done(), "some states were not visited");
}

/// Checks that a run that breaks `property` is found where `hole` is open, and that `run` is one.
fn check_found(hole: Hole, standbys: usize, property: &'static str, run: &[Step]) {
    let checker = model(standbys, Some(hole)).checker();
    let until = HasDiscoveries::AnyOf([property].into());
    let checker = checker.finish_when(until).spawn_bfs().join();
    let found = checker.assert_any_discovery(property).into_actions();
    let states = checker.unique_state_count();
    println!(
        "{hole:?}: found in {} steps after {states} states: {found:?}",
        found.len()
    );
    checker.assert_discovery(property, run.to_vec());
}

/// The servers.
const A: usize = 0;
const B: usize = 1;
/// The machines.
const N1: usize = 0;
const N2: usize = 1;
const N3: usize = 2;

#[test]
fn with_every_guard_nothing_goes_wrong() {
    check_all(model(1, None));
}

#[test]
fn with_two_standbys_nothing_goes_wrong() {
    check_all(ReplicatedLog {
        epochs_max: 2,
        late_max: 0,
        ..model(2, None)
    });
}

#[test]
fn any_one_of_two_standbys_is_not_enough() {
    let run = [
        Sell(A),
        Promote(N2),
        Ask(B, N2),
        // The old primary and the other standby, which know nothing of it, go on.
        Ask(A, N1),
        Receive(N3),
        Acknowledge(N1),
        Join(N3),
        Receive(N3),
        Acknowledge(N2),
    ];
    check_found(Hole::AnyStandby, 2, NOTHING_LOST, &run);
}

#[test]
fn what_a_primary_shows_is_not_trusted_without_a_barrier() {
    let run = [
        Sell(A),
        Ask(A, N1),
        RestartMachine(N1),
        // It is there, and on no other machine.
        Ask(A, N1),
        Promote(N2),
        Ask(B, N2),
        Join(N1),
        Receive(N1),
        Acknowledge(N2),
    ];
    check_found(Hole::NoBarrier, 1, NOTHING_LOST, &run);
}

#[test]
fn a_cancelled_wait_is_not_an_acknowledgement() {
    let run = [
        Sell(A),
        Ask(A, N1),
        Cancel(N1),
        Promote(N2),
        Ask(B, N2),
        Join(N1),
        Receive(N1),
        Acknowledge(N2),
    ];
    check_found(Hole::WarningIgnored, 1, NOTHING_LOST, &run);
}

#[test]
fn a_time_out_is_not_a_refusal() {
    let run = [
        Sell(A),
        AskInVain(A, N1),
        Arrive(0),
        Receive(N2),
        Acknowledge(N1),
        Ask(B, N1),
        Receive(N2),
        Acknowledge(N1),
    ];
    check_found(Hole::TimeoutRefuses, 1, REFUSED_FOR_GOOD, &run);
}

#[test]
fn an_append_compares_the_epoch() {
    let run = [
        Sell(A),
        Ask(B, N1),
        Receive(N2),
        Acknowledge(N1),
        // A was paused, and goes on.
        Ask(A, N1),
        Receive(N2),
        Acknowledge(N1),
    ];
    check_found(Hole::EpochNotCompared, 1, NOTHING_LOST, &run);
}

#[test]
fn an_append_compares_the_end_of_the_log() {
    let run = [
        Sell(A),
        AskInVain(A, N1),
        // A barrier, which finds that it is not there; then once more.
        Ask(A, N1),
        Acknowledge(N1),
        Ask(A, N1),
        Receive(N2),
        Acknowledge(N1),
        Arrive(0),
        Receive(N2),
        Acknowledge(N1),
        Sell(A),
        Ask(A, N1),
        Receive(N2),
        Acknowledge(N1),
        Ask(B, N1),
        Receive(N2),
        Acknowledge(N1),
    ];
    check_found(Hole::PlaceNotCompared, 1, NOTHING_LOST, &run);
}

#[test]
fn a_standby_follows_only_what_is_acknowledged() {
    let run = [
        Sell(A),
        Ask(A, N1),
        Cancel(N1),
        Follow(B, N1),
        Promote(N2),
        Ask(B, N2),
        Join(N1),
        Receive(N1),
        Acknowledge(N2),
    ];
    check_found(Hole::FollowsAnything, 1, ONE_WRITER, &run);
}
