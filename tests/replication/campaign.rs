//! Many takeovers, one after the other, each under load: a line a round, and the table at the end.

use std::env;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::buyers::Buyers;
use super::faults::settle;
use super::group::Group;

/// Purchases before each round.
const SOME: u64 = 20;
/// The environment variable that says how many rounds there are.
const ROUNDS_VARIABLE: &str = "FLASHSALE_TAKEOVERS";

/// The end of a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Its process is killed.
    Kill,
    /// Its process stands still until another one sells.
    Pause,
    /// It is told to stop.
    HandOver,
}

/// Lets the leader end so, and returns how long nobody was told that anything is sold.
fn round(group: &mut Group, buyers: &Buyers, fault: Fault) -> Duration {
    let leader = group.wait_for_leader();
    buyers.wait_for_more(SOME);
    let begun = Instant::now();
    match fault {
        Fault::Kill => group.servers[leader].kill_9(),
        Fault::Pause => group.servers[leader].signal(Signal::STOP),
        Fault::HandOver => assert!(group.servers[leader].terminate().success()),
    }
    let others = (0..group.servers.len()).filter(move |&other| other != leader);
    group.wait_for_leader_among(others);
    buyers.wait_for_more(1);
    let gap = buyers.longest_gap_since(begun);
    match fault {
        Fault::Pause => group.servers[leader].signal(Signal::CONT),
        Fault::Kill | Fault::HandOver => group.servers[leader].restart(),
    }
    group.wait_for_standby(leader);
    gap
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

#[test]
#[ignore = "takes seconds for each round; scripts/campaign takeovers runs it"]
fn takeovers_lose_nothing() {
    let rounds = env::var(ROUNDS_VARIABLE).map_or(6, |text| text.parse().expect("a number"));
    let mut group = Group::start(2);
    let buyers = Buyers::start(group.addresses());
    let faults = [Fault::Kill, Fault::HandOver, Fault::Pause];
    let mut gaps: [Vec<Duration>; 3] = Default::default();
    let began = Instant::now();
    for number in 0..rounds {
        let kind = number % faults.len();
        let gap = round(&mut group, &buyers, faults[kind]);
        println!(
            "{:>4} {:?}: {} ms",
            number + 1,
            faults[kind],
            gap.as_millis()
        );
        gaps[kind].push(gap);
    }
    settle(group, buyers);
    println!(
        "{rounds} takeovers in {} s, nothing lost, nothing sold twice",
        began.elapsed().as_secs()
    );
    for (fault, gaps) in faults.iter().zip(&mut gaps) {
        gaps.sort_unstable();
        if let Some(longest) = gaps.last() {
            println!(
                "{fault:?}: {} rounds, without an answer for p50 {} ms, p95 {} ms, at most {} ms",
                gaps.len(),
                percentile(gaps, 50).as_millis(),
                percentile(gaps, 95).as_millis(),
                longest.as_millis()
            );
        }
    }
}
