//! Limits: whose request it is, and one more arrival at the table of rates.

mod common;

use std::hint::black_box;
use std::net::IpAddr;

use criterion::{BenchmarkId, Criterion, Throughput};
use flashsale::env::SeededEntropy;
use flashsale::limiter::{Limiter, forwarding};
use flashsale::types::{AddressSource, ClientAddress, RateLimit};

use common::on_threads;

/// The time between two requests of all clients together, in nanoseconds: a hundred thousand a second.
const PAUSE_NS: u64 = 10_000;

fn limiter(per_second: u32, burst: u32) -> Limiter {
    let limit = Some(RateLimit { per_second, burst });
    Limiter::new(limit, limit, &SeededEntropy::new(7)).expect("limits")
}

fn address(number: u64) -> IpAddr {
    let spread = (number as u32).wrapping_mul(0x9e37_79b1);
    IpAddr::from(spread.to_be_bytes())
}

/// One arrival after the other, of this many clients in turn, by some threads together.
fn arrivals(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limits/arrive");
    group.throughput(Throughput::Elements(1));
    for (clients, threads) in [(1, 1), (1_000, 1), (100_000, 1), (1, 2), (100_000, 2)] {
        let name = format!("{clients}_clients");
        group.bench_function(BenchmarkId::new(name, threads), |b| {
            b.iter_custom(|iterations| {
                let limiter = limiter(100_000, 100_000);
                on_threads(threads, |lane| {
                    for number in 0..iterations.div_ceil(threads) {
                        let from = address((number * threads + lane) % clients);
                        let _ = black_box(limiter.arrive_from(from, number * PAUSE_NS));
                    }
                })
            });
        });
    }
    group.bench_function("a_user", |b| {
        let limiter = limiter(100_000, 100_000);
        let mut now_ns = 0;
        b.iter(|| {
            now_ns += PAUSE_NS;
            limiter.arrive_of(black_box("user-1234567890"), now_ns)
        });
    });
    group.bench_function("one_too_many", |b| {
        let limiter = limiter(1, 1);
        let from = address(1);
        let _ = limiter.arrive_from(from, 0);
        b.iter(|| limiter.arrive_from(black_box(from), 1));
    });
    group.finish();
}

/// The client's address in the headers that a proxy adds.
fn addresses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limits/address");
    for (source, lines) in [
        (AddressSource::XForwardedFor, &["203.0.113.195"][..]),
        (
            AddressSource::XForwardedFor,
            &["198.51.100.1, 203.0.113.195, 10.0.0.2"],
        ),
        (AddressSource::Forwarded, &["for=203.0.113.195;proto=https"]),
    ] {
        let rule = ClientAddress {
            source,
            trusted: vec!["10.0.0.0/8".parse().expect("a block")],
        };
        let proxy = IpAddr::from([10, 0, 0, 1]);
        let name = BenchmarkId::new(source.name(), lines[0].len());
        group.bench_function(name, |b| {
            b.iter(|| {
                let lines = black_box(lines).iter().map(|line| line.as_bytes());
                forwarding::find(&rule, proxy, lines)
            });
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = common::criterion();
    arrivals(&mut criterion);
    addresses(&mut criterion);
    criterion.final_summary();
}
