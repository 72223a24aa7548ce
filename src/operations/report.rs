//! The body of `/health`: all figures of the server in one document.

use std::collections::BTreeMap;

use serde::Serialize;

use super::load::WorkerLoad;
use super::replica::ReplicationReport;
use super::summary::Summary;
use super::view::View;
use crate::env::{AllocatorFigures, ProcessFigures};
use crate::live::FeedFigures;
use crate::telemetry::JournalStatus;
use crate::telemetry::{
    BuildInfo, EventFigures, LatencySummary, SinkFigures, SinkId, SinkStatus, Window, Windowed,
    seconds,
};

/// The body of `/health`. Existing clients read the first four keys.
#[derive(Serialize)]
pub(super) struct HealthReport {
    services_status: ServicesStatus,
    uptime: String,
    memory: MemoryFigures,
    tasks: u64,
    /// The first key that those clients do not read.
    summary: Summary,
    latency: BTreeMap<&'static str, BTreeMap<&'static str, LatencySummary>>,
    stages: BTreeMap<&'static str, LatencySummary>,
    /// The unit of `latency` and `stages`.
    latency_unit: &'static str,
    /// The name of the window that `latency` and `stages` cover.
    window: &'static str,
    /// The length of that window so far.
    window_seconds: f64,
    stock: BTreeMap<String, StockReport>,
    conserved: bool,
    sales: SaleCounts,
    journal: JournalStatus,
    reconcile: BySink<SinkFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication: Option<ReplicationReport>,
    stream: StreamFigures,
    events: EventFigures,
    webhooks: Vec<SinkFigures>,
    workers: Vec<WorkerLoad>,
    process: Process,
    build: BuildInfo,
    /// The fingerprint of the configuration in effect.
    configuration: String,
}

/// Figures of the process, from the operating system and the allocator.
#[derive(Serialize)]
struct Process {
    resident_bytes: u64,
    peak_resident_bytes: u64,
    virtual_bytes: u64,
    allocator_committed_bytes: u64,
    allocator_peak_committed_bytes: u64,
    open_files: u64,
    open_files_max: Option<u64>,
    threads: u64,
    cpu_seconds: f64,
}

impl Process {
    fn of(process: &ProcessFigures) -> Self {
        let allocator = AllocatorFigures::read();
        Self {
            resident_bytes: process.resident_bytes,
            peak_resident_bytes: process.peak_resident_bytes,
            virtual_bytes: process.virtual_bytes,
            allocator_committed_bytes: allocator.committed_bytes,
            allocator_peak_committed_bytes: allocator.peak_committed_bytes,
            open_files: process.open_fds,
            open_files_max: process.max_fds,
            threads: process.threads,
            cpu_seconds: seconds(process.cpu_us),
        }
    }
}

#[derive(Serialize)]
struct ServicesStatus {
    app: SinkStatus,
    #[serde(flatten)]
    sinks: BySink<SinkStatus>,
}

/// Something of each sink, by [`SinkId::key`].
type BySink<T> = BTreeMap<&'static str, T>;

fn by_key<T>(sinks: &[(SinkId, SinkFigures)], part: fn(&SinkFigures) -> T) -> BySink<T> {
    let parts = sinks
        .iter()
        .map(|(sink, figures)| (sink.key(), part(figures)));
    parts.collect()
}

/// Memory in bytes: `alloc` is in RAM, `total_alloc` all writable pages, `sys` the address space;
/// nothing collects garbage.
#[derive(Serialize)]
struct MemoryFigures {
    alloc: u64,
    total_alloc: u64,
    sys: u64,
    num_gc: u32,
}

#[derive(Serialize)]
struct StockReport {
    total: u64,
    sold: u64,
    held: u64,
    free: u64,
    /// Units that were sold, and cancelled since.
    cancelled: u64,
    /// Whether these figures equal the sums over all items.
    conserved: bool,
    /// Held units that no open checkout holds.
    unaccounted: u64,
    /// Payments that are under way.
    paying: u64,
}

