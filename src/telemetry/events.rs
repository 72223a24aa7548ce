//! Figures of those who read events.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The readers of events, which their feed sets and operators read.
#[derive(Debug, Default)]
pub struct EventGauge {
    streams: AtomicU64,
    waiting: AtomicU64,
    sent: AtomicU64,
    lag: AtomicU64,
}

/// Figures of the readers of events at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct EventFigures {
    /// Streams that are open.
    pub streams: u64,
    /// Requests that wait for an event.
    pub waiting: u64,
    /// Events that readers were given since the start.
    pub sent: u64,
    /// Acknowledged records that the slowest stream has not got to.
    pub lag_records: u64,
}

impl EventGauge {
    /// Sets the numbers of streams and of waiting requests.
    pub fn set_readers(&self, streams: usize, waiting: usize) {
        self.streams.store(streams as u64, Relaxed);
        self.waiting.store(waiting as u64, Relaxed);
        if streams == 0 {
            self.set_lag(0);
        }
    }

    /// Counts events that a reader was given.
    pub fn add_sent(&self, events: usize) {
        self.sent.fetch_add(events as u64, Relaxed);
    }

    /// Sets by how many records the slowest stream is behind.
    pub fn set_lag(&self, records: u64) {
        self.lag.store(records, Relaxed);
    }

    /// Returns the figures of now.
    #[must_use]
    pub fn figures(&self) -> EventFigures {
        EventFigures {
            streams: self.streams.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            sent: self.sent.load(Relaxed),
            lag_records: self.lag.load(Relaxed),
        }
    }
}
