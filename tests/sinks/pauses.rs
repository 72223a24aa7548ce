//! A sink that stands still does not answer, and nobody waits for it.

use crate::judge::{all_is_well, figure, figures, metric, settle, wait_until_down, wait_until_up};
use crate::load::Load;
use crate::places::{postgres, server_with};
use crate::server::{Server, wait_for};

/// What the server's memory may grow by while it keeps nothing for a sink. Generous.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

fn resident_bytes(server: &Server) -> u64 {
    let health = server.client().get("/health").ok().json();
    health["memory"]["alloc"].as_u64().expect("bytes")
}

/// While `sink` stands still: it is down, it says so, and the lag grows; the sale goes on.
fn check_stalled(server: &Server, load: &Load, sink: &str) {
    load.wait_for_more(20);
    wait_until_down(server, sink, "no answer");
    let before = figure(server, sink, "lag_records");
    load.wait_for_more(50);
    assert!(figure(server, sink, "lag_records") >= before + 50);
    wait_for("the age of what waits", || {
        let figures = figures(server, sink);
        (figures["lag_seconds"].as_u64() >= Some(3)).then_some(())
    });
    assert_eq!(figures(server, sink)["status"], "DOWN");
    let labels = format!("{{sink=\"{sink}\"}}");
    assert_eq!(metric(server, &format!("sink_up{labels}")), "0");
    let lag = metric(server, &format!("sink_lag_records{labels}"));
    assert!(lag.parse::<u64>().expect("a number") >= before);
}

#[test]
fn a_database_that_stands_still_stops_no_sale() {
    let postgres = postgres();
    let server = server_with(&postgres);
    let load = Load::start(&server);
    load.wait_for_more(50);
    wait_until_up(&server, "database");
    let before = resident_bytes(&server);
    for _ in 0..2 {
        postgres.pause();
        check_stalled(&server, &load, "database");
        postgres.resume();
        wait_until_up(&server, "database");
    }
    let after = resident_bytes(&server);
    assert!(
        after < before + GROWTH_BYTES_MAX,
        "{before} to {after} bytes"
    );
    let bought = load.stop();
    settle(&server);
    let labels = "{sink=\"database\"}";
    assert_eq!(metric(&server, &format!("sink_up{labels}")), "1");
    assert_eq!(metric(&server, &format!("sink_lag_records{labels}")), "0");
    assert_eq!(metric(&server, &format!("sink_lag_seconds{labels}")), "0");
    all_is_well(server, &postgres, &bought);
}
