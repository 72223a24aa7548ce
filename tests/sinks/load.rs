//! Clients that buy, at a steady pace, until they are told to stop, whatever becomes of the server.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use flashsale::env::splitmix64;

use crate::client::{Answer, Client};
use crate::places::STOCK;
use crate::server::{Server, wait_for};

const CLIENTS: u64 = 3;
const USERS: u64 = 5_000;
/// Items that everybody wants.
const HOT: u64 = 20;
/// Leaves room for the others on a small machine.
const PAUSE: Duration = Duration::from_millis(6);
/// Answers that are no surprise.
const REFUSALS: [&str; 7] = [
    "item_held",
    "item_not_found",
    "item_sold_out",
    "item_already_in_checkout",
    "user_limit_exceeded",
    "validation_failed",
    "sale_paused",
];

/// What was bought, as the buyers were told.
#[derive(Default)]
pub struct Bought {
    /// What each code that was purchased has sold, by the items' places.
    pub sold: BTreeMap<String, BTreeSet<u32>>,
    /// Codes that were answered and never purchased.
    pub open: BTreeSet<String>,
    /// Codes of purchases that were not answered.
    pub unknown: BTreeSet<String>,
    /// Codes of checkouts that were to be given back.
    given_back: BTreeSet<String>,
}

impl Bought {
    /// Adds what others bought.
    pub fn add(&mut self, other: Self) {
        self.sold.extend(other.sold);
        self.unknown.extend(other.unknown);
        self.open.extend(other.open);
        self.given_back.extend(other.given_back);
        let (sold, others) = (&self.sold, [&self.unknown, &self.given_back]);
        self.open.retain(|code| {
            !sold.contains_key(code) && !others.iter().any(|others| others.contains(code))
        });
    }
}

struct Shared {
    /// The server; none while it is away.
    addr: Mutex<Option<SocketAddr>>,
    stop: AtomicBool,
    purchases: AtomicU64,
}

/// The clients.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Bought>>,
}

impl Load {
    /// Lets clients buy from the server.
    pub fn start(server: &Server) -> Self {
        let shared = Arc::new(Shared {
            addr: Mutex::new(Some(server.addr())),
            stop: AtomicBool::new(false),
            purchases: AtomicU64::new(0),
        });
        let start = |_| {
            let mut buyer = Buyer {
                shared: Arc::clone(&shared),
                random: seed(),
                bought: Bought::default(),
            };
            thread::spawn(move || {
                while !buyer.shared.stop.load(Ordering::Relaxed) {
                    buyer.visit();
                }
                buyer.bought
            })
        };
        Self {
            clients: (0..CLIENTS).map(start).collect(),
            shared,
        }
    }

    /// Buys until `count` purchases have been answered; what was bought.
    pub fn purchases(server: &Server, count: u64) -> Bought {
        let load = Self::start(server);
        load.wait_for_more(count);
        load.stop()
    }

    /// Kills the server and starts it again.
    pub fn kill_9(&self, server: &mut Server) {
        // Nobody may connect to whoever gets the port next.
        *self.shared.addr.lock().expect("no panic") = None;
        server.kill_9();
        server.restart();
        *self.shared.addr.lock().expect("no panic") = Some(server.addr());
    }

    /// Waits until `count` more purchases have been answered.
    pub fn wait_for_more(&self, count: u64) {
        let purchases = || self.shared.purchases.load(Ordering::Relaxed);
        let enough = purchases() + count;
        wait_for("purchases", || {
            let broken = self.clients.iter().any(JoinHandle::is_finished);
            (broken || purchases() >= enough).then_some(())
        });
    }

