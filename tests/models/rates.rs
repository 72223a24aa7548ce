//! Arrivals of a client at several workers at once: each is counted, and nobody is refused for what others do.

use std::sync::Arc;

use flashsale::types::RateLimit;
use loom::thread;

use crate::check;
use crate::gcra::{ArrivalRate, RateSet};

const SECOND_NS: u64 = 1_000_000_000;

/// A rate of two at once.
fn rate() -> ArrivalRate {
    ArrivalRate::new(RateLimit {
        per_second: 1,
        burst: 2,
    })
}

/// Three arrivals of one client at three workers, with another client beside it.
fn race() {
    check(3, || {
        let set = Arc::new(RateSet::default());
        let arrive = |tag, count| {
            let set = Arc::clone(&set);
            thread::spawn(move || {
                let arrive = |_: &u32| set.arrive(tag, SECOND_NS, rate()).is_ok();
                (0..count).filter(arrive).count()
            })
        };
        let (one, other) = (arrive(1, 2), arrive(2, 1));
        let mut counted = usize::from(set.arrive(1, SECOND_NS, rate()).is_ok());
        counted += one.join().expect("a worker panicked");
        assert_eq!(counted, 2, "one burst");
        assert_eq!(other.join().expect("a worker panicked"), 1);
        assert!(set.arrive(1, SECOND_NS, rate()).is_err());
        assert!(set.arrive(2, SECOND_NS, rate()).is_ok());
        assert!(set.arrive(2, SECOND_NS, rate()).is_err());
        assert!(set.arrive(1, 2 * SECOND_NS, rate()).is_ok());
    });
}

#[test]
fn a_client_gets_one_burst_however_it_is_spread() {
    race();
}

#[test]
fn the_one_who_has_least_makes_room_for_another() {
    loom::model(|| {
        let set = RateSet::default();
        for (tag, arrivals) in [(1, 2), (2, 1), (3, 1)] {
            for _ in 0..arrivals {
                assert!(set.arrive(tag, SECOND_NS, rate()).is_ok(), "{tag}");
            }
        }
        assert!(set.arrive(1, SECOND_NS, rate()).is_err(), "not forgotten");
    });
}

#[cfg(feature = "planted")]
#[test]
fn arrivals_that_do_not_see_each_other_are_found() {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use flashsale::planted::{Slip, plant};

    plant(Some(Slip::CountsArrivalsApart));
    let raced = catch_unwind(AssertUnwindSafe(race));
    plant(None);
    assert!(raced.is_err());
}
