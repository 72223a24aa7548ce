//! The check of the disk: whether a sync reaches it, and how long that takes.

use std::io;
use std::path::Path;

use super::address::{AnsweringServer, Holder};
use super::directory;
use super::finding::Findings;
use crate::config::Config;
use crate::env::{BlockDevice, Clock, Disk, Filesystem, OpenMode, RealDisk, SystemClock};
use crate::types::Durability;

/// The duration of the measurement, in microseconds.
const MEASURED_US: u64 = 2_000_000;
/// Bytes that each probe writes and syncs: a small batch.
const PIECE_BYTES: usize = 512;
/// The length of the probe, in bytes.
const PROBE_BYTES: usize = 1 << 20;
/// No disk that keeps what it was given answers faster, in microseconds.
const HONEST_US_MIN: u64 = 10;
/// A commit that takes longer gets a warning, in microseconds.
const SLOW_US: u64 = 20_000;

/// The durations of syncs, in microseconds, the shortest first.
struct Syncs(Vec<u64>);

impl Syncs {
    fn quantile(&self, parts: usize, of: usize) -> u64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get(last * parts / of).copied().unwrap_or(0)
    }
}

/// Measures, unless a server uses the disk or might: one that answers is asked, and nobody who buys waits for
/// a probe.
pub(super) fn check(config: &Config, holder: Holder, findings: &mut Findings) {
    const CHECK: &str = "sync";
    if config.journal.durability == Durability::Os {
        return findings.ok(CHECK, "not used: journal.durability is os");
    }
    let Ok(filesystem) = Filesystem::of(&config.journal.dir) else {
        // It was told of the directory.
        return;
    };
    let in_use = match holder {
        Holder::Nobody => directory::in_use(config),
        Holder::Server(_) => None,
        Holder::Somebody => Some("a server may be using it, which does not answer".into()),
    };
    let measured = match (in_use, holder) {
        (Some(why), _) => {
            let advice = "run this where the server runs and with its configuration, so that it can be asked; \
                          or stop it first";
            findings.warn(CHECK, format!("not measured, {why}"), advice);
            return cache(filesystem.disk.as_ref(), findings);
        }
        (None, Holder::Server(AnsweringServer { sync_us })) => Ok(sync_us),
        (None, _) => measure(&filesystem.dir)
            .map(|syncs| Some((syncs.quantile(50, 100), syncs.quantile(99, 100)))),
    };
    match measured {
        Ok(Some((p50_us, p99_us))) => judge(p50_us, p99_us, findings),
        Ok(None) => findings.ok(CHECK, "the running server has not synced yet"),
        Err(error) => {
            let found = format!("a file cannot be written and synced there: {error}");
            let advice = "make room, or set another journal.dir";
            findings.fail(CHECK, found, advice);
        }
    }
    cache(filesystem.disk.as_ref(), findings);
}

fn judge(p50_us: u64, p99_us: u64, findings: &mut Findings) {
    const CHECK: &str = "sync";
    let found = format!("p50 {p50_us} µs, p99 {p99_us} µs");
    if p50_us < HONEST_US_MIN {
        return findings.fail(
            CHECK,
            format!("{found}: no disk is so fast, nothing is really written"),
            "set journal.dir to a directory on a disk, and see that syncs are not switched off below it \
             (nobarrier, cache=unsafe, eatmydata)",
        );
    }
    let a_second = 1_000_000 / p50_us;
    let found = format!("{found}: {a_second} commits a second, each of any number of buyers");
    if p99_us > SLOW_US {
        let advice = "buyers wait for it: a disk of its own for the journal, with a cache that keeps \
                      its power, is faster";
        findings.warn(CHECK, found, advice);
    } else {
        findings.ok(CHECK, found);
    }
}

/// Writes and syncs small pieces for a while, in a file that has no name any more, so that nothing is left
/// behind whatever happens.
fn measure(dir: &Path) -> io::Result<Syncs> {
    let clock = SystemClock::new();
    let path = dir.join(format!(".preflight-{}", std::process::id()));
    let file = RealDisk.open(&path, OpenMode::Create)?;
    RealDisk.remove(&path)?;
    file.write_at(&vec![0; PROBE_BYTES], 0)?;
    file.sync_data()?;
    let (mut taken, mut offset) = (Vec::new(), 0);
    let began_us = clock.monotonic_us();
    loop {
        let before_ns = clock.monotonic_ns();
        file.write_at(&[7; PIECE_BYTES], offset as u64)?;
        file.sync_data()?;
        taken.push((clock.monotonic_ns() - before_ns) / 1000);
        offset = (offset + PIECE_BYTES) % PROBE_BYTES;
        if clock.monotonic_us() - began_us >= MEASURED_US {
            taken.sort_unstable();
            return Ok(Syncs(taken));
        }
    }
}

fn cache(disk: Option<&BlockDevice>, findings: &mut Findings) {
    const CHECK: &str = "disk cache";
    let Some(disk) = disk else {
        let advice = "ask who provides the disk whether a sync survives a power cut";
        return findings.warn(CHECK, "the disk's cache is not known here", advice);
    };
    let name = &disk.name;
    let found = match (disk.has_volatile_cache, disk.forces_unit_access) {
        (false, _) => format!("{name} says that it has none that a power cut empties"),
        (true, true) => format!("{name} has one; writes can pass it (fua), and a sync empties it"),
        (true, false) => format!("{name} has one; a sync empties it"),
    };
    findings.ok(CHECK, found);
}
