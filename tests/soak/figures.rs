//! What a run was like, for whoever reads it.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::server::Server;
use crate::soak::auditor::Audited;
use crate::soak::run::STOCK;
use crate::soak::shared::Shared;

/// Rotations after which the server's memory is looked at.
const MARKS: [u32; 5] = [0, 10, 100, 500, 1000];

/// What a run was like.
#[derive(Default)]
pub struct Figures {
    /// Rotations, and the memory of the server then, in KiB.
    memory: Vec<(u32, u64)>,
    /// How long each start after a kill took until the server listened.
    starts: Vec<Duration>,
}

impl Figures {
    /// Notes the server's memory, if it is time to.
    pub fn look(&mut self, rotations: u32, server: &Server, is_last: bool) {
        let due = MARKS.iter().filter(|&&mark| mark <= rotations).count();
        if self.memory.len() < due || is_last {
            self.memory.push((rotations, resident_kib(server.pid())));
        }
    }

    pub fn add_start(&mut self, took: Duration) {
        self.starts.push(took);
    }

    /// Says it all.
    pub fn print(&self, name: &str, audited: &[Audited], expired: usize, shared: &Shared) {
        let requests = shared.requests.load(Ordering::Relaxed);
        let sold: u64 = audited.iter().map(|sale| sale.shown.sold).sum();
        let all_sold = audited.iter().filter(|sale| sale.shown.sold == STOCK);
        let (rotations, sold_out) = (audited.len(), all_sold.count());
        println!("{name}: {rotations} rotations, {sold_out} of them sold out");
        println!("{requests:>10} requests, {sold} units sold, {expired} holds ran out");
        for ((status, code), count) in shared.answers() {
            println!("{count:>10} {status} {code}");
        }
        let mut starts: Vec<_> = self.starts.iter().map(Duration::as_millis).collect();
        starts.sort_unstable();
        if let (Some(last), Some(first), Some(longest)) =
            (self.starts.last(), starts.first(), starts.last())
        {
            let (kills, last) = (starts.len(), last.as_millis());
            println!("{kills:>10} kills; starts of {first} to {longest} ms, the last {last} ms");
        }
        for (rotations, kib) in &self.memory {
            println!("{kib:>10} KiB resident after {rotations} rotations");
        }
    }
}

/// Prints how much the journal takes.
pub fn print_journal(dir: &Path, listing: &str) {
    let files = fs::read_dir(dir).expect("a journal");
    let bytes: u64 = files
        .map(|file| file.and_then(|file| file.metadata()).expect("a file").len())
        .sum();
    let records = listing
        .lines()
        .rev()
        .find(|line| line.contains(" records, the last is "));
    let records = records.expect("a count").trim_start();
    println!("{:>10} KiB of journal: {records}", bytes / 1024);
}

fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.expect("a figure of memory")
}
