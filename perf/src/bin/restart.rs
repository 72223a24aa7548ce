//! How long nobody is served when the server is killed: from SIGKILL to the first 200 of the next process.
//! Makes a journal of whole hours, each with a sale that sells out, as a server would have left it, then
//! kills and starts the real server on it. Exit code 1 says that the median is over its bar.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use flashsale::env::{Clock, ManualClock, OsEntropy, RealDisk, SystemClock};
use flashsale::journal::{Durability, Journal, Opening, Options, Tools};
use flashsale::sale::{
    CheckoutOutcome, CheckoutRequest, Engine, EngineOptions, NewCatalogue, NewSale,
    PurchaseOutcome, Recovered, write_snapshot,
};
use flashsale::types::{CheckoutCode, ItemId, PaymentTerms, Timestamp, UserId};
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Longest time without an answer, as a median.
const RESTART_MAX: Duration = Duration::from_secs(1);
const HOUR_SECONDS: u32 = 3600;
const SEGMENT_BYTES: u64 = 64 << 20;
const LIMIT_PER_USER: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(600);

/// Measures how long nobody is served when the server is killed.
#[derive(Parser)]
struct Arguments {
    /// The server's binary; by default the one beside this
    #[arg(long)]
    server: Option<PathBuf>,
    /// Hours of sales in the journal, the last of them still open
    #[arg(long, default_value_t = 1)]
    hours: u32,
    /// Items of each sale, each of them purchased
    #[arg(long, default_value_t = 10_000)]
    items: u32,
    /// Accepted checkouts of each sale
    #[arg(long, default_value_t = 100_000)]
    checkouts: u32,
    /// Write a snapshot after so many hours; 0: none
    #[arg(long, default_value_t = 0)]
    snapshot_hours: u32,
    /// How often the server is killed
    #[arg(long, default_value_t = 7)]
    times: usize,
    /// Where the journal is made and removed again
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let place = match &arguments.dir {
        Some(dir) => TempDir::new_in(dir)?,
        None => TempDir::new()?,
    };
    let journal = place.path().join("journal");
    let records = make_journal(&journal, &arguments)?;
    let server = match arguments.server {
        Some(server) => server,
        None => std::env::current_exe()?.with_file_name("flashsale"),
    };
    let mut gaps = measure(&server, place.path(), arguments.times)?;
    gaps.sort_unstable();
    let median = gaps[gaps.len() / 2];
    println!(
        "{} h, {} checkouts each, snapshot every {} h: {records} records; from SIGKILL to the first 200: \
         median {} ms, {} to {} ms of {} times",
        arguments.hours,
        arguments.checkouts,
        arguments.snapshot_hours,
        median.as_millis(),
        gaps[0].as_millis(),
        gaps[gaps.len() - 1].as_millis(),
        gaps.len()
    );
    Ok(if median <= RESTART_MAX {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// An engine whose clock is set by hand.
struct World {
    engine: Engine,
    clock: Arc<ManualClock>,
    journal: Arc<Journal>,
}

/// Writes the journal in `dir`; how many records it has.
fn make_journal(dir: &Path, arguments: &Arguments) -> Result<u64> {
    let now = SystemClock::new().now().seconds();
    let hour = i64::from(HOUR_SECONDS);
    let last = now / hour * hour;
    let first = last - i64::from(arguments.hours - 1) * hour;
    let world = World::open(dir, Timestamp::from_seconds(first))?;
    for number in 0..arguments.hours {
        world
            .clock
            .set(Timestamp::from_seconds(first + i64::from(number) * hour));
        world.engine.close_ended();
        world.sell_out(arguments)?;
        world.journal.flush()?;
        let every = arguments.snapshot_hours;
        if every > 0 && (number + 1) % every == 0 && number + 1 < arguments.hours {
            let until = world.journal.durable();
            write_snapshot(&RealDisk, dir, until, &*world.clock, &OsEntropy)?;
        }
        world.engine.put_ended_away(0)?;
    }
    Ok(world.journal.durable().0)
}

impl World {
    fn open(dir: &Path, at: Timestamp) -> Result<Self> {
        let clock = Arc::new(ManualClock::at(at));
        let opening = Opening::lock(Arc::new(RealDisk), dir)?;
        let recovered = Recovered::from_journal(&opening)?;
        let options = Options {
            durability: Durability::Os,
            segment_bytes: SEGMENT_BYTES,
        };
        let tools = Tools {
            clock: clock.clone(),
            entropy: Arc::new(OsEntropy),
            fail_stop: Box::new(|error| panic!("{error}")),
        };
        let journal = Arc::new(opening.start(&recovered.replayed, &options, tools)?);
        let engine = Engine::new(
            recovered.state,
            journal.clone(),
            clock.clone(),
            Arc::new(OsEntropy),
            EngineOptions::default(),
        );
        Ok(Self {
            engine,
            clock,
            journal,
        })
    }

    /// A sale of an hour: each item is checked out by several users, and then purchased by one.
    fn sell_out(&self, arguments: &Arguments) -> Result<()> {
        let (items, checkouts) = (arguments.items, arguments.checkouts);
        let sale = self.engine.create_sale(&NewSale {
            started_at: self.clock.now(),
            ended_at: self.clock.now().plus_seconds(HOUR_SECONDS),
            max_items_per_user: LIMIT_PER_USER,
            hold_seconds: 0,
            payment: PaymentTerms::NONE,
            catalogue: NewCatalogue::Generated {
                item_count: items,
                seed: 0,
            },
        })?;
        let sale = sale.outcome.id();
        let each = (checkouts / items).max(1);
        let step_us = i64::from(HOUR_SECONDS) * 900_000 / i64::from(items);
        for item in 0..items {
            self.clock.advance_us(step_us);
            let id = format!("ITM-{sale}-{item}");
            for rival in 1..each {
                // Each of them tries as many items as one may.
                let user = format!("user-{rival}-{}", item / LIMIT_PER_USER);
                self.check_out(&user, &id)?;
            }
            let code = self.check_out(&format!("buyer-{item}"), &id)?;
            while let PurchaseOutcome::Unavailable(_) = self.engine.purchase(code, None).outcome {
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    fn check_out(&self, user: &str, item: &str) -> Result<CheckoutCode> {
        loop {
            let decision = self.engine.checkout(&CheckoutRequest {
                user: UserId::new(user)?,
                item: ItemId::new(item)?,
                quantity: 1,
                sale: None,
                key: None,
            });
            match decision.outcome {
                CheckoutOutcome::Accepted { code, .. } => return Ok(code),
                // The queue is full, or the next segment is not ready yet.
                CheckoutOutcome::Unavailable(_) => thread::sleep(Duration::from_millis(1)),
                other => return Err(format!("{user}, {item}: {other:?}").into()),
            }
        }
    }
}

/// A server that is killed when this goes.
struct Running(Child);

impl Running {
    fn start(server: &Path, dir: &Path, address: SocketAddr) -> Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(dir.join("log"))?;
        let child = Command::new(server)
            .arg("serve")
            .env_clear()
            .env("SERVER_HOST", address.ip().to_string())
            .env("SERVER_PORT", address.port().to_string())
            .env("JOURNAL_DIR", dir.join("journal"))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Self(child))
    }

    fn wait_until_ready(&mut self, address: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !is_ready(address) {
            if let Some(status) = self.0.try_wait()? {
                return Err(format!("the server has ended: {status}").into());
            }
            if Instant::now() > deadline {
                return Err("the server does not get ready".into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Kills and starts the server so many times; how long each of them took.
fn measure(server: &Path, dir: &Path, times: usize) -> Result<Vec<Duration>> {
    let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let mut running = Running::start(server, dir, address)?;
    running.wait_until_ready(address)?;
    let mut gaps = Vec::with_capacity(times);
    for _ in 0..times {
        let killed = Instant::now();
        drop(running);
        running = Running::start(server, dir, address)?;
        running.wait_until_ready(address)?;
        gaps.push(killed.elapsed());
    }
    drop(running);
    let log = std::fs::read_to_string(dir.join("log"))?;
    let mut lines = log.lines().rev();
    let recovered = lines.find(|line| line.contains("recovered"));
    println!("{}", recovered.unwrap_or_default());
    Ok(gaps)
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
