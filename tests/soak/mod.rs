//! Sales of a second, one after the other, with buyers all the time and a kill now and then: nothing is
//! lost, nothing is sold twice, and every answer is remembered.
//!
//! A few rotations, unless `FLASHSALE_SOAK_ROTATIONS` says how many; `make soak` runs a thousand.

mod auditor;
mod book;
mod figures;
mod link;
mod random;
mod run;
mod shared;
mod shopper;

use crate::places;
use crate::server::Place;

use run::{Plan, soak};

#[test]
fn sales_of_a_second() {
    let plan = Plan {
        name: "without holds",
        interval_seconds: 1,
        hold_seconds: 0,
    };
    soak(plan, Place::new(&[]));
}

/// Nothing runs out before the sale does: its end takes every hold back.
#[test]
fn sales_of_a_second_with_holds_and_followers() {
    let (postgres, redis) = (places::postgres(), places::redis(&["appendonly yes"]));
    let plan = Plan {
        name: "holds that last as long as the sale, Postgres and Redis following",
        interval_seconds: 1,
        hold_seconds: 1,
    };
    soak(plan, places::place_with_both(&postgres, &redis));
}

#[test]
fn sales_of_two_seconds_whose_holds_run_out() {
    let plan = Plan {
        name: "holds that run out",
        interval_seconds: 2,
        hold_seconds: 1,
    };
    soak(plan, Place::new(&[]));
}