    /// Stops the clients; what they bought.
    pub fn stop(mut self) -> Bought {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Bought::default();
        for client in self.clients.drain(..) {
            all.add(client.join().expect("a client without surprises"));
        }
        all
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

struct Buyer {
    shared: Arc<Shared>,
    random: u64,
    bought: Bought,
}

impl Buyer {
    fn below(&mut self, end: u64) -> u64 {
        splitmix64(&mut self.random) % end
    }

    /// Buys over one connection until it breaks.
    fn visit(&mut self) {
        let addr = *self.shared.addr.lock().expect("no panic");
        let client = addr.and_then(|addr| Client::connect(addr).ok());
        let Some(mut client) = client else {
            return thread::sleep(PAUSE);
        };
        while !self.shared.stop.load(Ordering::Relaxed) && self.shop(&mut client).is_ok() {
            thread::sleep(PAUSE);
        }
    }

    /// Chooses one to three items, and mostly purchases them.
    fn shop(&mut self, client: &mut Client) -> io::Result<()> {
        let user = match self.below(20) {
            0 => format!("eager-{}", self.below(3)),
            _ => format!("user-{}", self.below(USERS)),
        };
        let mut code = None;
        for _ in 0..1 + self.below(3) {
            code = self.choose(client, &user)?.or(code);
        }
        match code {
            Some(code) if self.below(12) == 0 => self.give_back(client, &code),
            Some(code) if self.below(10) > 0 => self.purchase(client, code),
            _ => Ok(()),
        }
    }

    fn choose(&mut self, client: &mut Client, user: &str) -> io::Result<Option<String>> {
        let (item, quantity) = match self.below(20) {
            0..=2 => (self.below(HOT), 1),
            3 => (STOCK + 1, 1),
            4 => (self.below(STOCK), 3),
            _ => (self.below(STOCK), 1),
        };
        let target = format!("/checkout?user_id={user}&id=ITM-1-{item}&quantity={quantity}");
        let answer = client.try_send("POST", &target, &[], b"")?;
        if answer.status != 200 {
            let known = REFUSALS.contains(&&*answer.error());
            assert!(known, "{}", answer.text());
            return Ok(None);
        }
        let code = answer.code();
        self.bought.open.insert(code.clone());
        Ok(Some(code))
    }

    /// Gives all back that is in a checkout, unless another client of the same user was faster.
    fn give_back(&mut self, client: &mut Client, code: &str) -> io::Result<()> {
        self.bought.given_back.insert(code.to_owned());
        let answer = client.try_send("POST", &format!("/release?code={code}"), &[], b"")?;
        assert!(
            matches!(answer.status, 200 | 404 | 409),
            "{}",
            answer.text()
        );
        Ok(())
    }

    /// Purchases, with a key or without one, and now and then once more.
    fn purchase(&mut self, client: &mut Client, code: String) -> io::Result<()> {
        self.bought.open.remove(&code);
        self.bought.unknown.insert(code.clone());
        let target = format!("/purchase?code={code}");
        let key = [("Idempotency-Key", "again")];
        let headers = &key[usize::try_from(self.below(2)).expect("small")..];
        let answer = client.try_send("POST", &target, headers, b"")?;
        self.bought.unknown.remove(&code);
        self.shared.purchases.fetch_add(1, Ordering::Relaxed);
        match answer.error_if_any().as_deref() {
            // Another client of the same user was faster, or everybody was too slow.
            Some("already_processed" | "checkout_expired") => {}
            Some("checkout_not_found") => return Ok(()),
            _ => drop(self.bought.sold.insert(code, sold(&answer))),
        }
        if self.below(20) == 0 {
            let again = client.try_send("POST", &target, &[], b"")?;
            assert_eq!(again.status, 409, "{}", again.text());
        }
        Ok(())
    }
}

/// The places of the items that the answer says are sold.
fn sold(answer: &Answer) -> BTreeSet<u32> {
    let json = answer.json();
    if answer.status != 200 {
        assert_eq!((answer.status, &*answer.error()), (409, "all_items_sold"));
        return BTreeSet::new();
    }
    let lines = json["purchased_items"].as_array().expect("lines");
    let sold = lines.iter().filter(|line| line["sold"] == true);
    let place = |id: &str| id.strip_prefix("ITM-1-")?.parse().ok();
    sold.map(|line| place(line["id"].as_str().expect("an id")).expect("an item"))
        .collect()
}
