//! Redis behind Sentinel and as a cluster, whose masters are killed while buyers buy.

use crate::load::Load;
use crate::places::{place_with, postgres};
use crate::redis_group::{Cluster, Guarded, MASTER, PASSWORD, wait_until_filled};
use crate::redis_server::RedisServer;
use crate::server::{Place, Server};
use crate::sinks::judge::{agree_running, all_is_well, figure, settle, wait_until_up};

/// The slot of `{flashsale}`.
const SLOT: i64 = 8930;

fn list(servers: &[RedisServer]) -> String {
    let servers = servers
        .iter()
        .map(|server| format!("127.0.0.1:{}", server.port()));
    servers.collect::<Vec<_>>().join(",")
}

/// Empties Redis by the command, and has it filled again by a new server.
fn rebuild(place: Place) {
    let output = place.run(&["rebuild", "redis", "--yes"]);
    assert!(output.status.success(), "{output:?}");
    let server = Server::start_in(place);
    agree_running(&server);
    server.stop();
}

#[test]
fn a_killed_master_behind_sentinels_loses_no_purchase() {
    let (postgres, mut group) = (postgres(), Guarded::start());
    let mut place = place_with(&postgres);
    place.set("REDIS_SENTINELS", &list(&group.sentinels));
    place.set("REDIS_SENTINEL_MASTER", MASTER);
    place.set("REDIS_PASSWORD", PASSWORD);
    let server = Server::start_in(place);
    let load = Load::start(&server);
    wait_until_up(&server, "redis");
    load.wait_for_more(50);
    let old = group.master();
    wait_until_filled(&group.servers[1 - old]);
    group.servers[old].kill_9();
    load.wait_for_more(50);
    group.wait_for_failover(old);
    wait_until_up(&server, "redis");
    load.wait_for_more(50);
    let bought = load.stop();
    settle(&server);
    assert_eq!(figure(&server, "redis", "rebuilds"), 0);
    server.wait_for_log(&format!(
        "master 127.0.0.1:{}: connection refused",
        group.servers[old].port()
    ));
    let health = server.client().get("/health").ok();
    assert!(!health.text().contains("127.0.0.1"), "{}", health.text());
    rebuild(all_is_well(server, &postgres, &bought));
}

#[test]
fn a_killed_node_of_a_cluster_loses_no_purchase() {
    let (postgres, mut cluster) = (postgres(), Cluster::start(1));
    let mut place = place_with(&postgres);
    place.set("REDIS_CLUSTER_NODES", &list(&cluster.nodes));
    place.set("REDIS_PASSWORD", PASSWORD);
    let server = Server::start_in(place);
    let load = Load::start(&server);
    wait_until_up(&server, "redis");
    load.wait_for_more(50);
    let old = cluster.master_of(SLOT, None);
    wait_until_filled(&cluster.nodes[cluster.replica_of(old)]);
    cluster.nodes[old].kill_9();
    load.wait_for_more(50);
    cluster.master_of(SLOT, Some(old));
    wait_until_up(&server, "redis");
    load.wait_for_more(50);
    let bought = load.stop();
    settle(&server);
    assert_eq!(figure(&server, "redis", "rebuilds"), 0);
    rebuild(all_is_well(server, &postgres, &bought));
}
