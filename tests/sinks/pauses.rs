//! A sink that stands still does not answer, and nobody waits for it.

use crate::load::Load;
use crate::places::{place_with_both, postgres, redis, server_with};
use crate::server::{Server, wait_for};
use crate::sinks::judge::{
    all_is_well, figure, figures, metric, settle, wait_until_down, wait_until_up,
};

/// Bytes by which the server's memory may grow while it keeps nothing for a sink. Generous.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

fn resident_bytes(server: &Server) -> u64 {
    let health = server.client().get("/health").ok().json();
    health["memory"]["alloc"].as_u64().expect("bytes")
}

/// Returns the prefix of a sink's metrics.
fn metric_prefix(sink: &str) -> &str {
    if sink == "database" { "db" } else { sink }
}

/// While `sink` stands still: it is down, it says so, and the lag grows; the sale goes on.
fn check_stalled(server: &Server, load: &Load, sink: &str) {
    wait_until_down(server, sink, "no answer");
    let before = figure(server, sink, "lag_records");
    load.wait_for_more(50);
    // A purchase at least each, and mostly checkouts.
    assert!(figure(server, sink, "lag_records") > before + 25);
    wait_for("the age of what waits", || {
        let figures = figures(server, sink);
        (figures["lag_seconds"].as_u64() >= Some(3)).then_some(())
    });
    assert_eq!(figures(server, sink)["status"], "DOWN");
    let prefix = metric_prefix(sink);
    assert_eq!(metric(server, &format!("{prefix}_up")), "0");
    let lag = metric(server, &format!("{prefix}_lag_records"));
    assert!(lag.parse::<u64>().expect("a number") >= before);
}

#[test]
fn sinks_that_stand_still_stop_no_sale() {
    let (postgres, redis) = (postgres(), redis(&[]));
    let server = Server::start_in(place_with_both(&postgres, &redis));
    let load = Load::start(&server);
    load.wait_for_more(50);
    wait_until_up(&server, "database");
    wait_until_up(&server, "redis");
    let before = resident_bytes(&server);

    postgres.pause();
    check_stalled(&server, &load, "database");
    assert_eq!(figures(&server, "redis")["status"], "UP");
    postgres.resume();
    wait_until_up(&server, "database");

    redis.pause();
    check_stalled(&server, &load, "redis");
    assert_eq!(figures(&server, "database")["status"], "UP");
    // Both of them.
    postgres.pause();
    check_stalled(&server, &load, "database");
    check_stalled(&server, &load, "redis");
    redis.resume();
    wait_until_up(&server, "redis");
    postgres.resume();
    wait_until_up(&server, "database");
    let after = resident_bytes(&server);
    assert!(
        after < before + GROWTH_BYTES_MAX,
        "{before} to {after} bytes"
    );
    let bought = load.stop();
    settle(&server);
    for sink in ["database", "redis"] {
        assert_eq!(figure(&server, sink, "rebuilds"), 0, "{sink}");
        for (name, expected) in [("up", "1"), ("lag_records", "0"), ("lag_seconds", "0")] {
            let sample = format!("{}_{name}", metric_prefix(sink));
            assert_eq!(metric(&server, &sample), expected, "{sample}");
        }
    }
    all_is_well(server, &postgres, &bought);
}

#[test]
fn a_database_that_stands_still_keeps_no_server_from_stopping_or_starting() {
    let postgres = postgres();
    let mut server = server_with(&postgres);
    let mut bought = Load::purchases(&server, 20);
    settle(&server);
    postgres.pause();
    bought.add(Load::purchases(&server, 20));
    assert!(server.terminate().success());
    let log = server.log();
    assert!(log.contains("Postgres: not caught up"), "{log}");
    server.restart();
    let log = server.log();
    assert!(log.contains("Postgres cannot be followed yet"), "{log}");
    bought.add(Load::purchases(&server, 20));
    postgres.resume();
    all_is_well(server, &postgres, &bought);
}
