//! What a follower needs of a sink.

use std::time::Duration;

use super::error::SinkError;
use super::progress::CatchUpProgress;
use super::source::RecordSource;
use super::watermark::Watermark;
use crate::record::{Entry, Undecodable};
use crate::types::Lsn;

/// Records on their way into a sink, in the sink's own form.
pub trait SinkBatch {
    /// Adds the next record; `false` when it must come first in a batch of its own, and this one be
    /// applied before.
    ///
    /// # Errors
    /// This build cannot decode the record.
    fn push(&mut self, entry: &Entry<'_>) -> Result<bool, Undecodable>;
}

/// A place that the journal is projected to. A future that is dropped leaves the sink as it was or
/// as it will be, never in between; [`Sink::open`] finds out which.
#[allow(async_fn_in_trait, reason = "a follower stays on its own thread")]
pub trait Sink {
    /// What it takes.
    type Batch: SinkBatch;

    /// What it is called in the log.
    fn name(&self) -> &'static str;

    /// Where it is, for the log of whoever runs the server: host and port, and no secret.
    fn address(&self) -> String;

    /// What helps where it holds records of another journal, or of a newer state of this one; empty where
    /// that is said elsewhere.
    fn remedy(&self) -> &'static str {
        ""
    }

    /// The time from one look at the journal to the next while there is less than a batch: what comes in
    /// between goes together. Long enough that a transaction for each look costs nobody anything.
    fn pace(&self) -> Duration;

    /// Connects anew, prepares what has to be there, and says how far the sink is.
    async fn open(&mut self) -> Result<Watermark, SinkError>;

    /// How far the sink is. Asked while there is nothing to do, so that a loss does not go unnoticed.
    async fn watermark(&mut self) -> Result<Watermark, SinkError>;

    /// Checks whether what a sink holds that is at `found` adds up: after every connect, and whenever its
    /// watermark was another than expected. Where it does not, the sink sees to it that nobody trusts it,
    /// and returns [`Watermark::ZERO`]: then it is filled again.
    async fn audit(&mut self, found: Watermark) -> Result<Watermark, SinkError> {
        Ok(found)
    }

    /// Makes the sink ready to be filled from the beginning, or from a snapshot where the journal no
    /// longer begins at its first record. `found` is what it said last, and `held` the last record that it was
    /// known to hold. The sink logs why it is filled and from where, and tells `progress` of what takes
    /// long.
    async fn start_over(
        &mut self,
        source: &RecordSource,
        found: Watermark,
        held: Lsn,
        progress: &mut CatchUpProgress,
    ) -> Result<Watermark, SinkError>;

    /// An empty batch, to be filled behind what was applied last.
    fn batch(&self) -> Self::Batch;

    /// Applies the batch and moves the watermark from `from` to `to`, both or neither.
    ///
    /// # Errors
    /// [`SinkError::Moved`] when the watermark is not `from`; nothing was applied then.
    async fn apply(
        &mut self,
        batch: Self::Batch,
        from: Watermark,
        to: Watermark,
    ) -> Result<(), SinkError>;
}
