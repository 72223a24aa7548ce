//! What happens by the clock: sales open and close on the boundaries of the interval, and holds run
//! out.
//!
//! **Invariant.** Everything here is asked of the wall clock again each time, and is done at most once
//! however often it is asked: a clock that jumps, or a start after a long stop, only makes it earlier
//! or later.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::sale::{CreateError, Engine, NewCatalogue, NewSale};
use crate::sync::{Condvar, Mutex};
use crate::types::{Lsn, Timestamp};

/// The longest time between two looks at the clock, which may jump.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long before its start a sale is prepared, at most.
const AHEAD_SECONDS_MAX: u32 = 5;

/// The sale of every interval.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Length of an interval, in seconds. Intervals are counted from 1970, so that hours begin on
    /// the hour.
    pub interval_seconds: u32,
    /// Items of each sale.
    pub item_count: u32,
    /// Units that one user may buy.
    pub max_items_per_user: u32,
    /// How long a checkout holds its units; 0 for not at all.
    pub hold_seconds: u32,
    /// With the sale's start, determines the items.
    pub seed: u64,
}

impl Rotation {
    /// When the interval that `now` lies in begins.
    #[must_use]
    pub fn start_of(&self, now: Timestamp) -> Timestamp {
        let interval = i64::from(self.interval_seconds);
        Timestamp::from_seconds(now.seconds().div_euclid(interval) * interval)
    }

    /// Sees to it that the sale of the current interval exists, and the next one shortly before its
    /// start. The record of the last one created, if any was.
    ///
    /// # Errors
    /// A sale could not be created; ask again.
    pub fn run(&self, engine: &Engine) -> Result<Option<Lsn>, CreateError> {
        let now = engine.clock().now();
        let ahead = now.plus_seconds((self.interval_seconds / 2).min(AHEAD_SECONDS_MAX));
        let current = self.ensure(engine, self.start_of(now))?;
        let next = self.ensure(engine, self.start_of(ahead))?;
        Ok(next.or(current))
    }

    fn ensure(&self, engine: &Engine, start: Timestamp) -> Result<Option<Lsn>, CreateError> {
        let end = start.plus_seconds(self.interval_seconds);
        let mut sales = engine.sales().into_iter();
        if sales.any(|sale| sale.started_at() == start && sale.ended_at() == end) {
            return Ok(None);
        }
        let decision = engine.create_sale(&NewSale {
            started_at: start,
            ended_at: end,
            max_items_per_user: self.max_items_per_user,
            hold_seconds: self.hold_seconds,
            catalogue: NewCatalogue::Generated {
                item_count: self.item_count,
                seed: self.seed ^ start.seconds().cast_unsigned(),
            },
        })?;
        let sale = decision.outcome;
        tracing::info!(sale = %sale.id(), from = %start, until = %end, "sale created");
        Ok(decision.lsn)
    }
}

/// The thread that looks at the clock.
pub struct Scheduler {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Scheduler {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub fn start(engine: Arc<Engine>, rotation: Rotation) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let run = move || {
            let mut failing = false;
            while for_thread.wait(until_next(&engine, &rotation)) {
                tick(&engine, &rotation, &mut failing);
            }
        };
        Ok(Self {
            shared,
            thread: Builder::new().name("schedule".into()).spawn(run)?,
        })
    }

    /// Ends the thread; returns when it has ended.
    pub fn stop(self) {
        *self.shared.stopped.lock() = true;
        self.shared.changed.notify_all();
        let _ = self.thread.join();
    }
}

impl Shared {
    /// Waits for `at_most`; false once the scheduler is to stop.
    fn wait(&self, at_most: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.changed.wait_for(&mut stopped, at_most);
        }
        !*stopped
    }
}

/// Does what is due. A failure is logged once until it is over.
fn tick(engine: &Engine, rotation: &Rotation, failing: &mut bool) {
    engine.release_expired();
    match rotation.run(engine) {
        Ok(_) => *failing = false,
        Err(error) if !*failing => {
            *failing = true;
            tracing::error!("no new sale: {error}; trying again");
        }
        Err(_) => {}
    }
    engine.close_ended();
}

fn until_next(engine: &Engine, rotation: &Rotation) -> Duration {
    let now = engine.clock().now();
    let boundary = rotation
        .start_of(now)
        .plus_seconds(rotation.interval_seconds);
    let next = engine
        .next_expiry()
        .map_or(boundary, |expiry| expiry.min(boundary));
    let micros = next.0.saturating_sub(now.0).max(1_000).cast_unsigned();
    Duration::from_micros(micros).min(LOOK_EVERY)
}
