//! The check of the clock that sales begin and end by.

use super::finding::Findings;
use crate::env::{Clock, Machine, SystemClock};

/// Sources of time that are read without a call into the kernel, or by a cheap one.
const GOOD_SOURCES: &[&str] = &[
    "tsc",
    "kvm-clock",
    "arch_sys_counter",
    "hyperv_clocksource_tsc_page",
];
/// Most that the wall clock may deviate from the steady one, in parts of a million.
const DRIFT_PPM_MAX: u64 = 1_000;
/// Deviation that reading one clock after the other may cause, in microseconds.
const READING_US: u64 = 1_000;

/// Wall clock and steady clock, read at one moment.
pub(super) struct Drift {
    clock: SystemClock,
    wall_us: i64,
    steady_us: u64,
}

impl Drift {
    pub(super) fn begin() -> Self {
        let clock = SystemClock::new();
        let (wall_us, steady_us) = (clock.now().0, clock.monotonic_us());
        Self {
            clock,
            wall_us,
            steady_us,
        }
    }

    /// Returns the time that has passed, and how far the clocks went apart meanwhile, in microseconds.
    fn end(&self) -> (u64, u64) {
        let (wall_us, steady_us) = (self.clock.now().0, self.clock.monotonic_us());
        let passed_us = steady_us - self.steady_us;
        let apart_us = (wall_us - self.wall_us).abs_diff(passed_us.cast_signed());
        (passed_us, apart_us)
    }
}

pub(super) fn check(machine: &Machine, drift: &Drift, findings: &mut Findings) {
    const CHECK: &str = "clock";
    const ADVICE: &str = "run chrony or systemd-timesyncd, and see that it reaches its servers";
    match machine.is_clock_synchronised {
        Some(true) => findings.ok(
            CHECK,
            "synchronised; sales are in UTC, whatever the time zone",
        ),
        Some(false) => {
            let found = "not synchronised: sales begin and end by it";
            findings.warn(CHECK, found, ADVICE);
        }
        None => findings.warn(
            CHECK,
            "whether it is synchronised cannot be told from here",
            "look on the host: chronyc tracking, or timedatectl",
        ),
    }
    let (passed_us, apart_us) = drift.end();
    if apart_us > passed_us * DRIFT_PPM_MAX / 1_000_000 + READING_US {
        let found = format!(
            "it was moved by {apart_us} µs within {} ms",
            passed_us / 1000
        );
        findings.warn(CHECK, found, ADVICE);
    }
    match machine.clock_source.as_deref() {
        Some(source) if GOOD_SOURCES.contains(&source) => {
            findings.ok(CHECK, format!("read from {source}"))
        }
        Some(source) => findings.warn(
            CHECK,
            format!("read from {source}, which takes a microsecond or more each time"),
            "make the kernel use tsc or kvm-clock (/sys/devices/system/clocksource)",
        ),
        None => {}
    }
}
