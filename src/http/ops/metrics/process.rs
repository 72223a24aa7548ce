//! Figures of the process: memory, processor time, build and configuration.

use super::exposition::{Exposition, FamilyKind};
use crate::env::{AllocatorFigures, ProcessFigures};
use crate::operations::View;
use crate::telemetry::BuildInfo;

pub(super) fn write(view: &View, out: &mut Exposition) {
    write_process(&ProcessFigures::read(), out);
    let allocator = AllocatorFigures::read();
    out.gauge(
        "allocator_committed_bytes",
        "Memory that the allocator may use without asking the system again.",
        allocator.committed_bytes,
    );
    out.gauge(
        "allocator_peak_committed_bytes",
        "The most that it ever was.",
        allocator.peak_committed_bytes,
    );
    let mut build = out.family(
        "flashsale_build_info",
        FamilyKind::Info,
        "Which build it is, and a fingerprint of its configuration.",
    );
    let labels = [
        ("version", BuildInfo::CURRENT.version),
        ("revision", BuildInfo::CURRENT.revision),
        ("configuration", view.configuration()),
    ];
    build.sample(&labels, true);
}

fn write_process(process: &ProcessFigures, out: &mut Exposition) {
    for (name, help, value) in [
        (
            "process_resident_memory_bytes",
            "Memory of the process in RAM.",
            process.resident_bytes,
        ),
        (
            "process_virtual_memory_bytes",
            "Address space of the process.",
            process.virtual_bytes,
        ),
        (
            "process_open_fds",
            "Descriptors that are open: files, sockets, timers.",
            process.open_fds,
        ),
        (
            "process_threads",
            "Threads of the process.",
            process.threads,
        ),
    ] {
        out.gauge(name, help, value);
    }
    out.gauge(
        "process_max_fds",
        "The most descriptors that may be open.",
        process.max_fds.map_or(f64::INFINITY, |most| most as f64),
    );
    out.counter(
        "process_cpu_seconds_total",
        "Time on a processor since the start, of all threads.",
        process.cpu_us as f64 / 1e6,
    );
    let mut started = out.family(
        "process_start_time_seconds",
        FamilyKind::Gauge,
        "When the process was started.",
    );
    if let Some(at) = process.started_at {
        started.sample(&[], at.0 as f64 / 1e6);
    }
}
