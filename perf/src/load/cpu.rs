//! The CPU time and memory that a process has used.

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
        // A thread may have ended since it was listed.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        sum += text
            .split(' ')
            .next()
            .and_then(|ns| ns.parse::<u64>().ok())
            .unwrap_or(0);
    }
    // So may a child.
    let children = children(pid).into_iter();
    Ok(sum + children.filter_map(|it| process_ns(it).ok()).sum::<u64>())
}

/// Memory of a process and its children that is resident, in kibibytes.
#[must_use]
pub fn resident_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let own: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    let children = children(pid).into_iter();
    Some(own + children.filter_map(resident_kib).sum::<u64>())
}

/// The processes that a process has started and that run now.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let ids = |list: String| -> Vec<u32> {
        list.split_whitespace()
            .filter_map(|id| id.parse().ok())
            .collect()
    };
    lists.flat_map(ids).collect()
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
