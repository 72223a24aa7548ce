//! Figures of this process, from the operating system.

use std::fs;
use std::sync::OnceLock;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::clock::{since_boot_us, wall_us};
use crate::types::Timestamp;

/// This process, as the operating system sees it. What the system does not say is 0 or `None`.
///
/// Reading costs some tens of microseconds, however much is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessFigures {
    /// Memory in RAM, in bytes.
    pub resident_bytes: u64,
    /// The most memory that ever was in RAM, in bytes.
    pub peak_resident_bytes: u64,
    /// Heap, threads' stacks and other private writable memory, in RAM or not, in bytes.
    pub data_bytes: u64,
    /// All address space, in bytes.
    pub virtual_bytes: u64,
    /// Open descriptors: files, sockets, timers.
    pub open_fds: u64,
    /// The most descriptors that may be open; `None` when there is no bound.
    pub max_fds: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// Time on a processor since the start, of all threads, in user and system mode, in microseconds.
    pub cpu_us: u64,
    /// When the process was started.
    pub started_at: Option<Timestamp>,
}

impl ProcessFigures {
    /// Asks the operating system.
    #[must_use]
    pub fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            open_fds: open_fds(),
            max_fds: getrlimit(Resource::Nofile).current,
            cpu_us: cpu_us(),
            started_at: started_at(),
            ..Self::of_status(&status)
        }
    }

    /// What `/proc/self/status` says: lines as `VmRSS:     1696 kB`.
    fn of_status(status: &str) -> Self {
        let mut figures = Self::default();
        for line in status.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let (figure, unit) = match name {
                "VmRSS" => (&mut figures.resident_bytes, 1024),
                "VmHWM" => (&mut figures.peak_resident_bytes, 1024),
                "VmData" => (&mut figures.data_bytes, 1024),
                "VmSize" => (&mut figures.virtual_bytes, 1024),
                "Threads" => (&mut figures.threads, 1),
                _ => continue,
            };
            let number = value.split_ascii_whitespace().next();
            *figure = number.and_then(|it| it.parse().ok()).unwrap_or(0) * unit;
        }
        figures
    }
}

fn open_fds() -> u64 {
    const DIR: &str = "/proc/self/fd";
    // From Linux 6.2 on the size of the directory is their number; before, it was 0.
    match fs::metadata(DIR).map_or(0, |metadata| metadata.len()) {
        0 => count_entries(DIR),
        count => count,
    }
}

fn count_entries(dir: &str) -> u64 {
    let count = fs::read_dir(dir).map_or(0, Iterator::count) as u64;
    // One of them is the descriptor by which they were counted.
    count.saturating_sub(1)
}

fn cpu_us() -> u64 {
    cpu_us_of(ClockId::ProcessCPUTime)
}

/// Processor time that the calling thread has taken, in microseconds.
#[must_use]
pub fn thread_cpu_us() -> u64 {
    cpu_us_of(ClockId::ThreadCPUTime)
}

fn cpu_us_of(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let us = time.tv_sec * 1_000_000 + time.tv_nsec / 1000;
    u64::try_from(us).unwrap_or(0)
}

/// Worked out once, so that it stays the same when the wall clock is set.
fn started_at() -> Option<Timestamp> {
    static STARTED_AT: OnceLock<Option<Timestamp>> = OnceLock::new();
    *STARTED_AT.get_or_init(|| {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let ticks = start_ticks(&stat)?;
        let ticks_per_second = rustix::param::clock_ticks_per_second();
        let after_boot_us = i64::try_from(ticks * 1_000_000 / ticks_per_second).ok()?;
        Some(Timestamp(wall_us() - since_boot_us() + after_boot_us))
    })
}

/// Returns when the process was started, in clock ticks after the boot: the 22nd field of `/proc/self/stat`. The
/// second one is a name in parentheses, which may contain anything.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_understood() {
        let status = "Name:\tVmRSS: 7 kB\nVmSize:\t     100 kB\nVmHWM:\t 30 kB\nVmRSS:\t 20 kB\n\
                      VmData:\t 40 kB\nThreads:\t5\nVmSwap:\tmuch\n";
        let expected = ProcessFigures {
            resident_bytes: 20 * 1024,
            peak_resident_bytes: 30 * 1024,
            data_bytes: 40 * 1024,
            virtual_bytes: 100 * 1024,
            threads: 5,
            ..ProcessFigures::default()
        };
        assert_eq!(ProcessFigures::of_status(status), expected);
        for nothing in ["", "VmRSS", "VmRSS:", "VmRSS: x kB\n"] {
            assert_eq!(
                ProcessFigures::of_status(nothing),
                ProcessFigures::default()
            );
        }
    }

    #[test]
    fn a_name_does_not_hide_the_start() {
        let stat =
            |name: &str| format!("7 ({name}) S 1 7 7 0 -1 0 1 0 0 0 2 3 0 0 20 0 4 0 4711 9");
        assert_eq!(start_ticks(&stat("flashsale")), Some(4711));
        assert_eq!(start_ticks(&stat("a) S 1 (b")), Some(4711));
        assert_eq!(start_ticks(""), None);
        assert_eq!(start_ticks("7 (flashsale) S 1"), None);
    }

    #[test]
    fn this_process_is_described() {
        let figures = ProcessFigures::read();
        assert!(figures.resident_bytes > 0, "{figures:?}");
        assert!(figures.peak_resident_bytes >= figures.resident_bytes);
        assert!(figures.virtual_bytes >= figures.resident_bytes);
        assert!(figures.data_bytes > 0 && figures.threads > 0 && figures.cpu_us > 0);
        assert!(figures.open_fds > 0, "{figures:?}");
        let started_at = figures.started_at.expect("Linux says so");
        assert!(started_at.0 <= wall_us(), "started in the future");
        assert_eq!(ProcessFigures::read().started_at, Some(started_at));
    }

    #[test]
    fn a_directory_without_a_size_is_counted() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["a", "b", "c"] {
            fs::write(dir.path().join(name), "").expect("a file");
        }
        let path = dir.path().to_str().expect("UTF-8");
        // Less the descriptor that reads a directory of descriptors, of which there is none here.
        assert_eq!(count_entries(path), 2);
        assert_eq!(count_entries("/nowhere"), 0);
    }
}
