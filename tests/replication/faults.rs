//! What dies, hangs and comes back, while buyers buy.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::buyers::{Buyers, ask};
use super::group::{Group, place};
use super::keeper::{LogEngine, on_each_engine};
use super::ledger::Ledger;
use crate::server::{Server, wait_for};

on_each_engine!(
    a_standby_sells_on_when_the_leader_is_killed,
    a_leader_that_hangs_and_wakes_tells_nothing_any_more,
    a_leader_that_stops_hands_over_and_loses_nobody,
    a_standby_that_stops_in_the_middle_of_a_frame_ends,
    the_leader_sells_on_without_a_standby_and_both_may_start_at_once,
    a_log_that_comes_back_older_gets_what_it_lacks,
    a_journal_that_was_never_replicated_is_refused_and_not_cut,
);

/// Purchases that are waited for between two faults.
pub const SOME: u64 = 40;

/// Ends everything, and checks that nothing that was told is lost, and nothing sold twice.
pub fn settle(group: Group, buyers: Buyers) {
    buyers.wait_for_more(SOME);
    let told = buyers.stop();
    assert!(told.len() as u64 >= SOME, "too little happened");
    let leader = group.wait_for_leader();
    // One that was deposed has what nobody was told of in its journal until it has joined again.
    let others = (0..group.servers.len()).filter(|&index| index != leader);
    others.for_each(|index| group.wait_for_standby(index));
    let (places, _keeper) = group.stop();
    let ledgers: Vec<_> = places.iter().map(Ledger::read).collect();
    ledgers[leader].check(&told);
    for ledger in &ledgers {
        ledger.check_same_order(&ledgers[leader]);
    }
}

/// Starts servers on a pair of Postgres, and buyers.
pub fn selling(count: usize) -> (Group, Buyers) {
    selling_on(count, LogEngine::Postgres)
}

/// Starts servers on an engine of their own, and buyers.
pub fn selling_on(count: usize, engine: LogEngine) -> (Group, Buyers) {
    let group = Group::start(count, engine);
    let buyers = Buyers::start(group.addresses());
    buyers.wait_for_more(SOME);
    (group, buyers)
}

fn a_standby_sells_on_when_the_leader_is_killed(engine: LogEngine) {
    let (mut group, buyers) = selling_on(2, engine);
    for _ in 0..3 {
        let leader = group.wait_for_leader();
        group.kill_and_restart(leader);
        buyers.wait_for_more(SOME);
    }
    settle(group, buyers);
}

fn a_leader_that_hangs_and_wakes_tells_nothing_any_more(engine: LogEngine) {
    let (group, buyers) = selling_on(2, engine);
    for _ in 0..2 {
        let leader = group.wait_for_leader();
        group.servers[leader].signal(Signal::STOP);
        let other = group.wait_for_leader_among([1 - leader].into_iter());
        buyers.wait_for_more(SOME);
        let addr = group.servers[leader].addr();
        // It wakes with this in its socket.
        let question = thread::spawn(move || {
            let target = "/checkout?user_id=late&id=ITM-1-99999";
            ask(addr, "POST", target, None, Duration::from_secs(20))
        });
        // Whether it is there by then or a moment later does not matter.
        thread::sleep(Duration::from_millis(50));
        group.servers[leader].signal(Signal::CONT);
        let answer = question.join().expect("no panic");
        let is_refused = answer.as_ref().map_or(true, |(status, _)| *status == 503);
        assert!(is_refused, "an old leader answered {answer:?}");
        group.wait_for_standby(leader);
        assert_eq!(group.wait_for_leader(), other);
    }
    settle(group, buyers);
}

fn a_leader_that_stops_hands_over_and_loses_nobody(engine: LogEngine) {
    let (mut group, buyers) = selling_on(2, engine);
    for _ in 0..3 {
        let leader = group.wait_for_leader();
        let ended = group.servers[leader].terminate();
        assert!(ended.success(), "a clean end");
        group.wait_for_leader_among([1 - leader].into_iter());
        // It did not wait for silence.
        group.servers[1 - leader].wait_for_log("which was offered");
        group.servers[leader].restart();
        group.wait_for_standby(leader);
        buyers.wait_for_more(SOME);
    }
    settle(group, buyers);
}

