//! Coordinated omission: a stall must show for everybody who was due while it lasted.

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use flashsale_perf::load::{Arrivals, Mode, Outcome, Plan, Sale, Shape, run};
use hdrhistogram::Histogram;

use crate::stub;

const STALL: Duration = Duration::from_millis(300);
const CONNECTIONS: usize = 4;

/// Answers at once, but for one stall of all connections.
fn stalling() -> std::net::SocketAddr {
    let first: OnceLock<Instant> = OnceLock::new();
    stub::start(move |_| {
        let begin = *first.get_or_init(Instant::now) + Duration::from_millis(500);
        let now = Instant::now();
        if now >= begin && now < begin + STALL {
            thread::sleep(begin + STALL - now);
        }
        Some(stub::accepted())
    })
}

fn stalled(mode: Mode) -> Outcome {
    let plan = Plan {
        mode,
        sale: Some(Sale {
            id: 1,
            total_items: 1000,
            items_sold: 0,
        }),
        connections: CONNECTIONS,
        ..Plan::new(stalling(), Duration::from_millis(1500))
    };
    run(&plan).expect("an outcome")
}

/// How many took more than a third of the stall.
fn slow(times_ns: &Histogram<u64>) -> u64 {
    let third = (STALL / 3).as_nanos() as u64;
    times_ns.count_between(third, u64::MAX / 2)
}

#[test]
fn a_stall_shows_for_all_who_were_due() {
    let outcome = stalled(Mode::Open {
        rate: 500.0,
        arrivals: Arrivals::Uniform,
        shape: Shape::Steady,
        queue: 10_000,
    });
    let record = &outcome.record;
    assert_eq!((record.planned, record.answered()), (750, 750));
    let all = record.answers.all();
    let (corrected, service) = (slow(&all.corrected_ns), slow(&all.service_ns));
    // 150 were due in the stall, two thirds of them in the first 200 ms.
    assert!(corrected >= 60, "{corrected} corrected");
    assert!(
        service >= 1 && service * 4 < corrected,
        "{service} of service, {corrected} corrected"
    );
}

#[test]
fn a_closed_loop_does_not_see_it() {
    let outcome = stalled(Mode::Closed);
    let record = &outcome.record;
    let all = record.answers.all();
    assert!(record.answered() > 10 * slow(&all.service_ns));
}
