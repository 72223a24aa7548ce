//! The whole of it: three machines, and a balancer before them.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::machine::{Machine, SHOP, copy_patroni, name, source};
use super::network::{MACHINES, Network, OUTSIDE, address};
use crate::replication::buyers::Told;
use crate::replication::keeper::LogEngine;
use crate::replication::ledger::Ledger;
use crate::server::{Server, wait_for};

/// How long a database may take to join again. On a machine at a load of 30 an old primary took two minutes, half a minute of them for `pg_rewind`.
const REJOIN: Duration = Duration::from_secs(300);

/// What a round has found in the journals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Purchases that a buyer was told of and that are not there.
    pub lost: usize,
    /// Items that were sold twice.
    pub oversold: usize,
}

/// The machines, each in the state that the last fault has left it in.
pub struct Shop {
    pub engine: LogEngine,
    pub machines: Vec<Machine>,
    pub network: Arc<Network>,
    balancer: Child,
}

impl Shop {
    /// Starts everything, with the log in this engine, and waits until all of it is well. `None`, with a line of why, where that cannot be done here.
    pub fn start(engine: LogEngine) -> Option<Self> {
        let network = match Network::start() {
            Ok(network) => Arc::new(network),
            Err(why) => {
                skip(&why);
                return None;
            }
        };
        let machines = (0..MACHINES).map(|number| Machine::new(&network, number));
        let mut machines: Vec<_> = machines.collect();
        machines.iter_mut().for_each(Machine::start_etcd);
        wait_for("etcd", || {
            machines.iter().all(Machine::has_healthy_etcd).then_some(())
        });
        if engine == LogEngine::Postgres {
            copy_patroni(&network);
            machines.iter_mut().for_each(Machine::start_patroni);
        }
        let mut shop = Self {
            engine,
            balancer: balancer(&network),
            machines,
            network,
        };
        shop.wait_for_keepers();
        for machine in &mut shop.machines {
            machine.begin_server(engine);
        }
        for machine in &mut shop.machines {
            machine.server_mut().wait_until_listening();
        }
        shop.wait_until_whole();
        Some(shop)
    }

    /// Where buyers go.
    pub fn address() -> SocketAddr {
        SocketAddr::from((address(OUTSIDE), SHOP))
    }

    /// Waits until a server sells; which one.
    pub fn wait_for_leader(&self) -> usize {
        wait_for("a leader", || self.leader())
    }

    /// The server that sells, if one does.
    pub fn leader(&self) -> Option<usize> {
        self.machines.iter().position(Machine::sells)
    }

    /// The machine with this part of the database's cluster: `leader`, `sync_standby` or `replica`.
    pub fn find_role(&self, role: &str) -> Option<usize> {
        let members = self.machines.iter().find_map(Machine::members)?;
        let member = members.iter().find(|member| member["role"] == role)?;
        (0..MACHINES).find(|&number| member["name"] == *name(number))
    }

    /// Waits until the database has another primary than `before`.
    pub fn wait_for_another_primary(&self, before: usize) {
        wait_for("another primary", || {
            let primary = self.find_role("leader")?;
            (primary != before).then_some(())
        });
    }

    /// The machine whose member leads etcd, if one does.
    pub fn etcd_leader(&self) -> Option<usize> {
        self.machines.iter().position(Machine::leads_etcd)
    }

    /// Waits until all of etcd, all of the databases and all servers are as they should be.
    pub fn wait_until_whole(&self) {
        self.wait_for_keepers();
        wait_for("a leader and its standbys", || {
            let sell = self.machines.iter().filter(|it| it.sells()).count();
            let stand_by = self.machines.iter().filter(|it| it.stands_by()).count();
            (sell == 1 && stand_by == MACHINES - 1).then_some(())
        });
    }

    /// Waits until etcd is well and, where the log is in the database, its primary has a synchronous standby and another one.
    pub fn wait_for_keepers(&self) {
        match self.engine {
            LogEngine::Postgres => self.wait_for_databases(),
            LogEngine::Etcd => wait_for("all members of etcd", || {
                let are_up = self.machines.iter().all(Machine::has_healthy_etcd);
                (are_up && self.etcd_leader().is_some()).then_some(())
            }),
        }
    }

