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
/// A 99th percentile that is longer is told, in microseconds.
const SLOW_US: u64 = 20_000;
/// A single sync that is longer is told, in microseconds. The 99th percentile of a few hundred passes over it.
const STALL_US: u64 = 200_000;

/// How long syncs took, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SyncTimes {
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    pub(super) longest_us: u64,
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
            longest_us: quantile(100),
        }
    }

    fn commits_a_second(self) -> u64 {
        1_000_000 / self.p50_us.max(1)
    }
}

/// The median of several samples of syncs, the slowest of them, and the longest sync of all. A single sample may have
/// met a moment in which somebody else used the disk, or in which nobody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SyncSamples {
    median: SyncTimes,
    /// `None` for a server that runs: its figures are of all of its time.
    worst: Option<SyncTimes>,
    longest_us: u64,
}

impl SyncSamples {
    fn of(mut samples: [SyncTimes; SAMPLES]) -> Self {
        samples.sort_unstable();
        let longest_us = samples.iter().map(|it| it.longest_us).max();
        Self {
            median: samples[SAMPLES / 2],
            worst: samples.last().copied(),
            longest_us: longest_us.unwrap_or_default(),
        }
    }

    fn of_server(times: SyncTimes) -> Self {
        Self {
            median: times,
            worst: None,
            longest_us: times.longest_us,
        }
    }

    /// Returns whether buyers may wait for a sync so long that it should be told.
    fn is_slow(&self) -> bool {
        let times = [Some(self.median), self.worst].into_iter().flatten();
        self.longest_us > STALL_US || times.map(|it| it.p99_us).any(|p99_us| p99_us > SLOW_US)
    }
}

impl fmt::Display for SyncSamples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SyncTimes { p50_us, p99_us, .. } = self.median;
        let a_second = self.median.commits_a_second();
        write!(
            f,
            "p50 {p50_us} µs, p99 {p99_us} µs: {a_second} commits a second, each of any number of buyers ("
        )?;
        if let Some(worst) = self.worst {
            write!(
                f,
                "the median of {SAMPLES} samples; the slowest: p50 {} µs, p99 {} µs, {} a second; ",
                worst.p50_us,
                worst.p99_us,
                worst.commits_a_second()
            )?;
        }
        write!(f, "the longest sync: {} µs)", self.longest_us)
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
        (None, Holder::Server(AnsweringServer { syncs })) => Ok(syncs.map(SyncSamples::of_server)),
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
    let SyncTimes { p50_us, p99_us, .. } = measured.median;
    if p50_us < HONEST_US_MIN {
        return findings.fail(
            CHECK,
            format!("p50 {p50_us} µs, p99 {p99_us} µs: no disk is so fast, nothing is really written"),
            "set journal.dir to a directory on a disk, and see that syncs are not switched off below it \
             (nobarrier, cache=unsafe, eatmydata)",
        );
    }
    let found = measured.to_string();
    if measured.is_slow() {
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
        SyncTimes {
            p50_us,
            p99_us,
            longest_us: p99_us + 1,
        }
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
             the slowest: p50 9000 µs, p99 30000 µs, 111 a second; the longest sync: 30001 µs)"
        );
        assert!(measured.is_slow());
    }

    #[test]
    fn one_sync_that_the_disk_held_up_is_told() {
        let mut syncs_us = vec![400; 300];
        let steady = SyncTimes::of(syncs_us.clone());
        syncs_us.push(STALL_US + 1);
        let stalled = SyncTimes::of(syncs_us);
        assert_eq!(stalled.p99_us, 400);
        assert!(!SyncSamples::of([steady; SAMPLES]).is_slow());
        let measured = SyncSamples::of([steady, steady, stalled, steady, steady]);
        assert!(measured.is_slow());
        let shown = measured.to_string();
        assert!(shown.ends_with("; the longest sync: 200001 µs)"), "{shown}");
        let of_server = SyncSamples::of_server(stalled);
        assert!(of_server.is_slow());
        assert_eq!(
            of_server.to_string(),
            "p50 400 µs, p99 400 µs: 2500 commits a second, each of any number of buyers (the longest sync: 200001 µs)"
        );
    }

    #[test]
    fn quantiles_are_of_all_syncs() {
        let syncs_us = (1..=101).rev().collect();
        assert_eq!(SyncTimes::of(syncs_us), times(51, 100));
        let none = SyncTimes::of(Vec::new());
        assert_eq!((none.p99_us, none.longest_us), (0, 0));
    }
}
