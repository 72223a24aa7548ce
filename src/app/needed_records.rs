//! The records that a server with a replicated log may have to read again.

use std::sync::Arc;

use crate::replication::ReplicationStatus;
use crate::types::Lsn;

/// The records that are kept, whatever their age.
#[derive(Clone)]
pub(super) struct NeededRecords {
    status: Arc<ReplicationStatus>,
    /// Whether this server fills a database once it leads.
    has_sinks: bool,
}

impl NeededRecords {
    /// Creates them for a server with this `status`.
    pub(super) fn new(status: &Arc<ReplicationStatus>, has_sinks: bool) -> Self {
        Self {
            status: Arc::clone(status),
            has_sinks,
        }
    }

    /// Returns the last record that is not needed any more. `followed` is the last one that the databases of a leader have; of a standby it is not
    /// known, and its leader says in the log how far they are. The mark's own record is needed to find the place in the log again.
    pub(super) fn kept_behind(&self, followed: Option<Lsn>) -> Lsn {
        let followed = match (followed, self.has_sinks) {
            (Some(followed), _) => followed,
            (None, true) => self.status.followed(),
            (None, false) => Lsn(u64::MAX),
        };
        followed.min(self.status.marked())
    }

    /// Returns what a leader whose databases and webhooks have the records up to `followed` says of that in the log: nothing where it has none, because a
    /// standby may have one that it is to fill, and what was said before it where one of its own is not known yet.
    pub(super) fn told(&self, followed: Option<Lsn>) -> Lsn {
        match self.has_sinks {
            true => followed
                .filter(|&followed| followed > Lsn::ZERO)
                .unwrap_or_else(|| self.status.followed()),
            false => Lsn::ZERO,
        }
    }

    /// Returns whether the leader fills databases and this server would fill none once it leads.
    pub(super) fn lacks_sinks(&self) -> bool {
        !self.has_sinks && self.status.followed() > Lsn::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_keeps_what_its_databases_may_lack_and_its_mark() {
        let status = Arc::<ReplicationStatus>::default();
        status.note_marked(Lsn(50));
        let with_sinks = NeededRecords::new(&status, true);
        let alone = NeededRecords::new(&status, false);
        // The leader has not said anything.
        assert_eq!(with_sinks.kept_behind(None), Lsn::ZERO);
        assert_eq!(alone.kept_behind(None), Lsn(50));
        // This server leads, and its own followers tell.
        assert_eq!(with_sinks.kept_behind(Some(Lsn(7))), Lsn(7));
        assert_eq!(with_sinks.told(Some(Lsn(7))), Lsn(7));
        assert_eq!(with_sinks.told(None), Lsn::ZERO);
        assert_eq!(alone.told(Some(Lsn(u64::MAX))), Lsn::ZERO);
        status.note_marked(Lsn(5));
        assert_eq!(with_sinks.kept_behind(Some(Lsn(7))), Lsn(5));
    }

    #[test]
    fn a_database_that_has_not_connected_yet_takes_nothing_back_that_the_log_says() {
        let status = Arc::<ReplicationStatus>::default();
        status.set_followed(Lsn(30));
        let needed = NeededRecords::new(&status, true);
        assert_eq!(needed.told(None), Lsn(30));
        assert_eq!(needed.told(Some(Lsn::ZERO)), Lsn(30));
        // It has connected, and lacks some.
        assert_eq!(needed.told(Some(Lsn(20))), Lsn(20));
        assert_eq!(needed.told(Some(Lsn(40))), Lsn(40));
    }
}