/// Numbers of sales in memory and in the archive.
#[derive(Serialize)]
struct SaleCounts {
    in_memory: usize,
    archived: usize,
    /// Archived sales that were loaded and are cached.
    loaded: usize,
}

/// The subscribers of sales, and the cost of their events.
#[derive(Serialize)]
struct StreamFigures {
    viewers: u64,
    #[serde(flatten)]
    figures: FeedFigures,
}

impl HealthReport {
    pub(super) fn new(view: &View, window: Window) -> Self {
        let (process, workers) = (ProcessFigures::read(), view.load_of_ten_seconds());
        // Read once, so that no part of the report contradicts another.
        let sinks = view.sinks();
        let merged = view.merged();
        let windowed = view.window_of(window, &merged);
        let recent = view.window_of(Window::TenSeconds, &merged);
        let summary = Summary::new(view, &recent, &windowed, &sinks);
        Self {
            services_status: ServicesStatus {
                app: SinkStatus::Up,
                sinks: by_key(&sinks, |figures| figures.status),
            },
            uptime: go_duration(view.uptime_seconds()),
            memory: MemoryFigures {
                alloc: process.resident_bytes,
                total_alloc: process.data_bytes,
                sys: process.virtual_bytes,
                num_gc: 0,
            },
            tasks: view.connections().open + view.workers().len() as u64,
            summary,
            latency: latency(&windowed),
            stages: stages(&windowed),
            latency_unit: "us",
            window: window.name(),
            window_seconds: seconds(view.now_us().saturating_sub(windowed.since_us)),
            stock: stock(view),
            conserved: view.are_all_conserved(),
            sales: SaleCounts {
                in_memory: view.engine().sales().len(),
                archived: view.engine().ended().count(),
                loaded: view.sources.archive.kept(),
            },
            // Read after the stock: every unit sold there has its LSN in here.
            journal: view.engine().journal_status(),
            reconcile: by_key(&sinks, SinkFigures::clone),
            replication: view.replication(),
            stream: StreamFigures {
                viewers: view.viewers(),
                figures: view.sources.feeds.figures(),
            },
            events: view.events(),
            webhooks: view.webhooks(),
            workers,
            process: Process::of(&process),
            build: BuildInfo::CURRENT,
            configuration: view.sources.configuration.clone(),
        }
    }
}

/// Latencies by route and outcome.
fn latency(windowed: &Windowed) -> BTreeMap<&'static str, BTreeMap<&'static str, LatencySummary>> {
    let mut routes: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (route, outcome, summary) in windowed.counts.summaries() {
        routes
            .entry(route.as_str())
            .or_default()
            .insert(outcome.as_str(), summary);
    }
    routes
}

fn stages(windowed: &Windowed) -> BTreeMap<&'static str, LatencySummary> {
    let stages = windowed.counts.stages();
    stages
        .map(|(stage, counts)| (stage.as_str(), counts.into()))
        .collect()
}

/// The units of every sale that is not closed, by the sale's id.
fn stock(view: &View) -> BTreeMap<String, StockReport> {
    let sales = view.engine().open_sales().into_iter();
    sales
        .map(|sale| {
            let figures = sale.figures();
            let stock = StockReport {
                total: figures.total,
                sold: figures.sold,
                held: figures.held,
                free: figures.free(),
                cancelled: sale.units_cancelled(),
                conserved: view.is_conserved(sale.id()),
                unaccounted: view.unaccounted(sale.id()),
                paying: sale.payments_under_way(),
            };
            (sale.id().to_string(), stock)
        })
        .collect()
}

/// Formats a duration as Go does.
fn go_duration(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_formatted_as_in_go() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (3599, "59m59s"),
            (3600, "1h0m0s"),
            (3723, "1h2m3s"),
            (360_000, "100h0m0s"),
        ] {
            assert_eq!(go_duration(seconds), expected);
        }
    }
}
