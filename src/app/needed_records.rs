//! The records that a server with a replicated log may have to read again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::replication::ReplicationStatus;
use crate::types::Lsn;

/// The records that are kept, whatever their age.
#[derive(Clone)]
pub(super) struct NeededRecords {
    /// The last record of the mark.
    marked: Arc<AtomicU64>,
    status: Arc<ReplicationStatus>,
    /// Whether this server fills a database once it leads.
    has_sinks: bool,
}

impl NeededRecords {
    /// Creates them for a server whose mark is at `marked`.
    pub(super) fn new(marked: Lsn, status: &Arc<ReplicationStatus>, has_sinks: bool) -> Self {
        Self {
            marked: Arc::new(AtomicU64::new(marked.0)),
            status: Arc::clone(status),
            has_sinks,
        }
    }

    /// Notes that the mark is at `marked`.
    pub(super) fn note_marked(&self, marked: Lsn) {
        self.marked.store(marked.0, Ordering::Release);
    }

    /// Returns the last record that is not needed any more. `followed` is the last one that the databases of a leader have; of a standby it is not
    /// known, and its leader says in the log how far they are. The mark's own record is needed to find the place in the log again.
    pub(super) fn kept_behind(&self, followed: Option<Lsn>) -> Lsn {
        let followed = match (followed, self.has_sinks) {
            (Some(followed), _) => followed,
            (None, true) => self.status.followed(),
            (None, false) => Lsn(u64::MAX),
        };
        followed.min(Lsn(self.marked.load(Ordering::Acquire)))
    }

    /// Returns what a leader whose databases have the records up to `followed` says of that in the log: nothing where it has none, because a standby may
    /// have one that it is to fill.
    pub(super) fn told(&self, followed: Option<Lsn>) -> Lsn {
        match self.has_sinks {
            true => followed.unwrap_or(Lsn::ZERO),
            false => Lsn::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_keeps_what_its_databases_may_lack_and_its_mark() {
        let status = Arc::<ReplicationStatus>::default();
        let with_sinks = NeededRecords::new(Lsn(50), &status, true);
        let alone = NeededRecords::new(Lsn(50), &status, false);
        // The leader has not said anything.
        assert_eq!(with_sinks.kept_behind(None), Lsn::ZERO);
        assert_eq!(alone.kept_behind(None), Lsn(50));
        // This server leads, and its own followers tell.
        assert_eq!(with_sinks.kept_behind(Some(Lsn(7))), Lsn(7));
        assert_eq!(with_sinks.told(Some(Lsn(7))), Lsn(7));
        assert_eq!(with_sinks.told(None), Lsn::ZERO);
        assert_eq!(alone.told(Some(Lsn(u64::MAX))), Lsn::ZERO);
        with_sinks.note_marked(Lsn(5));
        assert_eq!(with_sinks.kept_behind(Some(Lsn(7))), Lsn(5));
    }
}
