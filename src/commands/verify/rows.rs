//! The records that a database gives back.

use crate::reconcile::postgres::{PostgresRecords, Rebuilt};
use crate::reconcile::{SinkError, Watermark};

/// The records of a database, in order, as they were at one moment.
pub(super) trait DatabaseRows {
    /// Returns how far it has followed the journal.
    fn watermark(&self) -> Watermark;

    /// Returns the next records; none at the end.
    async fn next_chunk(&mut self) -> Result<Vec<Rebuilt>, SinkError>;

    /// Returns what contradicts itself in it, in at most `max` lines.
    async fn breaches(&self, max: usize) -> Result<Vec<String>, SinkError>;

    /// Ends the reading.
    async fn end(self) -> Result<(), SinkError>;
}

impl DatabaseRows for PostgresRecords {
    fn watermark(&self) -> Watermark {
        self.watermark()
    }

    async fn next_chunk(&mut self) -> Result<Vec<Rebuilt>, SinkError> {
        self.next_chunk().await
    }

    async fn breaches(&self, max: usize) -> Result<Vec<String>, SinkError> {
        self.breaches(max).await
    }

    async fn end(self) -> Result<(), SinkError> {
        self.end().await
    }
}

/// Records of a database that were read already.
pub struct ReadRows {
    /// How far the database had followed the journal.
    pub watermark: Watermark,
    /// The records, in order.
    pub records: Vec<Rebuilt>,
}

impl DatabaseRows for ReadRows {
    fn watermark(&self) -> Watermark {
        self.watermark
    }

    async fn next_chunk(&mut self) -> Result<Vec<Rebuilt>, SinkError> {
        Ok(std::mem::take(&mut self.records))
    }

    async fn breaches(&self, _max: usize) -> Result<Vec<String>, SinkError> {
        Ok(Vec::new())
    }

    async fn end(self) -> Result<(), SinkError> {
        Ok(())
    }
}
