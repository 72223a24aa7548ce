//! A cluster whose nodes die and pass slots on: the projection is exact afterwards, at whichever node it is.

use flashsale::reconcile::Sink;
use flashsale::reconcile::redis::{RedisOptions, RedisServers};

use crate::redis::fixture::{Place, address, at, compare_events, run, sink, wait_until_equal};
use crate::redis::story::Story;
use crate::redis_group::{Cluster, PASSWORD, cut_off, let_in, wait_until_filled};
use crate::redis_server::{Answer, RedisServer};
use crate::server::wait_for;

/// The slot of `{flashsale}`.
const SLOT: i64 = 8930;

fn options(nodes: &[RedisServer]) -> RedisOptions {
    let mut options = at(RedisServers::Cluster(nodes.iter().map(address).collect()));
    options.password = Some(PASSWORD.into());
    options
}

fn ok(answer: &Answer) {
    assert!(!answer.is_error(), "{answer:?}");
}

#[test]
fn a_dead_node_of_a_cluster_costs_nothing_and_what_it_had_alone_comes_back() {
    let mut cluster = Cluster::start(1);
    let (options, place) = (options(&cluster.nodes), Place::new());
    let following = place.follow(&options);
    let mut story = Story::new(31);
    following.wait_for(story.tell(&place.journal, 500));

    let first = cluster.master_of(SLOT, None);
    story.tell(&place.journal, 500);
    wait_until_filled(&cluster.nodes[cluster.replica_of(first)]);
    cluster.nodes[first].kill_9();
    story.tell(&place.journal, 1000);
    let second = cluster.master_of(SLOT, Some(first));
    let last = story.tell(&place.journal, 500);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
    compare_events(&place, last, &cluster.nodes[second], PASSWORD);

    // The one that died is a replica now, but does not get everything.
    cluster.nodes[first].restart();
    cluster.wait_until_whole();
    let shared = story.tell(&place.journal, 500);
    following.wait_for(shared);
    assert_eq!(cluster.replica_of(second), first);
    wait_until_replicated(&cluster, second);
    cut_off(&cluster.nodes[second], "replica");
    let lost = story.tell(&place.journal, 1000);
    following.wait_for(lost);
    cluster.nodes[second].kill_9();
    assert_eq!(cluster.master_of(SLOT, Some(second)), first);
    let last = story.tell(&place.journal, 500);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
    compare_events(&place, last, &cluster.nodes[first], PASSWORD);
    assert_eq!(following.figures().rebuilds, 0, "the journal has the rest");
}

/// Waits until the replica of the node at `master` has confirmed all that there is.
fn wait_until_replicated(cluster: &Cluster, master: usize) {
    let_in(&cluster.nodes[master], "replica");
    wait_for("the replica", || {
        let answer = cluster.nodes[master]
            .command(&["INFO", "replication"])
            .text();
        let value = |name: &str| {
            let line = answer.lines().find(|line| line.contains(name))?;
            line.rsplit_once(name)?
                .1
                .split(',')
                .next()
                .map(str::to_owned)
        };
        let offset = value("master_repl_offset:")?;
        (value("offset=")? == offset).then_some(())
    });
}

#[test]
fn keys_that_move_to_another_node_are_followed_there() {
    let cluster = Cluster::start(0);
    let nodes = &cluster.nodes;
    let (options, place) = (options(&nodes[..1]), Place::new());
    let following = place.follow(&options);
    let mut story = Story::new(32);
    following.wait_for(story.tell(&place.journal, 500));
    let from = cluster.master_of(SLOT, None);
    let to = (from + 1) % nodes.len();
    let (slot, port) = (SLOT.to_string(), nodes[to].port().to_string());
    let set = |place: usize, what: &[&str]| {
        let command = [&["CLUSTER", "SETSLOT", &slot], what].concat();
        ok(&nodes[place].command(&command));
    };
    set(to, &["IMPORTING", &cluster.id(from)]);
    set(from, &["MIGRATING", &cluster.id(to)]);
    loop {
        story.tell(&place.journal, 200);
        let keys = nodes[from].command(&["CLUSTER", "GETKEYSINSLOT", &slot, "3"]);
        let keys: Vec<_> = keys.list().iter().map(Answer::text).collect();
        if keys.is_empty() {
            break;
        }
        let mut command = vec![
            "MIGRATE",
            "127.0.0.1",
            &port,
            "",
            "0",
            "10000",
            "AUTH",
            PASSWORD,
        ];
        command.push("KEYS");
        command.extend(keys.iter().map(String::as_str));
        ok(&nodes[from].command(&command));
    }
    following.wait_for_reason("another node of the cluster");
    for place in [to, from] {
        set(place, &["NODE", &cluster.id(to)]);
    }
    let last = story.tell(&place.journal, 500);
    following.wait_for(last);
    wait_until_equal(&place.fold(last), &options);
    compare_events(&place, last, &nodes[to], PASSWORD);
    assert_eq!(following.figures().rebuilds, 0, "nothing was lost");
}

#[test]
fn nodes_are_found_by_whatever_endpoint_they_prefer() {
    let node = RedisServer::start_with(&[
        "cluster-enabled yes",
        "cluster-announce-hostname localhost",
        "requirepass shop",
    ]);
    let key = node.command(&["CLUSTER", "KEYSLOT", "{flashsale}:watermark"]);
    assert_eq!(key.number(), SLOT);
    let listed = options(std::slice::from_ref(&node));
    let why = |options: &RedisOptions| {
        let error = run(sink(options).open()).expect_err("no way in");
        assert!(!error.shown().contains("127.0.0.1"), "{}", error.shown());
        error.to_string()
    };
    let said = format!(
        "node 127.0.0.1:{}: it knows no node that has the keys",
        node.port()
    );
    assert_eq!(why(&listed), said);
    ok(&node.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]));
    for endpoint in ["ip", "hostname", "unknown-endpoint"] {
        ok(&node.command(&["CONFIG", "SET", "cluster-preferred-endpoint-type", endpoint]));
        let connected = wait_for(endpoint, || {
            let mut sink = sink(&listed);
            run(sink.open()).ok().map(|_| sink.address())
        });
        let host = if endpoint == "hostname" {
            "localhost"
        } else {
            "127.0.0.1"
        };
        let port = node.port();
        let said = format!("{host}:{port} (the cluster 127.0.0.1:{port})");
        assert_eq!(connected, said, "{endpoint}");
    }
    let alone = RedisServer::start();
    let mut listed = options(std::slice::from_ref(&alone));
    listed.password = None;
    assert!(why(&listed).ends_with(": it is no node of a cluster"));
}
