//! Durability as callers of the engine see it: they wait for records, and ask whether the journal takes any.

use std::rc::Rc;

use super::engine::Engine;
use super::outcome::Unavailable;
use crate::journal::CommitWaiters;
use crate::telemetry::JournalStatus;
use crate::types::Lsn;

impl Engine {
    /// Returns whether the journal takes records. It does not while its disk is full, and after it has failed.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.journal.is_writable()
    }

    /// Returns whether the journal takes records from whoever may decide: of a standby, from its leader.
    #[must_use]
    pub fn is_able(&self) -> bool {
        self.journal.is_able()
    }

    /// Returns whether a commit takes so long that the server does not count as ready.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.journal.stalled().is_some()
    }

    /// Returns the figures of the journal.
    #[must_use]
    pub fn journal_status(&self) -> JournalStatus {
        self.journal.status()
    }

    /// The newest durable record.
    #[must_use]
    pub fn durable_lsn(&self) -> Lsn {
        self.journal.durable()
    }

    /// The newest record, durable or not.
    #[must_use]
    pub fn newest_lsn(&self) -> Lsn {
        Lsn(self.journal_status().appended_lsn)
    }

    /// Blocks until all records are durable that there are now.
    ///
    /// # Errors
    /// [`Unavailable::Journal`] when the journal has failed.
    pub fn flush(&self) -> Result<(), Unavailable> {
        self.journal.flush().map_err(|_| Unavailable::Journal)
    }

    /// Blocks until the record `lsn` is durable.
    ///
    /// # Errors
    /// [`Unavailable::Journal`] when the journal has failed.
    pub fn wait_durable(&self, lsn: Lsn) -> Result<(), Unavailable> {
        self.journal.wait(lsn).map_err(|_| Unavailable::Journal)
    }
}

/// The commits of one worker. Its requests wait here until their decisions are durable.
pub struct WorkerCommits(Rc<CommitWaiters>);

impl WorkerCommits {
    /// Creates the commits of the calling worker.
    #[must_use]
    pub fn new(engine: &Engine) -> Self {
        Self(CommitWaiters::new(engine.journal().clone()))
    }

    /// Returns the result of [`Self::durable`]; `None` while it would suspend.
    ///
    /// # Errors
    /// Those of [`Self::durable`].
    #[must_use]
    pub fn settled(&self, lsn: Lsn) -> Option<Result<(), Unavailable>> {
        let settled = self.0.settled(lsn)?;
        Some(settled.map_err(|_| Unavailable::Journal))
    }

    /// Suspends until the record `lsn` is durable.
    ///
    /// # Errors
    /// [`Unavailable::Journal`] when the journal has failed, or cannot tell yet whether the record is on the disk.
    pub async fn durable(&self, lsn: Lsn) -> Result<(), Unavailable> {
        let durable = self.0.durable(lsn).await;
        durable.map_err(|_| Unavailable::Journal)
    }

    /// Commits, and wakes the requests whose decisions are durable. Must run for as long as requests wait, once per
    /// worker.
    pub async fn drive(&self) {
        Rc::clone(&self.0).drive().await;
    }
}
