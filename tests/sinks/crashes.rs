//! A killed process comes back to the state that the others have.

use std::thread;
use std::time::Duration;

use crate::client::Client;
use crate::load::Load;
use crate::places::{place_with_both, postgres, redis, server_with};
use crate::postgres_server::DATABASE;
use crate::redis_log;
use crate::server::{Server, wait_for};
use crate::sinks::judge::{all_is_well, figure, settle, wait_until_down, wait_until_up};

#[test]
fn a_killed_server_goes_on_where_its_sinks_are() {
    let (postgres, redis) = (postgres(), redis(&[]));
    let mut place = place_with_both(&postgres, &redis);
    // Every kind of record.
    place.set("SALE_HOLD_SECONDS", "1");
    place.set("JOURNAL_REFUSED_ATTEMPTS", "true");
    let mut server = Server::start_in(place);
    let load = Load::start(&server);
    for round in 0..5 {
        load.wait_for_more(100 + 50 * round);
        load.kill_9(&mut server);
    }
    load.wait_for_more(100);
    let mut client = server.client();
    let (sale, _) = client.active_sale();
    for change in ["pause", "resume"] {
        client.post(&format!("/admin/sales/{sale}/{change}")).ok();
    }
    change_stocks(&mut client);
    load.wait_for_more(50);
    let bought = load.stop();
    settle(&server);
    for sink in ["database", "redis"] {
        assert_eq!(figure(&server, sink, "rebuilds"), 0, "{sink}");
    }
    all_is_well(server, &postgres, &bought);
    for table in [
        "expired_checkouts",
        "refused_attempts",
        "purchase_results",
        "releases",
        "sale_changes",
        "stock_changes",
    ] {
        let any = format!("SELECT EXISTS (SELECT FROM {table})");
        assert_eq!(postgres.query(DATABASE, &any), "t", "{table}");
    }
}

/// Changes the stock of an item of a sale of its own, which begins when all this is over.
fn change_stocks(client: &mut Client) {
    let begins = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    let sale = format!(
        r#"{{"started_at": "{begins}", "items": [{{"id": "cup", "name": "Cup", "stock": 5}}]}}"#
    );
    let json = [("Content-Type", "application/json")];
    let created = client.send("POST", "/admin/sales", &json, sale.as_bytes());
    let created = created.json();
    let id = created["data"]["id"].as_str().expect("an id");
    for (add, reference) in [(3, "a"), (-2, "b"), (3, "a")] {
        let path = format!("/admin/sales/{id}/stock?item_id=cup&add={add}&ref={reference}");
        client.post(&path).ok();
    }
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
fn all_three_are_killed_at_once() {
    let (mut postgres, mut redis) = (postgres(), redis(&[]));
    let mut server = Server::start_in(place_with_both(&postgres, &redis));
    let load = Load::start(&server);
    for pause_ms in [0, 7, 23] {
        load.wait_for_more(100);
        postgres.kill_9();
        thread::sleep(Duration::from_millis(pause_ms));
        redis.kill_9();
        load.kill_9(&mut server);
        load.wait_for_more(20);
        redis.restart();
        postgres.restart();
    }
    load.wait_for_more(50);
    let bought = load.stop();
    all_is_well(server, &postgres, &bought);
}

/// Kills Redis several times under load; how often it was filled again.
fn rebuilds_of_a_killed_redis(settings: &[&str]) -> u64 {
    let (postgres, mut redis) = (postgres(), redis(settings));
    let server = Server::start_in(place_with_both(&postgres, &redis));
    let load = Load::start(&server);
    for _ in 0..3 {
        wait_until_up(&server, "redis");
        load.wait_for_more(50);
        redis.kill_9();
        load.wait_for_more(50);
        wait_until_down(&server, "redis", "connection refused");
        assert!(figure(&server, "redis", "lag_records") > 0);
        redis.restart();
        wait_until_up(&server, "redis");
    }
    let bought = load.stop();
    settle(&server);
    let rebuilds = figure(&server, "redis", "rebuilds");
    all_is_well(server, &postgres, &bought);
    rebuilds
}

#[test]
fn a_redis_that_keeps_nothing_is_filled_again() {
    assert_eq!(rebuilds_of_a_killed_redis(&[]), 3);
}

#[test]
fn a_redis_that_keeps_a_log_goes_on_with_it() {
    // What was written is there, whether it was synced or not: only the process dies.
    assert_eq!(rebuilds_of_a_killed_redis(&["appendonly yes"]), 0);
}

#[test]
fn a_redis_whose_log_is_torn_inside_a_call_counts_nothing_twice() {
    let (postgres, mut redis) = (postgres(), redis(&redis_log::LOGGED));
    let server = Server::start_in(place_with_both(&postgres, &redis));
    let mut bought = Load::purchases(&server, 100);
    settle(&server);
    let log = redis_log::read(&redis);
    let call = redis_log::last_call(&log);
    let ends = redis_log::ends_of_commands(&log, call);
    // MULTI, the mark, the sums of the sale, and half of the next one.
    let torn = (ends[2] + ends[3]) / 2;
    redis_log::restart_with(&mut redis, &log[..torn]);
    wait_until_up(&server, "redis");
    bought.add(Load::purchases(&server, 50));
    settle(&server);
    redis.stop();
    redis.restart();
    wait_until_up(&server, "redis");
    settle(&server);
    assert_eq!(figure(&server, "redis", "rebuilds"), 0);
    all_is_well(server, &postgres, &bought);
}

#[test]
fn a_redis_that_falls_back_is_brought_up_from_there() {
    let (postgres, mut redis) = (postgres(), redis(&[]));
    let server = Server::start_in(place_with_both(&postgres, &redis));
    let load = Load::start(&server);
    wait_until_up(&server, "redis");
    load.wait_for_more(50);
    assert_eq!(redis.command(&["SAVE"]).text(), "OK");
    load.wait_for_more(50);
    let before = figure(&server, "redis", "applied_lsn");
    redis.kill_9();
    redis.restart();
    wait_for("Redis to be brought up", || {
        (figure(&server, "redis", "applied_lsn") > before).then_some(())
    });
    let bought = load.stop();
    settle(&server);
    assert_eq!(figure(&server, "redis", "rebuilds"), 0);
    all_is_well(server, &postgres, &bought);
}
