//! How long the disk itself takes, asked directly: what no server can be faster than.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::Serialize;

/// Bytes of the file, which are written once before the measurement.
const FILE_BYTES: usize = 4 << 20;
/// Bytes of each write: a batch of some dozen records.
const WRITE_BYTES: usize = 4096;
/// Writes of one probe, at most.
const WRITES_MAX: usize = 1000;
/// How long one probe takes, at most.
const TIME_MAX: Duration = Duration::from_millis(250);

/// Longer ones count as this.
const LONGEST_NS: u64 = 60_000_000_000;

/// Times of a write of 4 KiB into a file that has its length, and its `fdatasync`. In microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DiskTimes {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
}

/// Asks the disk that `dir` is on.
///
/// # Errors
/// No file can be written there.
pub fn probe(dir: &Path) -> Result<DiskTimes> {
    let path = dir.join("disk-probe");
    let times = measure(&path).with_context(|| format!("cannot write to {}", path.display()));
    // Where it could not be made it need not be removed.
    let _ = std::fs::remove_file(&path);
    times
}

fn measure(path: &Path) -> Result<DiskTimes> {
    let file = File::create(path)?;
    file.write_all_at(&vec![0; FILE_BYTES], 0)?;
    file.sync_all()?;
    let mut times_ns = Histogram::<u64>::new_with_max(LONGEST_NS, 3)?;
    let started = Instant::now();
    for write in 0..WRITES_MAX {
        let offset = write * WRITE_BYTES % FILE_BYTES;
        let begun = Instant::now();
        file.write_all_at(&[write as u8; WRITE_BYTES], offset as u64)?;
        file.sync_data()?;
        times_ns.saturating_record(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        if started.elapsed() > TIME_MAX {
            break;
        }
    }
    let micros = |quantile| times_ns.value_at_quantile(quantile) as f64 / 1000.0;
    Ok(DiskTimes {
        p50: micros(0.5),
        p99: micros(0.99),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a directory");
        let times = probe(dir.path()).expect("writable");
        assert!(times.p50 > 0.1 && times.p50 <= times.p99, "{times:?}");
        let left = std::fs::read_dir(dir.path()).expect("readable").count();
        assert_eq!(left, 0);
        assert!(probe(&dir.path().join("missing")).is_err());
    }
}
