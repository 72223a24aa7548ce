//! What the server knows about itself: latency by route and outcome, connections, and whether the
//! sinks answer. Every worker writes to its own part; whoever reads merges them.

mod label;
mod latency;
mod registry;
mod sinks;

pub use label::{Outcome, Route};
pub use latency::{LatencySummary, LatencyTable};
pub use registry::{ConnectionFigures, Registry, WorkerTelemetry};
pub use sinks::{SinkFigures, SinkGauge, SinkStatus, Sinks};
