//! Memory of the server for an idle connection, one over which a sale is watched, and a user with
//! an open checkout of one item.
//! Runs the real server on a journal of its own, and asks the kernel for its anonymous memory before
//! and after. The engine alone, without sockets, is measured beside it, in this process. Exit code 1
//! says that a figure is over its bar.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write, sink};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use flashsale::env::{Clock, OsEntropy, RealDisk, SystemClock};
use flashsale::journal::{Durability, Opening, Options, Tools};
use flashsale::sale::{
    CheckoutOutcome, CheckoutRequest, Engine, EngineOptions, NewCatalogue, NewSale, Recovered,
};
use flashsale::types::{ItemId, PaymentTerms, UserId};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Most bytes that an idle connection may take.
const CONNECTION_BYTES_MAX: f64 = 16.0 * 1024.0;
/// Most bytes that a connection may take over which a sale is watched.
const VIEWER_BYTES_MAX: f64 = 16.0 * 1024.0;
/// Most bytes that a user with an open checkout of one item may take.
const USER_BYTES_MAX: f64 = 250.0;
/// Items of the sale, which is as many as one may have.
const ITEMS: u32 = 1_000_000;
/// Threads that ask.
const THREADS: u32 = 2;
/// Memory stands still when it changes by no more than this within [`PAUSE`].
const STILL_BYTES: u64 = 64 * 1024;
const PAUSE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures the server's memory per idle connection, per viewer and per user.
#[derive(Parser)]
struct Arguments {
    /// The server's binary; by default the one beside this
    #[arg(long)]
    server: Option<PathBuf>,
    /// Connections: idle ones, and then as many over which a sale is watched
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Users, each with one item checked out
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    users: u32,
    /// Connections that the users share
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    shared: u32,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let server = match arguments.server {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("flashsale"),
    };
    raise_file_limit(u64::from(arguments.connections.max(arguments.shared)) + 64)?;
    // First, while this process holds nothing else.
    let in_engine = engine_bytes_per_user(arguments.users)?;
    let connection = bytes_per_connection(&server, arguments.connections, |_| Ok(()))?;
    let viewer = bytes_per_connection(&server, arguments.connections, Connection::watch)?;
    let user = bytes_per_user(&server, arguments.users, arguments.shared)?;
    println!(
        "idle connection: {connection:.0} bytes (of {}, bar {CONNECTION_BYTES_MAX})",
        arguments.connections
    );
    println!(
        "viewer of a sale: {viewer:.0} bytes (of {}, bar {VIEWER_BYTES_MAX})",
        arguments.connections
    );
    println!(
        "user with a checkout: {user:.1} bytes (of {}, bar {USER_BYTES_MAX})",
        arguments.users
    );
    println!("user with a checkout, engine alone: {in_engine:.1} bytes");
    let is_fine =
        connection <= CONNECTION_BYTES_MAX && viewer <= VIEWER_BYTES_MAX && user <= USER_BYTES_MAX;
    Ok(if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Lets this process, and the servers that it starts, open as many files as the system allows.
fn raise_file_limit(needed: u64) -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if maximum.is_some_and(|maximum| maximum < needed) {
        return Err(format!("{needed} open files are needed: raise `ulimit -Hn`").into());
    }
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )?;
    Ok(())
}

/// The server's binary in a directory of its own; killed when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Server {
    fn start(binary: &Path) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut child = Command::new(binary)
            .arg("serve")
            .env_clear()
            .env("SERVER_HOST", "127.0.0.1")
            .env("SERVER_PORT", "0")
            .env("SERVER_CONNECTIONS_PER_PEER", "0")
            .env("JOURNAL_DURABILITY", "os")
            .env("SALE_TOTAL_ITEMS", ITEMS.to_string())
            .env("SALE_INTERVAL_SECONDS", "31536000")
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error} (build the server first)", binary.display()))?;
        let mut log = BufReader::new(child.stderr.take().ok_or("the log is not piped")?);
        let address = loop {
            let mut line = String::new();
            if log.read_line(&mut line)? == 0 {
                return Err(format!("the server ended: {}", child.wait()?).into());
            }
            if let Some((_, rest)) = line.split_once("listening on http://") {
                break rest.split_whitespace().next().unwrap_or(rest).parse()?;
            }
        };
        // Nobody reads on, but a full pipe would stop the server.
        thread::spawn(move || std::io::copy(&mut log, &mut sink()));
        Ok(Self {
            child,
            address,
            _dir: dir,
        })
    }

    fn connect(&self, count: u32) -> Result<Vec<Connection>> {
        (0..count).map(|_| Connection::open(self.address)).collect()
    }

    fn memory(&self) -> Result<u64> {
        still_memory(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that has answered a request and is kept open.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut connection = Self(BufReader::with_capacity(512, stream));
        connection.ask("GET /sales/active")?;
        connection.take_answer()?;
        Ok(connection)
    }

    fn ask(&mut self, request: &str) -> Result<()> {
        let head = format!("{request} HTTP/1.1\r\nhost: sale\r\ncontent-length: 0\r\n\r\n");
        Ok(self.0.get_mut().write_all(head.as_bytes())?)
    }

    /// Watches the sale from now on.
    fn watch(&mut self) -> Result<()> {
        self.ask("GET /sales/1/stream")?;
        self.take_answer()
    }

    /// Reads an answer, which must be a 200, to its end; of a stream, the head.
    fn take_answer(&mut self) -> Result<()> {
        let (mut status, mut length) = (String::new(), 0);
        self.0.read_line(&mut status)?;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            if line.trim_end().is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim_end().parse()?;
            }
        }
        std::io::copy(&mut self.0.by_ref().take(length), &mut sink())?;
        if status.starts_with("HTTP/1.1 200 ") {
            Ok(())
        } else {
            Err(format!("answered {status:?}").into())
        }
    }
}

