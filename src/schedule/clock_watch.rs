//! The watch of the wall clock on a server that does nothing by it yet but remove what is old.

use std::sync::Arc;

use super::jump::JumpWatch;
use crate::sale::Engine;

/// Tells the engine of a standby whether its wall clock is to be believed, as the [`Agenda`](super::Agenda) of a server that sells does.
pub struct ClockWatch {
    engine: Arc<Engine>,
    jumps: JumpWatch,
}

impl ClockWatch {
    /// Creates the watch of a start, by which the clock is not believed before it has gone on evenly for a while.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        let jumps = JumpWatch::from_start(engine.clock().steady(), false);
        engine.believe_clock(None);
        Self { engine, jumps }
    }

    /// Reads the clocks, which is to be done again and again.
    pub fn read(&mut self) {
        self.jumps.read(self.engine.clock());
        self.engine.believe_clock(self.jumps.believed_ahead_us());
    }
}