fn a_standby_that_stops_in_the_middle_of_a_frame_ends(engine: LogEngine) {
    let (mut group, buyers) = selling_on(2, engine);
    let leader = group.wait_for_leader();
    for _ in 0..12 {
        let standby = &mut group.servers[1 - leader];
        assert!(standby.terminate().success(), "a clean end");
        standby.restart();
        group.wait_for_standby(1 - leader);
        buyers.wait_for_more(1);
    }
    settle(group, buyers);
}

fn the_leader_sells_on_without_a_standby_and_both_may_start_at_once(engine: LogEngine) {
    let (mut group, buyers) = selling_on(2, engine);
    let leader = group.wait_for_leader();
    group.servers[1 - leader].kill_9();
    buyers.wait_for_more(SOME);
    group.servers[1 - leader].restart();
    group.wait_for_standby(1 - leader);
    for _ in 0..4 {
        for server in &mut group.servers {
            server.kill_9();
        }
        for server in &mut group.servers {
            server.begin_again();
        }
        for server in &mut group.servers {
            server.wait_until_listening();
        }
        buyers.wait_for_more(SOME);
    }
    settle(group, buyers);
}

#[test]
fn the_database_may_die_at_either_end() {
    let (mut group, buyers) = selling(2);
    group.pair().standby.kill_9();
    // Nothing is told meanwhile; how long that is does not matter.
    thread::sleep(Duration::from_secs(1));
    group.pair().standby.restart();
    buyers.wait_for_more(SOME);
    group.pair().primary.kill_9();
    group.pair().primary.restart();
    buyers.wait_for_more(SOME);
    group.pair().standby.pause();
    thread::sleep(Duration::from_secs(1));
    group.pair().standby.resume();
    settle(group, buyers);
}

#[test]
fn a_wait_that_is_cancelled_acknowledges_nothing() {
    let (mut group, buyers) = selling(2);
    group.pair().standby.pause();
    let waiting =
        "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let mut cancelled = 0;
    wait_for("commits that wait for the standby", || {
        let count: u32 = group.pair().query(waiting).parse().expect("a number");
        cancelled += count;
        (cancelled >= 3).then_some(())
    });
    group.pair().standby.resume();
    buyers.wait_for_more(SOME);
    settle(group, buyers);
}

#[test]
fn a_standby_of_the_database_is_promoted() {
    let (mut group, buyers) = selling(2);
    group.pair().fail_over();
    let hosts = group.pair().hosts();
    // One after the other learns of the new standby; the new primary they know.
    buyers.wait_for_more(SOME);
    for index in 0..group.servers.len() {
        group.servers[index].set("REPLICATION_HOSTS", &hosts);
        group.servers[index].terminate();
        group.servers[index].restart();
        group.wait_for_leader();
    }
    settle(group, buyers);
}

fn a_log_that_comes_back_older_gets_what_it_lacks(engine: LogEngine) {
    let (group, buyers) = selling_on(2, engine);
    buyers.wait_for_more(SOME);
    group.keeper.restore_to_frame(20);
    let leader = group.wait_for_leader();
    group.servers[leader].wait_for_log("has come back older");
    buyers.wait_for_more(SOME);
    settle(group, buyers);
}

fn a_journal_that_was_never_replicated_is_refused_and_not_cut(engine: LogEngine) {
    let group = Group::start(1, engine);
    let mut alone = place(&group.keeper);
    alone.set("REPLICATION_ENGINE", "off");
    let mut server = Server::start_in(alone);
    let mut client = server.client();
    client.choose("ann", &["ITM-1-5"]);
    assert!(server.terminate().success());
    let mut place = server.leave();
    place.set("REPLICATION_ENGINE", &group.keeper.settings()[0].1);
    let (code, said) = Server::try_start_in(place)
        .map(|_| ())
        .expect_err("refused");
    assert_eq!(code, Some(1));
    assert!(said.contains("was never replicated"), "{said}");
}
