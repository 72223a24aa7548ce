//! Guards that are switched off, one at a time, in real servers on real databases: what is lost is seen. Tests that could not see it
//! would prove nothing where they see nothing.

use flashsale::planted::Slip;
use rustix::process::{Pid, Signal, kill_process};

use super::buyers::{Buyers, wait_until_it_sells};
use super::group::place_on;
use super::ledger::Ledger;
use crate::postgres_pair::PostgresPair;
use crate::postgres_server::{DATABASE, Postgres};
use crate::proxy::Proxy;
use crate::server::{Place, Server, wait_for};

/// Purchases that are waited for.
const SOME: u64 = 20;
/// More purchases than may be on their way to their buyers.
const MORE: u64 = 5;
/// The commits that wait for a standby.
const WAITING: &str = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

fn place_with(slip: Slip, hosts: &str) -> Place {
    let mut place = place_on(hosts);
    place.set("FLASHSALE_PLANTED", &format!("{slip:?}"));
    place
}

/// Lets a server sell with `slip` planted until `disturb` has had it tell what is on one machine alone. That machine burns down, with the server, its
/// journal and the primary. Returns how many purchases were told of which the server that goes on with the standby of the database knows nothing.
fn lost_with_the_machine(slip: Slip, disturb: impl FnOnce(&mut PostgresPair, &Buyers)) -> usize {
    let mut pair = PostgresPair::start();
    let mut server = Server::start_in(place_with(slip, &pair.hosts()));
    wait_until_it_sells(&server);
    let buyers = Buyers::start(vec![server.addr()]);
    buyers.wait_for_more(SOME);
    disturb(&mut pair, &buyers);
    server.kill_9();
    pair.primary.kill_9();
    let told = buyers.stop();
    drop(server);

    pair.standby.restart();
    pair.fail_over();
    let server = Server::start_in(place_on(&pair.hosts()));
    wait_until_it_sells(&server);
    let ledger = Ledger::read(&server.stop());
    let lost = ledger.lost(&told).len();
    assert!(lost < told.len(), "everything is lost: it is another log");
    lost
}

#[test]
fn commits_that_wait_for_no_standby_lose_what_was_told() {
    let lost = lost_with_the_machine(Slip::IgnoresLogSettings, |pair, buyers| {
        pair.primary.set("synchronous_commit", "local");
        // What waits for the standby is over by then.
        buyers.wait_for_more(SOME);
        pair.standby.kill_9();
        buyers.wait_for_more(SOME);
    });
    assert!(lost as u64 >= SOME / 2, "{lost}");
}

#[test]
fn a_leader_without_a_barrier_loses_what_a_restarted_primary_shows() {
    let lost = lost_with_the_machine(Slip::TrustsWhatItSees, |pair, buyers| {
        pair.standby.kill_9();
        let enough = buyers.sold() + MORE;
        // Each restart shows the append that waited.
        while buyers.sold() < enough {
            wait_for("an append that waits", || {
                let count = pair
                    .primary
                    .try_query(DATABASE, &format!("SELECT count(*) {WAITING}"));
                (count != Ok("0".to_owned())).then_some(())
            });
            pair.primary.kill_9();
            pair.primary.restart();
        }
    });
    assert!(lost > 0);
}

#[test]
fn a_leader_that_passes_over_warnings_loses_what_was_cancelled() {
    let lost = lost_with_the_machine(Slip::AcknowledgesOpenAppends, |pair, buyers| {
        pair.standby.kill_9();
        let enough = buyers.sold() + MORE;
        wait_for("cancelled appends that are told", || {
            pair.query(&format!("SELECT pg_cancel_backend(pid) {WAITING}"));
            (buyers.sold() >= enough).then_some(())
        });
    });
    assert!(lost > 0);
}

#[test]
fn any_one_of_two_standbys_lets_an_old_primary_go_on() {
    let primary = Postgres::start();
    let second = Postgres::start_standby(&primary, "second");
    let third = Postgres::start_standby(&primary, "third");
    primary.set("synchronous_standby_names", "ANY 1 (second, third)");
    let host = |port: u16| format!("127.0.0.1:{port}");
    let proxy = Proxy::start(primary.port());
    let slip = Slip::IgnoresLogSettings;
    let leader = Server::start_in(place_with(slip, &host(primary.port())));
    wait_until_it_sells(&leader);
    // The other server is elsewhere: it reaches the primary by the proxy, and otherwise what is the primary next.
    let hosts = [host(proxy.port()), host(second.port())].join(",");
    let other = Server::start_in(place_with(slip, &hosts));
    let buyers = Buyers::start(vec![leader.addr()]);
    buyers.wait_for_more(SOME);

    // The network breaks in two, a moment later for the database.
    proxy.refuse(true);
    proxy.cut();
    buyers.wait_for_more(SOME);
    let sender = "SELECT pid FROM pg_stat_replication WHERE application_name = 'second'";
    let sender = primary.query(DATABASE, sender).parse().ok();
    let sender = sender.and_then(Pid::from_raw).expect("it is connected");
    kill_process(sender, Signal::STOP).expect("it is there");
    buyers.wait_for_more(SOME);
    second.query(DATABASE, "SELECT pg_promote()");
    // Here goes on one, there the other: each is told that its commits are safe.
    wait_until_it_sells(&other);
    buyers.wait_for_more(SOME);
    let told = buyers.stop();
    drop(leader);
    let ledger = Ledger::read(&other.stop());
    let lost = ledger.lost(&told).len() as u64;
    assert!(lost >= SOME, "{lost}");
    drop((primary, third));
}
