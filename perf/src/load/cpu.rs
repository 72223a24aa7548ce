//! What a process has used of the machine.

use std::fs;
use std::io;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// CPU time of this process, in nanoseconds.
#[must_use]
pub fn own_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// CPU time of all threads of a process and its children that run now, in nanoseconds.
///
/// # Errors
/// There is no such process, or it is another user's.
pub fn process_ns(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        // A thread may have ended since it was listed.
        let Ok(text) = fs::read_to_string(task.join("schedstat")) else {
            continue;
        };
        sum += text
            .split(' ')
            .next()
            .and_then(|ns| ns.parse::<u64>().ok())
            .unwrap_or(0);
        let children = fs::read_to_string(task.join("children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        // So may a child.
        sum += children.filter_map(|id| process_ns(id).ok()).sum::<u64>();
    }
    Ok(sum)
}

/// Memory of a process that is resident, in kibibytes.
#[must_use]
pub fn resident_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// CPU time that a run has cost one side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cpu {
    /// Nanoseconds of all threads.
    pub total_ns: u64,
    /// Microseconds per answered request.
    pub us_per_request: f64,
    /// Cores kept busy on average.
    pub cores: f64,
}

impl Cpu {
    pub(super) fn of(total_ns: u64, requests: u64, elapsed_ns: u64) -> Self {
        Self {
            total_ns,
            us_per_request: total_ns as f64 / 1e3 / requests.max(1) as f64,
            cores: total_ns as f64 / elapsed_ns.max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_something() {
        assert!(own_ns() > 0);
        assert!(resident_kib(std::process::id()).is_some_and(|kib| kib > 100));
        assert!(process_ns(std::process::id()).is_ok());
        assert!(process_ns(u32::MAX).is_err());
    }
}
