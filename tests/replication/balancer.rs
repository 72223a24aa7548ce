//! The HAProxy of `docker/ha` before the servers of a log.

use std::net::SocketAddr;
use std::time::Duration;

use super::buyers::ask;
use super::group::Group;
use super::keeper::LogEngine;
use crate::http_proxy::HttpProxy;
use crate::server::{Server, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);
/// How often HAProxy sends a request again.
const RETRIES: u64 = 10;
const REQUESTS: u32 = 20;

/// Checks an item out through the balancer, with a key: a request that may be sent again. The status, and what the body says.
fn checkout(balancer: SocketAddr, item: u32) -> (u16, String) {
    let target = format!("/checkout?user_id=user-{item}&id=ITM-1-{item}");
    let key = format!("checkout-{item}");
    let answer = ask(balancer, "POST", &target, Some(&key), PATIENCE);
    answer.expect("HAProxy answers")
}

/// How many requests the server has answered so.
fn answered(server: &Server, outcome: &str) -> u64 {
    let figures = server.client().get("/metrics").text().to_owned();
    let label = format!("outcome=\"{outcome}\"");
    let lines = figures.lines().filter(|line| {
        line.contains("http_requests_total{") && line.contains(&label) && line.contains("checkout")
    });
    let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    counts.sum()
}

#[test]
fn a_leader_that_cannot_answer_is_not_asked_ten_times_by_its_balancer() {
    let mut group = Group::start(2, LogEngine::Etcd);
    let leader = group.wait_for_leader();
    group.wait_for_standby(1 - leader);
    let balancer = HttpProxy::to_leader([group.servers[0].addr(), group.servers[1].addr()]);
    wait_for("a balancer that has found the leader", || {
        (checkout(balancer.addr(), 0).0 == 200).then_some(())
    });

    let etcd = group.keeper.etcd();
    (0..3).for_each(|member| etcd.pause(member));
    // What is asked before would wait for etcd.
    wait_for("a leader that refuses", || {
        let target = "/readyz?role=leader";
        let (status, _) = ask(group.servers[leader].addr(), "GET", target, None, PATIENCE).ok()?;
        (status == 503).then_some(())
    });
    for item in 1..=REQUESTS {
        let (status, body) = checkout(balancer.addr(), item);
        assert_eq!(status, 503, "{body}");
        assert!(body.contains("\"journal_unavailable\""), "{body}");
    }
    let asked = answered(&group.servers[leader], "journal_unavailable");
    // The first of them it has sent again, and then it knew.
    assert!(
        asked <= u64::from(REQUESTS) + RETRIES,
        "{REQUESTS} requests have become {asked}"
    );
    let etcd = group.keeper.etcd();
    (0..3).for_each(|member| etcd.resume(member));
    wait_for("a leader that is found again", || {
        (checkout(balancer.addr(), 0).0 == 200).then_some(())
    });
}
