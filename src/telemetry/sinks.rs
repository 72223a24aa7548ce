//! Whether Postgres and Redis answer, as whoever feeds them last saw it.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Whether a sink answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SinkStatus {
    /// Not configured.
    Disabled,
    /// It answers.
    Up,
    /// It is configured and does not answer. The sale goes on.
    Down,
}

/// The state of every sink. Off until somebody says otherwise.
#[derive(Debug, Default)]
pub struct Sinks {
    /// Postgres.
    pub database: SinkGauge,
    /// Redis.
    pub redis: SinkGauge,
}

/// The state of one sink, which its feeder sets and `/health` reads.
#[derive(Debug, Default)]
pub struct SinkGauge(AtomicU8);

impl SinkGauge {
    /// What was set last; [`SinkStatus::Disabled`] before that.
    #[must_use]
    pub fn get(&self) -> SinkStatus {
        match self.0.load(Relaxed) {
            0 => SinkStatus::Disabled,
            1 => SinkStatus::Up,
            _ => SinkStatus::Down,
        }
    }

    /// Sets the state.
    pub fn set(&self, status: SinkStatus) {
        self.0.store(status as u8, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_shows_what_was_set() {
        let gauge = SinkGauge::default();
        assert_eq!(gauge.get(), SinkStatus::Disabled);
        for status in [SinkStatus::Up, SinkStatus::Down, SinkStatus::Disabled] {
            gauge.set(status);
            assert_eq!(gauge.get(), status);
        }
    }
}
