//! Databases of the log that restart, stand still, lose an answer, or come back from the past.

use std::thread;
use std::time::Duration;

use flashsale::app::configured_log::open_log;
use flashsale::replication::{LogError, ReplicatedLog};
use flashsale::types::Lsn;
use rustix::process::Signal;

use super::buyers::{Buyers, wait_until_it_sells};
use super::faults::{SOME, selling, settle};
use super::group::{Group, STOCK, place_on};
use super::keeper::{Keeper, configured, on_postgres};
use super::ledger::Ledger;
use crate::postgres_pair::PostgresPair;
use crate::proxy::{AtCommit, Proxy};
use crate::server::{Server, wait_for};

/// Waits until a commit waits for the standby, which does not answer.
pub fn wait_for_a_waiting_commit(pair: &PostgresPair) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    wait_for("a commit that waits", || {
        (pair.query(waiting) != "0").then_some(())
    });
}

/// Starts two servers that reach the primary through a proxy, and sell so many items.
pub fn behind_proxy(stock: u32) -> (Group, Proxy) {
    let pair = PostgresPair::start();
    let proxy = Proxy::start(pair.primary.port());
    let hosts = format!(
        "127.0.0.1:{},127.0.0.1:{}",
        proxy.port(),
        pair.standby.port()
    );
    let start = |_| {
        let mut place = place_on(&hosts);
        place.set("SALE_TOTAL_ITEMS", &stock.to_string());
        Server::start_in(place)
    };
    let servers = (0..2).map(start).collect();
    let keeper = Keeper::Postgres(pair);
    let group = Group { servers, keeper };
    group.wait_for_leader();
    (group, proxy)
}

#[test]
fn frames_are_read_only_where_the_head_was_read() {
    let (group, proxy) = behind_proxy(STOCK);
    let mut log = open_log_at(proxy.port());
    let head = log.peek().expect("an answer").expect("a log");
    let first = |log: &mut dyn ReplicatedLog| log.read(head.identity, Lsn::ZERO, 1);
    assert_eq!(first(&mut *log).expect("an answer").len(), 1);
    // Another connection may lead to another machine, which holds something else.
    proxy.cut();
    for _ in 0..2 {
        assert!(matches!(first(&mut *log), Err(LogError::Unknown(_))));
    }
    log.peek().expect("an answer");
    assert_eq!(first(&mut *log).expect("an answer").len(), 1);
    drop(group);
}

/// The log of the group's servers, at this port.
fn open_log_at(port: u16) -> Box<dyn ReplicatedLog> {
    open_log(&configured(&on_postgres(&format!("127.0.0.1:{port}")))).expect("it can be asked")
}

#[test]
fn an_answer_that_is_cut_off_behind_its_commit_is_found_out() {
    let (group, proxy) = behind_proxy(STOCK);
    let buyers = Buyers::start(group.addresses());
    for what in [AtCommit::LoseAnswer, AtCommit::Lose].repeat(4) {
        let before = proxy.commits_lost();
        proxy.at_commit(what);
        wait_for("an append that is cut off", || {
            (proxy.commits_lost() > before).then_some(())
        });
        buyers.wait_for_more(SOME / 2);
    }
    settle(group, buyers);
}

#[test]
fn a_primary_that_restarts_while_a_commit_waits_acknowledges_nothing() {
    let (mut group, buyers) = selling(2);
    for _ in 0..3 {
        group.pair().standby.pause();
        wait_for_a_waiting_commit(group.pair());
        group.pair().primary.kill_9();
        group.pair().primary.restart();
        group.pair().standby.resume();
        buyers.wait_for_more(SOME);
    }
    settle(group, buyers);
}

#[test]
fn whoever_stands_still_for_a_while_goes_on() {
    let (mut group, buyers) = selling(2);
    let leader = group.wait_for_leader();
    // How long does not matter.
    let a_while = || thread::sleep(Duration::from_secs(2));
    group.pair().primary.pause();
    a_while();
    group.pair().primary.resume();
    buyers.wait_for_more(SOME);
    let standby = &group.servers[1 - leader];
    standby.signal(Signal::STOP);
    buyers.wait_for_more(SOME);
    standby.signal(Signal::CONT);
    group.pair().standby.pause();
    a_while();
    group.pair().standby.resume();
    settle(group, buyers);
}

#[test]
fn a_database_restored_from_the_past_gets_what_it_lacks_from_the_leader() {
    let (mut group, buyers) = selling(2);
    let backup = group.pair().primary.back_up();
    buyers.wait_for_more(SOME);
    group.pair().restore(&backup);
    let leader = group.wait_for_leader();
    group.servers[leader].wait_for_log("has come back older");
    buyers.wait_for_more(SOME);
    settle(group, buyers);
}

#[test]
fn a_database_restored_from_the_past_is_refused_where_no_server_ran() {
    let (mut group, buyers) = selling(2);
    let backup = group.pair().primary.back_up();
    buyers.wait_for_more(SOME);
    // The place of the last second is not noted yet.
    thread::sleep(Duration::from_secs(2));
    let leader = group.wait_for_leader();
    for server in &mut group.servers {
        server.kill_9();
    }
    let told = buyers.stop();
    group.pair().restore(&backup);
    let mut servers = group.servers;
    let mut leader = servers.remove(leader).leave();
    for server in servers {
        let started = Server::try_start_in(server.leave());
        let (code, said) = started.map(drop).expect_err("refused");
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("was acknowledged: the log has"), "{said}");
    }
    // What docs/replication.md says for that.
    leader.set("REPLICATION_LOG", "flashsale-2");
    let server = Server::start_in(leader);
    wait_until_it_sells(&server);
    Ledger::read(&server.stop()).check(&told);
}
