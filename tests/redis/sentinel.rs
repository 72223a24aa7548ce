//! A master with a replica, and sentinels that make the replica the master: the projection is exact afterwards, whatever
//! the old master took with it.

use flashsale::reconcile::redis::{RedisOptions, RedisServers, SentinelOptions};

use crate::redis::fixture::{Place, address, at, compare_events, wait_until_equal};
use crate::redis::story::Story;
use crate::redis_group::{Guarded, MASTER, PASSWORD, cut_off, wait_until_filled};
use crate::redis_server::{Answer, RedisServer};
use crate::server::wait_for;

fn options(group: &Guarded) -> RedisOptions {
    let sentinels = group.sentinels.iter().map(address).collect();
    let mut options = at(RedisServers::Sentinel(SentinelOptions {
        sentinels,
        master: MASTER.into(),
        user: None,
        password: None,
    }));
    options.password = Some(PASSWORD.into());
    options
}

/// How far the projection in a server is; 0 where it has none, as a replica that has heard of nothing yet.
fn position(server: &RedisServer) -> i64 {
    match server.command(&["HGET", "{flashsale}:watermark", "lsn"]) {
        Answer::Nil => 0,
        lsn => lsn.number(),
    }
}

/// The options that lead to one of the servers, whoever is the master.
fn directly(server: &RedisServer) -> RedisOptions {
    let mut options = at(RedisServers::Single(address(server)));
    options.password = Some(PASSWORD.into());
    options
}

#[test]
fn a_failover_under_load_costs_nothing() {
    let mut group = Guarded::start();
    let (options, place) = (options(&group), Place::new());
    let following = place.follow(&options);
    let mut story = Story::new(21);
    following.wait_for(story.tell(&place.journal, 500));

    // One that somebody wants: the old master goes on, as a replica.
    let first = group.master();
    wait_until_filled(&group.servers[1 - first]);
    story.tell(&place.journal, 1000);
    let answer = group.sentinels[0].command(&["SENTINEL", "FAILOVER", MASTER]);
    assert!(!answer.is_error(), "{answer:?}");
    story.tell(&place.journal, 1000);
    let second = group.wait_for_failover(first);
    let last = story.tell(&place.journal, 500);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &directly(&group.servers[second]));

    group.wait_until_guarded();
    let last = story.tell(&place.journal, 500);
    following.wait_for(last);
    group.servers[second].kill_9();
    story.tell(&place.journal, 1000);
    assert_eq!(group.wait_for_failover(second), first);
    let last = story.tell(&place.journal, 500);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
    compare_events(&place, last, &group.servers[first], "shop");
    assert_eq!(following.figures().rebuilds, 0, "the rest was enough");
}

#[test]
fn what_a_dead_master_had_alone_is_applied_again_once() {
    let mut group = Guarded::start();
    let (options, place) = (options(&group), Place::new());
    let following = place.follow(&options);
    let mut story = Story::new(22);
    let shared = story.tell(&place.journal, 500);
    following.wait_for(shared);
    let old = group.master();
    let replica = &group.servers[1 - old];
    wait_for("the replica", || {
        (position(replica) == shared.0 as i64).then_some(())
    });
    cut_off(&group.servers[old], "replica");
    let lost = story.tell(&place.journal, 1000);
    following.wait_for(lost);
    group.servers[old].kill_9();
    assert_eq!(position(&group.servers[1 - old]), shared.0 as i64);

    let new = group.wait_for_failover(old);
    let last = story.tell(&place.journal, 500);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
    compare_events(&place, last, &group.servers[new], "shop");
    assert_eq!(following.figures().rebuilds, 0, "the journal has the rest");
}

#[test]
fn a_master_that_the_others_have_given_up_is_left() {
    let group = Guarded::start();
    let (options, place) = (options(&group), Place::new());
    let following = place.follow(&options);
    let mut story = Story::new(23);
    following.wait_for(story.tell(&place.journal, 500));
    // It still takes what we send, and nobody tells it that it is no master any more.
    let old = group.master();
    cut_off(&group.servers[old], "replica");
    cut_off(&group.servers[old], "sentinel");
    let lost = story.tell(&place.journal, 500);
    following.wait_for(lost);
    let new = group.wait_for_failover(old);
    let last = story.tell(&place.journal, 500);
    wait_until_equal(&place.fold(last), &directly(&group.servers[new]));
    following.wait_for(last);

    let left_at = position(&group.servers[old]);
    let last = story.tell(&place.journal, 500);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
    compare_events(&place, last, &group.servers[new], "shop");
    assert_eq!(position(&group.servers[old]), left_at);
}

#[test]
fn a_master_that_says_nothing_any_more_is_left() {
    let group = Guarded::start();
    let (options, place) = (options(&group), Place::new());
    let following = place.follow(&options);
    let mut story = Story::new(24);
    following.wait_for(story.tell(&place.journal, 500));
    let old = group.master();
    group.servers[old].pause();
    let last = story.tell(&place.journal, 1000);
    let new = group.wait_for_failover(old);
    wait_until_equal(&place.fold(last), &directly(&group.servers[new]));
    following.wait_for(last);
    // It wakes up, and sees itself as the master until the sentinels see it.
    group.servers[old].resume();
    let last = story.tell(&place.journal, 500);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
}
