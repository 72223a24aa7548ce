//! What shops are told by a pair of servers of which the leader dies: by the feed, and by a webhook whose receiver is down meanwhile.

use serde_json::{Value, json};

use super::buyers::Buyers;
use super::faults::SOME;
use super::group::Group;
use super::keeper::{LogEngine, on_each_engine};
use crate::blackbox::events::read_all;
use crate::receiver::Receiver;
use crate::server::{Server, wait_for};

on_each_engine!(a_receiver_that_was_down_has_everything_whoever_led);

/// All events, as this server tells them.
fn told(server: &Server) -> Vec<Value> {
    read_all(&mut server.client(), "/admin/events?limit=1000")
}

fn a_receiver_that_was_down_has_everything_whoever_led(engine: LogEngine) {
    let mut receiver = Receiver::plain();
    let endpoints = json!([receiver.endpoint()]).to_string();
    let mut group = Group::start_set(2, engine.start(), &[("WEBHOOKS", &endpoints)]);
    let leader = group.wait_for_leader();
    wait_for("the endpoint", || {
        let health = group.servers[leader].client().get("/health").ok().json();
        health["webhooks"][0]["applied_lsn"].is_u64().then_some(())
    });
    let before = told(&group.servers[leader]).len();
    let buyers = Buyers::start(group.addresses());
    buyers.wait_for_more(SOME);
    wait_for("the first events", || {
        (!receiver.events().is_empty()).then_some(())
    });

    // Nobody takes anything while one leader after the other dies.
    receiver.kill();
    let mut known: Vec<Value> = Vec::new();
    for _ in 0..2 {
        buyers.wait_for_more(SOME);
        let leader = group.wait_for_leader();
        let now = told(&group.servers[leader]);
        assert_eq!(now[..known.len()], known, "a takeover changes nothing");
        known = now;
        group.kill_and_restart(leader);
    }
    buyers.wait_for_more(SOME);
    receiver.run();
    buyers.wait_for_more(SOME);

    let bought = buyers.stop();
    let leader = group.wait_for_leader();
    let all = told(&group.servers[leader]);
    assert_eq!(all[..known.len()], known);
    wait_for("the other one to tell the same", || {
        (told(&group.servers[1 - leader]) == all).then_some(())
    });
    let codes: Vec<&str> = all
        .iter()
        .filter(|event| event["type"] == "purchase.completed")
        .filter_map(|event| event["data"]["code"].as_str())
        .collect();
    for purchase in bought.iter().filter(|purchase| purchase.is_sold) {
        let times = codes.iter().filter(|code| **code == purchase.code).count();
        assert_eq!(times, 1, "{purchase:?}");
    }
    receiver.wait_for_all(&all, before);
    assert!(receiver.notes("refused").is_empty());
}
