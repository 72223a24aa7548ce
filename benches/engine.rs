//! The engine's decisions, with their records encoded and written to a disk that drops them.

mod common;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use flashsale::sale::CheckoutOutcome;

use common::{Hall, in_pieces, on_threads, wishes};

const ITEMS: u32 = 1_000_000;

/// Users who come for the first time, each with an item of their own.
fn checkout(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine/checkout");
    group.throughput(Throughput::Elements(1));
    for threads in [1, 2] {
        group.bench_function(BenchmarkId::new("accepted_on_threads", threads), |b| {
            b.iter_custom(|iterations| {
                in_pieces(iterations, |count| {
                    let hall = Hall::new(ITEMS);
                    let share = count.div_ceil(threads);
                    let of_threads: Vec<_> = (0..threads)
                        .map(|thread| wishes(thread * share..(thread + 1) * share))
                        .collect();
                    on_threads(threads, |thread| {
                        for (user, item) in &of_threads[thread as usize] {
                            black_box(hall.checkout(user, item));
                        }
                    })
                })
            });
        });
    }
    group.finish();
}

/// Users with one item each, who take more, up to the limit.
struct Crowd {
    wishes: Vec<(String, String)>,
    hall: Hall,
    taken: usize,
}

impl Crowd {
    /// Items that a user takes after the first.
    const ROUNDS: usize = 9;
    /// Has no divisor in common with the number of users, so that neighbours are far apart.
    const STRIDE: usize = 7_919;

    fn new(users: u64) -> Self {
        let wishes = wishes(0..users);
        let hall = Self::first_items(&wishes);
        Self {
            wishes,
            hall,
            taken: 0,
        }
    }

    fn first_items(wishes: &[(String, String)]) -> Hall {
        let hall = Hall::new(ITEMS);
        for (user, item) in wishes {
            hall.checkout(user, item);
        }
        hall
    }

    /// Times `count` checkouts, and makes a new crowd whenever all are at their limit.
    fn take(&mut self, mut count: usize) -> Duration {
        let mut time = Duration::ZERO;
        let users = self.wishes.len();
        while count > 0 {
            if self.taken == Self::ROUNDS * users {
                (self.hall, self.taken) = (Self::first_items(&self.wishes), 0);
            }
            let now = count.min(Self::ROUNDS * users - self.taken);
            let started = Instant::now();
            for number in self.taken..self.taken + now {
                let (user, round) = (number * Self::STRIDE % users, 1 + number / users);
                let item = (user + round) % users;
                let code = self
                    .hall
                    .checkout(&self.wishes[user].0, &self.wishes[item].1);
                black_box(code);
            }
            time += started.elapsed();
            (self.taken, count) = (self.taken + now, count - now);
        }
        time
    }
}

/// The cost is to stay the same however many users there are, but for the processor's caches.
fn among_many_users(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine/checkout_among_users");
    for users in [1_000, 100_000, 1_000_000] {
        group.bench_function(BenchmarkId::from_parameter(users), |b| {
            let mut crowd = Crowd::new(users);
            b.iter_custom(|iterations| crowd.take(iterations as usize));
        });
    }
    group.finish();
}

fn purchase(criterion: &mut Criterion) {
    criterion.bench_function("engine/purchase", |b| {
        b.iter_custom(|iterations| {
            in_pieces(iterations, |count| {
                let hall = Hall::new(ITEMS);
                let check_out = |(user, item): &(String, String)| hall.checkout(user, item);
                let codes: Vec<_> = wishes(0..count).iter().map(check_out).collect();
                let started = Instant::now();
                for code in codes {
                    hall.purchase(code);
                }
                started.elapsed()
            })
        });
    });
}

/// What changes nothing: an item that is gone, and a user who has enough.
fn refused(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine/refused");
    let hall = Hall::new(100);
    hall.purchase(hall.checkout("winner", "ITM-1-0"));
    group.bench_function("sold_out", |b| {
        b.iter(|| hall.decide(black_box("late"), "ITM-1-0").outcome);
    });
    for item in 1..=10 {
        hall.checkout("greedy", &format!("ITM-1-{item}"));
    }
    group.bench_function("user_limit", |b| {
        b.iter(|| hall.decide(black_box("greedy"), "ITM-1-11").outcome);
    });
    let outcome = |user, item| hall.decide(user, item).outcome;
    assert_eq!(outcome("late", "ITM-1-0"), CheckoutOutcome::ItemSoldOut);
    let at_limit = CheckoutOutcome::UserLimitExceeded { limit: 10 };
    assert_eq!(outcome("greedy", "ITM-1-11"), at_limit);
    group.finish();
}

fn main() {
    let mut criterion = common::criterion();
    checkout(&mut criterion);
    among_many_users(&mut criterion);
    purchase(&mut criterion);
    refused(&mut criterion);
    criterion.final_summary();
}
