//! Buyers who go from server to server until one sells, and remember what they were told.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::{Server, wait_for};

const BUYERS: u32 = 4;
/// How long a buyer waits for an answer before it goes to the next server.
const ANSWER: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// Sends one request over a connection of its own; status and body of the answer.
pub fn ask(
    addr: SocketAddr,
    method: &str,
    target: &str,
    key: Option<&str>,
    patience: Duration,
) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&addr, patience)?;
    stream.set_read_timeout(Some(patience))?;
    let key = key.map_or_else(String::new, |key| format!("Idempotency-Key: {key}\r\n"));
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n{key}\r\n");
    stream.write_all(head.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let broken = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
    Ok((status.ok_or_else(broken)?, body.to_owned()))
}

/// Waits until the server leads and sells.
pub fn wait_until_it_sells(server: &Server) {
    wait_for("the leadership", || {
        let target = "/readyz?role=leader";
        let answer = ask(server.addr(), "GET", target, None, ANSWER).ok()?;
        (answer.0 == 200).then_some(())
    });
}

/// A purchase as far as its buyer knows.
#[derive(Clone, Debug)]
pub struct Told {
    pub code: String,
    pub item: u32,
    /// It was answered 200; otherwise there was no answer.
    pub is_sold: bool,
    /// When that was known.
    pub at: Instant,
}

struct Shared {
    addresses: Mutex<Vec<SocketAddr>>,
    stop: AtomicBool,
    next: AtomicU32,
    sold: AtomicU64,
    /// Requests that had no answer, or one of 500 and above.
    unanswered: AtomicU64,
    told: Mutex<Vec<Told>>,
    /// When purchases were answered 200, in order.
    times: Mutex<Vec<Instant>>,
}

/// The buyers.
pub struct Buyers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Buyers {
    /// Lets buyers buy one item after the other from whichever of the servers sells.
    pub fn start(addresses: Vec<SocketAddr>) -> Self {
        let shared = Arc::new(Shared {
            addresses: Mutex::new(addresses),
            stop: AtomicBool::new(false),
            next: AtomicU32::new(0),
            sold: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            told: Mutex::default(),
            times: Mutex::default(),
        });
        let threads = (0..BUYERS).map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut server = 0;
                while !shared.stop.load(Ordering::Relaxed) {
                    if let Some(told) = shared.buy(&mut server) {
                        shared.told.lock().expect("no panic").push(told);
                    }
                    thread::sleep(PAUSE);
                }
            })
        });
        Self {
            threads: threads.collect(),
            shared,
        }
    }

    /// Waits until `count` more purchases were answered 200.
    pub fn wait_for_more(&self, count: u64) {
        let enough = self.sold() + count;
        wait_for("purchases", || (self.sold() >= enough).then_some(()));
    }

    /// How many purchases were answered 200.
    pub fn sold(&self) -> u64 {
        self.shared.sold.load(Ordering::Relaxed)
    }

    /// The longest time since `begun` in which no purchase was answered 200.
    pub fn longest_gap_since(&self, begun: Instant) -> Duration {
        let times = self.shared.times.lock().expect("no panic");
        let first = times.partition_point(|&time| time <= begun);
        let since = &times[first.saturating_sub(1)..];
        let gaps = since.windows(2).map(|pair| pair[1].duration_since(pair[0]));
        gaps.max().unwrap_or_default()
    }

    /// How many requests had no answer so far, or one of 500 and above.
    pub fn unanswered(&self) -> u64 {
        self.shared.unanswered.load(Ordering::Relaxed)
    }

    /// Returns what they know so far.
    pub fn told(&self) -> Vec<Told> {
        self.shared.told.lock().expect("no panic").clone()
    }

    /// Ends the buyers; what they know.
    pub fn stop(self) -> Vec<Told> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("no panic");
        }
        let mut told = self.shared.told.lock().expect("no panic");
        std::mem::take(&mut *told)
    }
}

impl Shared {
    fn buy(&self, server: &mut usize) -> Option<Told> {
        let item = self.next.fetch_add(1, Ordering::Relaxed);
        let target = format!("/checkout?user_id=user-{item}&id=ITM-1-{item}");
        // Asked again it has the same answer.
        let key = format!("checkout-{item}");
        let (status, body) = self.insist(server, &target, &key)?;
        assert_eq!(status, 200, "nobody else wants this item: {body}");
        let code: Value = serde_json::from_str(&body).expect("JSON");
        let code = code["code"].as_str().expect("a code").to_owned();
        let target = format!("/purchase?code={code}");
        let key = format!("purchase-{item}");
        let answer = self.insist(server, &target, &key);
        if let Some((status, body)) = &answer {
            assert_eq!(*status, 200, "it was held by nobody else: {body}");
            self.times.lock().expect("no panic").push(Instant::now());
            self.sold.fetch_add(1, Ordering::Relaxed);
        }
        Some(Told {
            code,
            item,
            is_sold: answer.is_some(),
            at: Instant::now(),
        })
    }

    /// Asks one server after the other until one answers for good; `None` once the buyers are to stop.
    fn insist(&self, server: &mut usize, target: &str, key: &str) -> Option<(u16, String)> {
        while !self.stop.load(Ordering::Relaxed) {
            let addresses = self.addresses.lock().expect("no panic").clone();
            let addr = addresses[*server % addresses.len()];
            match ask(addr, "POST", target, Some(key), ANSWER) {
                Ok((status, body)) if status < 500 => return Some((status, body)),
                _ => *server += 1,
            }
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            thread::sleep(PAUSE);
        }
        None
    }
}
