//! Many faults, one after the other, each under load: a line a round, and a table at the end.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::buyers::{Buyers, Told};
use super::databases::{behind_proxy, wait_for_a_waiting_commit};
use super::faults::SOME;
use super::group::Group;
use super::ledger::Ledger;
use crate::proxy::{AtCommit, Proxy};
use crate::server::wait_for;

/// Purchases before each round.
const BEFORE: u64 = 20;
/// Items, which are more than are bought in a campaign.
const STOCK: u32 = 1_000_000;
/// The environment variable that says how many rounds there are.
const ROUNDS_VARIABLE: &str = "FLASHSALE_ROUNDS";

/// A thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The leader is killed.
    Kill,
    /// The leader is told to stop.
    HandOver,
    /// The leader stands still until another one sells.
    Pause,
    /// Both servers are killed, and started again at once.
    Together,
    /// The primary is killed and started again.
    PrimaryKilled,
    /// The primary stands still for a second.
    PrimaryPaused,
    /// The standby of the database is killed and started again.
    StandbyKilled,
    /// An append waits for the standby, and the wait is cancelled.
    WaitCancelled,
    /// The connection is cut between a commit and its answer.
    AnswerCut,
}

/// The faults of a campaign, with their names in the table at the end.
const TAKEOVERS: [(Fault, &str); 8] = [
    (Fault::Kill, "the leader is killed"),
    (Fault::HandOver, "the leader is told to stop"),
    (Fault::Pause, "the leader hangs"),
    (
        Fault::PrimaryKilled,
        "the primary is killed, and starts again",
    ),
    (Fault::PrimaryPaused, "the primary hangs for a second"),
    (
        Fault::StandbyKilled,
        "its standby is killed, and starts again",
    ),
    (
        Fault::WaitCancelled,
        "the wait for the standby is cancelled",
    ),
    (Fault::AnswerCut, "the answer to a commit is cut off"),
];
const TOGETHER: [(Fault, &str); 1] = [(
    Fault::Together,
    "both servers are killed, and start at once",
)];

/// A round that is over.
struct Round {
    fault: Fault,
    begun: Instant,
    /// How long nobody was told that anything is sold.
    gap: Duration,
}

struct Campaign {
    group: Group,
    proxy: Proxy,
    buyers: Buyers,
    rounds: Vec<Round>,
}

impl Campaign {
    fn start() -> Self {
        let (group, proxy) = behind_proxy(STOCK);
        let buyers = Buyers::start(group.addresses());
        Self {
            group,
            proxy,
            buyers,
            rounds: Vec::new(),
        }
    }

    fn run(mut self, faults: &[(Fault, &str)], rounds: usize) {
        for number in 0..rounds {
            let (fault, _) = faults[number % faults.len()];
            let round = self.round(fault);
            let gap_ms = round.gap.as_millis();
            println!("{:>4} {fault:?}: {gap_ms} ms", number + 1);
            self.rounds.push(round);
        }
        self.finish(faults);
    }

    fn round(&mut self, fault: Fault) -> Round {
        self.buyers.wait_for_more(BEFORE);
        let leader = self.group.wait_for_leader();
        let begun = Instant::now();
        self.begin(fault, leader);
        if matches!(fault, Fault::Kill | Fault::HandOver | Fault::Pause) {
            let others = (0..self.group.servers.len()).filter(move |&other| other != leader);
            self.group.wait_for_leader_among(others);
        }
        self.buyers.wait_for_more(1);
        let gap = self.buyers.longest_gap_since(begun);
        match fault {
            Fault::Pause => self.group.servers[leader].signal(Signal::CONT),
            Fault::Kill | Fault::HandOver => self.group.servers[leader].restart(),
            _ => return Round { fault, begun, gap },
        }
        self.group.wait_for_standby(leader);
        Round { fault, begun, gap }
    }

