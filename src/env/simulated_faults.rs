//! The faults of a simulated disk.

use std::io;
use std::sync::Arc;

use super::ManualClock;

/// The faults that were asked for.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) capacity_bytes: Option<u64>,
    pub(super) syncs_until_failure: Option<u64>,
    pub(super) writes_until_failure: Option<u64>,
    /// The operations until the power fails, and the seed that decides what survives.
    pub(super) power: Option<(u64, u64)>,
    /// The time that a sync takes, in microseconds.
    pub(super) latency: Option<(Arc<ManualClock>, i64)>,
    /// The time that the machine sleeps in the middle of the next sync, in microseconds.
    pub(super) sleep: Option<(Arc<ManualClock>, i64)>,
    pub(super) copies_on_write: bool,
    pub(super) holds_syncs: bool,
    pub(super) syncs_find_no_room: bool,
    pub(super) has_async_writers: bool,
    /// How often a write that is on its way is asked for in vain, but for the first time.
    pub(super) write_delays: u32,
    pub(super) next_write_is_short: bool,
}

impl Faults {
    pub(super) fn is_sync_due(&mut self) -> bool {
        is_due(&mut self.syncs_until_failure)
    }

    pub(super) fn is_write_due(&mut self) -> bool {
        is_due(&mut self.writes_until_failure)
    }

    /// Returns the seed of the power failure that comes before this operation, once.
    pub(super) fn due_power_failure(&mut self) -> Option<u64> {
        let (operations, _) = self.power.as_mut()?;
        if *operations > 0 {
            *operations -= 1;
            return None;
        }
        self.power.take().map(|(_, seed)| seed)
    }

    /// Lets the time of a sync pass.
    pub(super) fn take_time(&mut self) {
        if let Some((clock, micros)) = &self.latency {
            clock.advance_us(*micros);
        }
        if let Some((clock, micros)) = self.sleep.take() {
            clock.sleep_us(micros);
        }
    }
}

/// Counts a fault down; true when it is due.
fn is_due(countdown: &mut Option<u64>) -> bool {
    match countdown {
        Some(0) => true,
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}

pub(super) fn injected(what: &str) -> io::Error {
    io::Error::other(format!("injected {what} failure"))
}
