//! Contestants under callgrind.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;
use tempfile::TempDir;

use super::budget::Figures;
use super::driver::{Answer, Driver};
use super::profile::Profile;
use super::row::{RequestKind, Row};
use crate::compare::process::{self, Process, find_program};
use crate::compare::running::{journal_dir, listening_address, next_segment_is_ready, own_address};

/// Items on sale: more than a row takes.
const ITEMS: u32 = 250_000;
/// Seconds until the next sale begins: no sale begins or ends meanwhile.
const SALE_SECONDS: u32 = 86_400;
/// Rounds over all connections before anything is counted.
const WARM_UP_ROUNDS: u32 = 20;

/// The file that callgrind writes its profiles beside.
const OUT_FILE: &str = "profile";
/// The beginning of the names of the files of all threads.
const THREADS: &str = "profile.1-";

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Requests that are counted.
    pub requests: u32,
    /// Connections.
    pub connections: u32,
}

/// The profiles of a row.
pub struct Counted {
    /// Requests in each.
    pub requests: u32,
    /// The server's.
    pub flashsale: Profile,
    /// That of bare hyper.
    pub bare_hyper: Profile,
}

impl Counted {
    /// Returns the instructions per request.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let per_request = |profile: &Profile| {
            let rounded =
                (profile.total() + u64::from(self.requests) / 2) / u64::from(self.requests);
            u32::try_from(rounded).unwrap_or(u32::MAX)
        };
        Figures {
            flashsale: per_request(&self.flashsale),
            bare_hyper: per_request(&self.bare_hyper),
        }
    }
}

/// Counts a row: first the server, and then bare hyper with answers of the same length.
///
/// # Errors
/// valgrind is missing; one of them does not start, or answers something else.
pub fn count(row: &Row, server: &Path, pace: Pace) -> Result<Counted> {
    let requests = Requests::new(row, pace);
    let server = Callgrind::server(server, row)?;
    let mut driver = Driver::connect(server.address, pace.connections)?;
    let codes = prepare(row, &mut driver, requests.total())?;
    let mut body_bytes = 0;
    let flashsale = server.count(&mut driver, &requests, &codes, |answer| {
        let expected = if row.request == RequestKind::SoldOut {
            409
        } else {
            200
        };
        if answer.status != expected {
            let body = String::from_utf8_lossy(&answer.body);
            bail!(
                "the server answered {} and not {expected}: {body}",
                answer.status
            );
        }
        body_bytes = answer.body.len();
        Ok(())
    })?;
    drop((driver, server));
    let bare = Callgrind::bare_hyper(body_bytes)?;
    let mut driver = Driver::connect(bare.address, pace.connections)?;
    let bare_hyper = bare.count(&mut driver, &requests, &codes, |_| Ok(()))?;
    Ok(Counted {
        requests: pace.requests,
        flashsale,
        bare_hyper,
    })
}

/// Makes what the requests of `row` need, and returns the codes of the checkouts to purchase.
fn prepare(row: &Row, driver: &mut Driver, requests: u32) -> Result<Vec<String>> {
    let mut codes = Vec::new();
    let checkouts = match row.request {
        RequestKind::Purchase => requests,
        RequestKind::SoldOut => 1,
        _ => 0,
    };
    driver.ask((0..checkouts).map(checkout), |answer| {
        let answer: Value = serde_json::from_slice(&answer.body)?;
        codes.push(
            answer["code"]
                .as_str()
                .context("a checkout has a code")?
                .to_owned(),
        );
        Ok(())
    })?;
    if row.request == RequestKind::SoldOut {
        driver.ask(codes.iter().map(|code| purchase(code)), |_| Ok(()))?;
    }
    Ok(codes)
}

fn checkout(index: u32) -> String {
    format!("POST /checkout?user_id=user-{index:07}&id=ITM-1-{index}")
}

fn purchase(code: &str) -> String {
    format!("POST /purchase?code={code}")
}

/// The requests of a row.
struct Requests {
    kind: RequestKind,
    warm_up: u32,
    counted: u32,
}

impl Requests {
    fn new(row: &Row, pace: Pace) -> Self {
        Self {
            kind: row.request,
            warm_up: WARM_UP_ROUNDS * pace.connections,
            counted: pace.requests,
        }
    }

    fn total(&self) -> u32 {
        self.warm_up + self.counted
    }

    fn request(&self, index: u32, codes: &[String]) -> String {
        match self.kind {
            RequestKind::Livez => "GET /livez".into(),
            RequestKind::ActiveSale => "GET /sales/active".into(),
            RequestKind::SoldOut => format!("POST /checkout?user_id=late-{index:07}&id=ITM-1-0"),
            RequestKind::Checkout => checkout(index),
            RequestKind::Purchase => purchase(&codes[index as usize]),
        }
    }
}

