//! What a network can lose between the server and its sinks is applied exactly once.

use std::time::Duration;

use crate::load::Load;
use crate::places::{place, place_with_both, postgres, redis, use_postgres};
use crate::proxy::{AtCommit, Proxy};
use crate::server::{Server, wait_for};
use crate::sinks::judge::{all_is_well, figure, settle, wait_until_down, wait_until_up};

#[test]
fn whatever_is_lost_on_the_way_is_applied_once() {
    let postgres = postgres();
    let proxy = Proxy::start(postgres.port());
    let mut place = place();
    use_postgres(&mut place, proxy.port());
    let server = Server::start_in(place);
    let load = Load::start(&server);
    let lost = [
        AtCommit::LoseAnswer,
        AtCommit::LoseAnswer,
        AtCommit::Lose,
        AtCommit::LoseAnswer,
    ];
    for (number, what) in (1..).zip(lost) {
        wait_until_up(&server, "database");
        proxy.at_commit(what);
        wait_for("a commit to be lost", || {
            (proxy.commits_lost() == number).then_some(())
        });
    }
    for more in [1, 30, 7, 90] {
        wait_until_up(&server, "database");
        load.wait_for_more(more);
        proxy.cut();
    }
    proxy.refuse(true);
    proxy.cut();
    wait_until_down(&server, "database", "the connection was lost");
    load.wait_for_more(50);
    proxy.refuse(false);
    wait_until_up(&server, "database");
    let failures = figure(&server, "database", "failures");
    assert!(failures >= 5, "{failures}");
    let bought = load.stop();
    all_is_well(server, &postgres, &bought);
}

#[test]
fn whatever_redis_loses_on_the_way_is_applied_once() {
    let (postgres, redis) = (postgres(), redis(&[]));
    let proxy = Proxy::start(redis.port());
    let mut place = place_with_both(&postgres, &redis);
    place.set("REDIS_PORT", &proxy.port().to_string());
    let server = Server::start_in(place);
    let load = Load::start(&server);
    for more in [40, 1, 13, 2, 25, 1, 60, 7] {
        wait_until_up(&server, "redis");
        load.wait_for_more(more);
        proxy.cut();
    }
    // What is on the way when it is cut may have arrived, or not.
    proxy.delay(Duration::from_millis(15));
    for more in [1, 2, 3] {
        wait_until_up(&server, "redis");
        load.wait_for_more(more);
        proxy.cut();
    }
    proxy.delay(Duration::ZERO);
    proxy.refuse(true);
    proxy.cut();
    wait_until_down(&server, "redis", "the connection");
    load.wait_for_more(50);
    proxy.refuse(false);
    wait_until_up(&server, "redis");
    let bought = load.stop();
    settle(&server);
    assert_eq!(figure(&server, "redis", "rebuilds"), 0);
    all_is_well(server, &postgres, &bought);
}
