//! Many faults, one after the other, each under load: a line a round, and a table at the end.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::buyers::{Buyers, Told};
use super::databases::{behind_proxy, wait_for_a_waiting_commit};
use super::faults::SOME;
use super::group::{Group, place};
use super::keeper::{Keeper, LogEngine};
use super::ledger::Ledger;
use crate::etcd::Etcd;
use crate::proxy::{AtCommit, Proxy};
use crate::server::{Server, wait_for};

/// Purchases before each round.
const BEFORE: u64 = 20;
/// Items, which are more than are bought in a campaign.
const STOCK: u32 = 1_000_000;
/// The environment variable that says how many rounds there are.
const ROUNDS_VARIABLE: &str = "FLASHSALE_ROUNDS";
/// How long something stands still in a campaign of pauses: longer than anything waits for it.
const LONG: Duration = Duration::from_secs(60);

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
    /// The member that leads etcd is killed and started again.
    MemberKilled,
    /// The member that leads etcd stands still until the servers sell without it.
    MemberPaused,
    /// A member is replaced by a new one with an empty disk.
    MemberReplaced,
    /// Two of three members are killed and started again.
    MostKilled,
    /// The leader stands still for a minute.
    LeaderStopped,
    /// The server that stands by stands still for a minute.
    FollowerStopped,
    /// The primary stands still for a minute.
    PrimaryStopped,
    /// The standby of the database stands still for a minute.
    StandbyStopped,
    /// The member that leads etcd stands still for a minute.
    MemberStopped,
    /// A member that does not lead etcd stands still for a minute.
    OtherMemberStopped,
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
const ETCD_TAKEOVERS: [(Fault, &str); 7] = [
    (Fault::Kill, "the leader is killed"),
    (Fault::HandOver, "the leader is told to stop"),
    (Fault::Pause, "the leader hangs"),
    (Fault::MemberKilled, "etcd's leader is killed"),
    (Fault::MemberPaused, "etcd's leader hangs"),
    (Fault::MemberReplaced, "a member of etcd is replaced"),
    (Fault::MostKilled, "two of three members are killed"),
];
const PAUSES: [(Fault, &str); 4] = [
    (Fault::LeaderStopped, "the leader hangs for 60 s"),
    (
        Fault::FollowerStopped,
        "the server that stands by hangs for 60 s",
    ),
    (Fault::PrimaryStopped, "the primary hangs for 60 s"),
    (Fault::StandbyStopped, "its standby hangs for 60 s"),
];
const ETCD_PAUSES: [(Fault, &str); 4] = [
    (Fault::LeaderStopped, "the leader hangs for 60 s"),
    (
        Fault::FollowerStopped,
        "the server that stands by hangs for 60 s",
    ),
    (Fault::MemberStopped, "etcd's leader hangs for 60 s"),
    (
        Fault::OtherMemberStopped,
        "another member of etcd hangs for 60 s",
    ),
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
    /// Between the servers and the primary of a Postgres.
    proxy: Option<Proxy>,
    buyers: Buyers,
    rounds: Vec<Round>,
}

impl Campaign {
    fn start(engine: LogEngine) -> Self {
        let (group, proxy) = match engine {
            LogEngine::Postgres => {
                let (group, proxy) = behind_proxy(STOCK);
                (group, Some(proxy))
            }
            LogEngine::Etcd => (on_etcd(), None),
        };
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
        if matches!(
            fault,
            Fault::Kill | Fault::HandOver | Fault::Pause | Fault::LeaderStopped
        ) {
            let others = (0..self.group.servers.len()).filter(move |&other| other != leader);
            self.group.wait_for_leader_among(others);
        }
        self.buyers.wait_for_more(1);
        let gap = self.buyers.longest_gap_since(begun);
        match fault {
            Fault::Pause => self.group.servers[leader].signal(Signal::CONT),
            Fault::LeaderStopped => {
                thread::sleep(LONG.saturating_sub(begun.elapsed()));
                self.group.servers[leader].signal(Signal::CONT);
            }
            Fault::FollowerStopped => {
                self.group.wait_for_standby(1 - leader);
                return Round { fault, begun, gap };
            }
            Fault::Kill | Fault::HandOver => self.group.servers[leader].restart(),
            _ => return Round { fault, begun, gap },
        }
        self.group.wait_for_standby(leader);
        Round { fault, begun, gap }
    }