/// The anonymous memory of a process, once it stands still, in bytes.
fn still_memory(process: u32) -> Result<u64> {
    let deadline = Instant::now() + PATIENCE;
    let mut before = anonymous_bytes(process)?;
    loop {
        thread::sleep(PAUSE);
        let now = anonymous_bytes(process)?;
        if now.abs_diff(before) <= STILL_BYTES {
            return Ok(now);
        }
        if Instant::now() > deadline {
            return Err("the memory of the process does not stand still".into());
        }
        before = now;
    }
}

fn anonymous_bytes(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next());
    Ok(kibibytes.ok_or("no RssAnon in /proc")?.parse::<u64>()? * 1024)
}

fn per_one(before: u64, after: u64, count: u32) -> f64 {
    after.saturating_sub(before) as f64 / f64::from(count)
}

/// What one of `count` connections takes when `prepare` was done to each.
fn bytes_per_connection(
    server: &Path,
    count: u32,
    prepare: impl FnMut(&mut Connection) -> Result<()>,
) -> Result<f64> {
    let server = Server::start(server)?;
    // What the first connections bring with them for good is not the connections' own.
    drop(server.connect(64)?);
    let before = server.memory()?;
    let mut connections = server.connect(count)?;
    connections.iter_mut().try_for_each(prepare)?;
    let after = server.memory()?;
    drop(connections);
    Ok(per_one(before, after, count))
}

fn bytes_per_user(server: &Path, users: u32, shared: u32) -> Result<f64> {
    let server = Server::start(server)?;
    let mut connections = server.connect(shared)?;
    let before = server.memory()?;
    let each = connections.len().div_ceil(THREADS as usize);
    let asked: std::result::Result<(), String> = thread::scope(|scope| {
        let lanes = connections.chunks_mut(each).enumerate();
        let askers: Vec<_> = lanes
            .map(|(thread, lane)| {
                let mine = (thread as u32..users).step_by(shared.div_ceil(each as u32) as usize);
                scope.spawn(move || check_out(lane, mine).map_err(|error| error.to_string()))
            })
            .collect();
        askers
            .into_iter()
            .try_for_each(|asker| asker.join().expect("an asker does not panic"))
    });
    asked?;
    Ok(per_one(before, server.memory()?, users))
}

/// Checks an item out for each of `users`, as many at a time as there are connections.
fn check_out(connections: &mut [Connection], users: impl Iterator<Item = u32>) -> Result<()> {
    let mut users = users.peekable();
    while users.peek().is_some() {
        let mut asked = 0;
        for (connection, user) in connections.iter_mut().zip(&mut users) {
            let item = user % ITEMS;
            connection.ask(&format!(
                "POST /checkout?user_id={}&id=ITM-1-{item}",
                name(user)
            ))?;
            asked += 1;
        }
        for connection in &mut connections[..asked] {
            connection.take_answer()?;
        }
    }
    Ok(())
}

fn name(user: u32) -> String {
    format!("user-{user:07}")
}

/// Measures the bytes per user by calls of the engine in this process.
fn engine_bytes_per_user(users: u32) -> Result<f64> {
    let dir = tempfile::tempdir()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let opening = Opening::lock(Arc::new(RealDisk), dir.path())?;
    let Recovered {
        state, replayed, ..
    } = Recovered::from_journal(&opening)?;
    let options = Options {
        durability: Durability::Os,
        segment_bytes: 64 << 20,
    };
    let tools = Tools {
        clock: Arc::clone(&clock),
        entropy: Arc::new(OsEntropy),
        fail_stop: Box::new(|error| panic!("the journal failed: {error}")),
    };
    let journal = Arc::new(opening.start(&replayed, &options, tools)?);
    let engine = Engine::new(
        state,
        Arc::clone(&journal),
        Arc::clone(&clock),
        Arc::new(OsEntropy),
        EngineOptions::default(),
    );
    let sale = engine.create_sale(&NewSale {
        started_at: clock.now(),
        ended_at: clock.now().plus_seconds(86_400),
        max_items_per_user: 10,
        hold_seconds: 0,
        payment: PaymentTerms::NONE,
        catalogue: NewCatalogue::Generated {
            item_count: ITEMS,
            seed: 0,
        },
    })?;
    drop(sale);
    let before = still_memory(std::process::id())?;
    for user in 0..users {
        let (user_id, item_id) = (name(user), format!("ITM-1-{}", user % ITEMS));
        let decision = engine.checkout(&CheckoutRequest {
            user: UserId::new(&user_id)?,
            item: ItemId::new(&item_id)?,
            quantity: 1,
            sale: None,
            key: None,
        });
        match (decision.outcome, decision.lsn) {
            // What waits for the disk must not be counted, and must not become too much.
            (CheckoutOutcome::Accepted { .. }, Some(lsn)) if user % 64 == 0 => {
                journal.wait(lsn)?;
            }
            (CheckoutOutcome::Accepted { .. }, _) => {}
            (outcome, _) => return Err(format!("a checkout was refused: {outcome:?}").into()),
        }
    }
    Ok(per_one(before, still_memory(std::process::id())?, users))
}
