//! Seeds that must go well: all that once did not, and fresh ones.

use std::thread;
use std::time::Duration;

use flashsale::env::{Entropy, OsEntropy};
use flashsale_simulation::{Campaign, Cuts, run};

/// Seeds whose runs have found something, with what that was.
const KEPT: &[(u64, &str)] = &[
    (
        4_228_025_795_310_230_228,
        "a write that came back short had ended within a sector, which no disk does",
    ),
    (
        24,
        "a cut that was interrupted was made again at later starts, and took what had come since",
    ),
    (
        100_598,
        "a start noted a record in the mark that a failed sync had left in the page cache alone",
    ),
    (
        4_992_771_411_135_127_034,
        "a journal was cut back to where a frame of the log began, and not to the first record that differed",
    ),
    (
        7_959_112_000_010_344_166,
        "a torn first batch of a segment behind a snapshot made a start think that the journal was empty",
    ),
    (
        77_003_855,
        "a leader in whose place another one led for some milliseconds did not know a code of that one, which it may",
    ),
    (
        3_460_988_353_537_716_759,
        "a late payment was refused by a closing that a crash took back",
    ),
];
/// Fresh seeds of a test.
const FRESH: u64 = 2_000;

fn campaign(first: u64, seeds: u64) -> Campaign {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let done = Campaign::run(first, |_| true, seeds, Duration::MAX, cores);
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
    // A run in which nothing happens proves nothing: each of these so often, in percent of the seeds.
    for (what, percent) in [
        ("checkout: 200", 2000),
        ("checkout: item_sold_out", 1000),
        ("checkout: item_held", 100),
        ("checkout: user_limit_exceeded", 100),
        ("checkout: item_limit_exceeded", 20),
        ("checkout: item_already_in_checkout", 100),
        ("checkout: idempotency_key_reused", 20),
        ("checkout: sale_not_active", 500),
        ("checkout: not answered", 50),
        ("purchase: 200", 1000),
        ("purchase: already_processed", 500),
        ("purchase: checkout_expired", 100),
        ("purchase: all_items_sold", 20),
        ("purchase: not answered", 50),
        ("release: 200", 50),
        ("release: already_processed", 100),
        ("release: checkout_expired", 20),
        ("release: checkout_not_found", 20),
        ("release: not answered", 10),
        ("payment: 200", 100),
        ("payment: already_processed", 50),
        ("payment: checkout_expired", 50),
        ("confirm: 200", 100),
        ("confirm: already_processed", 50),
        ("confirm: checkout_expired", 20),
        ("checkout: payment_under_way", 20),
        ("checkout: sale_paused", 50),
        ("stock: 200", 20),
        ("stock: stock_in_use", 1),
        ("cancel: 200", 100),
        ("cancel: already_cancelled", 5),
        ("a sale is paused", 10),
        ("a sale is resumed", 5),
        ("a sale is extended", 10),
        ("the power fails", 20),
        ("the power fails at a start", 1),
        ("the process is killed", 20),
        ("the process is stopped", 20),
        ("the disk is full", 5),
        ("a sync will fail", 5),
        ("a write will fail", 5),
        ("a write will be cut short", 5),
        ("a sync finds no room", 5),
        ("the wall clock jumps ahead", 5),
        ("the wall clock jumps back", 5),
        ("the machine sleeps", 5),
        ("the machine will sleep in a sync", 5),
        ("a flipped bit: a start is refused", 10),
        ("a flipped bit: found by a reader", 10),
        ("a flipped bit: nothing rests on it", 1),
        ("a second follower comes", 10),
        ("loses answers", 10),
        ("is emptied", 5),
        ("is restored", 5),
        ("is filled from a snapshot", 1),
        ("a sale is created", 20),
        ("a sale is closed", 10),
        ("rush: all sold", 80),
        ("verify: a database that was changed", 5),
        // Of one seed in three:
        ("a takeover", 100),
        ("a leader is fenced", 20),
        ("a leader hands over", 5),
        ("a process is paused", 50),
        ("a server does not reach the log", 50),
        ("nobody reaches the log", 20),
        ("the log fails over", 20),
        ("what was late arrives at the log", 20),
        ("the log loses what it had", 1),
        ("checkout: standby", 200),
    ] {
        let count = done.counts.get(what).copied().unwrap_or(0);
        assert!(
            count >= FRESH * percent / 100,
            "{what}: {count} in {FRESH} seeds"
        );
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
        (Slip::SkipsChecksum, 100),
        (Slip::KeepsOneOfLimit, 200),
        (Slip::EndsSalesEarly, 200),
        (Slip::RenamesBeforeSync, 300),
        (Slip::ReleasesHoldTwice, 100),
        (Slip::ReleasesLineTwice, 100),
        (Slip::ForgetsReleased, 100),
        (Slip::ReservesAgain, 200),
        (Slip::ForgivesAnotherPayment, 200),
        (Slip::LateBeyondLimit, 500),
        (Slip::ClosesWithPayments, 300),
        (Slip::ForgetsPayments, 200),
        (Slip::ForgetsExpiredLines, 300),
        (Slip::ForgetsPause, 200),
        (Slip::ForgetsStockChanges, 200),
        (Slip::RestocksTwice, 200),
        (Slip::CancelsTwice, 200),
        (Slip::ForgetsCancelled, 200),
        (Slip::ReturnsQuotaTwice, 200),
        (Slip::FreesWithoutRestock, 200),
        (Slip::ForgetsBoughtOfItem, 300),
        (Slip::SellsBeforeOpening, 200),
        (Slip::ForgetsOpening, 200),
        (Slip::SellsAtTheEnd, 200),
        (Slip::DropsLastOfBatch, 100),
        (Slip::LosesWakeUps, 300),
        (Slip::AnswersBeforeDurable, 200),
        (Slip::ForgetsFence, 500),
    ];
    for (slip, seeds) in within {
        plant(Some(slip));
        let found = find(1, |_| true, seeds);
        plant(None);
        assert!(
            found.is_some(),
            "{}: not found in {seeds} seeds",
            slip.what()
        );
    }
}