    fn begin(&mut self, fault: Fault, leader: usize) {
        let Group { servers, keeper } = &mut self.group;
        match fault {
            Fault::Kill => servers[leader].kill_9(),
            Fault::HandOver => assert!(servers[leader].terminate().success()),
            Fault::Pause | Fault::LeaderStopped => servers[leader].signal(Signal::STOP),
            Fault::FollowerStopped => {
                servers[1 - leader].signal(Signal::STOP);
                thread::sleep(LONG);
                servers[1 - leader].signal(Signal::CONT);
            }
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
            _ => match keeper {
                Keeper::Postgres(_) => self.begin_on_postgres(fault),
                Keeper::Etcd(etcd) => begin_on_etcd(fault, etcd, &self.buyers),
            },
        }
    }

    fn begin_on_postgres(&mut self, fault: Fault) {
        let pair = self.group.pair();
        match fault {
            Fault::PrimaryKilled => {
                pair.primary.kill_9();
                pair.primary.restart();
            }
            Fault::PrimaryPaused => {
                pair.primary.pause();
                thread::sleep(Duration::from_secs(1));
                pair.primary.resume();
            }
            Fault::PrimaryStopped => {
                pair.primary.pause();
                thread::sleep(LONG);
                pair.primary.resume();
            }
            Fault::StandbyStopped => {
                pair.standby.pause();
                thread::sleep(LONG);
                pair.standby.resume();
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
                let proxy = self.proxy.as_ref().expect("it is there");
                let before = proxy.commits_lost();
                proxy.at_commit(AtCommit::LoseAnswer);
                wait_for("an append that is cut off", || {
                    (proxy.commits_lost() > before).then_some(())
                });
            }
            other => panic!("{other:?} is no fault of a Postgres"),
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
        let (places, _keeper) = group.stop();
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

/// Starts two servers on an etcd of three members.
fn on_etcd() -> Group {
    let keeper = LogEngine::Etcd.start();
    let start = |_| {
        let mut place = place(&keeper);
        place.set("SALE_TOTAL_ITEMS", &STOCK.to_string());
        Server::start_in(place)
    };
    let servers = (0..2).map(start).collect();
    let group = Group { servers, keeper };
    group.wait_for_leader();
    group
}

fn begin_on_etcd(fault: Fault, etcd: &mut Etcd, buyers: &Buyers) {
    let leader = etcd.wait_for_leader();
    match fault {
        Fault::MemberKilled => {
            etcd.kill_9(leader);
            buyers.wait_for_more(1);
            etcd.restart(leader);
        }
        Fault::MemberPaused => {
            etcd.pause(leader);
            buyers.wait_for_more(1);
            etcd.resume(leader);
        }
        Fault::MemberStopped | Fault::OtherMemberStopped => {
            let member = match fault {
                Fault::MemberStopped => leader,
                _ => (leader + 1) % 3,
            };
            etcd.pause(member);
            thread::sleep(LONG);
            etcd.resume(member);
        }
        // Its new port nobody knows, so that it is always the same one.
        Fault::MemberReplaced => etcd.replace(0),
        Fault::MostKilled => {
            for member in [1, 2] {
                etcd.kill_9(member);
            }
            for member in [1, 2] {
                etcd.restart(member);
            }
        }
        other => panic!("{other:?} is no fault of an etcd"),
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
    let engine = LogEngine::from_environment();
    let faults: &[_] = match engine {
        LogEngine::Postgres => &TAKEOVERS,
        LogEngine::Etcd => &ETCD_TAKEOVERS,
    };
    Campaign::start(engine).run(faults, rounds());
}

#[test]
#[ignore = "takes a minute for each round; scripts/campaign pauses runs it"]
fn what_hangs_for_a_minute_loses_nothing() {
    let engine = LogEngine::from_environment();
    let faults = match engine {
        LogEngine::Postgres => &PAUSES,
        LogEngine::Etcd => &ETCD_PAUSES,
    };
    Campaign::start(engine).run(faults, rounds());
}

#[test]
#[ignore = "takes seconds for each round; scripts/campaign together runs it"]
fn two_servers_that_start_at_once_lose_nothing() {
    Campaign::start(LogEngine::from_environment()).run(&TOGETHER, rounds());
}
