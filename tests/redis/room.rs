//! A Redis that is full, or takes no writes.

use crate::redis::fixture::{Place, options, wait_until_equal};
use crate::redis::story::Story;
use crate::redis_server::RedisServer;

#[test]
fn a_full_redis_is_down_until_there_is_room() {
    check_full_redis(&RedisServer::start());
}

#[test]
fn a_full_redis_is_down_where_scripts_stand_in_for_functions_too() {
    let settings = ["rename-command FCALL \"\"", "rename-command FUNCTION \"\""];
    check_full_redis(&RedisServer::start_with(&settings));
}

fn check_full_redis(server: &RedisServer) {
    let place = Place::new();
    let options = options(server);
    let following = place.follow(&options);
    let mut story = Story::new(1);
    following.wait_for(story.tell(&place.journal, 500));
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let last = story.tell(&place.journal, 500);
    following.wait_for_reason("out of memory");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
    assert_eq!(following.figures().rebuilds, 0, "nothing was written half");
}

#[test]
fn a_replica_is_told_from_a_server_that_takes_writes() {
    let (primary, place) = (RedisServer::start(), Place::new());
    let replica_of = format!("replicaof 127.0.0.1 {}", primary.port());
    let replica = RedisServer::start_with(&[&replica_of]);
    let last = Story::new(1).tell(&place.journal, 300);
    let following = place.follow(&options(&replica));
    following.wait_for_reason("read-only replica");
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    following.wait_for(last);
}
