//! How long a start or a stop takes, step by step.

use std::sync::Arc;

use crate::env::Clock;

/// The steps of a start, or of a stop.
pub(super) struct StartupPhases {
    clock: Arc<dyn Clock>,
    began_us: u64,
    step: &'static str,
    step_began_us: u64,
}

impl StartupPhases {
    /// Begins, with the first step.
    pub(super) fn begin(clock: &Arc<dyn Clock>, step: &'static str) -> Self {
        let now_us = clock.monotonic_us();
        Self {
            clock: Arc::clone(clock),
            began_us: now_us,
            step,
            step_began_us: now_us,
        }
    }

    /// Goes on with the next step.
    pub(super) fn next(&mut self, step: &'static str) {
        self.step = step;
        self.step_began_us = self.clock.monotonic_us();
    }

    /// The step that is being done.
    pub(super) fn step(&self) -> &'static str {
        self.step
    }

    /// Since when it has all been going on, in microseconds of the monotonic clock.
    pub(super) fn began_us(&self) -> u64 {
        self.began_us
    }

    /// How long the step has taken so far, in milliseconds.
    pub(super) fn took_ms(&self) -> u64 {
        self.since_ms(self.step_began_us)
    }

    /// How long all steps have taken so far, in milliseconds.
    pub(super) fn all_took_ms(&self) -> u64 {
        self.since_ms(self.began_us)
    }

    fn since_ms(&self, then_us: u64) -> u64 {
        self.clock.monotonic_us().saturating_sub(then_us) / 1000
    }
}
