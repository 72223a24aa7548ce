//! The pace of work in the background, on the disk that carries the journal and beside the threads that sell: small pieces,
//! and behind each a pause that depends on how long the piece took.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::env::{Clock, DiskFile};
use crate::limits;

/// The haste of the work, as seen between two pieces of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Somebody waits for the work: no pause.
    Urgent,
    /// The journal has nothing to write at the moment.
    Calm,
    /// Records wait for the disk.
    Yielding,
}

impl Haste {
    /// Returns the pause behind a piece that took `busy`.
    fn pause(self, busy: Duration) -> Duration {
        let ratio = match self {
            Self::Urgent => 0,
            Self::Calm => 1,
            Self::Yielding => limits::PACED_PAUSE_RATIO,
        };
        let longest = Duration::from_millis(limits::PACED_PAUSE_MS_MAX);
        busy.saturating_mul(ratio).min(longest)
    }
}

/// Divides work into pieces of [`limits::PACED_PIECE_BYTES`] and pauses between them. All pauses of one work together
/// are bounded, so that it ends whatever the load is.
pub struct Pacer {
    pace: Option<Pace>,
}

struct Pace {
    clock: Arc<dyn Clock>,
    haste: Box<dyn Fn() -> Haste + Send + Sync>,
    pause: Box<dyn Fn(Duration) + Send + Sync>,
    pauses_max: Duration,
    work: Mutex<PacedWork>,
}

/// The work that is being done.
#[derive(Default)]
struct PacedWork {
    /// When the current piece began, in nanoseconds of the steady clock.
    began_ns: u64,
    /// Bytes of it.
    bytes: u64,
    /// All pauses so far.
    paused: Duration,
}

impl Pacer {
    /// Creates a pacer that never pauses and leaves the time of writing to the kernel: for a start, which somebody waits for.
    #[must_use]
    pub fn full_speed() -> Self {
        Self { pace: None }
    }

    /// Creates a pacer that asks `haste` behind each piece and calls `pause` with the time to wait, which may return early;
    /// with pauses of at most `pauses_max` for one work.
    #[must_use]
    pub fn new(
        clock: Arc<dyn Clock>,
        haste: impl Fn() -> Haste + Send + Sync + 'static,
        pause: impl Fn(Duration) + Send + Sync + 'static,
        pauses_max: Duration,
    ) -> Self {
        Self {
            pace: Some(Pace {
                clock,
                haste: Box::new(haste),
                pause: Box::new(pause),
                pauses_max,
                work: Mutex::default(),
            }),
        }
    }

    /// Begins a new work, which has all its pauses before it.
    pub fn begin(&self) {
        if let Some(pace) = &self.pace {
            *pace.work.lock() = PacedWork {
                began_ns: pace.clock.monotonic_ns(),
                ..PacedWork::default()
            };
        }
    }

    /// Writes all of `bytes` at `offset`, each piece handed to the disk before the next.
    ///
    /// # Errors
    /// As the operating system says; a part may have been written.
    pub fn write_at(&self, file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        let Some(pace) = &self.pace else {
            return file.write_at(bytes, offset);
        };
        let mut offset = offset;
        for piece in bytes.chunks(limits::PACED_PIECE_BYTES) {
            let length = piece.len() as u64;
            file.write_at(piece, offset)?;
            file.write_out(offset, length)?;
            offset += length;
            pace.note(length);
        }
        Ok(())
    }

    /// Notes that `bytes` were read or written, and pauses where a piece is full.
    pub fn note_bytes(&self, bytes: u64) {
        if let Some(pace) = &self.pace {
            pace.note(bytes);
        }
    }

    /// Notes an operation that counts as a piece whatever its length is, as a sync, and pauses.
    pub fn note_piece(&self) {
        self.note_bytes(limits::PACED_PIECE_BYTES as u64);
    }
}

