//! Time, as the engine sees it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
#[cfg(feature = "otel")]
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::types::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The wall clock: what sale times are compared with. It may jump.
    fn now(&self) -> Timestamp;

    /// Returns the wall clock's time at the start plus the time since, also while the machine slept:
    /// for durations whose end is written down as a time. It does not jump, and never goes back.
    fn steady(&self) -> Timestamp;

    /// Nanoseconds since an arbitrary moment; never goes back. For durations.
    fn monotonic_ns(&self) -> u64;

    /// Returns the monotonic time in whole microseconds.
    fn monotonic_us(&self) -> u64 {
        self.monotonic_ns() / 1000
    }
}

/// Returns the output of `answer`; `None` when it takes longer than `patience`. Must be awaited inside of a runtime
/// that has timers.
pub async fn within<T>(patience: Duration, answer: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(patience, answer).await.ok()
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started_ns: u64,
    /// The wall clock when the time since the boot was zero.
    steady_zero: Timestamp,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started_ns: running_ns(),
            steady_zero: Timestamp(wall_us() - since_boot_us()),
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
        Timestamp(wall_us())
    }

    fn steady(&self) -> Timestamp {
        Timestamp(self.steady_zero.0 + since_boot_us())
    }

    fn monotonic_ns(&self) -> u64 {
        running_ns() - self.started_ns
    }
}

// The clocks are read without the types of the standard library, by way of which each of the several readings of a
// request would cost about three times the instructions.

/// Nanoseconds of the monotonic clock, which never goes back.
fn running_ns() -> u64 {
    let since = clock_gettime(ClockId::Monotonic);
    since.tv_sec.cast_unsigned() * 1_000_000_000 + since.tv_nsec.cast_unsigned()
}

pub(super) fn wall_us() -> i64 {
    micros_of(ClockId::Realtime)
}

fn micros_of(clock: ClockId) -> i64 {
    let since = clock_gettime(clock);
    since.tv_sec.max(0) * 1_000_000 + since.tv_nsec / 1_000
}

/// A time as other libraries take it.
#[cfg(feature = "otel")]
#[must_use]
pub fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(at.0.max(0).cast_unsigned())
}

/// Unlike `Instant`'s clock, this one does not stop while the machine sleeps.
pub(super) fn since_boot_us() -> i64 {
    micros_of(ClockId::Boottime)
}

/// A clock that moves only when it is told to, so that a run can be repeated exactly.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_us: AtomicI64,
    steady_us: AtomicI64,
    /// The time that the machine has slept.
    slept_us: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            now_us: AtomicI64::new(now.0),
            steady_us: AtomicI64::new(now.0),
            slept_us: AtomicI64::new(0),
        }
    }

    /// Lets time pass until it is `now` by the wall clock, which may not be earlier than it was.
    pub fn set(&self, now: Timestamp) {
        self.advance_us(now.0 - self.now().0);
    }

    /// Lets `micros` pass.
    pub fn advance_us(&self, micros: i64) {
        assert!(micros >= 0, "time does not go back; the wall clock jumps");
        self.now_us.fetch_add(micros, Ordering::SeqCst);
        self.steady_us.fetch_add(micros, Ordering::SeqCst);
    }

    /// Lets the machine sleep for `micros`: the monotonic clock stands still meanwhile.
    pub fn sleep_us(&self, micros: i64) {
        self.slept_us.fetch_add(micros, Ordering::SeqCst);
        self.advance_us(micros);
    }

    /// Sets the wall clock, forward or back, while no time passes.
    pub fn jump_to(&self, now: Timestamp) {
        self.now_us.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_us.load(Ordering::SeqCst))
    }

    fn steady(&self) -> Timestamp {
        Timestamp(self.steady_us.load(Ordering::SeqCst))
    }

    fn monotonic_ns(&self) -> u64 {
        let awake_us = self.steady().0 - self.slept_us.load(Ordering::SeqCst);
        u64::try_from(awake_us).unwrap_or(0) * 1000
    }
}
