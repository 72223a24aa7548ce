//! Log lines about a commit that does not return, and about its return.

use std::time::Duration;

/// The stall that was logged, so that each is logged once.
#[derive(Debug, Default)]
pub(super) struct StallReport {
    /// When the stalled commit began, by the monotonic clock, in microseconds.
    since_us: Option<u64>,
}

impl StallReport {
    /// Logs a commit that has `stalled` for this long, or that a stalled one has returned.
    pub(super) fn update(&mut self, stalled: Option<Duration>, now_us: u64) {
        match (stalled, self.since_us) {
            (Some(took), None) => {
                self.since_us = Some(now_us.saturating_sub(took.as_micros() as u64));
                tracing::warn!(
                    took_seconds = took.as_secs(),
                    "the disk of the journal does not answer: a commit has not come back; not ready until it has"
                );
            }
            (None, Some(since_us)) => {
                self.since_us = None;
                let took = Duration::from_micros(now_us.saturating_sub(since_us));
                tracing::warn!(
                    took_seconds = took.as_secs(),
                    "the disk of the journal answers again: the commit took about that long"
                );
            }
            _ => {}
        }
    }
}