impl Pace {
    fn note(&self, bytes: u64) {
        let mut work = self.work.lock();
        work.bytes += bytes;
        if work.bytes < limits::PACED_PIECE_BYTES as u64 {
            return;
        }
        let ended_ns = self.clock.monotonic_ns();
        let busy = Duration::from_nanos(ended_ns.saturating_sub(work.began_ns));
        let left = self.pauses_max.saturating_sub(work.paused);
        let pause = (self.haste)().pause(busy).min(left);
        if !pause.is_zero() {
            (self.pause)(pause);
        }
        work.bytes = 0;
        work.began_ns = self.clock.monotonic_ns();
        // As asked for: a pause that was cut short is the last one that matters.
        work.paused += pause;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::env::{Disk, ManualClock, OpenMode, SimulatedDisk};
    use crate::types::Timestamp;

    const MS: Duration = Duration::from_millis(1);
    const PIECE: u64 = limits::PACED_PIECE_BYTES as u64;

    /// A pacer whose pauses are noted, and take no time.
    fn noting(
        haste: Haste,
        pauses_max: Duration,
    ) -> (Arc<ManualClock>, Arc<Mutex<Vec<Duration>>>, Pacer) {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let pauses = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&pauses);
        let note = move |pause| noted.lock().push(pause);
        let pacer = Pacer::new(clock.clone(), move || haste, note, pauses_max);
        (clock, pauses, pacer)
    }

    #[test]
    fn a_pause_depends_on_the_piece_before_it_and_on_who_waits() {
        assert_eq!(Haste::Urgent.pause(9 * MS), Duration::ZERO);
        assert_eq!(Haste::Calm.pause(2 * MS), 2 * MS);
        let ratio = limits::PACED_PAUSE_RATIO;
        assert_eq!(Haste::Yielding.pause(MS / 10), ratio * MS / 10);
        let longest = Duration::from_millis(limits::PACED_PAUSE_MS_MAX);
        for haste in [Haste::Calm, Haste::Yielding] {
            assert_eq!(haste.pause(Duration::MAX), longest);
        }
    }

    #[test]
    fn a_pause_follows_each_full_piece() {
        let (clock, pauses, pacer) = noting(Haste::Calm, Duration::MAX);
        pacer.begin();
        clock.advance_us(1000);
        pacer.note_bytes(PIECE - 1);
        assert!(pauses.lock().is_empty(), "the piece is not full");
        clock.advance_us(1000);
        pacer.note_bytes(1);
        clock.advance_us(3000);
        pacer.note_piece();
        assert_eq!(*pauses.lock(), [2 * MS, 3 * MS]);
    }

    #[test]
    fn the_pauses_of_a_work_are_bounded_so_that_it_ends() {
        let (clock, pauses, pacer) = noting(Haste::Calm, 5 * MS);
        for expected in [2, 4] {
            pacer.begin();
            for _ in 0..10 {
                clock.advance_us(3000);
                pacer.note_piece();
            }
            let noted = pauses.lock();
            assert_eq!(noted.len(), expected);
            assert_eq!(noted[expected - 2..], [3 * MS, 2 * MS]);
        }
    }

    #[test]
    fn urgent_work_is_never_held_up() {
        let (clock, pauses, pacer) = noting(Haste::Urgent, Duration::MAX);
        for _ in 0..10 {
            clock.advance_us(3000);
            pacer.note_piece();
        }
        assert!(pauses.lock().is_empty());
    }

    #[test]
    fn paced_bytes_are_those_of_full_speed() {
        let disk = SimulatedDisk::new();
        let bytes: Vec<u8> = (0..3 * PIECE + 77).map(|at| (at % 251) as u8).collect();
        let (_, _, paced) = noting(Haste::Yielding, Duration::MAX);
        let [fast, slow] = ["fast", "slow"].map(Path::new);
        for (path, pacer) in [(fast, &Pacer::full_speed()), (slow, &paced)] {
            let file = disk.open(path, OpenMode::Create).expect("room");
            pacer.write_at(&*file, &bytes, 13).expect("room");
        }
        assert_eq!(disk.contents(fast), disk.contents(slow));
    }
}
