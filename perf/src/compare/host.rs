//! What was measured on, and with which command.

use std::fs;
use std::path::Path;
use std::process::Command;

use flashsale::env::{Clock, SystemClock};
use serde::Serialize;

/// What a reader has to know of the machine.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    /// When the run began, in UTC.
    pub date: String,
    /// The machine's name.
    pub name: String,
    /// As the processor calls itself.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Release of the kernel.
    pub kernel: String,
    /// How the kernel chooses the clock rate.
    pub governor: String,
    /// The commit that is checked out, and whether something is changed.
    pub commit: String,
    /// How the comparison was called.
    pub command: String,
}

impl Host {
    /// This machine, now.
    #[must_use]
    pub fn read() -> Self {
        let governor = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
        Self {
            date: SystemClock::new().now().to_string(),
            name: line_of("/proc/sys/kernel/hostname"),
            cpu: cpu(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: line_of("/proc/sys/kernel/osrelease"),
            governor: line_of(governor),
            commit: commit().unwrap_or_else(|| "unknown".into()),
            command: command(),
        }
    }
}

/// Type of the file system that `path` is on, and the device.
#[must_use]
pub fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mount = mounts.lines().filter_map(|line| {
        let (place, device) = line.split_once(" - ")?;
        let point = place.split(' ').nth(4)?;
        path.starts_with(point).then_some((point.len(), device))
    });
    // Of those as long as another the later one covers it.
    let found = mount.max_by_key(|&(length, _)| length);
    let found = found.and_then(|(_, device)| {
        let mut words = device.split(' ');
        Some(format!("{} on {}", words.next()?, words.next()?))
    });
    found.unwrap_or_else(|| "an unknown file system".into())
}

fn line_of(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "not told".into(), |text| text.trim().to_owned())
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| Some(line.split_once(':')?.1.trim()));
    model.unwrap_or(std::env::consts::ARCH).to_owned()
}

fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() {
        commit
    } else {
        format!("{commit} with changes")
    })
}

/// The command as it can be given again.
fn command() -> String {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let program = if std::env::var_os("CARGO").is_some() {
        "cargo run --release -p flashsale-perf --"
    } else {
        "flashsale-perf"
    };
    format!("{program} {}", arguments.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described() {
        let host = Host::read();
        assert!(host.cores > 0);
        assert!(host.date.ends_with('Z'), "{}", host.date);
        assert!(!host.cpu.is_empty() && !host.kernel.is_empty());
    }

    #[test]
    fn a_file_system_has_a_type_and_a_device() {
        assert!(file_system(Path::new("/proc")).starts_with("proc on "));
        assert!(file_system(Path::new("/no/such/place")).contains(" on "));
    }
}
