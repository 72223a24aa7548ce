//! Times of the stages of one request.

use crate::env::Clock;
use crate::telemetry::{Stage, WorkerTelemetry};

/// Measures the time from the head of a request to its answer, and of the stages in between.
pub(super) struct Stopwatch<'a> {
    clock: &'a dyn Clock,
    telemetry: &'a WorkerTelemetry,
    started_ns: u64,
    lap_ns: u64,
    #[cfg(feature = "otel")]
    laps: super::trace::Laps,
}

impl<'a> Stopwatch<'a> {
    /// Starts now.
    pub(super) fn start(clock: &'a dyn Clock, telemetry: &'a WorkerTelemetry) -> Self {
        let now_ns = clock.monotonic_ns();
        Self {
            clock,
            telemetry,
            started_ns: now_ns,
            lap_ns: now_ns,
            #[cfg(feature = "otel")]
            laps: super::trace::Laps::default(),
        }
    }

    /// The time of the last reading of the clock, in nanoseconds.
    pub(super) fn last_read_ns(&self) -> u64 {
        self.lap_ns
    }

    /// Leaves out the time since the end of the last stage.
    pub(super) fn skip(&mut self) {
        self.lap_ns = self.clock.monotonic_ns();
    }

    /// Records the time since the end of the last stage as `stage`.
    pub(super) fn lap(&mut self, stage: Stage) {
        let before_ns = self.lap_ns;
        self.skip();
        let took_ns = self.lap_ns.saturating_sub(before_ns);
        self.telemetry.record_stage(stage, took_ns);
        #[cfg(feature = "otel")]
        self.laps.push((stage, took_ns));
    }

    /// The stages that were recorded, with their times in nanoseconds.
    #[cfg(feature = "otel")]
    pub(super) fn laps(&self) -> &super::trace::Laps {
        &self.laps
    }

    /// The nanoseconds since the start.
    pub(super) fn total_ns(&self) -> u64 {
        self.clock.monotonic_ns().saturating_sub(self.started_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::ManualClock;
    use crate::telemetry::{Series, TelemetryRegistry};

    #[test]
    fn stages_follow_each_other() {
        let (clock, registry) = (ManualClock::default(), TelemetryRegistry::new());
        let worker = registry.add_worker();
        let mut watch = Stopwatch::start(&clock, &worker);
        clock.advance_us(5);
        watch.lap(Stage::Parse);
        clock.advance_us(100);
        watch.skip();
        clock.advance_us(7);
        watch.lap(Stage::Decide);
        let merged = registry.merged();
        let sum = |stage| merged.of(Series::Stage(stage)).sum();
        assert_eq!((sum(Stage::Parse), sum(Stage::Decide)), (5_000, 7_000));
        assert_eq!(watch.total_ns(), 112_000);
    }
}
