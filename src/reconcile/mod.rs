//! Postgres and Redis as exact projections of the journal, and webhooks, which are told of it.
//!
//! Every configured sink has a [`Follower`]: a thread that reads the journal behind its durable end,
//! makes batches of what it finds, and hands them to the sink in order. The sink keeps the rows and the
//! [`Watermark`] in one transaction, so that what it holds is always exactly the journal up to one
//! record, whatever dies when.
//!
//! **Invariants.** A batch is applied only where the watermark is the one before the batch: nothing is
//! applied twice or left out, and of two who feed one sink one is fenced. The position is the sink's own
//! word, never our memory of it. Nothing here is on the way of a request: a sink that is slow, full or
//! dead costs the sale nothing but journal segments, which are kept until every sink has them.

pub mod postgres;

mod backoff;
mod deadline;
mod error;
mod follower;
mod progress;
pub mod redis;
mod sink;
mod source;
mod verify;
mod watermark;
pub mod webhooks;

pub use error::SinkError;
pub use follower::{Follower, FollowerTools, feed};
pub use progress::CatchUpProgress;
pub use sink::{Sink, SinkBatch};
pub use source::RecordSource;
pub use verify::{Comparison, Mismatches};
pub use watermark::{Applied, Watermark};
