//! A turn: handshakes of one kind with one contestant for some seconds.

use std::fmt;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;

use super::certificate::Certificate;
use super::client::{Client, Handshake};
use crate::compare::running::Running;
use crate::load::{loopback_source, process_ns};

/// The clients of a turn.
pub struct Clients<'a> {
    /// How many, each in a thread of its own.
    pub count: u8,
    /// How long they connect again and again.
    pub duration: Duration,
    /// The certificate that they trust.
    pub certificate: &'a Certificate,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Turn {
    /// Number of the round, from 1.
    pub round: u32,
    /// The kind of the handshakes.
    pub handshake: Handshake,
    /// Who answered.
    pub label: &'static str,
    /// Connections, each with one handshake and one request.
    pub connections: u64,
    /// Connections a second.
    pub per_second: f64,
    /// CPU time of the contestant for each, in microseconds.
    pub cpu_us: f64,
}

impl Turn {
    /// Lets all clients connect to `running` until the time is over.
    ///
    /// # Errors
    /// An answer or a handshake is not as it has to be.
    pub fn take(
        clients: &Clients<'_>,
        round: u32,
        handshake: Handshake,
        label: &'static str,
        running: &Running,
    ) -> Result<Self> {
        let cpu = || process_ns(running.process.id()).context("the process has ended");
        // This thread and the clients.
        let begin = Barrier::new(usize::from(clients.count) + 1);
        let (done, cpu_ns, elapsed) = thread::scope(|scope| {
            let run = |number| {
                let begin = &begin;
                scope.spawn(move || {
                    let client = Client::new(
                        handshake,
                        clients.certificate,
                        running.address,
                        loopback_source(number),
                    );
                    begin.wait();
                    ask_until(Instant::now() + clients.duration, client?)
                })
            };
            let threads: Vec<_> = (0..clients.count).map(run).collect();
            begin.wait();
            let (began, before) = (Instant::now(), cpu());
            let done: Result<Vec<u64>> = threads
                .into_iter()
                .map(|thread| thread.join().expect("a client does not panic"))
                .collect();
            let elapsed = began.elapsed();
            let used = cpu().and_then(|after| Ok(after - before?));
            (done, used, elapsed)
        });
        let connections: u64 = done.with_context(|| label)?.iter().sum();
        Ok(Self {
            round,
            handshake,
            label,
            connections,
            per_second: connections as f64 / elapsed.as_secs_f64(),
            cpu_us: cpu_ns? as f64 / 1e3 / connections.max(1) as f64,
        })
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "round {}, {}, {}: {:.0}/s, {:.1} us",
            self.round,
            self.handshake.name(),
            self.label,
            self.per_second,
            self.cpu_us
        )
    }
}

/// Returns how often `client` has connected until the time is over.
fn ask_until(end: Instant, mut client: Client) -> Result<u64> {
    let mut count = 0;
    while Instant::now() < end {
        client.ask()?;
        count += 1;
    }
    Ok(count)
}