/// A contestant with one worker, whose instructions can be counted.
struct Callgrind {
    address: SocketAddr,
    process: Process,
    /// Goes after the process.
    dir: TempDir,
}

impl Callgrind {
    fn server(path: &Path, row: &Row) -> Result<Self> {
        let dir = TempDir::with_prefix("instructions-")?;
        let mut command = under_callgrind(path, dir.path())?;
        command
            .arg("serve")
            .current_dir(dir.path())
            .env_clear()
            .env("SERVER_HOST", "127.0.0.1")
            .env("SERVER_PORT", "0")
            .env("SERVER_WORKERS", "1")
            .env("SERVER_CONNECTIONS_PER_PEER", "0")
            .env("LOG_FORMAT", "json")
            .env("JOURNAL_DIR", journal_dir(dir.path()))
            .env("JOURNAL_DURABILITY", row.durability)
            .env("SALE_TOTAL_ITEMS", ITEMS.to_string())
            .env("SALE_INTERVAL_SECONDS", SALE_SECONDS.to_string())
            .env("SALE_HOLD_SECONDS", "0");
        let mut process = start_on_one_core("flashsale", &mut command, dir.path())?;
        let address = process.wait_for(|log| log.lines().find_map(listening_address))?;
        // Nothing is prepared in the background while instructions are counted.
        process.wait_for(|_| next_segment_is_ready(&journal_dir(dir.path())).then_some(()))?;
        Ok(Self {
            address,
            process,
            dir,
        })
    }

    fn bare_hyper(body_bytes: usize) -> Result<Self> {
        let dir = TempDir::with_prefix("instructions-")?;
        let mut command = under_callgrind(&std::env::current_exe()?, dir.path())?;
        command.args(["bare", "--address", "127.0.0.1:0", "--body-bytes"]);
        command.arg(body_bytes.to_string());
        let mut process = start_on_one_core("bare hyper", &mut command, dir.path())?;
        let address = process.wait_for(own_address)?;
        Ok(Self {
            address,
            process,
            dir,
        })
    }

    /// Warms up, and counts the requests. Every answer is passed to `check`.
    fn count(
        &self,
        driver: &mut Driver,
        requests: &Requests,
        codes: &[String],
        mut check: impl FnMut(Answer) -> Result<()>,
    ) -> Result<Profile> {
        let mut ask = |range: std::ops::Range<u32>| {
            let requests = range.map(|index| requests.request(index, codes));
            driver.ask(requests, &mut check)
        };
        self.order(&["instrumentation", "on"])?;
        ask(0..requests.warm_up)?;
        self.order(&["zero"])?;
        ask(requests.warm_up..requests.total())?;
        self.order(&["dump"])?;
        self.busiest_thread()
    }

    /// Returns the profile of the worker. What other threads do is done by the second, and not by the request.
    fn busiest_thread(&self) -> Result<Profile> {
        let mut profiles = Vec::new();
        for entry in fs::read_dir(self.dir.path())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(THREADS) {
                let text = fs::read(entry.path())?;
                profiles.push(Profile::parse(&String::from_utf8_lossy(&text)));
            }
        }
        let busiest = profiles.into_iter().max_by_key(Profile::total);
        busiest.context("callgrind has written no profile")
    }

    /// Sends a command to callgrind, and waits until it is carried out.
    fn order(&self, command: &[&str]) -> Result<()> {
        let mut vgdb = Command::new("vgdb");
        vgdb.arg(format!("--pid={}", self.process.id()))
            .args(command);
        let output = vgdb
            .output()
            .context("cannot run vgdb, which comes with valgrind")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("callgrind does not obey {}: {said}", command.join(" "));
        }
        Ok(())
    }
}

/// Returns a command that runs `program` under callgrind, which counts nothing until it is asked to.
fn under_callgrind(program: &Path, dir: &Path) -> Result<Command> {
    let valgrind = find_program("valgrind", &[]).context("valgrind is missing: install it")?;
    let mut command = process::command(&valgrind);
    command
        .args([
            "--tool=callgrind",
            "--instr-atstart=no",
            "--dump-line=no",
            "--separate-threads=yes",
        ])
        .arg(format!(
            "--callgrind-out-file={}",
            dir.join(OUT_FILE).display()
        ))
        .arg(program);
    Ok(command)
}

/// Starts `command` on the first usable core: bare hyper has a worker for each core that it may use.
fn start_on_one_core(name: &str, command: &mut Command, dir: &Path) -> Result<Process> {
    let usable = sched_getaffinity(None)?;
    let first = (0..CpuSet::MAX_CPU).find(|&core| usable.is_set(core));
    let mut one = CpuSet::new();
    one.set(first.context("a process may use a core")?);
    // It is inherited.
    sched_setaffinity(None, &one)?;
    let process = Process::start(name, command, dir.join("log"));
    sched_setaffinity(None, &usable)?;
    process
}
