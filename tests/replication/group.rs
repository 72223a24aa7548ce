//! The servers of one log.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;

use super::buyers::ask;
use super::keeper::{Keeper, LogEngine, on_postgres};
use crate::postgres_pair::PostgresPair;
use crate::postgres_server::free_port;
use crate::server::{Place, Server, wait_for};

/// Items of the sale.
pub const STOCK: u32 = 100_000;

/// The keeper of a log, and the servers that replicate into it.
pub struct Group {
    pub servers: Vec<Server>,
    pub keeper: Keeper,
}

impl Group {
    /// Starts `count` servers on a keeper of their own, and waits until one of them sells.
    pub fn start(count: usize, engine: LogEngine) -> Self {
        Self::start_on(count, engine.start())
    }

    /// Starts `count` servers on `keeper`, and waits until one of them sells.
    pub fn start_on(count: usize, keeper: Keeper) -> Self {
        Self::start_set(count, keeper, &[])
    }

    /// Starts `count` servers on `keeper` with these settings besides, and waits until one of them sells.
    pub fn start_set(count: usize, keeper: Keeper, settings: &[(&str, &str)]) -> Self {
        let servers = (0..count).map(|_| {
            let mut place = place(&keeper);
            for (key, value) in settings {
                place.set(key, value);
            }
            Server::start_in(place)
        });
        let servers = servers.collect();
        let group = Self { servers, keeper };
        group.wait_for_leader();
        group
    }

    /// The pair of Postgres that keeps the log.
    pub fn pair(&mut self) -> &mut PostgresPair {
        self.keeper.pair()
    }

    /// The addresses of the servers.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(Server::addr).collect()
    }

    /// Waits until a server sells; which one.
    pub fn wait_for_leader(&self) -> usize {
        self.wait_for_leader_among(0..self.servers.len())
    }

    /// Waits until one of these servers sells; which one.
    pub fn wait_for_leader_among(&self, among: impl Iterator<Item = usize> + Clone) -> usize {
        wait_for("a leader", || {
            among
                .clone()
                .find(|&index| self.is_ready(index).unwrap_or(false))
        })
    }

    /// Whether a server says that it sells; `None` where it does not answer.
    fn is_ready(&self, index: usize) -> Option<bool> {
        let addr = self.servers[index].addr();
        let answer = ask(
            addr,
            "GET",
            "/readyz?role=leader",
            None,
            Duration::from_secs(2),
        );
        answer.ok().map(|(status, _)| status == 200)
    }

    /// Waits until the server `index` stands by.
    pub fn wait_for_standby(&self, index: usize) {
        let addr = self.servers[index].addr();
        wait_for("a standby", || {
            let answer = ask(addr, "GET", "/readyz", None, Duration::from_secs(2)).ok()?;
            (answer.0 == 503 && answer.1.contains("standby")).then_some(())
        });
    }

    /// Kills the server `index` and starts it again when another one has taken over.
    pub fn kill_and_restart(&mut self, index: usize) {
        self.servers[index].kill_9();
        let others = (0..self.servers.len()).filter(move |&other| other != index);
        self.wait_for_leader_among(others);
        self.servers[index].restart();
        self.wait_for_standby(index);
    }

    /// Ends all servers in order, the leader last, and leaves their directories.
    pub fn stop(mut self) -> (Vec<Place>, Keeper) {
        let leader = self.wait_for_leader();
        let mut order: Vec<usize> = (0..self.servers.len()).collect();
        order.sort_by_key(|&index| index == leader);
        for &index in &order {
            self.servers[index].signal(Signal::TERM);
            self.servers[index].wait();
        }
        let places = self.servers.into_iter().map(Server::leave);
        (places.collect(), self.keeper)
    }
}

/// A directory for a server that replicates into `keeper`, with a port of its own: others find it there.
pub fn place(keeper: &Keeper) -> Place {
    place_with(&keeper.settings())
}

/// As [`place`], for the Postgres on these hosts.
pub fn place_on(hosts: &str) -> Place {
    place_with(&on_postgres(hosts))
}

fn place_with(settings: &[(&'static str, String)]) -> Place {
    let port = free_port().to_string();
    let stock = STOCK.to_string();
    let mut place = Place::new(&[
        ("SERVER_PORT", &*port),
        ("SERVER_ADVERTISE", &format!("127.0.0.1:{port}")),
        ("SERVER_WORKERS", "2"),
        ("SALE_TOTAL_ITEMS", &*stock),
    ]);
    for (key, value) in settings {
        place.set(key, value);
    }
    place
}
