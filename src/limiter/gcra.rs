//! The generic cell rate algorithm, for a few clients in one cache line.
//!
//! Of a client one moment is kept: until when what it has done lasts, if each arrival takes the time that the rate leaves for one.
//! It may lie so far ahead as a whole burst takes. Once it has passed, the client is as good as one that never came, and its cell
//! is free: nothing has to be removed.

use crate::limits::{LIMIT_BURST_MAX, LIMIT_CELLS};
use crate::planted::{Slip, is_planted};
use crate::sync::{AtomicU64, Ordering};
use crate::types::RateLimit;

/// Nanoseconds of a tick, as a shift: 64 ns.
const TICK_SHIFT: u32 = 6;
const TICKS_PER_SECOND: u64 = 1_000_000_000 >> TICK_SHIFT;
/// Bits of a moment in a cell. It counts from nowhere and wraps around within two weeks, which does not matter: moments that are
/// compared are never so far apart, or are those of a client who is long gone.
const MOMENT_BITS: u32 = 44;
const MOMENT_MASK: u64 = (1 << MOMENT_BITS) - 1;
/// Bits of the tag, which tells the clients of a set apart.
pub const TAG_BITS: u32 = 64 - MOMENT_BITS;
/// How far behind others the clock reading of a request may be: it is read when the request begins.
const SLACK: u64 = TICKS_PER_SECOND;

const _: () = assert!(LIMIT_BURST_MAX as u64 * TICKS_PER_SECOND + SLACK < MOMENT_MASK / 2);

/// A limit, in ticks.
#[derive(Clone, Copy, Debug)]
pub struct ArrivalRate {
    /// The time that one arrival takes.
    interval: u64,
    /// The time that a whole burst takes.
    window: u64,
}

impl ArrivalRate {
    /// Converts `limit`.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        let interval = TICKS_PER_SECOND.div_ceil(u64::from(limit.per_second));
        Self {
            interval,
            window: interval * u64::from(limit.burst),
        }
    }
}

/// The clients whose hashes fall together: a tag and a moment each. All cells are in one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub struct RateSet([AtomicU64; LIMIT_CELLS]);

impl Default for RateSet {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl RateSet {
    /// Counts an arrival of the client `tag` at `now_ns`, if the rate allows it.
    ///
    /// Where all cells are in use by others, the client takes that of the one who has least on it, which is then forgotten: nobody
    /// is ever refused for what others do.
    ///
    /// # Errors
    /// Returns the nanoseconds after which it would.
    pub fn arrive(&self, tag: u64, now_ns: u64, rate: ArrivalRate) -> Result<(), u64> {
        let now = now_ns >> TICK_SHIFT;
        loop {
            let (cell, seen, ahead) = self.find(tag, now, rate);
            let ahead = ahead + rate.interval;
            if ahead > rate.window {
                return Err((ahead - rate.window) << TICK_SHIFT);
            }
            let next = tag << MOMENT_BITS | now.wrapping_add(ahead) & MOMENT_MASK;
            if is_planted(Slip::CountsArrivalsApart) {
                cell.store(next, Ordering::Relaxed);
                return Ok(());
            }
            // Nothing else is read by what is in the cell. Where it has changed, another arrival was counted meanwhile.
            let exchanged = cell.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed);
            if exchanged.is_ok() {
                return Ok(());
            }
        }
    }

    /// Returns the cell for the client `tag`, what is in it, and how far ahead of `now` the client is.
    fn find(&self, tag: u64, now: u64, rate: ArrivalRate) -> (&AtomicU64, u64, u64) {
        let (mut least, mut found) = (u64::MAX, None);
        for cell in &self.0 {
            let seen = cell.load(Ordering::Relaxed);
            let ahead = ahead(seen, now, rate);
            if seen >> MOMENT_BITS == tag && ahead > 0 {
                return (cell, seen, ahead);
            }
            if ahead < least {
                (least, found) = (ahead, Some((cell, seen)));
            }
        }
        let (cell, seen) = found.expect("a set has cells");
        (cell, seen, 0)
    }
}

/// Returns how far the moment in a cell is ahead of `now`; 0 where it has passed.
fn ahead(cell: u64, now: u64, rate: ArrivalRate) -> u64 {
    let ahead = cell.wrapping_sub(now) & MOMENT_MASK;
    if ahead > rate.window + SLACK {
        0
    } else {
        ahead
    }
}
