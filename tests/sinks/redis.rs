//! A Redis that is emptied, full, or takes no writes.

use crate::load::Load;
use crate::places::{place_with_both, postgres, redis, use_redis};
use crate::server::{Server, wait_for};
use crate::sinks::judge::{
    agree_running, all_is_well, figure, settle, wait_until_down, wait_until_up,
};

/// Lets something be lost, and waits until that was noticed and mended.
fn lose(server: &Server, what: impl FnOnce()) {
    wait_until_up(server, "redis");
    let before = figure(server, "redis", "rebuilds");
    what();
    wait_for("the loss to be noticed", || {
        (figure(server, "redis", "rebuilds") > before).then_some(())
    });
    wait_until_up(server, "redis");
}

#[test]
fn an_emptied_redis_is_filled_again() {
    let (postgres, redis) = (postgres(), redis(&[]));
    let server = Server::start_in(place_with_both(&postgres, &redis));
    let run = |words: &[&str]| drop(redis.command(words));
    let load = Load::start(&server);
    for _ in 0..3 {
        load.wait_for_more(50);
        lose(&server, || run(&["FLUSHALL"]));
    }
    let mut bought = load.stop();
    agree_running(&server);

    // Nobody buys, and it is noticed all the same.
    lose(&server, || run(&["FLUSHALL"]));
    agree_running(&server);
    // Part of it, which is noticed when it is needed.
    lose(&server, || {
        run(&["DEL", "{flashsale}:sale:1"]);
        bought.add(Load::purchases(&server, 20));
    });
    all_is_well(server, &postgres, &bought);
}

#[test]
fn the_log_tells_of_a_rebuild_that_was_asked_for_from_beginning_to_end() {
    let redis = redis(&[]);
    let mut place = crate::places::place();
    use_redis(&mut place, &redis);
    let server = Server::start_in(place);
    drop(Load::purchases(&server, 100));
    settle(&server);
    let told = |server: &Server, what: &str| server.log().matches(what).count();
    let done = "Redis has caught up with the journal";
    assert_eq!(told(&server, done), 0);
    let rebuilt = server.place().run(&["rebuild", "redis", "--yes"]);
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    wait_for(done, || (told(&server, done) > 0).then_some(()));
    agree_running(&server);
    let log = server.log();
    let begun = [
        "Redis was emptied by `flashsale rebuild redis`: it is filled again",
        "Redis begins to catch up with the journal",
        done,
    ];
    let places: Vec<_> = begun.iter().map(|what| log.find(what)).collect();
    assert!(places.is_sorted() && places[0].is_some(), "{log}");
    for what in begun {
        assert_eq!(log.matches(what).count(), 1, "{what}: {log}");
    }
    assert!(!log.contains("ERROR"), "{log}");
    drop(server.stop());
}

#[test]
fn a_full_redis_stops_no_sale() {
    let (postgres, redis) = (postgres(), redis(&[]));
    let server = Server::start_in(place_with_both(&postgres, &redis));
    let load = Load::start(&server);
    load.wait_for_more(50);
    wait_until_up(&server, "redis");
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    wait_until_down(&server, "redis", "it is out of memory");
    load.wait_for_more(100);
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    wait_until_up(&server, "redis");
    let bought = load.stop();
    settle(&server);
    assert_eq!(figure(&server, "redis", "rebuilds"), 0);
    all_is_well(server, &postgres, &bought);
}

#[test]
fn a_replica_takes_nothing_until_it_is_promoted() {
    let (postgres, primary) = (postgres(), redis(&[]));
    let replica_of = format!("replicaof 127.0.0.1 {}", primary.port());
    let password = format!("masterauth {}", crate::places::redis_password());
    let replica = redis(&[&replica_of, &password]);
    let mut place = place_with_both(&postgres, &primary);
    let server = Server::start_in(place);
    let mut bought = Load::purchases(&server, 50);
    settle(&server);
    place = server.stop();
    use_redis(&mut place, &replica);
    let server = Server::start_in(place);
    let load = Load::start(&server);
    load.wait_for_more(20);
    wait_until_down(&server, "redis", "it is a read-only replica");
    load.wait_for_more(50);
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    wait_until_up(&server, "redis");
    bought.add(load.stop());
    all_is_well(server, &postgres, &bought);
}
