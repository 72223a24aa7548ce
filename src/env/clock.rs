//! Time, as the engine sees it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::types::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The wall clock: what sale times are compared with. It may jump.
    fn now(&self) -> Timestamp;

    /// Microseconds since an arbitrary moment; never goes back. For durations.
    fn monotonic_us(&self) -> u64;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn monotonic_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// A clock that moves only when it is told to, so that a run can be repeated exactly.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_us: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            now_us: AtomicI64::new(now.0),
        }
    }

    /// Sets the time, forward or back.
    pub fn set(&self, now: Timestamp) {
        self.now_us.store(now.0, Ordering::SeqCst);
    }

    /// Moves the time by `micros`.
    pub fn advance_us(&self, micros: i64) {
        self.now_us.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_us.load(Ordering::SeqCst))
    }

    fn monotonic_us(&self) -> u64 {
        u64::try_from(self.now_us.load(Ordering::SeqCst)).unwrap_or(0)
    }
}
