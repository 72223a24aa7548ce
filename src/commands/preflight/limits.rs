//! Limits that the system sets to the server: files, connections, memory, processors.

use std::thread;

use super::finding::Findings;
use super::sizing;
use crate::config::Config;
use crate::env::{Machine, MemoryLimit, ResourceLimits};
use crate::limits;
use crate::runtime;

/// The oldest kernel that the server is tried on, as two numbers.
const KERNEL_MIN: (u32, u32) = (5, 10);
/// Connections that every server should be able to hold.
const CONNECTIONS_WANTED: u64 = 10_000;

pub(super) fn check(config: &Config, machine: &Machine, findings: &mut Findings) {
    let resources = ResourceLimits::read();
    kernel(machine, findings);
    files(config, &resources, findings);
    file_size(config, &resources, findings);
    processor_time(&resources, findings);
    backlog(machine, findings);
    memory(config, machine, findings);
    processors(config, machine, findings);
}

fn kernel(machine: &Machine, findings: &mut Findings) {
    const CHECK: &str = "kernel";
    let release = &machine.kernel;
    match version(release) {
        Some(version) if version < KERNEL_MIN => {
            let (major, minor) = KERNEL_MIN;
            findings.warn(
                CHECK,
                format!("Linux {release}"),
                format!("run {major}.{minor} or newer"),
            );
        }
        _ => findings.ok(CHECK, format!("Linux {release}")),
    }
}

/// The first two numbers of a version.
pub(super) fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn workers(config: &Config) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    config
        .server
        .workers
        .map_or(cores, usize::from)
        .min(limits::WORKERS_MAX)
}

fn files(config: &Config, resources: &ResourceLimits, findings: &mut Findings) {
    const CHECK: &str = "open files";
    let workers = workers(config);
    let most = (workers * limits::CONNECTIONS_PER_WORKER_MAX) as u64;
    let wanted = sizing::files(CONNECTIONS_WANTED.min(most));
    match resources.open_files {
        Some(allowed) if allowed < wanted => findings.warn(
            CHECK,
            format!(
                "{allowed}: room for {} connections, all others get 503",
                workers * runtime::connections_max(allowed, workers)
            ),
            format!(
                "raise it to {} for all {most} connections that the server takes (LimitNOFILE, \
                 ulimit -n, --ulimit nofile)",
                sizing::files(most)
            ),
        ),
        Some(allowed) => findings.ok(
            CHECK,
            format!("{allowed}, of {} that could be used", sizing::files(most)),
        ),
        None => findings.ok(CHECK, "not bounded"),
    }
}

/// A journal is written in segments of a known length; snapshots and ended sales have files of their own.
fn file_size(config: &Config, resources: &ResourceLimits, findings: &mut Findings) {
    const CHECK: &str = "file size";
    const ADVICE: &str = "LimitFSIZE=infinity, or ulimit -f unlimited";
    let segment_bytes = config.journal.segment_bytes;
    match resources.file_bytes {
        Some(allowed) if allowed < segment_bytes => findings.fail(
            CHECK,
            format!(
                "{allowed} bytes, and a segment of the journal has {segment_bytes} (RLIMIT_FSIZE)"
            ),
            ADVICE,
        ),
        Some(allowed) => findings.warn(
            CHECK,
            format!("{allowed} bytes (RLIMIT_FSIZE): a snapshot of many buyers may need more"),
            ADVICE,
        ),
        None => findings.ok(CHECK, "not bounded"),
    }
}

fn processor_time(resources: &ResourceLimits, findings: &mut Findings) {
    if let Some(seconds) = resources.cpu_seconds {
        findings.warn(
            "processor time",
            format!("{seconds} s (RLIMIT_CPU): the server is ended when they are used up"),
            "LimitCPU=infinity, or ulimit -t unlimited",
        );
    }
}

fn backlog(machine: &Machine, findings: &mut Findings) {
    const CHECK: &str = "backlog";
    let wanted = u64::from(limits::LISTEN_BACKLOG.unsigned_abs());
    match machine.somaxconn {
        Some(allowed) if allowed < wanted => findings.warn(
            CHECK,
            format!("net.core.somaxconn is {allowed}: more connections at once are dropped, and tried again \
                     after a second"),
            format!("sysctl -w net.core.somaxconn={wanted}"),
        ),
        Some(allowed) => findings.ok(CHECK, format!("net.core.somaxconn is {allowed}, {wanted} are used")),
        None => {}
    }
    if let Some(ports) = machine.ephemeral_ports {
        findings.ok(
            "ports",
            format!(
                "{ports} for connections from here: what a proxy on this machine can hold open, too"
            ),
        );
    }
}

fn memory(config: &Config, machine: &Machine, findings: &mut Findings) {
    const CHECK: &str = "memory";
    let (there, whose) = match &machine.memory_limit {
        MemoryLimit::Limited { bytes, group } if *bytes < machine.available_bytes => (
            *bytes,
            format!("the limit of the control group {}", group.display()),
        ),
        _ => (machine.available_bytes, "free on this machine".to_owned()),
    };
    let wanted = sizing::memory_bytes(config, CONNECTIONS_WANTED);
    let found = format!(
        "{} MiB, {whose}; {CONNECTIONS_WANTED} connections and ten users for each unit take {} MiB, the creation of a sale of \
         a million listed items up to {} MiB more while it lasts",
        there >> 20,
        wanted >> 20,
        limits::ADMIN_MEMORY_BYTES >> 20
    );
    if there < wanted {
        let advice = "give it more (MemoryMax= of the systemd unit, --memory of the container), or sell fewer \
                      units at once";
        findings.warn(CHECK, found, advice);
    } else {
        findings.ok(CHECK, found);
    }
    if machine.memory_limit == MemoryLimit::Unknown {
        findings.warn(
            CHECK,
            "whether a control group bounds it cannot be read here",
            "mount /proc and /sys, or look on the host: systemctl show --property=MemoryMax, docker inspect",
        );
    }
}

fn processors(config: &Config, machine: &Machine, findings: &mut Findings) {
    const CHECK: &str = "processors";
    let allowed = thread::available_parallelism().map_or(1, usize::from);
    let workers = workers(config);
    let there = machine.processors.unwrap_or(allowed as u64);
    let found = format!("{workers} workers on {allowed} of {there} processors");
    if workers > allowed {
        let advice = "set server.workers to 0, or give it as many processors";
        findings.warn(CHECK, format!("{found}: they wait for each other"), advice);
    } else {
        findings.ok(CHECK, found);
    }
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_read_from_their_beginning() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("7.0.15"), Some((7, 0)));
        assert_eq!(version("x"), None);
        assert_eq!(version("6"), None);
    }
}
