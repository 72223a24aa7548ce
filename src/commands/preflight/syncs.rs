//! Whether a sync is one, and what it costs.

use std::fmt;
use std::io;
use std::path::Path;

use super::address::{AnsweringServer, Holder};
use super::directory;
use super::finding::Findings;
use crate::config::Config;
use crate::env::{BlockDevice, Clock, Disk, DiskFile, Filesystem, OpenMode, RealDisk, SystemClock};
use crate::types::Durability;

/// The number of samples: odd, so that one of them is the median.
const SAMPLES: usize = 5;
/// How long each sample takes, in microseconds.
const SAMPLE_US: u64 = 400_000;
/// Bytes that each probe writes and syncs: a small batch.
const PIECE_BYTES: usize = 512;
/// The length of the probe, in bytes.
const PROBE_BYTES: usize = 1 << 20;
/// No disk that keeps what it was given answers faster, in microseconds.
const HONEST_US_MIN: u64 = 10;
/// A commit that takes longer is told, in microseconds.
const SLOW_US: u64 = 20_000;

/// How long syncs took, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SyncTimes {
    p50_us: u64,
    p99_us: u64,
}

impl SyncTimes {
    /// Returns the quantiles of these syncs.
    fn of(mut syncs_us: Vec<u64>) -> Self {
        syncs_us.sort_unstable();
        let last = syncs_us.len().saturating_sub(1);
        let quantile = |percent: usize| syncs_us.get(last * percent / 100).copied().unwrap_or(0);
        Self {
            p50_us: quantile(50),
            p99_us: quantile(99),
        }
    }

    fn commits_a_second(self) -> u64 {
        1_000_000 / self.p50_us.max(1)
    }
}

/// The median of several samples of syncs, and the slowest of them. A single sample may have met a moment in which
/// somebody else used the disk, or in which nobody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SyncSamples {
    median: SyncTimes,
    /// `None` for a server that runs: its figures are of all of its time.
    worst: Option<SyncTimes>,
}

impl SyncSamples {
    fn of(mut samples: [SyncTimes; SAMPLES]) -> Self {
        samples.sort_unstable();
        Self {
            median: samples[SAMPLES / 2],
            worst: samples.last().copied(),
        }
    }

    /// Returns the 99th percentile that buyers may meet.
    fn slowest_us(&self) -> u64 {
        self.worst.map_or(0, |it| it.p99_us).max(self.median.p99_us)
    }
}

impl fmt::Display for SyncSamples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SyncTimes { p50_us, p99_us } = self.median;
        let a_second = self.median.commits_a_second();
        write!(
            f,
            "p50 {p50_us} µs, p99 {p99_us} µs: {a_second} commits a second, each of any number of buyers"
        )?;
        let Some(worst) = self.worst else {
            return Ok(());
        };
        write!(
            f,
            " (the median of {SAMPLES} samples; the slowest: p50 {} µs, p99 {} µs, {} a second)",
            worst.p50_us,
            worst.p99_us,
            worst.commits_a_second()
        )
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
        (None, Holder::Server(AnsweringServer { sync_us })) => {
            Ok(sync_us.map(|(p50_us, p99_us)| SyncSamples {
                median: SyncTimes { p50_us, p99_us },
                worst: None,
            }))
        }
        (None, _) => measure(&filesystem.dir).map(Some),
    };
    match measured {
        Ok(Some(measured)) => judge(&measured, findings),
        Ok(None) => findings.ok(CHECK, "the running server has not synced yet"),
        Err(error) => {
            let found = format!("a file cannot be written and synced there: {error}");
            let advice = "make room, or set another journal.dir";
            findings.fail(CHECK, found, advice);
        }
    }
    cache(filesystem.disk.as_ref(), findings);
}

fn judge(measured: &SyncSamples, findings: &mut Findings) {
    const CHECK: &str = "sync";
    let SyncTimes { p50_us, p99_us } = measured.median;
    if p50_us < HONEST_US_MIN {
        return findings.fail(
            CHECK,
            format!("p50 {p50_us} µs, p99 {p99_us} µs: no disk is so fast, nothing is really written"),
            "set journal.dir to a directory on a disk, and see that syncs are not switched off below it \
             (nobarrier, cache=unsafe, eatmydata)",
        );
    }
    let found = measured.to_string();
    if measured.slowest_us() > SLOW_US {
        let advice = "buyers wait for it: a disk of its own for the journal, with a cache that keeps \
                      its power, is faster";
        findings.warn(CHECK, found, advice);
    } else {
        findings.ok(CHECK, found);
    }
}

/// Writes and syncs small pieces several times for a while, in a file that has no name any more, so that nothing is
/// left behind whatever happens.
fn measure(dir: &Path) -> io::Result<SyncSamples> {
    let clock = SystemClock::new();
    let path = dir.join(format!(".preflight-{}", std::process::id()));
    let file = RealDisk.open(&path, OpenMode::Create)?;
    RealDisk.remove(&path)?;
    file.write_at(&vec![0; PROBE_BYTES], 0)?;
    file.sync_data()?;
    let mut samples = [SyncTimes::of(Vec::new()); SAMPLES];
    for sample in &mut samples {
        *sample = SyncTimes::of(take_sample(&*file, &clock)?);
    }
    Ok(SyncSamples::of(samples))
}

/// How long each sync took, in microseconds.
fn take_sample(file: &dyn DiskFile, clock: &SystemClock) -> io::Result<Vec<u64>> {
    let (mut syncs_us, mut offset) = (Vec::new(), 0);
    let began_us = clock.monotonic_us();
    while clock.monotonic_us() - began_us < SAMPLE_US {
        let before_ns = clock.monotonic_ns();
        file.write_at(&[7; PIECE_BYTES], offset as u64)?;
        file.sync_data()?;
        syncs_us.push((clock.monotonic_ns() - before_ns) / 1000);
        offset = (offset + PIECE_BYTES) % PROBE_BYTES;
    }
    Ok(syncs_us)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn times(p50_us: u64, p99_us: u64) -> SyncTimes {
        SyncTimes { p50_us, p99_us }
    }

    #[test]
    fn one_sample_of_a_disk_that_was_busy_decides_nothing_and_is_shown() {
        let measured = SyncSamples::of([
            times(500, 900),
            times(9000, 30_000),
            times(400, 800),
            times(450, 700),
            times(480, 850),
        ]);
        assert_eq!(
            measured.to_string(),
            "p50 480 µs, p99 850 µs: 2083 commits a second, each of any number of buyers (the median of 5 samples; \
             the slowest: p50 9000 µs, p99 30000 µs, 111 a second)"
        );
        assert_eq!(measured.slowest_us(), 30_000);
    }

    #[test]
    fn quantiles_are_of_all_syncs() {
        let syncs_us = (1..=101).rev().collect();
        assert_eq!(SyncTimes::of(syncs_us), times(51, 100));
        assert_eq!(SyncTimes::of(Vec::new()), times(0, 0));
    }
}
