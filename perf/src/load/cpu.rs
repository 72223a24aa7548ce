//! The CPU time and memory that a process has used.

use std::fs;
use std::io;
use std::path::Path;

use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// CPU time of this process, in nanoseconds.
#[must_use]
pub fn own_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// CPU time of several processes as [`process_ns`] counts it; `None` without any, or where one is not there.
#[must_use]
pub fn processes_ns(pids: impl Iterator<Item = u32>) -> Option<u64> {
    sum(pids.map(|pid| process_ns(pid).ok()))
}

/// Resident memory of several processes and their children, in kibibytes; `None` without any, or where one is not
/// there.
#[must_use]
pub fn all_resident_kib(pids: impl Iterator<Item = u32>) -> Option<u64> {
    sum(pids.map(resident_kib))
}

fn sum(mut figures: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let first = figures.next()??;
    figures.try_fold(first, |sum, figure| Some(sum + figure?))
}

/// CPU time of all threads of a process and its children, in nanoseconds. Of children that have ended it is known in
/// steps of a clock tick.
///
/// # Errors
/// There is no such process, or it is another user's.
pub fn process_ns(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may have ended since it was listed.
        sum += task_ns(&task?.path()).unwrap_or(0);
    }
    // So may a child. Then its time is in that of those that have ended.
    let children = children(pid).into_iter();
    let running: u64 = children.filter_map(|it| process_ns(it).ok()).sum();
    Ok(sum + running + ended_children_ns(pid).unwrap_or(0))
}

/// CPU time of the threads of a process with this name, in nanoseconds.
#[must_use]
pub fn thread_ns(pid: u32, name: &str) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let named = tasks.filter(|task| {
        let comm = fs::read_to_string(task.path().join("comm"));
        comm.is_ok_and(|comm| comm.trim_end() == name)
    });
    named.filter_map(|task| task_ns(&task.path())).sum()
}

/// CPU time of a thread, by its directory in `/proc`.
fn task_ns(task: &Path) -> Option<u64> {
    let text = fs::read_to_string(task.join("schedstat")).ok()?;
    text.split(' ').next()?.parse().ok()
}

/// CPU time of the children that a process has seen to their end, in nanoseconds.
fn ended_children_ns(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may have any characters, the third field follows; these two are the 16th and 17th.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut ticks = fields.split(' ').skip(13).map(|it| it.parse::<u64>().ok());
    let ticks = ticks.next()?? + ticks.next()??;
    Some(ticks * 1_000_000_000 / clock_ticks_per_second())
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
    use std::hint::black_box;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::sync::mpsc::channel;
    use std::thread::{Builder, sleep};
    use std::time::{Duration, Instant};

    use super::*;

    /// How long anything may take before a test gives up.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn this_process_has_used_something() {
        assert!(own_ns() > 0);
        assert!(resident_kib(std::process::id()).is_some_and(|kib| kib > 100));
        assert!(process_ns(std::process::id()).is_ok());
        assert!(process_ns(u32::MAX).is_err());
    }

    #[test]
    fn a_thread_is_known_by_its_name() {
        let (end, ended) = channel::<()>();
        let busy = Builder::new().name("busy-thread".into()).spawn(move || {
            (0..1_000_000_u64).fold(0, |sum, it| sum ^ black_box(it));
            // It is counted once the thread waits.
            let _ = ended.recv();
        });
        let busy = busy.expect("a thread");
        let (own, deadline) = (std::process::id(), Instant::now() + PATIENCE);
        while thread_ns(own, "busy-thread") == 0 {
            assert!(Instant::now() < deadline, "it has no CPU time");
            sleep(Duration::from_millis(1));
        }
        assert_eq!(thread_ns(own, "nobody"), 0);
        drop(end);
        busy.join().expect("no panic");
    }

    #[test]
    fn several_processes_are_added_up_and_none_may_be_missing() {
        let own = std::process::id();
        let [one, two] = [1, 2].map(|count| processes_ns(vec![own; count].into_iter()));
        assert!(two > one && one > Some(0));
        assert_eq!(processes_ns([own, u32::MAX].into_iter()), None);
        assert_eq!(processes_ns(std::iter::empty()), None);
        assert!(all_resident_kib([own].into_iter()) > Some(100));
    }

    #[test]
    fn the_time_of_a_child_stays_when_it_has_ended() {
        const BUSY: &str = "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done'; echo done; exec sleep 600";
        let mut parent = Command::new("sh")
            .args(["-c", BUSY])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh runs");
        let mut output = BufReader::new(parent.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("its line");
        let used_ns = process_ns(parent.id()).expect("it runs");
        parent.kill().expect("it runs");
        parent.wait().expect("a child");
        // The parent itself hardly uses anything.
        assert!(used_ns > 50_000_000, "{used_ns}");
    }
}
