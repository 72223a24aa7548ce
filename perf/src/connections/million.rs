//! What a million open connections take, computed from what some thousands have taken.

use std::fmt;
use std::fs;

use flashsale::limits::{CONNECTIONS_PER_WORKER_MAX, RESERVED_FILES};
use serde::Serialize;

use super::idle::IdleMemory;

/// Connections.
const MILLION: u64 = 1_000_000;
/// Ports of an address that a client may connect from, where the kernel does not tell.
const PORTS_DEFAULT: u64 = 28_232;

/// The needs of a million connections.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Million {
    /// The server's memory, in gibibytes.
    pub server_gib: f64,
    /// The kernel's memory for the server's ends, in gibibytes.
    pub kernel_gib: f64,
    /// Descriptors of the server's process.
    pub descriptors: u64,
    /// The most that a process may have here without a change of `fs.nr_open`.
    pub descriptors_max: Option<u64>,
    /// Workers, at so many connections each as one may have.
    pub workers: u64,
    /// Client addresses, where each opens as many connections as it has ports.
    pub client_addresses: u64,
    /// Ports of an address here.
    pub ports: u64,
}

impl Million {
    /// Computes them.
    #[must_use]
    pub fn of(idle: &IdleMemory) -> Self {
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        let ports = range
            .ok()
            .and_then(|it| ports_in(&it))
            .unwrap_or(PORTS_DEFAULT);
        let nr_open = fs::read_to_string("/proc/sys/fs/nr_open").ok();
        let gib = |kib: f64| kib * MILLION as f64 / 1024.0 / 1024.0;
        Self {
            server_gib: gib(idle.kib_each()),
            kernel_gib: gib(idle.kernel_kib_each()),
            descriptors: MILLION + RESERVED_FILES,
            descriptors_max: nr_open.and_then(|it| it.trim().parse().ok()),
            workers: MILLION.div_ceil(CONNECTIONS_PER_WORKER_MAX as u64),
            client_addresses: MILLION.div_ceil(ports),
            ports,
        }
    }
}

/// The number of ports in a range as the kernel writes it: the first and the last.
fn ports_in(range: &str) -> Option<u64> {
    let mut ends = range.split_whitespace().map(|it| it.parse::<u64>().ok());
    let (first, last) = (ends.next()??, ends.next()??);
    (last + 1).checked_sub(first).filter(|&ports| ports > 0)
}

impl fmt::Display for Million {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server_gib,
            kernel_gib,
            descriptors,
            workers,
            client_addresses,
            ports,
            ..
        } = self;
        let allowed = self
            .descriptors_max
            .map_or_else(|| "not told".to_owned(), |it| it.to_string());
        writeln!(f, "a million connections, computed:")?;
        writeln!(
            f,
            "  memory: 1,000,000 x measured each = {server_gib:.1} GiB in the server, and {kernel_gib:.1} GiB in the kernel for its ends"
        )?;
        writeln!(
            f,
            "  descriptors: 1,000,000 + {RESERVED_FILES} in reserve = {descriptors} (ulimit -n; fs.nr_open is {allowed} here)"
        )?;
        writeln!(
            f,
            "  workers: 1,000,000 / {CONNECTIONS_PER_WORKER_MAX}, the most of one, = {workers}"
        )?;
        writeln!(
            f,
            "  ports: the server needs one; clients 1,000,000 / {ports} ports of an address = {client_addresses} addresses at least"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_is_computed_from_what_some_have_taken() {
        let idle = IdleMemory {
            connections: 1000,
            before_kib: 10_000,
            with_kib: 10_000 + 1024 * 8,
            kernel_kib: 4096,
        };
        let million = Million::of(&idle);
        assert!((million.server_gib - 7.8125).abs() < 1e-9, "{million:?}");
        assert!((million.kernel_gib - 1.953_125).abs() < 1e-9, "{million:?}");
        assert_eq!(million.descriptors, 1_000_256);
        assert_eq!(million.workers, 62);
        assert_eq!(million.client_addresses, MILLION.div_ceil(million.ports));
    }

    #[test]
    fn a_range_of_ports_includes_its_ends() {
        assert_eq!(ports_in("32768\t60999\n"), Some(28_232));
        assert_eq!(ports_in("5 4"), None);
        assert_eq!(ports_in(""), None);
    }
}
