//! What the system lets the server have: files, connections, memory, processors.

use std::thread;

use super::finding::Findings;
use super::sizing;
use crate::config::Config;
use crate::env::{Machine, ProcessFigures};
use crate::limits;

/// The oldest kernel that the server is tried on, as two numbers.
const KERNEL_MIN: (u32, u32) = (5, 10);
/// Connections that every server should be able to hold.
const CONNECTIONS_WANTED: u64 = 10_000;

pub(super) fn check(config: &Config, machine: &Machine, findings: &mut Findings) {
    kernel(machine, findings);
    files(config, findings);
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

fn files(config: &Config, findings: &mut Findings) {
    const CHECK: &str = "open files";
    let most = (workers(config) * limits::CONNECTIONS_PER_WORKER_MAX) as u64;
    let wanted = sizing::files(CONNECTIONS_WANTED.min(most));
    match ProcessFigures::read().max_fds {
        Some(allowed) if allowed < wanted => findings.warn(
            CHECK,
            format!(
                "{allowed}: room for {} connections",
                allowed.saturating_sub(limits::RESERVED_FILES)
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
    let Some(there) = machine.memory_bytes else {
        return;
    };
    let wanted = sizing::memory_bytes(config, CONNECTIONS_WANTED);
    let found = format!(
        "{} MiB; {CONNECTIONS_WANTED} connections and ten users for each unit take {} MiB",
        there >> 20,
        wanted >> 20
    );
    if there < wanted {
        findings.warn(CHECK, found, "give it more, or sell fewer units at once");
    } else {
        findings.ok(CHECK, found);
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
