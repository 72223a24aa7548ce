//! The faults: who is hit, what happens, and how long it lasts.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::network::MACHINES;
use super::shop::Shop;
use crate::replication::buyers::Buyers;
use crate::replication::keeper::LogEngine;
use crate::server::wait_for;

/// How long a cut lasts at least: longer than Patroni's ttl, so that who is cut off is replaced.
const CUT: Duration = Duration::from_secs(25);
/// How long a cut lasts where etcd keeps the log: longer than an election and a takeover.
const CUT_OF_ETCD: Duration = Duration::from_secs(12);
/// How long something stands still that is replaced sooner.
const PAUSE: Duration = Duration::from_secs(10);

/// Something that goes wrong, or that somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    KillServer,
    PauseServer,
    KillPrimary,
    PausePrimary,
    KillStandby,
    PauseStandby,
    KillEtcd,
    PauseEtcd,
    KillMember,
    PauseMember,
    KillPatroni,
    PausePatroni,
    CutOneWay,
    CutBothWays,
    CutOff,
    LoseMachine,
    LoseAllButOne,
    Switchover,
    Failover,
    Upgrade,
    RestartAll,
}

/// All of them, with the names that `scripts/campaign` takes.
const ALL: [(Fault, &str); 21] = [
    (Fault::KillServer, "server-kill"),
    (Fault::PauseServer, "server-stop"),
    (Fault::KillPrimary, "primary-kill"),
    (Fault::PausePrimary, "primary-stop"),
    (Fault::KillStandby, "standby-kill"),
    (Fault::PauseStandby, "standby-stop"),
    (Fault::KillEtcd, "etcd-kill"),
    (Fault::PauseEtcd, "etcd-stop"),
    (Fault::KillMember, "member-kill"),
    (Fault::PauseMember, "member-stop"),
    (Fault::KillPatroni, "patroni-kill"),
    (Fault::PausePatroni, "patroni-stop"),
    (Fault::CutOneWay, "cut-one-way"),
    (Fault::CutBothWays, "cut-both-ways"),
    (Fault::CutOff, "cut-off"),
    (Fault::LoseMachine, "machine-lost"),
    (Fault::LoseAllButOne, "all-but-one-lost"),
    (Fault::Switchover, "switchover"),
    (Fault::Failover, "failover"),
    (Fault::Upgrade, "upgrade"),
    (Fault::RestartAll, "restart-all"),
];

impl Fault {
    /// Those that can happen where this engine keeps the log.
    pub fn of(engine: LogEngine) -> Vec<Self> {
        let all = ALL.iter().map(|(fault, _)| *fault);
        all.filter(|fault| fault.engine().is_none_or(|only| only == engine))
            .collect()
    }

