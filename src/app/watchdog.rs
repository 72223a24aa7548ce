//! Whether the server still turns over, for a watchdog that restarts it when it does not.

use std::fmt;
use std::time::Duration;

use crate::limits::JOURNAL_STILL_SECONDS;

/// What moves, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerProgress {
    /// How long each worker has been busy since the start, in microseconds. Its loop has something to do
    /// twice a second at least.
    pub(super) workers_busy_us: Vec<u64>,
    /// The newest durable record.
    pub(super) durable_lsn: u64,
    /// Records are on their way to the disk.
    pub(super) writes: bool,
    /// There is no room for the next segment, so that some of them may have to wait for it.
    pub(super) disk_full: bool,
}

/// What stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Still {
    /// This worker, counted from 0.
    Worker(usize),
    /// The journal, although records wait.
    Journal,
}

impl fmt::Display for Still {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(worker) => write!(f, "worker {worker} stands still"),
            Self::Journal => write!(f, "the journal has stood still for too long"),
        }
    }
}

/// Compares each look with the one before.
///
/// A worker may commit, and so wait for the disk in the place of its connections: while the journal does
/// not move, no worker is blamed for that. The journal itself is given far more time than any worker,
/// because a disk that is slow finishes some time, and a restart would not make it faster. Nor would it make
/// room on a full one, and there the journal has all the time it takes.
pub(super) struct Watch {
    last: Option<ServerProgress>,
    /// Looks in a row at which the journal had not moved.
    journal_still_looks: u32,
    journal_still_looks_max: u32,
}

impl Watch {
    /// A watch that looks once in each `pause`.
    pub(super) fn new(pause: Duration) -> Self {
        let patience_ms = u128::from(JOURNAL_STILL_SECONDS) * 1000;
        let looks = patience_ms.div_ceil(pause.as_millis().max(1));
        Self {
            last: None,
            journal_still_looks: 0,
            journal_still_looks_max: u32::try_from(looks).unwrap_or(u32::MAX),
        }
    }

    /// # Errors
    /// Says what has not moved since the last look, or, in the case of the journal, for too long.
    pub(super) fn check(&mut self, now: ServerProgress) -> Result<(), Still> {
        let Some(last) = self.last.replace(now.clone()) else {
            return Ok(());
        };
        if last.writes && now.writes && last.durable_lsn == now.durable_lsn {
            if now.disk_full {
                self.journal_still_looks = 0;
                return Ok(());
            }
            self.journal_still_looks += 1;
            let is_too_long = self.journal_still_looks >= self.journal_still_looks_max;
            return if is_too_long {
                Err(Still::Journal)
            } else {
                Ok(())
            };
        }
        self.journal_still_looks = 0;
        let mut workers = last.workers_busy_us.iter().zip(&now.workers_busy_us);
        match workers.position(|(last, now)| last == now) {
            // It may wait for a write that was the first one since the last look.
            Some(_) if now.writes && last.durable_lsn == now.durable_lsn => Ok(()),
            Some(worker) => Err(Still::Worker(worker)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn signs(workers_busy_us: [u64; 2], durable_lsn: u64, writes: bool) -> ServerProgress {
        ServerProgress {
            workers_busy_us: workers_busy_us.to_vec(),
            durable_lsn,
            writes,
            disk_full: false,
        }
    }

    #[test]
    fn an_idle_server_turns_over() {
        let mut watch = Watch::new(PAUSE);
        for look in 0..1_000 {
            assert_eq!(watch.check(signs([look, look], 5, false)), Ok(()));
        }
    }

    #[test]
    fn a_worker_that_stands_still_is_noticed_while_the_journal_goes_on() {
        let mut watch = Watch::new(PAUSE);
        assert_eq!(watch.check(signs([1, 1], 5, true)), Ok(()));
        assert_eq!(
            watch.check(signs([2, 1], 6, true)),
            Err(Still::Worker(1)),
            "others sell"
        );
        assert_eq!(watch.check(signs([3, 2], 7, true)), Ok(()), "it goes on");
        let still = watch.check(signs([3, 3], 7, false));
        assert_eq!(still, Err(Still::Worker(0)), "nobody sells");
    }

    #[test]
    fn a_slow_disk_is_no_reason_and_a_dead_one_is() {
        let mut watch = Watch::new(PAUSE);
        assert_eq!(watch.check(signs([1, 1], 5, false)), Ok(()));
        // One worker waits for the disk, the other has no buyers.
        let looks = JOURNAL_STILL_SECONDS / PAUSE.as_secs();
        for look in 0..looks {
            assert_eq!(watch.check(signs([1, look], 5, true)), Ok(()), "{look}");
        }
        let still = watch.check(signs([1, looks], 5, true));
        assert_eq!(still, Err(Still::Journal));
        assert_eq!(watch.check(signs([2, 100], 6, true)), Ok(()), "it is back");
    }

    #[test]
    fn a_full_disk_is_no_reason() {
        let mut watch = Watch::new(PAUSE);
        let full = |signs| ServerProgress {
            disk_full: true,
            ..signs
        };
        assert_eq!(watch.check(full(signs([1, 1], 5, true))), Ok(()));
        // One worker waits for the last write that there was room for.
        let looks = 2 * JOURNAL_STILL_SECONDS / PAUSE.as_secs();
        for look in 0..looks {
            assert_eq!(
                watch.check(full(signs([1, look], 5, true))),
                Ok(()),
                "{look}"
            );
        }
        assert_eq!(watch.check(full(signs([2, looks], 5, false))), Ok(()));
        let still = watch.check(full(signs([2, 100], 5, false)));
        assert_eq!(still, Err(Still::Worker(0)), "nothing is written");
    }
}
