//! Whoever is killed comes back to what everybody else holds.

use std::time::Duration;

use crate::judge::{all_is_well, figure, wait_until_down, wait_until_up};
use crate::load::Load;
use crate::places::{postgres, server_with};

#[test]
fn a_killed_server_goes_on_where_its_database_is() {
    let postgres = postgres();
    let mut server = server_with(&postgres);
    let load = Load::start(&server);
    for round in 0..5 {
        load.wait_for_more(100 + 50 * round);
        load.kill_9(&mut server);
    }
    load.wait_for_more(100);
    let bought = load.stop();
    all_is_well(server, &postgres, &bought);
}

#[test]
fn a_killed_database_is_brought_up_to_the_journal() {
    let mut postgres = postgres();
    let server = server_with(&postgres);
    let load = Load::start(&server);
    for _ in 0..3 {
        load.wait_for_more(50);
        postgres.kill_9();
        load.wait_for_more(50);
        wait_until_down(&server, "database", "connection refused");
        assert!(figure(&server, "database", "lag_records") > 0);
        postgres.restart();
        wait_until_up(&server, "database");
    }
    let bought = load.stop();
    all_is_well(server, &postgres, &bought);
}

#[test]
fn server_and_database_are_killed_at_once() {
    let mut postgres = postgres();
    let mut server = server_with(&postgres);
    let load = Load::start(&server);
    for pause_ms in [0, 7, 23] {
        load.wait_for_more(100);
        postgres.kill_9();
        std::thread::sleep(Duration::from_millis(pause_ms));
        load.kill_9(&mut server);
        load.wait_for_more(20);
        postgres.restart();
    }
    load.wait_for_more(50);
    let bought = load.stop();
    all_is_well(server, &postgres, &bought);
}
