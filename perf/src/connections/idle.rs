//! Memory of open connections that have been asked over once and are quiet.

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use super::SOURCES;
use crate::compare::running::Running;
use crate::load::{connect, loopback_source, resident_kib};

/// The request of each connection.
const REQUEST: &[u8] = b"GET /sales/active HTTP/1.1\r\nHost: sale\r\n\r\n";
/// Connections that are opened and closed before: what the first ones bring with them for good is not their own.
const FIRST: usize = 64;
/// Longest answer.
const ANSWER_BYTES: usize = 4096;
/// Memory stands still when it changes by no more than this within [`PAUSE`].
const STILL_KIB: u64 = 64;
const PAUSE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(30);

/// Memory before and with the connections.
#[derive(Clone, Debug, Serialize)]
pub struct IdleMemory {
    /// Open connections.
    pub connections: usize,
    /// The server's resident memory before, in kibibytes.
    pub before_kib: u64,
    /// The server's resident memory with them, in kibibytes.
    pub with_kib: u64,
    /// By how much the kernel's own memory grew, in kibibytes; of both ends of the connections.
    pub kernel_kib: u64,
}

impl IdleMemory {
    /// Returns the server's memory for one connection, in kibibytes.
    #[must_use]
    pub fn kib_each(&self) -> f64 {
        self.with_kib.saturating_sub(self.before_kib) as f64 / self.connections as f64
    }

    /// Returns the kernel's memory for the server's end of one connection, in kibibytes.
    #[must_use]
    pub fn kernel_kib_each(&self) -> f64 {
        self.kernel_kib as f64 / 2.0 / self.connections as f64
    }
}

impl fmt::Display for IdleMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connections,
            before_kib,
            with_kib,
            ..
        } = self;
        let each = self.kib_each();
        write!(
            f,
            "{connections} open connections: {each:.2} KiB each ({before_kib} KiB resident before, {with_kib} with them)"
        )
    }
}

/// Opens the connections, asks once over each, and returns what they take.
///
/// # Errors
/// One is refused, or memory does not stand still.
pub fn measure(running: &Running, connections: usize) -> Result<IdleMemory> {
    let pid = running.process.id();
    drop(open(running, FIRST)?);
    let (before_kib, kernel_before) = (still_kib(pid)?, kernel_kib()?);
    let open = open(running, connections)?;
    let (with_kib, kernel_with) = (still_kib(pid)?, kernel_kib()?);
    drop(open);
    Ok(IdleMemory {
        connections,
        before_kib,
        with_kib,
        kernel_kib: kernel_with.saturating_sub(kernel_before),
    })
}

fn open(running: &Running, count: usize) -> Result<Vec<TcpStream>> {
    let open_one = |index: usize| {
        let source = loopback_source((index % usize::from(SOURCES)) as u8);
        let mut socket = connect(running.address, Some(source))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(REQUEST)?;
        let mut answer = [0; ANSWER_BYTES];
        let length = socket.read(&mut answer)?;
        let is_ok = answer[..length].starts_with(b"HTTP/1.1 200 ");
        ensure!(is_ok, "answered with something else than a 200");
        Ok(socket)
    };
    let one = |index| open_one(index).with_context(|| format!("connection {}", index + 1));
    (0..count).map(one).collect()
}

/// The resident memory of a process, once it stands still.
fn still_kib(pid: u32) -> Result<u64> {
    let resident = || resident_kib(pid).context("the server has ended");
    let deadline = Instant::now() + PATIENCE;
    let mut before = resident()?;
    loop {
        sleep(PAUSE);
        let now = resident()?;
        if now.abs_diff(before) <= STILL_KIB {
            return Ok(now);
        }
        if Instant::now() > deadline {
            bail!("the memory of the server does not stand still");
        }
        before = now;
    }
}

/// The memory of the kernel's own objects, sockets among them, in kibibytes.
fn kernel_kib() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Slab:"));
    let words = line.context("no Slab in /proc/meminfo")?;
    Ok(words.trim().trim_end_matches(" kB").parse()?)
}
