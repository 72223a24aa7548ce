//! What it costs to remember a latency, to bring all workers' together, and what a request pays in all:
//! the reading of the clock between its stages is the larger part.

mod common;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use flashsale::env::{Clock, SystemClock};
use flashsale::telemetry::{LatencySummary, Outcome, Route, Stage, TelemetryRegistry};
use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// What a worker sees in a sale, the most frequent first.
const SEEN: [(Route, Outcome); 8] = [
    (Route::Checkout, Outcome::ItemSoldOut),
    (Route::Checkout, Outcome::Accepted),
    (Route::Purchase, Outcome::Sold),
    (Route::Purchase, Outcome::AllItemsSold),
    (Route::Checkout, Outcome::UserLimitExceeded),
    (Route::SalesActive, Outcome::Ok),
    (Route::SaleItems, Outcome::Ok),
    (Route::Metrics, Outcome::Ok),
];

/// Everything from 1 us to 65 ms, so that the buckets are not always the same.
fn next_us(latency_us: u64) -> u64 {
    latency_us * 5 % 65_536 + 1
}

fn record(criterion: &mut Criterion) {
    let registry = TelemetryRegistry::new();
    let worker = registry.add_worker();
    let mut latency_us = 0;
    criterion.bench_function("recording/record", |b| {
        b.iter(|| {
            latency_us = next_us(latency_us);
            let (route, outcome) = SEEN[(latency_us % 3) as usize];
            worker.record(route, outcome, black_box(latency_us * 1000));
        });
    });
    // What the same costs with the library's histogram behind a lock that nobody else takes.
    let histogram = || Histogram::<u64>::new_with_bounds(1, 600_000_000, 2).expect("bounds");
    let locked = Mutex::new([histogram(), histogram(), histogram()]);
    criterion.bench_function("recording/record_locked", |b| {
        b.iter(|| {
            latency_us = next_us(latency_us);
            let which = (latency_us % 3) as usize;
            locked.lock()[which].saturating_record(black_box(latency_us));
        });
    });
}

/// All that a purchase pays: its latency, three stages, and the five looks at the clock between them.
fn request(criterion: &mut Criterion) {
    let (registry, clock) = (TelemetryRegistry::new(), SystemClock::new());
    let worker = registry.add_worker();
    criterion.bench_function("recording/clock", |b| {
        b.iter(|| black_box(&clock).monotonic_ns());
    });
    criterion.bench_function("recording/request", |b| {
        b.iter(|| {
            let started_ns = clock.monotonic_ns();
            let mut lap_ns = started_ns;
            for stage in [Stage::Parse, Stage::Decide, Stage::CommitWait] {
                let now_ns = clock.monotonic_ns();
                worker.record_stage(stage, now_ns - lap_ns);
                lap_ns = now_ns;
            }
            let took_ns = clock.monotonic_ns() - started_ns;
            worker.record(Route::Purchase, Outcome::Sold, took_ns);
        });
    });
}

/// What a look at `/health` or `/metrics` begins with, and what it makes of one distribution.
fn merge(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recording/merge");
    for workers in [2, 16] {
        let registry = TelemetryRegistry::new();
        for _ in 0..workers {
            let worker = registry.add_worker();
            for (route, outcome) in SEEN {
                (1..1000).for_each(|us| worker.record(route, outcome, us * 1000));
            }
        }
        group.bench_function(BenchmarkId::new("workers", workers), |b| {
            b.iter(|| registry.merged());
        });
        let merged = registry.merged();
        let (_, _, counts) = merged.requests().next().expect("recorded");
        group.bench_function(BenchmarkId::new("summary", workers), |b| {
            b.iter(|| LatencySummary::from(black_box(counts)));
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = common::criterion();
    record(&mut criterion);
    request(&mut criterion);
    merge(&mut criterion);
    criterion.final_summary();
}
