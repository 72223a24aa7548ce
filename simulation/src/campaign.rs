//! Many seeds, on all cores, and the shortest run of one that fails.

use std::panic;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::plan::{Cuts, Weights};
use crate::trace::Counts;
use crate::world::{Failure, run};

/// One seed of so many is run twice, and both runs must be the same.
const TWICE_EVERY: u64 = 50;

/// The figures of many runs.
#[derive(Clone, Debug, Default)]
pub struct Campaign {
    /// Seeds that were run.
    pub seeds: u64,
    /// Steps of all runs.
    pub steps: u64,
    /// How often each thing has happened.
    pub counts: Counts,
    /// How long it took.
    pub took: Duration,
    /// The first failure.
    pub failure: Option<Failure>,
}

impl Campaign {
    /// Runs those seeds from `first` on that are `wanted`, on `threads` threads, until `seeds` have been run, `time` is over, or one fails.
    #[must_use]
    pub fn run(
        first: u64,
        wanted: fn(u64) -> bool,
        seeds: u64,
        time: Duration,
        threads: usize,
    ) -> Self {
        // What a panic says is in the failure.
        panic::set_hook(Box::new(|_| ()));
        let begun = Instant::now();
        let (next, taken) = (AtomicU64::new(first), AtomicU64::new(0));
        let has_failed = AtomicBool::new(false);
        let total = Mutex::new(Self::default());
        let work = || {
            let mut own = Self::default();
            while begun.elapsed() < time && !has_failed.load(Ordering::Relaxed) {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if !wanted(seed) {
                    continue;
                }
                if taken.fetch_add(1, Ordering::Relaxed) >= seeds {
                    break;
                }
                if let Err(failure) = own.take(seed) {
                    has_failed.store(true, Ordering::Relaxed);
                    own.failure = Some(failure);
                }
            }
            total.lock().expect("no panic").add(own);
        };
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let _ = panic::take_hook();
        let mut total = total.into_inner().expect("no panic");
        total.took = begun.elapsed();
        total
    }

    fn take(&mut self, seed: u64) -> Result<(), Failure> {
        let report = run(seed, &Cuts::default(), false)?;
        if seed.is_multiple_of(TWICE_EVERY) {
            let again = run(seed, &Cuts::default(), false)?;
            if again.hash != report.hash {
                let what = "the same seed gives another run".to_owned();
                return Err(Failure { seed, what });
            }
        }
        self.add(Self {
            seeds: 1,
            steps: report.steps,
            counts: report.counts,
            ..Self::default()
        });
        Ok(())
    }

    fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        for (what, count) in other.counts {
            *self.counts.entry(what).or_default() += count;
        }
        self.failure = self.failure.take().or(other.failure);
    }
}

/// A seed that fails.
#[derive(Clone, Debug)]
pub struct Found {
    /// Seeds that were run, this one included.
    pub seeds: u64,
    /// The failure.
    pub failure: Failure,
}

/// Runs those seeds from `first` on that are `wanted`, on the calling thread, until one fails: at most `seeds`.
#[must_use]
pub fn find(first: u64, wanted: fn(u64) -> bool, seeds: u64) -> Option<Found> {
    let failed = |(place, seed): (usize, u64)| {
        let failure = run(seed, &Cuts::default(), false).err()?;
        let seeds = place as u64 + 1;
        Some(Found { seeds, failure })
    };
    let all = (first..).filter(|seed| wanted(*seed)).enumerate();
    all.take(seeds as usize).find_map(failed)
}

/// Returns the largest cuts with which `seed` still fails: first kinds of steps are left out, then requests.
#[must_use]
pub fn shrink(seed: u64) -> Cuts {
    let fails = |cuts: &Cuts| run(seed, cuts, false).is_err();
    let mut cuts = Cuts::default();
    for name in Weights::OPTIONAL {
        let mut fewer = cuts.clone();
        fewer.without.push(name.to_owned());
        if fails(&fewer) {
            cuts = fewer;
        }
    }
    let (mut low, mut high) = (0, 1024);
    while low < high {
        let middle = (low + high) / 2;
        let fewer = Cuts {
            requests: Some(middle),
            ..cuts.clone()
        };
        match fails(&fewer) {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    let fewest = Cuts {
        requests: Some(low),
        ..cuts.clone()
    };
    if fails(&fewest) { fewest } else { cuts }
}
