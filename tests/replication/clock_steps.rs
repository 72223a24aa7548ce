//! The wall clock of one server is stepped, while buyers buy.

use super::buyers::Buyers;
use super::faults::{SOME, settle};
use super::group::{Group, place};
use super::keeper::{LogEngine, on_each_engine};
use crate::server::{Server, wait_for};
use crate::stepped_clock::SteppedClock;

on_each_engine!(a_server_whose_clock_is_stepped_by_an_hour_loses_nothing);

/// Seconds.
const HOUR: i64 = 3600;

fn a_server_whose_clock_is_stepped_by_an_hour_loses_nothing(engine: LogEngine) {
    let keeper = engine.start();
    let clocks = [(); 2].map(|()| SteppedClock::new());
    let start = |clock: &SteppedClock| {
        let mut place = place(&keeper);
        for (key, value) in clock.settings() {
            place.set(key, &value);
        }
        Server::start_in(place)
    };
    let servers = clocks.iter().map(start).collect();
    let mut group = Group { servers, keeper };
    let leader = group.wait_for_leader();
    group.wait_for_standby(1 - leader);
    let buyers = Buyers::start(group.addresses());
    buyers.wait_for_more(SOME);
    let epoch = epoch_of(&group.servers[leader]);

    // There and back, and no standby takes that for silence.
    for (number, ahead) in [HOUR, -HOUR, 0].into_iter().enumerate() {
        clocks[leader].step(ahead);
        wait_for_jumps(&group.servers[leader], number + 1);
        buyers.wait_for_more(SOME);
    }
    clocks[1 - leader].step(HOUR);
    buyers.wait_for_more(SOME);
    clocks[1 - leader].step(-HOUR);
    buyers.wait_for_more(SOME);
    clocks[1 - leader].step(0);
    assert_eq!(group.wait_for_leader(), leader);
    assert_eq!(epoch_of(&group.servers[leader]), epoch, "nobody took over");

    // Who takes over is behind the one that dies by an hour, and then ahead of it.
    for ahead in [HOUR, -HOUR] {
        let leader = group.wait_for_leader();
        let before = jumps(&group.servers[leader]);
        clocks[leader].step(ahead);
        wait_for_jumps(&group.servers[leader], before + 1);
        buyers.wait_for_more(SOME);
        group.kill_and_restart(leader);
        buyers.wait_for_more(SOME);
        clocks[leader].step(0);
    }
    settle(group, buyers);
}

fn epoch_of(server: &Server) -> u64 {
    let health = server.client().get("/health").json();
    health["replication"]["epoch"].as_u64().expect("a number")
}

/// How often the server has found its wall clock stepped.
fn jumps(server: &Server) -> usize {
    server.log().matches("the wall clock has jumped").count()
}

fn wait_for_jumps(server: &Server, count: usize) {
    wait_for("the server to see it", || {
        (jumps(server) >= count).then_some(())
    });
}
