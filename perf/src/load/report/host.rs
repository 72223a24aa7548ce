//! The machine that a run was made on.

use std::fs;

use serde::Serialize;

/// Facts that a reader needs to judge figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Cores that this process may use.
    pub cores: usize,
    /// The model of the first of them.
    pub cpu: String,
    /// Kernel release.
    pub kernel: String,
    /// Memory, in kibibytes.
    pub memory_kib: u64,
    /// Load average of the last minute before the run's end.
    pub load_average: String,
}

impl Host {
    /// This machine.
    pub(super) fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let (cpuinfo, meminfo) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let field = |text: &str, name: &str| -> String {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default()
                .trim_matches([' ', '\t', ':'])
                .to_owned()
        };
        let memory = field(&meminfo, "MemTotal");
        Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            cpu: field(&cpuinfo, "model name"),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory_kib: memory.trim_end_matches(" kB").parse().unwrap_or(0),
            load_average: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }
}
