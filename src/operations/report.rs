//! Everything at a glance: the body of `/health`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::load::WorkerLoad;
use super::summary::Summary;
use super::view::View;
use crate::env::{AllocatorFigures, ProcessFigures};
use crate::live::FeedFigures;
use crate::sale::JournalStatus;
use crate::telemetry::{
    BuildInfo, LatencySummary, SinkFigures, SinkStatus, Window, Windowed, seconds,
};

/// The report. The first four keys are fixed by clients that exist.
#[derive(Serialize)]
pub(super) struct Report {
    services_status: ServicesStatus,
    uptime: String,
    memory: Memory,
    tasks: u64,
    /// The first of our own.
    summary: Summary,
    latency: BTreeMap<&'static str, BTreeMap<&'static str, LatencySummary>>,
    stages: BTreeMap<&'static str, LatencySummary>,
    /// What those two are measured in.
    latency_unit: &'static str,
    /// What time they are of.
    window: &'static str,
    /// How long that is so far.
    window_seconds: f64,
    stock: BTreeMap<String, Stock>,
    conserved: bool,
    sales: Sales,
    journal: JournalStatus,
    reconcile: Reconcile,
    stream: Stream,
    workers: Vec<WorkerLoad>,
    process: Process,
    build: BuildInfo,
    /// Which configuration is in effect, without telling it.
    configuration: String,
}

/// What the operating system and the allocator say about the process.
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
    database: SinkStatus,
    redis: SinkStatus,
}

/// In bytes. `alloc` is in RAM, `total_alloc` all writable pages, `sys` the address space;
/// nothing collects garbage.
#[derive(Serialize)]
struct Memory {
    alloc: u64,
    total_alloc: u64,
    sys: u64,
    num_gc: u32,
}

#[derive(Serialize)]
struct Stock {
    total: u64,
    sold: u64,
    held: u64,
    free: u64,
    /// Whether that adds up to what the items say.
    conserved: bool,
    /// Units of these that are held, and by no open checkout.
    unaccounted: u64,
}

/// How many sales are where.
#[derive(Serialize)]
struct Sales {
    in_memory: usize,
    archived: usize,
    /// Archived sales that were loaded and are kept for the next who asks.
    loaded: usize,
}

#[derive(Serialize)]
struct Reconcile {
    database: SinkFigures,
    redis: SinkFigures,
}

/// Those who watch a sale, and what that costs.
#[derive(Serialize)]
struct Stream {
    viewers: u64,
    #[serde(flatten)]
    figures: FeedFigures,
}

impl Report {
    pub(super) fn new(view: &View, window: Window) -> Self {
        let (process, workers) = (ProcessFigures::read(), view.load_of_ten_seconds());
        // Looked at once, so that no part of the report contradicts another.
        let [database, redis] = view.sinks();
        let merged = view.merged();
        let windowed = view.window_of(window, &merged);
        let recent = view.window_of(Window::TenSeconds, &merged);
        let sinks = [("Postgres", &database), ("Redis", &redis)];
        let summary = Summary::new(view, &recent, &windowed, sinks);
        Self {
            services_status: ServicesStatus {
                app: SinkStatus::Up,
                database: database.status,
                redis: redis.status,
            },
            uptime: go_duration(view.uptime_seconds()),
            memory: Memory {
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
            sales: Sales {
                in_memory: view.engine().sales().len(),
                archived: view.engine().ended().count(),
                loaded: view.sources.archive.kept(),
            },
            // Behind the stock: what was sold there has its number in here.
            journal: view.engine().journal().status(),
            reconcile: Reconcile { database, redis },
            stream: Stream {
                viewers: view.viewers(),
                figures: view.sources.feeds.figures(),
            },
            workers,
            process: Process::of(&process),
            build: BuildInfo::CURRENT,
            configuration: view.sources.configuration.clone(),
        }
    }
}

/// By route and outcome.
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
fn stock(view: &View) -> BTreeMap<String, Stock> {
    let sales = view.engine().open_sales().into_iter();
    sales
        .map(|sale| {
            let figures = sale.figures();
            let stock = Stock {
                total: figures.total,
                sold: figures.sold,
                held: figures.held,
                free: figures.free(),
                conserved: view.is_conserved(sale.id()),
                unaccounted: view.unaccounted(sale.id()),
            };
            (sale.id().to_string(), stock)
        })
        .collect()
}

/// A duration as Go prints it.
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
    fn durations_look_like_go() {
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