    /// The engine without which it cannot happen.
    fn engine(self) -> Option<LogEngine> {
        match self {
            Self::KillPrimary
            | Self::PausePrimary
            | Self::KillStandby
            | Self::PauseStandby
            | Self::KillPatroni
            | Self::PausePatroni
            | Self::Switchover
            | Self::Failover => Some(LogEngine::Postgres),
            // The one that leads is fault enough where only Patroni needs them.
            Self::KillMember | Self::PauseMember => Some(LogEngine::Etcd),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        let found = ALL.iter().find(|(fault, _)| *fault == self);
        found.expect("all of them are there").1
    }

    /// Lets it happen and pass, while buyers buy. Returns who was hit; `choice` says which one where there are several.
    pub fn happen(self, shop: &mut Shop, buyers: &Buyers, choice: usize) -> String {
        match self {
            Self::KillServer => kill_server(shop, buyers),
            Self::PauseServer => pause_server(shop, buyers),
            Self::KillPrimary => hit_postgres(shop, buyers, "leader", None),
            Self::PausePrimary => hit_postgres(shop, buyers, "leader", Some(CUT)),
            Self::KillStandby => hit_postgres(shop, buyers, "sync_standby", None),
            Self::PauseStandby => hit_postgres(shop, buyers, "sync_standby", Some(PAUSE)),
            Self::KillEtcd => kill_etcd(shop, buyers, 0),
            Self::PauseEtcd => pause_etcd(shop, buyers, 0),
            Self::KillMember => kill_etcd(shop, buyers, 1),
            Self::PauseMember => pause_etcd(shop, buyers, 1),
            Self::KillPatroni => kill_patroni(shop, buyers),
            Self::PausePatroni => pause_patroni(shop, buyers),
            Self::CutOneWay => cut(shop, buyers, choice, false),
            Self::CutBothWays => cut(shop, buyers, choice, true),
            Self::CutOff => cut_off(shop, buyers, choice),
            Self::LoseMachine => lose_machine(shop, buyers, choice),
            Self::LoseAllButOne => lose_all_but_one(shop, buyers, choice),
            Self::Switchover => move_primary(shop, buyers, "switchover"),
            Self::Failover => move_primary(shop, buyers, "failover"),
            Self::Upgrade => upgrade(shop, buyers),
            Self::RestartAll => restart_all(shop, buyers),
        }
    }
}

/// Lets it last for `time` at least, and until buyers are sold to.
fn last(buyers: &Buyers, time: Duration) {
    let begun = Instant::now();
    buyers.wait_for_more(1);
    thread::sleep(time.saturating_sub(begun.elapsed()));
    buyers.wait_for_more(1);
}

fn role_of(shop: &Shop, role: &str) -> usize {
    wait_for(role, || shop.find_role(role))
}

fn wait_for_another_leader(shop: &Shop, before: usize) {
    wait_for("another leader", || {
        let leader = shop.leader()?;
        (leader != before).then_some(())
    });
}

fn kill_server(shop: &mut Shop, buyers: &Buyers) -> String {
    let leader = shop.wait_for_leader();
    shop.machines[leader].server_mut().kill_9();
    wait_for_another_leader(shop, leader);
    buyers.wait_for_more(1);
    shop.machines[leader].server_mut().restart();
    format!("the server of {}", shop.machines[leader].name())
}

fn pause_server(shop: &mut Shop, buyers: &Buyers) -> String {
    let leader = shop.wait_for_leader();
    shop.machines[leader].server().signal(Signal::STOP);
    wait_for_another_leader(shop, leader);
    buyers.wait_for_more(1);
    shop.machines[leader].server().signal(Signal::CONT);
    format!("the server of {}", shop.machines[leader].name())
}

/// Kills the PostgreSQL with this role, or lets it stand still for `pause`. Its Patroni goes on.
fn hit_postgres(shop: &Shop, buyers: &Buyers, role: &str, pause: Option<Duration>) -> String {
    let machine = &shop.machines[role_of(shop, role)];
    match pause {
        None => {
            machine.signal_postgres(Signal::KILL);
            buyers.wait_for_more(1);
        }
        Some(pause) => {
            machine.signal_postgres(Signal::STOP);
            last(buyers, pause);
            machine.signal_postgres(Signal::CONT);
        }
    }
    format!("PostgreSQL of {}, {role}", machine.name())
}

/// The machine that is so many behind the one whose member leads etcd, and what that is called.
fn member(shop: &Shop, behind: usize) -> (usize, String) {
    let leader = wait_for("a leader of etcd", || shop.etcd_leader());
    let member = (leader + behind) % MACHINES;
    let name = shop.machines[member].name();
    match behind {
        0 => (member, format!("etcd of {name}, its leader")),
        _ => (member, format!("etcd of {name}, which follows")),
    }
}

fn kill_etcd(shop: &mut Shop, buyers: &Buyers, behind: usize) -> String {
    let (number, who) = member(shop, behind);
    shop.machines[number].signal_etcd(Signal::KILL);
    last(buyers, PAUSE);
    shop.machines[number].restart_etcd();
    who
}

fn pause_etcd(shop: &Shop, buyers: &Buyers, behind: usize) -> String {
    let (number, who) = member(shop, behind);
    shop.machines[number].signal_etcd(Signal::STOP);
    last(buyers, PAUSE);
    shop.machines[number].signal_etcd(Signal::CONT);
    who
}

/// Kills the primary's Patroni alone: its PostgreSQL goes on, and thinks that it is the primary.
fn kill_patroni(shop: &mut Shop, buyers: &Buyers) -> String {
    let primary = role_of(shop, "leader");
    shop.machines[primary].signal_patroni(Signal::KILL);
    shop.wait_for_another_primary(primary);
    last(buyers, PAUSE);
    shop.machines[primary].restart_patroni();
    format!("Patroni of {}, the primary", shop.machines[primary].name())
}

fn pause_patroni(shop: &Shop, buyers: &Buyers) -> String {
    let primary = role_of(shop, "leader");
    shop.machines[primary].signal_patroni(Signal::STOP);
    shop.wait_for_another_primary(primary);
    last(buyers, PAUSE);
    shop.machines[primary].signal_patroni(Signal::CONT);
    format!("Patroni of {}, the primary", shop.machines[primary].name())
}

/// Cuts two machines from each other, each pair and way in its turn.
fn cut(shop: &Shop, buyers: &Buyers, choice: usize, is_both: bool) -> String {
    let machine = choice % MACHINES;
    let other = (machine + 1 + choice / MACHINES % (MACHINES - 1)) % MACHINES;
    let network = &shop.network;
    network.deafen(machine, other);
    if is_both {
        network.deafen(other, machine);
    }
    last(buyers, cut_time(shop));
    network.heal().expect("it worked before");
    let (machine, other) = (&shop.machines[machine], &shop.machines[other]);
    match is_both {
        true => format!("{} and {}", machine.name(), other.name()),
        false => format!("{} hears nothing of {}", machine.name(), other.name()),
    }
}

fn cut_time(shop: &Shop) -> Duration {
    match shop.engine {
        LogEngine::Postgres => CUT,
        LogEngine::Etcd => CUT_OF_ETCD,
    }
}

/// The machine that keeps the log; with etcd, which others keep as well, the one whose server leads every other time. With what it is called.
fn important(shop: &Shop, choice: usize) -> (usize, String) {
    let (number, what) = match (shop.engine, choice % 2) {
        (LogEngine::Etcd, 1) => (shop.wait_for_leader(), "whose server leads"),
        (LogEngine::Etcd, _) => (member(shop, 0).0, "which leads etcd"),
        (LogEngine::Postgres, _) => (role_of(shop, "leader"), "the primary"),
    };
    (number, format!("{}, {what}", shop.machines[number].name()))
}

fn cut_off(shop: &Shop, buyers: &Buyers, choice: usize) -> String {
    let (number, who) = important(shop, choice);
    shop.network.cut_off(number).expect("it worked before");
    last(buyers, cut_time(shop));
    shop.network.heal().expect("it worked before");
    who
}

fn lose_machine(shop: &mut Shop, buyers: &Buyers, choice: usize) -> String {
    let (number, who) = important(shop, choice);
    shop.machines[number].lose_power();
    last(buyers, cut_time(shop));
    let machine = &mut shop.machines[number];
    machine.restart_etcd();
    machine.power_on();
    machine.server_mut().wait_until_listening();
    who
}

/// Nothing can be sold by one machine, so that this one ends when the others are back.
fn lose_all_but_one(shop: &mut Shop, buyers: &Buyers, choice: usize) -> String {
    let survivor = choice % MACHINES;
    let others = || (0..MACHINES).filter(move |&number| number != survivor);
    for number in others() {
        shop.machines[number].lose_power();
    }
    // What was on its way.
    thread::sleep(Duration::from_secs(2));
    let sold = buyers.sold();
    thread::sleep(PAUSE);
    assert_eq!(buyers.sold(), sold, "one machine sold alone");
    for number in others() {
        shop.machines[number].restart_etcd();
    }
    for number in others() {
        shop.machines[number].power_on();
    }
    for number in others() {
        shop.machines[number].server_mut().wait_until_listening();
    }
    format!("all but {}", shop.machines[survivor].name())
}

/// Lets `patronictl` make a primary of the synchronous standby.
fn move_primary(shop: &Shop, buyers: &Buyers, how: &str) -> String {
    let (primary, standby) = (role_of(shop, "leader"), role_of(shop, "sync_standby"));
    let (from, to) = (shop.machines[primary].name(), shop.machines[standby].name());
    let arguments = [how, "flashsale", "--candidate", &to, "--force"];
    shop.machines[standby].patronictl(&arguments);
    shop.wait_for_another_primary(primary);
    buyers.wait_for_more(1);
    format!("from {from} to {to}")
}

/// Stops each server in order and starts it again, the one that leads last.
fn upgrade(shop: &mut Shop, buyers: &Buyers) -> String {
    let leader = shop.wait_for_leader();
    let mut order: Vec<_> = (0..MACHINES).collect();
    order.sort_by_key(|&number| number == leader);
    for number in order {
        let server = shop.machines[number].server_mut();
        assert!(server.terminate().success(), "a clean end");
        server.restart();
        wait_for("a standby", || {
            shop.machines[number].stands_by().then_some(())
        });
        buyers.wait_for_more(1);
    }
    "every server in turn".into()
}

/// The servers, then each Patroni with its database, then each etcd.
fn restart_all(shop: &mut Shop, buyers: &Buyers) -> String {
    upgrade(shop, buyers);
    if shop.engine == LogEngine::Postgres {
        restart_databases(shop, buyers);
    }
    for number in 0..MACHINES {
        shop.wait_for_keepers();
        shop.machines[number].signal_etcd(Signal::TERM);
        shop.machines[number].restart_etcd();
    }
    "everything in turn".into()
}

/// Each Patroni with its database, the primary last and after a switchover.
fn restart_databases(shop: &mut Shop, buyers: &Buyers) {
    let primary = role_of(shop, "leader");
    let mut order: Vec<_> = (0..MACHINES).collect();
    order.sort_by_key(|&number| number == primary);
    for number in order {
        shop.wait_for_keepers();
        if number == primary {
            move_primary(shop, buyers, "switchover");
            shop.wait_for_keepers();
        }
        shop.machines[number].signal_patroni(Signal::TERM);
        shop.machines[number].restart_patroni();
    }
}
