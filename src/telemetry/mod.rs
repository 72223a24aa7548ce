//! Figures that the server keeps about itself: latency by route, outcome and stage, connections, and whether the
//! sinks answer. Every worker writes to its own part; whoever reads merges them.
//!
//! **Invariant:** who counts does not wait, allocates nothing but room for an outcome that hardly ever
//! occurs, when it first does, and does not know who reads.

pub mod bucket;
mod build_info;
mod counts;
mod error_log;
mod events;
pub mod hgrm;
mod history;
pub mod hlog;
mod journal_status;
mod label;
mod merged;
mod recorder;
mod refused_connections;
mod registry;
mod series;
mod sinks;
#[cfg(feature = "otel")]
pub mod spans;
mod summary;

pub use build_info::BuildInfo;
pub use counts::Counts;
pub use error_log::ErrorLog;
pub(crate) use error_log::grouped;
pub use events::{EventFigures, EventGauge};
pub use history::{History, Window, Windowed};
pub use journal_status::JournalStatus;
pub use label::{Class, Group, Outcome, Route, Stage, TokenRefusal};
pub use merged::Merged;
pub use recorder::Recorder;
pub use refused_connections::RefusedConnections;
pub use registry::{ConnectionFigures, TelemetryRegistry, WorkerFigures, WorkerTelemetry};
pub use series::Series;
pub use sinks::{SinkFigures, SinkGauge, SinkId, SinkStatus, Sinks};
pub use summary::{LatencySummary, micros, seconds};