    fn wait_for_databases(&self) {
        let deadline = Instant::now() + REJOIN;
        while self.has_databases() != Some(true) {
            let is_late = Instant::now() > deadline;
            assert!(!is_late, "waited too long for a primary and its standbys");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether there are a primary, its synchronous standby and another one; `None` where nobody says.
    fn has_databases(&self) -> Option<bool> {
        let are_up =
            |machine: &Machine| machine.has_healthy_etcd() && machine.has_running_postgres();
        self.machines.iter().all(are_up).then_some(())?;
        let members = self.machines[0].members()?;
        let count = |role| members.iter().filter(|it| it["role"] == role).count();
        let is_well = |it: &serde_json::Value| {
            let state = it["state"].as_str().unwrap_or_default();
            ["running", "streaming"].contains(&state) && it["timeline"] == members[0]["timeline"]
        };
        let are_well = members.len() == MACHINES && members.iter().all(is_well);
        let roles = ["leader", "sync_standby", "replica"].map(count);
        Some(are_well && roles == [1, 1, 1])
    }

    /// Reads on in `ledger` what the server that sells has written, and holds against it what buyers were told.
    pub fn losses(&self, ledger: &mut Ledger, told: &[Told]) -> Losses {
        let (leader, acknowledged) = wait_for("an acknowledged record", || {
            let leader = self.leader()?;
            Some((leader, self.machines[leader].acknowledged()?))
        });
        ledger.read_on(self.machines[leader].server().place(), acknowledged);
        Losses {
            lost: ledger.lost(told).len(),
            oversold: ledger.oversold().len(),
        }
    }

    /// Ends everything, and holds what buyers were told against all journals.
    pub fn settle(mut self, told: &[Told]) {
        self.wait_until_whole();
        let leader = self.wait_for_leader();
        let mut order: Vec<_> = (0..MACHINES).collect();
        order.sort_by_key(|&number| number == leader);
        for number in order {
            assert!(self.machines[number].server_mut().terminate().success());
        }
        let machines = std::mem::take(&mut self.machines);
        let servers = machines.into_iter().map(Machine::into_server);
        let places: Vec<_> = servers.map(Server::leave).collect();
        let ledgers: Vec<_> = places.iter().map(Ledger::read).collect();
        ledgers[leader].check(told);
        for ledger in &ledgers {
            ledger.check_same_order(&ledgers[leader]);
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.balancer.kill();
        let _ = self.balancer.wait();
        if thread::panicking() {
            for machine in &self.machines {
                eprintln!("--- {} sees {:?}", machine.name(), machine.members());
            }
        }
    }
}

fn balancer(network: &Network) -> Child {
    let log = File::create(network.dir().join("haproxy.log")).expect("our own directory");
    let mut command = network.command(OUTSIDE, "haproxy");
    command.arg("-db").arg("-f").arg("/dev/stdin");
    command.env("SHOP_ADDRESS", Shop::address().to_string());
    for number in 0..MACHINES {
        let at = format!("{}:{SHOP}", address(number));
        command.env(format!("SERVER_{}", number + 1), at);
    }
    // As it stands, but read by who may not see the repository.
    command.stdin(File::open(source("haproxy.cfg")).expect("a file of docker/ha"));
    command.stdout(log.try_clone().expect("a file")).stderr(log);
    command.spawn().expect("haproxy runs")
}

/// Says that nothing was tested: here, and in a file that `scripts/test` shows at its end.
fn skip(why: &str) {
    let line = format!("skipped: no namespaces: {why}");
    println!("{line}");
    let target = env!("CARGO_TARGET_TMPDIR");
    let target = Path::new(target);
    let notes = File::options()
        .append(true)
        .create(true)
        .open(target.join("skipped"));
    let written = notes.and_then(|mut notes| writeln!(notes, "tests/cluster: {line}"));
    written.expect("a writable target directory");
}
