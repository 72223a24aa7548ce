//! What it costs to remember a latency, and to bring all workers' together.

mod common;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use flashsale::telemetry::{Outcome, Registry, Route};

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

fn record(criterion: &mut Criterion) {
    let registry = Registry::new();
    let worker = registry.add_worker();
    let mut latency_us = 0;
    criterion.bench_function("recording/record", |b| {
        b.iter(|| {
            // Everything from 1 us to 65 ms, so that the buckets are not always the same.
            latency_us = latency_us * 5 % 65_536 + 1;
            let (route, outcome) = SEEN[(latency_us % 3) as usize];
            worker.record(route, outcome, black_box(latency_us));
        });
    });
}

/// What a look at `/health` or `/metrics` begins with.
fn merge(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recording/merge");
    for workers in [2, 16] {
        let registry = Registry::new();
        for _ in 0..workers {
            let worker = registry.add_worker();
            for (route, outcome) in SEEN {
                (1..1000).for_each(|latency_us| worker.record(route, outcome, latency_us));
            }
        }
        group.bench_function(BenchmarkId::new("workers", workers), |b| {
            b.iter(|| registry.latency());
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = common::criterion();
    record(&mut criterion);
    merge(&mut criterion);
    criterion.final_summary();
}
