//! A server that starts while its sinks are away sells, and they come later.

use crate::judge::{all_is_well, settle, wait_until_down, wait_until_up};
use crate::load::Load;
use crate::places::{place_with, postgres};
use crate::server::Server;

#[test]
fn a_database_may_come_later() {
    let mut postgres = postgres();
    let mut place = place_with(&postgres);
    postgres.stop();
    let server = Server::start_in(place);
    let mut bought = Load::purchases(&server, 100);
    let figures = wait_until_down(&server, "database", "connection refused");
    assert_eq!(figures["applied_lsn"], 0);
    assert_eq!(figures["lag_records"], server_lsn(&server));

    // Nor does it matter when the name leads nowhere.
    place = server.stop();
    place.set("DB_HOST", "no-such-host.invalid");
    let server = Server::start_in(place);
    bought.add(Load::purchases(&server, 50));
    wait_until_down(&server, "database", "host not found");

    place = server.crash();
    place.set("DB_HOST", "127.0.0.1");
    let server = Server::start_in(place);
    let load = Load::start(&server);
    load.wait_for_more(50);
    postgres.restart();
    wait_until_up(&server, "database");
    bought.add(load.stop());
    settle(&server);
    all_is_well(server, &postgres, &bought);
}

fn server_lsn(server: &Server) -> u64 {
    let health = server.client().get("/health").ok().json();
    health["journal"]["durable_lsn"].as_u64().expect("a number")
}
