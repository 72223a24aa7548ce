//! Rounds: buyers buy, something goes wrong, and everything that they were told is held against the journals.

use std::env;
use std::time::{Duration, Instant};

use super::faults::Fault;
use super::shop::{Losses, Shop};
use crate::replication::buyers::Buyers;
use crate::replication::keeper::LogEngine;
use crate::replication::ledger::Ledger;

/// Purchases before and after each fault.
const SOME: u64 = 40;
/// Rounds with the same machines. Behind them all journals are read from the first record on.
const ROUNDS_OF_A_SHOP: usize = 20;
/// The environment variable that says how many rounds there are.
const ROUNDS_VARIABLE: &str = "FLASHSALE_FAILOVER_ROUNDS";
/// The one that names the faults, with commas between them.
const FAULTS_VARIABLE: &str = "FLASHSALE_FAILOVER_FAULTS";

/// The buyers of the same machines, and what they are held against.
struct Load {
    buyers: Buyers,
    ledger: Ledger,
}

/// What a round came to.
struct Round {
    fault: Fault,
    who: String,
    /// The longest time in which no buyer was sold anything.
    gap: Duration,
    /// Requests that were not answered, or by 500 and above.
    unanswered: u64,
    losses: Losses,
}

impl Round {
    fn run(shop: &mut Shop, load: &mut Load, fault: Fault, choice: usize) -> Self {
        let buyers = &load.buyers;
        buyers.wait_for_more(SOME);
        let (begun, unanswered) = (Instant::now(), buyers.unanswered());
        let who = fault.happen(shop, buyers, choice);
        shop.wait_until_whole();
        buyers.wait_for_more(SOME);
        Self {
            fault,
            who,
            gap: buyers.longest_gap_since(begun),
            unanswered: buyers.unanswered() - unanswered,
            losses: shop.losses(&mut load.ledger, &buyers.told()),
        }
    }

    fn print(&self, number: usize) {
        println!(
            "{number:>4}  {:<16}  {:<34}  {:>5.1} s without an answer, {} lost, {} oversold, {} refused",
            self.fault.name(),
            self.who,
            self.gap.as_secs_f64(),
            self.losses.lost,
            self.losses.oversold,
            self.unanswered
        );
    }
}

/// Runs rounds of these faults in turn; `None` where there can be no machines.
fn run(engine: LogEngine, faults: &[Fault], rounds: usize) -> Option<Vec<Round>> {
    let mut done: Vec<Round> = Vec::new();
    while done.len() < rounds {
        let mut shop = Shop::start(engine)?;
        let mut load = Load {
            buyers: Buyers::start(vec![Shop::address()]),
            ledger: Ledger::default(),
        };
        for _ in 0..ROUNDS_OF_A_SHOP.min(rounds - done.len()) {
            let number = done.len();
            let fault = faults[number % faults.len()];
            let round = Round::run(&mut shop, &mut load, fault, number / faults.len());
            round.print(number + 1);
            done.push(round);
        }
        let told = load.buyers.stop();
        shop.settle(&told);
    }
    Some(done)
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100].as_secs_f64()
}

/// Prints a line for each fault.
fn print_table(faults: &[Fault], rounds: &[Round]) {
    println!("| fault | rounds | p50 s | p95 s | longest s | refused, at most | lost | oversold |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for &fault in faults {
        let name = fault.name();
        let of: Vec<_> = rounds.iter().filter(|round| round.fault == fault).collect();
        let mut gaps: Vec<_> = of.iter().map(|round| round.gap).collect();
        gaps.sort_unstable();
        if gaps.is_empty() {
            continue;
        }
        let refused = of.iter().map(|round| round.unanswered).max();
        println!(
            "| {name} | {} | {:.1} | {:.1} | {:.1} | {} | {} | {} |",
            gaps.len(),
            percentile(&gaps, 50),
            percentile(&gaps, 95),
            percentile(&gaps, 100),
            refused.unwrap_or_default(),
            of.iter().map(|round| round.losses.lost).sum::<usize>(),
            of.iter().map(|round| round.losses.oversold).sum::<usize>(),
        );
    }
}

fn check(rounds: &[Round]) {
    for round in rounds {
        let (name, who) = (round.fault.name(), &round.who);
        assert_eq!(round.losses, Losses::default(), "{name}, {who}");
    }
}

#[test]
fn a_cluster_loses_nothing_by_a_killed_server_a_switchover_and_an_upgrade() {
    let faults = [Fault::KillServer, Fault::Switchover, Fault::Upgrade];
    let Some(rounds) = run(LogEngine::Postgres, &faults, faults.len()) else {
        return;
    };
    check(&rounds);
    check_upgrade(&rounds);
}

#[test]
fn a_cluster_on_etcd_loses_nothing_by_a_killed_server_and_member_a_cut_and_an_upgrade() {
    let faults = [
        Fault::KillServer,
        Fault::KillEtcd,
        Fault::CutOff,
        Fault::Upgrade,
    ];
    let Some(rounds) = run(LogEngine::Etcd, &faults, faults.len()) else {
        return;
    };
    check(&rounds);
    check_upgrade(&rounds);
}

/// Checks that nobody was refused by an upgrade of the servers.
fn check_upgrade(rounds: &[Round]) {
    let upgrade = rounds.iter().find(|it| it.fault == Fault::Upgrade);
    let refused = upgrade.expect("it ran").unanswered;
    assert_eq!(refused, 0, "requests of an upgrade");
}

#[test]
#[ignore = "takes a minute for each round; scripts/campaign failover runs it"]
fn failovers_lose_nothing() {
    let engine = LogEngine::from_environment();
    let all = Fault::of(engine);
    let rounds =
        env::var(ROUNDS_VARIABLE).map_or(all.len(), |text| text.parse().expect("a number"));
    let known = |name: &str| all.iter().copied().find(|fault| fault.name() == name);
    let chosen = env::var(FAULTS_VARIABLE).unwrap_or_default();
    let names = chosen.split(',').filter(|name| !name.is_empty());
    let names_of_all: Vec<_> = all.iter().map(|fault| fault.name()).collect();
    let unknown = |name: &str| panic!("no fault {name}; there are {names_of_all:?}");
    let mut faults: Vec<_> = names
        .map(|name| known(name).unwrap_or_else(|| unknown(name)))
        .collect();
    if faults.is_empty() {
        faults = all.clone();
    }
    let began = Instant::now();
    let Some(done) = run(engine, &faults, rounds) else {
        return;
    };
    println!("{} rounds in {} s", done.len(), began.elapsed().as_secs());
    print_table(&faults, &done);
    check(&done);
}
