//! The machine, as the kernel describes it: what a server is to live with.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::system::{sysinfo, uname};

use super::control_group::MemoryLimit;

/// The bounds of a server on this machine. A bound that the system does not name is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The kernel's release, such as `6.1.0-18-amd64`.
    pub kernel: String,
    /// Connections that may wait to be accepted, on each listener.
    pub somaxconn: Option<u64>,
    /// Ports for connections that begin here.
    pub ephemeral_ports: Option<u64>,
    /// Memory of the machine that could be had without swapping, in bytes.
    pub available_bytes: u64,
    /// The memory limit of the process's control group.
    pub memory_limit: MemoryLimit,
    /// Processors that are there, whatever part of them may be used.
    pub processors: Option<u64>,
    /// The clock source of the kernel, such as `tsc`.
    pub clock_source: Option<String>,
    /// Something keeps the clock right.
    pub is_clock_synchronised: Option<bool>,
}

impl Machine {
    /// Asks the kernel. Only calls are relied on: the files of `/proc` and `/sys` may be missing.
    #[must_use]
    pub fn read() -> Self {
        let sysctl = |name: &str| text(&format!("/proc/sys/{name}"));
        let ports = sysctl("net/ipv4/ip_local_port_range");
        let available = text("/proc/meminfo").and_then(|text| available_bytes(&text));
        Self {
            kernel: uname().release().to_string_lossy().into_owned(),
            somaxconn: sysctl("net/core/somaxconn").and_then(|text| text.parse().ok()),
            ephemeral_ports: ports.and_then(|text| count_of_range(&text)),
            available_bytes: available.unwrap_or_else(free_bytes),
            memory_limit: MemoryLimit::read(Path::new("/")),
            processors: text("/sys/devices/system/cpu/online")
                .and_then(|text| count_of_list(&text)),
            clock_source: text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            is_clock_synchronised: is_clock_synchronised(),
        }
    }
}

fn text(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// Returns the memory that could be had without swapping, from `/proc/meminfo`, in bytes.
fn available_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Memory that nobody uses, without the caches that would be given up for it.
fn free_bytes() -> u64 {
    let info = sysinfo();
    (info.freeram + info.bufferram) * u64::from(info.mem_unit)
}

/// Returns how many numbers a range such as `32768 60999` has.
fn count_of_range(range: &str) -> Option<u64> {
    let mut ends = range.split_ascii_whitespace();
    let (first, last): (u64, u64) = (ends.next()?.parse().ok()?, ends.next()?.parse().ok()?);
    (last + 1).checked_sub(first)
}

/// Returns how many numbers a list such as `0-3,8` has.
fn count_of_list(list: &str) -> Option<u64> {
    let count = |part: &str| match part.split_once('-') {
        Some((first, last)) => count_of_range(&format!("{first} {last}")),
        None => part.parse::<u64>().ok().map(|_| 1),
    };
    list.split(',').map(count).sum()
}

/// Returns systemd's answer, where it runs: it asks the kernel, whatever program keeps the clock.
fn is_clock_synchronised() -> Option<bool> {
    let output = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    match output.stdout.trim_ascii() {
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_understood() {
        let meminfo = "MemTotal:  100 kB\nMemAvailable:     60 kB\n";
        assert_eq!(available_bytes(meminfo), Some(60 * 1024));
        assert_eq!(available_bytes("MemTotal: 1 kB"), None);
        assert_eq!(count_of_range("32768\t60999"), Some(28_232));
        assert_eq!(count_of_range("9 1"), None);
        assert_eq!(count_of_range("x"), None);
        assert_eq!(count_of_list("0-3,8"), Some(5));
        assert_eq!(count_of_list("0"), Some(1));
        assert_eq!(count_of_list("a-b"), None);
    }

    #[test]
    fn this_machine_is_described() {
        let machine = Machine::read();
        assert!(!machine.kernel.is_empty());
        assert!(machine.available_bytes > 0 && free_bytes() > 0);
        assert!(machine.processors.is_some_and(|count| count > 0));
    }
}
