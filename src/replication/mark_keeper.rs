//! Keeps the mark of a journal up to date while it is written.

use std::sync::Arc;

use super::mark::Mark;
use super::position::Position;
use super::status::ReplicationStatus;
use crate::env::Clock;
use crate::journal::Journal;
use crate::limits;
use crate::planted::{Slip, is_planted};

/// The keeper of the mark beside a journal.
pub(super) struct MarkKeeper {
    mark: Mark,
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    status: Arc<ReplicationStatus>,
    /// When it was written last, by the monotonic clock.
    written_us: u64,
    /// The place that it names next, once that is on this disk.
    next: Option<Position>,
}

impl MarkKeeper {
    /// Creates the keeper of `mark`, which is beside `journal`.
    pub(super) fn new(
        mark: Mark,
        journal: Arc<Journal>,
        clock: Arc<dyn Clock>,
        status: Arc<ReplicationStatus>,
    ) -> Self {
        status.note_marked(mark.at.lsn);
        Self {
            written_us: clock.monotonic_us(),
            mark,
            journal,
            clock,
            status,
            next: None,
        }
    }

    /// Writes now and then that the log has everything up to `at`, or up to an earlier place that it was told. Returns whether it did.
    pub(super) fn advance(&mut self, at: Position) -> bool {
        let now_us = self.clock.monotonic_us();
        if now_us.saturating_sub(self.written_us) < limits::LOG_MARK_SECONDS * 1_000_000 {
            return false;
        }
        // The log may be ahead of this disk, always.
        let next = *self.next.get_or_insert(at);
        if !self.is_here(next) {
            return false;
        }
        (self.written_us, self.next) = (now_us, None);
        self.write(next);
        true
    }

    /// Writes that the log has everything up to `at`, if that is on this disk, too.
    pub(super) fn write(&mut self, at: Position) {
        if self.mark.at == at || !self.is_here(at) {
            return;
        }
        let journal = &self.journal;
        let written = self.mark.advance(at, &**journal.disk(), journal.dir());
        match written {
            Ok(()) => self.status.note_marked(at.lsn),
            Err(error) if error.is_failed_sync() => journal.fail(&error),
            Err(error) => tracing::warn!(
                log = self.mark.log,
                "the place in the replicated log is not noted: {error}"
            ),
        }
    }

    /// Returns whether the record at `at` is durable on this disk. A mark that names one which is not would say of a journal that it ends before its mark.
    fn is_here(&self, at: Position) -> bool {
        let reached = self.journal.reached();
        let local = reached.map_or_else(|| self.journal.durable(), |reached| reached.local);
        local >= at.lsn && self.journal.is_settled() || is_planted(Slip::MarksBeforeDurable)
    }
}
