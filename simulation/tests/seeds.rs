//! Seeds that must go well: all that once did not, and fresh ones.

use std::thread;
use std::time::Duration;

use flashsale::env::{Entropy, OsEntropy};
use flashsale_simulation::{Campaign, Cuts, run};

/// Seeds whose runs have found something, with what that was.
const KEPT: &[(u64, &str)] = &[(
    4_228_025_795_310_230_228,
    "a write that came back short had ended within a sector, which no disk does",
)];
/// Fresh seeds of a test.
const FRESH: u64 = 2_000;

fn campaign(first: u64, seeds: u64) -> Campaign {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let done = Campaign::run(first, seeds, Duration::MAX, cores);
    if let Some(failure) = &done.failure {
        panic!(
            "{failure}\nsee it: cargo run --profile simulation -p flashsale-simulation replay {}",
            failure.seed
        );
    }
    assert_eq!(done.seeds, seeds);
    done
}

#[test]
fn seeds_that_once_found_something_go_well() {
    for (seed, what) in KEPT {
        let ended = run(*seed, &Cuts::default(), false);
        assert!(ended.is_ok(), "{what}: {}", ended.unwrap_err());
    }
}

#[test]
fn fresh_seeds_go_well_and_enough_happens_in_them() {
    let first = OsEntropy.bits_128() as u64 >> 1;
    println!("seeds from {first}");
    let done = campaign(first, FRESH);
    // A run in which nothing happens proves nothing.
    for what in [
        "checkout: 200",
        "checkout: item_sold_out",
        "checkout: item_held",
        "checkout: user_limit_exceeded",
        "checkout: item_already_in_checkout",
        "checkout: idempotency_key_reused",
        "checkout: sale_not_active",
        "checkout: not answered",
        "purchase: 200",
        "purchase: already_processed",
        "purchase: checkout_expired",
        "purchase: all_items_sold",
        "purchase: not answered",
        "the power fails",
        "the power fails at a start",
        "the process is killed",
        "the process is stopped",
        "the disk is full",
        "a sync will fail",
        "the wall clock jumps ahead",
        "the wall clock jumps back",
        "loses answers",
        "is emptied",
        "is restored",
        "a sale is created",
        "a sale is closed",
        "rush: all sold",
    ] {
        let count = done.counts.get(what).copied().unwrap_or(0);
        assert!(count >= FRESH / 100, "{what}: {count} in {FRESH} seeds");
    }
}

/// A few of the slips, each with the seeds within which it must be found. All of them: `flashsale-simulation slips`.
#[cfg(feature = "planted")]
#[test]
fn planted_slips_are_found() {
    use flashsale::planted::{Slip, plant};
    use flashsale_simulation::find;
    let within = [
        (Slip::PublishesBeforeSync, 200),
        (Slip::RenamesBeforeSync, 300),
        (Slip::ReleasesHoldTwice, 100),
        (Slip::SellsAtTheEnd, 200),
        (Slip::DropsLastOfBatch, 100),
        (Slip::LosesWakeUps, 300),
        (Slip::AnswersBeforeDurable, 200),
        (Slip::ForgetsFence, 500),
    ];
    for (slip, seeds) in within {
        plant(Some(slip));
        let found = find(1, seeds);
        plant(None);
        assert!(
            found.is_some(),
            "{}: not found in {seeds} seeds",
            slip.what()
        );
    }
}
