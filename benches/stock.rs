//! Stock counters: shards beside one padded atomic, alone and with every core at the same item.

mod common;

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{BenchmarkId, Criterion, Throughput};
use crossbeam_utils::CachePadded;
use flashsale::limits::STOCK_SHARDS_MAX;
use flashsale::sale::stock::{Pool, Single};

use common::{cores, on_threads};

/// So many units that no measurement comes to their end.
const PLENTY: u64 = 1 << 60;

/// One counter of all units, which the shards compete with.
struct OneCounter(CachePadded<AtomicU64>);

impl OneCounter {
    fn new(stock: u64) -> Self {
        Self(CachePadded::new(AtomicU64::new(stock)))
    }

    fn sell(&self, quantity: u64) -> bool {
        let take = |free: u64| free.checked_sub(quantity);
        self.0
            .try_update(Ordering::AcqRel, Ordering::Acquire, take)
            .is_ok()
    }
}

fn pool(stock: u64) -> Pool {
    Pool::new(stock, (cores() as usize).min(STOCK_SHARDS_MAX))
}

/// One unit after the other from a pool and from a counter, by some threads together.
fn shards_or_counter(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stock/take");
    group.throughput(Throughput::Elements(1));
    for threads in [1, 2] {
        group.bench_function(BenchmarkId::new("shards", threads), |b| {
            b.iter_custom(|iterations| {
                let pool = pool(PLENTY);
                on_threads(threads, |lane| {
                    for _ in 0..iterations.div_ceil(threads) {
                        assert!(pool.sell(lane as usize, black_box(1)));
                    }
                })
            });
        });
        group.bench_function(BenchmarkId::new("one_atomic", threads), |b| {
            b.iter_custom(|iterations| {
                let counter = OneCounter::new(PLENTY);
                on_threads(threads, |_| {
                    for _ in 0..iterations.div_ceil(threads) {
                        assert!(counter.sell(black_box(1)));
                    }
                })
            });
        });
    }
    group.finish();
}

/// Every core takes of one item until it is gone, the last units from each other's shards.
fn hot_item(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stock/hot_item");
    group.throughput(Throughput::Elements(1));
    group.bench_function("all_cores_until_sold_out", |b| {
        b.iter_custom(|iterations| {
            let pool = pool(iterations);
            let time = on_threads(cores(), |lane| while pool.sell(lane as usize, 1) {});
            assert_eq!(pool.units().sold, iterations);
            time
        });
    });
    group.finish();
}

/// What almost everybody hears.
fn sold_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stock/sold_out");
    let (pool, single) = (pool(1), Single::default());
    assert!(pool.sell(0, 1) && single.sell(1));
    assert!(!pool.sell(0, 1));
    group.bench_function("pool", |b| b.iter(|| pool.availability(black_box(1))));
    group.bench_function("single", |b| b.iter(|| single.sell(black_box(2))));
    group.finish();
}

fn main() {
    let mut criterion = common::criterion();
    shards_or_counter(&mut criterion);
    hot_item(&mut criterion);
    sold_out(&mut criterion);
    criterion.final_summary();
}
