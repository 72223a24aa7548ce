//! A server that starts while its sinks are away sells, and they come later.

use crate::load::Load;
use crate::places::{place_with_both, postgres, redis};
use crate::server::Server;
use crate::sinks::judge::{all_is_well, settle, wait_until_down, wait_until_up};

#[test]
fn sinks_may_come_later() {
    let (mut postgres, mut redis) = (postgres(), redis(&[]));
    let mut place = place_with_both(&postgres, &redis);
    postgres.stop();
    redis.kill_9();
    let server = Server::start_in(place);
    let mut bought = Load::purchases(&server, 100);
    for sink in ["database", "redis"] {
        let figures = wait_until_down(&server, sink, "connection refused");
        // It has not said yet what it holds.
        for unknown in ["applied_lsn", "lag_records", "lag_seconds"] {
            assert!(figures[unknown].is_null());
        }
    }

    // Nor does it matter when the name leads nowhere.
    place = server.stop();
    for key in ["DB_HOST", "REDIS_HOST"] {
        place.set(key, "no-such-host.invalid");
    }
    let server = Server::start_in(place);
    bought.add(Load::purchases(&server, 50));
    for sink in ["database", "redis"] {
        wait_until_down(&server, sink, "host not found");
    }

    place = server.crash();
    for key in ["DB_HOST", "REDIS_HOST"] {
        place.set(key, "127.0.0.1");
    }
    let server = Server::start_in(place);
    let load = Load::start(&server);
    load.wait_for_more(50);
    redis.restart();
    wait_until_up(&server, "redis");
    postgres.restart();
    wait_until_up(&server, "database");
    bought.add(load.stop());
    settle(&server);
    all_is_well(server, &postgres, &bought);
}