    fn begin(&mut self, fault: Fault, leader: usize) {
        let Group { servers, pair } = &mut self.group;
        match fault {
            Fault::Kill => servers[leader].kill_9(),
            Fault::HandOver => assert!(servers[leader].terminate().success()),
            Fault::Pause => servers[leader].signal(Signal::STOP),
            Fault::Together => {
                for server in &mut *servers {
                    server.kill_9();
                }
                for server in &mut *servers {
                    server.begin_again();
                }
                for server in &mut *servers {
                    server.wait_until_listening();
                }
            }
            Fault::PrimaryKilled => {
                pair.primary.kill_9();
                pair.primary.restart();
            }
            Fault::PrimaryPaused => {
                pair.primary.pause();
                thread::sleep(Duration::from_secs(1));
                pair.primary.resume();
            }
            Fault::StandbyKilled => {
                pair.standby.kill_9();
                pair.standby.restart();
            }
            Fault::WaitCancelled => {
                pair.standby.pause();
                wait_for_a_waiting_commit(pair);
                pair.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
                pair.standby.resume();
            }
            Fault::AnswerCut => {
                let before = self.proxy.commits_lost();
                self.proxy.at_commit(AtCommit::LoseAnswer);
                wait_for("an append that is cut off", || {
                    (self.proxy.commits_lost() > before).then_some(())
                });
            }
        }
    }

    /// Ends everything, prints the table, and checks that nothing that was told is lost, and nothing sold twice.
    fn finish(self, faults: &[(Fault, &str)]) {
        let Self {
            group,
            buyers,
            rounds,
            ..
        } = self;
        buyers.wait_for_more(SOME);
        let told = buyers.stop();
        let leader = group.wait_for_leader();
        let (places, _pair) = group.stop();
        let ledgers: Vec<_> = places.iter().map(Ledger::read).collect();
        let lost = ledgers[leader].lost(&told);
        let oversold = ledgers[leader].oversold();
        let twice: Vec<_> = told
            .iter()
            .filter(|it| oversold.contains(&it.item))
            .collect();
        println!(
            "\n| fault | rounds | lost | sold twice | nobody is sold to: p50 | p95 | longest |\n|---|--:|--:|--:|--:|--:|--:|"
        );
        for (fault, name) in faults {
            print_row(*fault, name, &rounds, &lost, &twice);
        }
        println!(
            "\n{} purchases were told",
            told.iter().filter(|it| it.is_sold).count()
        );
        ledgers[leader].check(&told);
        for ledger in &ledgers {
            ledger.check_same_order(&ledgers[leader]);
        }
    }
}

fn print_row(fault: Fault, name: &str, rounds: &[Round], lost: &[&Told], twice: &[&Told]) {
    let count = |purchases: &[&Told]| {
        let round_of = |it: &&&Told| rounds.iter().rfind(|round| round.begun <= it.at);
        let of_fault = purchases
            .iter()
            .filter(|it| round_of(it).is_some_and(|round| round.fault == fault));
        of_fault.count()
    };
    let of_fault = rounds.iter().filter(|round| round.fault == fault);
    let mut gaps: Vec<_> = of_fault.map(|round| round.gap).collect();
    gaps.sort_unstable();
    let (Some(longest), number) = (gaps.last(), gaps.len()) else {
        return;
    };
    let percentile = |percent: usize| gaps[(number - 1) * percent / 100].as_secs_f64();
    println!(
        "| {name} | {number} | {} | {} | {:.2} s | {:.2} s | {:.2} s |",
        count(lost),
        count(twice),
        percentile(50),
        percentile(95),
        longest.as_secs_f64()
    );
}

fn rounds() -> usize {
    env::var(ROUNDS_VARIABLE).map_or(8, |text| text.parse().expect("a number"))
}

#[test]
#[ignore = "takes seconds for each round; scripts/campaign takeovers runs it"]
fn takeovers_lose_nothing() {
    Campaign::start().run(&TAKEOVERS, rounds());
}

#[test]
#[ignore = "takes seconds for each round; scripts/campaign together runs it"]
fn two_servers_that_start_at_once_lose_nothing() {
    Campaign::start().run(&TOGETHER, rounds());
}
