use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::env::SeededEntropy;
use crate::limits::LIMIT_CELLS;
use crate::types::Network;

const SECOND_NS: u64 = 1_000_000_000;

fn table(per_second: u32, burst: u32) -> RateTable {
    RateTable::new(RateLimit { per_second, burst }, &SeededEntropy::new(7))
}

/// How many of `arrivals` at once are counted.
fn counted(table: &RateTable, client: &str, arrivals: u32, now_ns: u64) -> u32 {
    let arrive = |_: &u32| table.arrive(client, now_ns).is_ok();
    u32::try_from((0..arrivals).filter(arrive).count()).expect("few")
}

#[test]
fn a_burst_is_followed_by_the_rate() {
    let table = table(5, 20);
    assert_eq!(counted(&table, "a", 100, 0), 20);
    assert_eq!(counted(&table, "b", 100, 0), 20, "each has its own");
    assert_eq!(table.arrive("a", 0), Err(SECOND_NS / 5));
    assert_eq!(counted(&table, "a", 100, SECOND_NS), 5);
    assert_eq!(counted(&table, "a", 100, 3 * SECOND_NS), 10);
    assert_eq!(counted(&table, "a", 100, 1000 * SECOND_NS), 20);
    let wait_ns = table.arrive("a", 1000 * SECOND_NS).expect_err("too early");
    assert!(table.arrive("a", 1000 * SECOND_NS + wait_ns - 64).is_err());
    assert_eq!(table.arrive("a", 1000 * SECOND_NS + wait_ns), Ok(()));
}

#[test]
fn a_client_who_comes_back_after_any_time_is_welcome() {
    for days in [1, 7, 13, 14, 26, 100, 1000] {
        for seconds in [0, 1, 3600, 40_000] {
            let table = table(1, 3);
            assert_eq!(counted(&table, "a", 5, SECOND_NS), 3);
            let now_ns = (days * 86_400 + seconds) * SECOND_NS;
            assert_eq!(counted(&table, "a", 5, now_ns), 3, "{days} {seconds}");
        }
    }
}

#[test]
fn an_earlier_clock_reading_does_not_help() {
    let table = table(10, 10);
    assert_eq!(counted(&table, "a", 10, 5 * SECOND_NS), 10);
    assert_eq!(counted(&table, "a", 10, 5 * SECOND_NS - SECOND_NS / 2), 0);
}

#[test]
fn ten_thousand_addresses_of_one_network_are_one_client() {
    let table = table(5, 20);
    let allowed = (0..10_000_u128).filter(|host| {
        let address = (0x2001_0db8_0001_0002_u128 << 64 | host).to_be_bytes();
        table.arrive(Network::of(address.into()), 0).is_ok()
    });
    assert_eq!(allowed.count(), 20);
    let others = (0..10_000_u32).filter(|host| {
        let address = (0x0a00_0000 | host).to_be_bytes();
        table.arrive(Network::of(address.into()), 0).is_ok()
    });
    assert_eq!(
        others.count(),
        10_000,
        "each address of IPv4 is another one"
    );
}

/// A table that is full of clients who are too loud. One who is not meets one of them with a chance of one in 2^33 for each.
#[test]
fn nobody_is_refused_for_what_others_do() {
    let table = table(1, 2);
    for loud in 0..100_000 {
        for _ in 0..3 {
            let _ = table.arrive(("loud", loud), 0);
        }
    }
    let refused = (0..10_000).filter(|quiet| table.arrive(("quiet", quiet), 0).is_err());
    assert!(refused.count() <= 2);
}

/// A client is forgotten where nine who are active fall into one set: of a quarter as many as there are cells, hardly any.
#[test]
fn few_are_forgotten_while_there_is_room() {
    let table = table(1, 2);
    let clients = u32::try_from(LIMIT_SETS * LIMIT_CELLS / 4).expect("few");
    for _ in 0..2 {
        for client in 0..clients {
            let _ = table.arrive(client, 0);
        }
    }
    let forgotten = (0..clients).filter(|client| table.arrive(client, 0).is_ok());
    assert!(forgotten.count() < clients as usize / 500);
}

/// However many workers a client is spread over, it gets one burst.
#[test]
fn workers_count_together() {
    for round in 0..50 {
        let (table, counted) = (table(1, 1000), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if table.arrive(round, 0).is_ok() {
                            counted.fetch_add(1, Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(counted.into_inner(), 1000);
    }
}

/// A bucket of tokens that is filled all the time, as textbooks have it.
#[derive(Default)]
struct Bucket {
    /// Tokens that are missing, in millionths.
    missing: u64,
    at_us: u64,
}

impl Bucket {
    fn arrive(&mut self, limit: RateLimit, now_us: u64) -> bool {
        let filled = (now_us - self.at_us) * u64::from(limit.per_second);
        self.missing = self.missing.saturating_sub(filled);
        self.at_us = now_us;
        let is_allowed = self.missing + 1_000_000 <= u64::from(limit.burst) * 1_000_000;
        if is_allowed {
            self.missing += 1_000_000;
        }
        is_allowed
    }
}

proptest! {
    /// Rates whose interval is a whole number of ticks and of microseconds, so that both round nothing.
    #[test]
    fn arrivals_are_counted_as_by_a_bucket_of_tokens(
        per_second in prop::sample::select(&[1_u32, 5, 25, 125][..]),
        burst in 1..30_u32,
        arrivals in prop::collection::vec((0..4_u8, 0..3_000_u64), 1..300),
    ) {
        let limit = RateLimit { per_second, burst };
        let table = RateTable::new(limit, &SeededEntropy::new(7));
        let mut buckets = HashMap::<u8, Bucket>::new();
        let mut now_us = 0;
        for (client, pause) in arrivals {
            now_us += pause * 64;
            let expected = buckets.entry(client).or_default().arrive(limit, now_us);
            prop_assert_eq!(table.arrive(client, now_us * 1000).is_ok(), expected);
        }
    }
}
